//! What episodes came to, in the figures of the journal.

use std::collections::BTreeMap;

use crate::objective::Advantages;
use crate::rollout::{Rollout, summary};

/// Of what is held out. An episode whose time was over is a wrong one here.
///
/// `exact_match`, `accuracy` (mean correctness, which counts answers that are partly right), `grounding`, `citation`,
/// `search_rate`, `answer_rate`, `faults`, `reward`, `written_tokens`.
pub(super) fn heldout(done: &[Rollout]) -> BTreeMap<String, f64> {
    let mean = |value: &dyn Fn(&Rollout) -> f64| {
        done.iter().filter(|one| !one.is_masked).map(value).sum::<f64>() / done.len().max(1) as f64
    };
    let known: Vec<f64> = done.iter().map(|one| one.reward.total).filter(|total| !total.is_nan()).collect();
    let flag = |is_so: bool| f64::from(u8::from(is_so));
    let term = |one: &Rollout, name: &str| {
        one.reward.terms.iter().find(|term| term.name == name).map_or(0.0, |term| term.value)
    };
    let values = [
        ("exact_match", mean(&|one| flag(term(one, "correctness") >= 1.0))),
        ("accuracy", mean(&|one| term(one, "correctness"))),
        ("grounding", mean(&|one| term(one, "grounding"))),
        ("citation", mean(&|one| term(one, "citation"))),
        ("search_rate", mean(&|one| flag(!one.trace.searches.is_empty()))),
        ("answer_rate", mean(&|one| flag(one.trace.answer.is_answered()))),
        ("faults", mean(&|one| one.trace.faults.len() as f64)),
        ("reward", known.iter().sum::<f64>() / known.len() as f64),
        ("written_tokens", mean(&|one| one.sample.learnt() as f64)),
    ];
    values.into_iter().filter(|(_, value)| value.is_finite()).map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Of the episodes of a step: rewards and each of their terms, what was left out, how they were written.
pub(super) fn episodes(done: &[Rollout], advantages: &Advantages) -> BTreeMap<String, f64> {
    let summary = summary(done);
    let share = |part: usize, all: usize| part as f64 / all.max(1) as f64;
    let values = [
        ("reward", summary.reward),
        ("reward_std", summary.spread),
        ("zero_spread", share(advantages.dropped_groups, advantages.groups)),
        ("masked", share(summary.masked, summary.episodes)),
        ("search_rate", summary.search_rate),
        ("searches", summary.searches),
        ("answer_rate", summary.answered),
        ("faults", summary.faults),
        ("written_tokens", summary.written_tokens),
        ("episode_tokens", summary.tokens),
        ("retrieval_share", summary.retrieval_share),
        ("seconds_retrieval", done.iter().map(|one| one.trace.timings.retrieval_ms).sum::<f64>() / 1_000.0),
    ];
    let terms = summary.terms.iter().map(|(name, value)| (format!("reward_{}", name.replace('-', "_")), *value));
    let values = values.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(terms);
    values.chain(labels(done)).collect()
}

/// Shares of the claims that were found supported, contradicted and neither, where any were looked at.
fn labels(done: &[Rollout]) -> Vec<(String, f64)> {
    let count = |label: usize| done.iter().map(|one| one.reward.verdicts[label]).sum::<usize>();
    let counts = [0, 1, 2].map(count);
    let claims: usize = counts.iter().sum();
    if claims == 0 {
        return Vec::new();
    }
    let named = ["claims_supported", "claims_contradicted", "claims_neutral"].into_iter().zip(counts);
    named.map(|(name, count)| (name.to_owned(), count as f64 / claims as f64)).collect()
}
