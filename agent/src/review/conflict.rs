//! [`conflicts`]: where other evidence of the episode says the opposite of what an answer says.

use retriever::evidence::Label as EvidenceLabel;
use retriever::{Evidence, Ledger};
use serde::{Deserialize, Serialize};

use super::examine::{examine_one, source};
use crate::answer::{Citation, Sentence};
use crate::check::{By, look};
use crate::judge::{Judge, Label};
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

/// The conflicts of an answer's sentences with what of `ledger` they do not cite, of other documents than they do.
///
/// # Errors
/// Those of the scorer, or when the caller cancels.
pub fn conflicts(
    sentences: &[Sentence],
    ledger: &Ledger,
    judge: Option<&Judge>,
    cancel: &Cancel,
) -> Result<Vec<Conflict>> {
    let mut conflicts = Vec::new();
    for (place, sentence) in sentences.iter().enumerate() {
        cancel.check()?;
        if !sentence.finding.as_ref().is_some_and(crate::check::Finding::is_support) {
            continue;
        }
        let cited: Vec<&Evidence> = sentence.cites.iter().filter_map(|label| ledger.get(*label)).collect();
        if is_aim(&sentence.text) {
            continue;
        }
        let is_other = |one: &&Evidence| cited.iter().all(|cited| !is_same_work(cited, one));
        let mut against = Vec::new();
        let mut open = 0;
        for one in ledger.entries().iter().filter(is_other) {
            let (finding, near) = look(&sentence.text, &[source(one)]);
            let Some(near) = near else { continue };
            let mut span = near.span;
            let is_against = match judge {
                None => finding.label == Label::Contradict && near.share >= SAME_CLAIM && finding.unnamed.is_none(),
                Some(_) if open >= READ => false,
                Some(judge) => {
                    open += 1;
                    let read = examine_one(&sentence.text, one, Some(judge))?;
                    read.is_some_and(|read| {
                        let is_sure = read.by == By::Scorer && read.confidence.is_some_and(|sure| sure >= SURE);
                        if let Some(quote) = &read.quote {
                            span = quote.within(one);
                        }
                        read.label == Label::Contradict && is_sure
                    })
                }
            };
            if is_against {
                against.push(Citation::quoting(one, span));
            }
        }
        if !against.is_empty() {
            conflicts.push(Conflict { sentence: place + 1, cited: sentence.cites.clone(), against });
        }
    }
    Ok(conflicts)
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
