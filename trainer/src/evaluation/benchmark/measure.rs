//! What else is measured of an answer: words in common, phrases in common, citations, and claims without support.

use std::collections::{BTreeMap, BTreeSet};

use agent::Trace;
use agent::trace::StopReason;

use super::{Item, bleu};
use crate::data::question::{Gold, Question};
use crate::evaluation::{self, Measure, Of};
use crate::reward::Reward;

/// The measures of every evaluation, and `f1` and `bleu` where a right answer is known in words, `hallucination_rate` (the
/// share of claims that nothing cited supports), `citation_precision` and `citation_recall` where the documents are known
/// that hold the answer, `abstention_rate`, and `unparsed` (the share that is no answer: it counts as wrong).
pub fn measures(items: &[Item]) -> Vec<Measure<'_>> {
    let references: BTreeMap<&str, &str> =
        items.iter().filter_map(|item| Some((item.question.id.as_str(), item.reference.as_deref()?))).collect();
    let mut all: Vec<Measure<'_>> = evaluation::measures();
    all.push(measure(
        "f1",
        Box::new(|question, _, reward| matches!(question.gold, Gold::Overlap(_)).then(|| reward.value("correctness"))),
    ));
    all.push(measure(
        "bleu",
        Box::new(move |question, trace, _| {
            let reference = references.get(question.id.as_str())?;
            Some(if trace.answer.is_answered() { bleu(&trace.answer.text, reference) } else { 0.0 })
        }),
    ));
    all.push(measure("hallucination_rate", Box::new(|_, trace, reward| unsupported(trace, reward))));
    all.push(measure(
        "citation_precision",
        Box::new(|question, trace, _| {
            cited(question, trace).map(|(right, cited, _)| if cited == 0 { 0.0 } else { right as f64 / cited as f64 })
        }),
    ));
    all.push(measure(
        "citation_recall",
        Box::new(|question, trace, _| cited(question, trace).map(|(right, _, wanted)| right as f64 / wanted as f64)),
    ));
    all.push(measure("abstention_rate", Box::new(|_, trace, _| Some(share(trace.stop == StopReason::Abstained)))));
    all.push(measure(
        "unparsed",
        Box::new(|question, trace, reward| Some(share(is_unparsed(question, trace, reward)))),
    ));
    all
}

fn measure<'a>(name: &'static str, of: Box<Of<'a>>) -> Measure<'a> {
    Measure { name, of }
}

fn share(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}

/// The share of claims that nothing cited supports: all of an answer that cites nothing; none where nothing is claimed.
fn unsupported(trace: &Trace, reward: &Reward) -> Option<f64> {
    let claims: usize = reward.verdicts.iter().sum();
    match (trace.answer.is_answered(), claims) {
        (false, _) => None,
        (true, 0) => trace.answer.citations.is_empty().then_some(1.0),
        (true, _) => Some(1.0 - reward.verdicts[0] as f64 / claims as f64),
    }
}

/// Cited documents that hold the answer, all that are cited, and all that hold it.
fn cited(question: &Question, trace: &Trace) -> Option<(usize, usize, usize)> {
    if question.documents.is_empty() || !trace.answer.is_answered() {
        return None;
    }
    let cited: BTreeSet<_> = trace.answer.documents().into_iter().map(corpus::DocumentId::key).collect();
    let right = question.documents.iter().filter(|key| cited.contains(key.as_str())).count();
    Some((right, cited.len(), question.documents.len()))
}

/// Whether an episode ended without an answer in its grammar, or answers without choosing where there is a choice.
fn is_unparsed(question: &Question, trace: &Trace, reward: &Reward) -> bool {
    let chooses = matches!(question.gold, Gold::Choice { .. } | Gold::Verdict(_));
    let reason = reward.terms.iter().find(|term| term.name == "correctness").map(|term| term.reason.as_str());
    let is_open = chooses && trace.answer.is_answered() && reason == Some("names no option");
    is_open || matches!(trace.stop, StopReason::NoFinal | StopReason::Tokens)
}
