//! Grounding and citations: whether an answer says what its evidence says, and cites what it was shown.

use std::collections::BTreeSet;

use agent::Trace;
use corpus::sentence::sentences;
use retriever::Evidence;

use super::config::JudgeChoice;
use super::text::{content, is_number};
use crate::{Error, Result};

/// Cites of one part that may be to the point.
const CITES: usize = 3;
/// Share of a claim's words that a stretch of evidence must hold.
const COVERED: f64 = 0.7;
/// Sentences of evidence that are looked at together.
const STRETCH: usize = 2;

/// What evidence says of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Label {
    Support,
    Contradict,
    Neutral,
}

/// Claims that were found supported, contradicted and neither.
type Verdicts = [usize; 3];

/// Who judges claims, opened.
#[derive(Debug, Default)]
pub(super) enum Grounds {
    /// [`JudgeChoice::Lexical`].
    #[default]
    Lexical,
}

/// What an answer says in one of its sentences, and what it cites for it.
struct Claim<'a> {
    words: Vec<String>,
    evidence: Vec<&'a Evidence>,
}

impl Grounds {
    pub(super) fn open(choice: &JudgeChoice) -> Result<Self> {
        match choice {
            JudgeChoice::Lexical => Ok(Self::Lexical),
            JudgeChoice::Scorer(folder) => Err(Error::Input(format!("cannot open the scorer {}", folder.display()))),
        }
    }

    /// The share of each answer's claims that what they cite supports, why, and what was found of each claim. All that
    /// can be cited was retrieved.
    pub(super) fn grounding(&self, traces: &[&Trace]) -> Vec<((f64, String), Verdicts)> {
        let claims: Vec<Vec<Claim<'_>>> = traces.iter().map(|trace| claims(trace)).collect();
        let verdicts = match self {
            Self::Lexical => claims.iter().map(|claims| claims.iter().map(by_words).collect()).collect::<Vec<Vec<_>>>(),
        };
        verdicts.iter().map(|found| share(found)).collect()
    }
}

/// What of an answer says something.
fn claims(trace: &Trace) -> Vec<Claim<'_>> {
    let claim = |sentence: &agent::Sentence| Claim {
        words: content(&sentence.text),
        evidence: sentence.cites.iter().filter_map(|label| trace.ledger.get(*label)).collect(),
    };
    trace.answer.sentences.iter().map(claim).filter(|claim| !claim.words.is_empty()).collect()
}

/// Supported claims less contradicted ones, of all.
fn share(found: &[Label]) -> ((f64, String), Verdicts) {
    let count = |label: Label| found.iter().filter(|one| **one == label).count();
    let verdicts @ [supported, contradicted, _] = [Label::Support, Label::Contradict, Label::Neutral].map(count);
    if found.is_empty() {
        return ((0.0, "claims nothing that could be checked".to_owned()), verdicts);
    }
    let value = (supported as f64 - contradicted as f64) / found.len() as f64;
    let against = if contradicted > 0 { format!(", {contradicted} contradicted by it") } else { String::new() };
    ((value, format!("{supported} of {} claims are supported by what they cite{against}", found.len())), verdicts)
}

fn by_words(claim: &Claim<'_>) -> Label {
    let is_supported = claim.evidence.iter().any(|evidence| holds(evidence, &claim.words));
    if is_supported { Label::Support } else { Label::Neutral }
}

/// Whether a stretch of the evidence has most of these words, and every number of them.
fn holds(evidence: &Evidence, claim: &[String]) -> bool {
    let title = content(&evidence.title);
    let sentences: Vec<_> = sentences(&evidence.text).map(|span| content(&evidence.text[span])).collect();
    let mut stretches = sentences.windows(STRETCH.min(sentences.len()).max(1));
    stretches.any(|stretch| {
        let holds = |word: &String| title.contains(word) || stretch.iter().any(|part| part.contains(word));
        let held = claim.iter().filter(|word| holds(word)).count();
        let numbers = claim.iter().filter(|word| is_number(word)).all(holds);
        numbers && held as f64 >= COVERED * claim.len() as f64
    })
}

/// The share of parts that cite something, times the share of cites that exist and are to the point: of those of one
/// part, the first few, and none that has less than half as many of its words as the best.
pub(super) fn citation(trace: &Trace) -> (f64, String) {
    let answer = &trace.answer;
    let parts = answer.sentences.len();
    let cites: usize = answer.sentences.iter().map(|sentence| sentence.cites.len()).sum();
    if parts == 0 || cites == 0 {
        return (0.0, "cites nothing".to_owned());
    }
    let cited = (parts - answer.uncited.min(parts)) as f64 / parts as f64;
    let idle: usize = answer.sentences.iter().map(|sentence| idle(trace, sentence)).sum();
    let known = (cites - idle) as f64 / (cites + answer.struck) as f64;
    let reason = format!(
        "{} of {parts} parts cite nothing, {} cites do not exist, {idle} are not to the point",
        answer.uncited, answer.struck
    );
    (cited * known, reason)
}

/// Cites of a sentence that add nothing to its others.
fn idle(trace: &Trace, sentence: &agent::Sentence) -> usize {
    let said = content(&sentence.text);
    let share = |label| {
        let evidence = trace.ledger.get(label)?;
        let words: BTreeSet<String> = content(&evidence.title).into_iter().chain(content(&evidence.text)).collect();
        Some(said.iter().filter(|word| words.contains(*word)).count())
    };
    let shares: Vec<usize> = sentence.cites.iter().map(|label| share(*label).unwrap_or_default()).collect();
    let best = shares.iter().copied().max().unwrap_or_default();
    shares.iter().enumerate().filter(|(place, share)| *place >= CITES || 2 * **share < best).count()
}
