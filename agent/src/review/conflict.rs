//! [`conflicts`]: where other evidence of the episode says the opposite of what an answer says.

use std::ops::Range;

use retriever::evidence::Label as EvidenceLabel;
use retriever::{Evidence, Ledger};
use serde::{Deserialize, Serialize};

use super::examine::{source, verbatim};
use super::narrow::narrow;
use crate::answer::{Citation, Sentence};
use crate::check::look;
use crate::judge::{Label, Pair, Reading, Verdict};
use crate::{Cancel, Result};

/// Share of a sentence's words that stand in one that contradicts it by rule: less, and both may speak of different things.
const SAME_CLAIM: f64 = 0.7;
/// The least calibrated probability of a contradiction by a scorer.
const SURE: f32 = 0.8;
/// Pieces of evidence that a scorer reads against one sentence.
const READ: usize = 4;

/// A sentence of an answer, and what speaks against it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conflict {
    /// The sentence's place in the answer, from 1.
    pub sentence: usize,
    /// Labels of what it cites.
    pub cited: Vec<EvidenceLabel>,
    /// What says the opposite, each with its quote, level and year.
    pub against: Vec<Citation>,
}

/// What may speak against a sentence, and where.
struct Candidate<'a> {
    /// The sentence's place in the answer, from 0.
    sentence: usize,
    evidence: &'a Evidence,
    /// Bytes of its text: the sentence that is nearest.
    near: Range<usize>,
}

/// The conflicts of an answer's sentences with what of `ledger` they do not cite, of other documents than they do. A scorer
/// reads all that may speak against an answer at once.
///
/// # Errors
/// Those of the scorer, or when the caller cancels.
pub fn conflicts(
    sentences: &[Sentence],
    ledger: &Ledger,
    reading: &Reading<'_>,
    cancel: &Cancel,
) -> Result<Vec<Conflict>> {
    let mut against: Vec<Candidate<'_>> = Vec::new();
    for (place, sentence) in sentences.iter().enumerate() {
        cancel.check()?;
        if !sentence.is_supported() {
            continue;
        }
        let cited: Vec<&Evidence> = sentence.cites.iter().filter_map(|label| ledger.get(*label)).collect();
        if is_aim(&sentence.text) {
            continue;
        }
        let others = ledger.entries().iter().filter(|one| !cited.iter().any(|cited| is_same_work(cited, one)));
        let near = others.filter_map(|evidence| {
            let (finding, near) = look(&sentence.text, &[source(evidence)]);
            let near = near?;
            let is_against =
                finding.label == Label::Contradict && near.share >= SAME_CLAIM && finding.unnamed.is_none();
            let is_read = !reading.is_by_rule() && verbatim(&sentence.text, &evidence.text).is_none();
            (is_read || (reading.is_by_rule() && is_against)).then_some(Candidate {
                sentence: place,
                evidence,
                near: near.span,
            })
        });
        against.extend(near.take(if reading.is_by_rule() { usize::MAX } else { READ }));
    }
    if !reading.is_by_rule() {
        let claim = |one: &Candidate<'_>| sentences[one.sentence].text.as_str();
        let narrowed: Vec<_> = against.iter().map(|one| (claim(one), narrow(claim(one), &one.evidence.text))).collect();
        let pairs: Vec<_> = narrowed.iter().map(|(claim, near)| Pair { claim, evidence: &near.text }).collect();
        let mut verdicts = reading.verdicts(&pairs)?.into_iter();
        let is_sure = |Verdict { label, probabilities: [_, contradiction, _], .. }: Verdict| {
            label == Label::Contradict && contradiction >= SURE
        };
        against.retain(|_| verdicts.next().is_some_and(is_sure));
    }
    Ok(gathered(sentences, &against))
}

/// One conflict for each sentence that something speaks against.
fn gathered(sentences: &[Sentence], against: &[Candidate<'_>]) -> Vec<Conflict> {
    let own = against.chunk_by(|one, next| one.sentence == next.sentence);
    own.map(|own| Conflict {
        sentence: own[0].sentence + 1,
        cited: sentences[own[0].sentence].cites.clone(),
        against: own.iter().map(|one| Citation::quoting(one.evidence, one.near.clone())).collect(),
    })
    .collect()
}

/// Whether both are of one publication, which may stand in a corpus as abstract and as full text.
fn is_same_work(one: &Evidence, other: &Evidence) -> bool {
    let (a, b) = (&one.identifiers, &other.identifiers);
    let shares = |left: &Option<String>, right: &Option<String>| left.is_some() && left == right;
    let is_titled_so = !one.title.is_empty() && one.title.eq_ignore_ascii_case(&other.title);
    one.document == other.document
        || shares(&a.pmid, &b.pmid)
        || shares(&a.pmcid, &b.pmcid)
        || shares(&a.doi, &b.doi)
        || is_titled_so
}

/// Whether a sentence says what was to be found out, and not what was.
fn is_aim(sentence: &str) -> bool {
    const AIMS: [&str; 8] = ["aim", "aimed", "aims", "objective", "purpose", "hypothesised", "hypothesized", "sought"];
    crate::matching::words(sentence).any(|word| AIMS.contains(&word.to_lowercase().as_str()))
}

impl Conflict {
    /// In words, with levels and years: `E1 (RCT, 2019) is contradicted by E4 (guideline, 2023)`.
    pub fn text(&self, citations: &[Citation]) -> String {
        let name = |citation: &Citation| {
            let year = citation.year.map_or_else(|| "year unknown".to_owned(), |year| year.to_string());
            format!("{} ({}, {year})", citation.label, citation.level.label())
        };
        let cited = citations.iter().filter(|citation| self.cited.contains(&citation.label)).map(name);
        let against = self.against.iter().map(name);
        format!(
            "{} is contradicted by {}",
            cited.collect::<Vec<_>>().join(", "),
            against.collect::<Vec<_>>().join(", ")
        )
    }
}
