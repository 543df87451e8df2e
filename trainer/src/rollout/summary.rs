//! [`Summary`]: what a step's episodes came to, in the figures that a journal keeps and alarms look at.

use agent::trace::Author;
use serde::Serialize;

use super::Rollout;

/// Means over episodes, the masked ones and those without a reward left out except where it says so.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// All episodes, masked ones too.
    pub episodes: usize,
    /// Those whose time was over, or that nobody could give a reward.
    pub masked: usize,
    /// Mean of the rewards.
    pub reward: f64,
    /// Standard deviation of the rewards.
    pub spread: f64,
    /// Mean value of each term, by name, in the order of the terms.
    pub terms: Vec<(String, f64)>,
    /// Share that was answered.
    pub answered: f64,
    /// Share that searched at all.
    pub search_rate: f64,
    /// Searches of one.
    pub searches: f64,
    /// Malformed moves of one.
    pub faults: f64,
    /// Tokens that the policy wrote in one.
    pub written_tokens: f64,
    /// Tokens of one in all.
    pub tokens: f64,
    /// Share of the time, over all episodes, that was spent in retrieval.
    pub retrieval_share: f64,
}

/// Sums up the episodes of a step.
pub fn summary(rollouts: &[Rollout]) -> Summary {
    let kept: Vec<_> =
        rollouts.iter().filter(|rollout| !(rollout.is_masked || rollout.reward.total.is_nan())).collect();
    let mean = |value: &dyn Fn(&Rollout) -> f64| {
        kept.iter().map(|rollout| value(rollout)).sum::<f64>() / kept.len().max(1) as f64
    };
    let reward = mean(&|rollout| rollout.reward.total);
    let variance = mean(&|rollout| (rollout.reward.total - reward).powi(2));
    let names = kept.first().map_or(&[][..], |rollout| &rollout.reward.terms);
    let terms = names.iter().enumerate();
    let terms = terms.map(|(at, term)| (term.name.clone(), mean(&|rollout| rollout.reward.terms[at].value))).collect();
    let time = |of: fn(&Rollout) -> f64| rollouts.iter().map(of).sum::<f64>();
    let (total, retrieval) =
        (time(|rollout| rollout.trace.timings.total_ms), time(|rollout| rollout.trace.timings.retrieval_ms));
    let own = |rollout: &Rollout| {
        let segments = rollout.trace.segments.iter().filter(|segment| segment.author == Author::Policy);
        segments.filter_map(|segment| segment.token_ids.as_ref()).map(Vec::len).sum::<usize>()
    };
    Summary {
        episodes: rollouts.len(),
        masked: rollouts.len() - kept.len(),
        reward,
        spread: variance.sqrt(),
        terms,
        answered: mean(&|rollout| f64::from(u8::from(rollout.trace.answer.is_answered()))),
        search_rate: mean(&|rollout| f64::from(u8::from(!rollout.trace.searches.is_empty()))),
        searches: mean(&|rollout| rollout.trace.searches.len() as f64),
        faults: mean(&|rollout| rollout.trace.faults.len() as f64),
        written_tokens: mean(&|rollout| own(rollout) as f64),
        tokens: mean(&|rollout| rollout.sample.tokens() as f64),
        retrieval_share: if total > 0.0 { retrieval / total } else { 0.0 },
    }
}
