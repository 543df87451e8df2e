//! Grounding and citations: whether an answer says what its evidence says, and cites what it was shown.

use agent::Trace;
use corpus::sentence::sentences;
use retriever::Evidence;
use serde::{Deserialize, Serialize};

use super::text::{content, is_number};

/// Share of a claim's words that a stretch of evidence must hold.
const COVERED: f64 = 0.7;
/// Sentences of evidence that are looked at together.
const STRETCH: usize = 2;

/// Who says whether evidence supports a claim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judge {
    /// By words alone: most of the claim's words, and every number, within two sentences of a passage
    /// that the claim cites. It sees no negation and no paraphrase.
    #[default]
    Lexical,
}

impl Judge {
    fn supports(self, evidence: &Evidence, claim: &[String]) -> bool {
        match self {
            Self::Lexical => {
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
        }
    }
}

/// The share of the answer's claims that what they cite supports, and why.
pub(super) fn grounding(judge: Judge, trace: &Trace) -> (f64, String) {
    let claims = trace.answer.sentences.iter().map(|sentence| (content(&sentence.text), &sentence.cites));
    let claims: Vec<_> = claims.filter(|(claim, _)| !claim.is_empty()).collect();
    if claims.is_empty() {
        return (0.0, "claims nothing that could be checked".to_owned());
    }
    let supported = claims.iter().filter(|(claim, cites)| {
        let mut evidence = cites.iter().filter_map(|label| trace.ledger.get(*label));
        evidence.any(|evidence| judge.supports(evidence, claim))
    });
    let supported = supported.count();
    let value = supported as f64 / claims.len() as f64;
    (value, format!("{supported} of {} claims are supported by what they cite", claims.len()))
}

/// The share of parts that cite something, times the share of cites that exist.
pub(super) fn citation(trace: &Trace) -> (f64, String) {
    let answer = &trace.answer;
    let parts = answer.sentences.len();
    let cites: usize = answer.sentences.iter().map(|sentence| sentence.cites.len()).sum();
    if parts == 0 || cites == 0 {
        return (0.0, "cites nothing".to_owned());
    }
    let cited = (parts - answer.uncited.min(parts)) as f64 / parts as f64;
    let known = cites as f64 / (cites + answer.struck) as f64;
    let reason = format!("{} of {parts} parts cite nothing, {} cites do not exist", answer.uncited, answer.struck);
    (cited * known, reason)
}
