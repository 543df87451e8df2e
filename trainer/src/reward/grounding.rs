//! Grounding and citations: whether an answer says what its evidence says, and cites what it was shown.

use std::collections::BTreeSet;

use agent::Trace;
use agent::check::lexical::holds;
use agent::check::words::content;
use agent::judge::{Judge, Label, Pair, Verdict};
use nn::Device;
use retriever::Evidence;

use super::config::JudgeChoice;
use crate::{Error, Result};

/// Cites of one part that may be to the point.
const CITES: usize = 3;
/// Words below which a claim says little without its question.
const TERSE: usize = 4;

/// Claims that were found supported, contradicted and neither.
type Verdicts = [usize; 3];

/// Who judges claims, opened.
#[derive(Debug, Default)]
pub(super) enum Grounds {
    /// [`JudgeChoice::Lexical`].
    #[default]
    Lexical,
    /// [`JudgeChoice::Scorer`].
    Scorer(Box<Judge>),
}

/// What an answer says in one of its sentences, and what it cites for it.
struct Claim<'a> {
    words: Vec<String>,
    /// As a scorer reads it.
    text: String,
    evidence: Vec<&'a Evidence>,
}

impl Grounds {
    pub(super) fn open(choice: &JudgeChoice) -> Result<Self> {
        match choice {
            JudgeChoice::Lexical => Ok(Self::Lexical),
            JudgeChoice::Scorer(folder) => Ok(Self::Scorer(Box::new(Judge::open(folder, Device::cpu())?))),
        }
    }

    /// The share of each answer's claims that what they cite supports, why, and what was found of each claim. All that
    /// can be cited was retrieved.
    pub(super) fn grounding(&self, traces: &[&Trace]) -> Result<Vec<((f64, String), Verdicts)>> {
        let claims: Vec<Vec<Claim<'_>>> = traces.iter().map(|trace| claims(trace)).collect();
        let verdicts = match self {
            Self::Lexical => claims.iter().map(|claims| claims.iter().map(by_words).collect()).collect(),
            Self::Scorer(judge) => by_scorer(&claims, &|pairs| judge.judge(pairs))?,
        };
        Ok(verdicts.iter().map(|found: &Vec<Label>| share(found)).collect())
    }
}

/// What of an answer says something.
fn claims(trace: &Trace) -> Vec<Claim<'_>> {
    let claim = |sentence: &agent::Sentence| {
        let words = content(&sentence.text);
        let is_terse = words.len() < TERSE;
        Claim {
            text: if is_terse { format!("{} {}", trace.question, sentence.text) } else { sentence.text.clone() },
            words,
            evidence: sentence.cites.iter().filter_map(|label| trace.ledger.get(*label)).collect(),
        }
    };
    trace.answer.sentences.iter().map(claim).filter(|claim| !claim.words.is_empty()).collect()
}

/// What a scorer finds of each claim: of all that it cites, what most surely supports or contradicts it decides. Each pair
/// is judged once, however many episodes have it.
fn by_scorer(
    claims: &[Vec<Claim<'_>>],
    judge: &dyn Fn(&[Pair<'_>]) -> agent::Result<Vec<Verdict>>,
) -> Result<Vec<Vec<Label>>> {
    let asked = |claim: &Claim<'_>, evidence: &Evidence| (claim.text.clone(), evidence.text.clone());
    let all = claims.iter().flatten().flat_map(|claim| claim.evidence.iter().map(|one| asked(claim, one)));
    let all: Vec<(String, String)> = all.collect::<BTreeSet<_>>().into_iter().collect();
    let pairs: Vec<Pair<'_>> = all.iter().map(|(claim, evidence)| Pair { claim, evidence }).collect();
    let verdicts = judge(&pairs)?;
    if verdicts.len() != all.len() {
        return Err(Error::Shape(format!("{} verdicts for {} pairs", verdicts.len(), all.len())));
    }
    let sure = |verdict: &Verdict| verdict.probabilities[0].max(verdict.probabilities[1]);
    let found = |claim: &Claim<'_>| {
        let own = claim.evidence.iter().filter_map(|one| all.binary_search(&asked(claim, one)).ok());
        // The first of equals.
        let decides =
            own.map(|place| &verdicts[place]).reduce(|best, one| if sure(one) > sure(best) { one } else { best });
        decides.map_or(Label::Neutral, |verdict| verdict.label)
    };
    Ok(claims.iter().map(|claims| claims.iter().map(found).collect()).collect())
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
    let is_supported = claim.evidence.iter().any(|evidence| holds(&evidence.title, &evidence.text, &claim.words));
    if is_supported { Label::Support } else { Label::Neutral }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::tests::play;

    /// A scorer that finds what the evidence has word for word supported, and the opposite where it says `not`.
    fn judge(pairs: &[Pair<'_>]) -> Vec<Verdict> {
        let verdict = |pair: &Pair<'_>| {
            let (label, probabilities) = if pair.evidence.contains(pair.claim.trim_end_matches('.')) {
                (Label::Support, [0.8, 0.1, 0.1])
            } else if pair.claim.contains(" not ") {
                (Label::Contradict, [0.0, 0.9, 0.1])
            } else {
                (Label::Neutral, [0.2, 0.1, 0.7])
            };
            Verdict { label, probabilities, span: 0..0 }
        };
        pairs.iter().map(verdict).collect()
    }

    fn found(answer: &str) -> (Vec<Label>, f64) {
        let trace =
            play(&["<search>metformin dose\nlithium dehydration</search>", &format!("<answer>{answer}</answer>")]);
        let claims = [claims(&trace)];
        let labels = by_scorer(&claims, &|pairs| Ok(judge(pairs))).unwrap().remove(0);
        let value = share(&labels).0.0;
        (labels, value)
    }

    #[test]
    fn a_scorer_is_asked_about_each_claim_and_all_that_it_cites() {
        use Label::{Contradict, Neutral, Support};
        let right = "Metformin is contraindicated in metabolic acidosis.";
        assert_eq!(found(&format!("{right} [E1]")), (vec![Support], 1.0));
        assert_eq!(found(&format!("{right} [E2][E1]")), (vec![Support], 1.0), "the surest decides");
        assert_eq!(found(&format!("{right} [E2]")), (vec![Neutral], 0.0));
        assert_eq!(found(right), (vec![Neutral], 0.0), "what cites nothing is supported by nothing");
        let wrong = "It is not taken with any meals.";
        assert_eq!(found(&format!("{right} [E1] {wrong} [E1]")), (vec![Support, Contradict], 0.0));
        assert_eq!(found(&format!("{wrong} [E1]")), (vec![Contradict], -1.0));
    }

    #[test]
    fn a_terse_claim_is_read_with_its_question_and_each_pair_once() {
        let trace = play(&["<search>metformin dose</search>", "<answer>500 mg [E1]</answer>"]);
        let twice = [claims(&trace), claims(&trace)];
        let asked = std::cell::RefCell::new(Vec::new());
        let listen = |pairs: &[Pair<'_>]| {
            asked.borrow_mut().extend(pairs.iter().map(|pair| pair.claim.to_owned()));
            Ok(judge(pairs))
        };
        assert_eq!(by_scorer(&twice, &listen).unwrap().len(), 2);
        assert_eq!(*asked.borrow(), ["What is the usual dose of metformin? 500 mg"]);
        assert!(by_scorer(&twice, &|_| Ok(Vec::new())).is_err());
    }
}
