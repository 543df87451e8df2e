//! [`Credited`]: an episode that is learnt from, token by token; [`Micro`]: those that are computed at once.

use std::ops::Range;

use crate::Sample;
use crate::learner::Scored;
use crate::objective::Recorded;
use crate::rollout::Rollout;

/// An episode that is learnt from, with what is known of each token that its policy wrote.
#[derive(Clone, Debug)]
pub(crate) struct Credited<'a> {
    pub(crate) sample: &'a Sample,
    /// Log-probabilities when they were sampled.
    pub(crate) sampler: &'a [f32],
    /// Its reward.
    pub(crate) worth: f64,
    /// As the trainer computed it before the step's first update, where that is asked for.
    pub(crate) before: Scored,
    /// Log-probabilities under the reference, where there is one.
    pub(crate) reference: Vec<f32>,
    pub(crate) advantages: Vec<f64>,
    /// What the value head learns, where there is one.
    pub(crate) returns: Vec<f64>,
}

/// Episodes that are computed at once, their tokens end to end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Micro<'a> {
    pub(crate) samples: Vec<&'a Sample>,
    pub(crate) before: Scored,
    pub(crate) returns: Vec<f64>,
    sampler: Vec<f32>,
    reference: Vec<f32>,
    advantages: Vec<f64>,
    sequences: Vec<Range<usize>>,
    /// Whether the policy has moved since it sampled.
    is_old: bool,
}

impl<'a> Credited<'a> {
    /// All of whose tokens have one advantage.
    pub(crate) fn new(rollout: &'a Rollout, advantage: f64) -> Self {
        let Rollout { sample, logprobs: sampler, reward, .. } = rollout;
        let (worth, advantages) = (reward.total, vec![advantage; sampler.len()]);
        Self {
            sample,
            sampler,
            worth,
            before: Scored::default(),
            reference: Vec::new(),
            advantages,
            returns: Vec::new(),
        }
    }
}

impl<'a> Micro<'a> {
    /// Of some episodes; `is_old` when the policy may have moved since it sampled them.
    pub(crate) fn of(episodes: &[&Credited<'a>], is_old: bool) -> Self {
        let mut micro = Self { is_old, ..Self::default() };
        for episode in episodes {
            let start = micro.sampler.len();
            micro.samples.push(episode.sample);
            micro.sampler.extend_from_slice(episode.sampler);
            micro.before.logprobs.extend_from_slice(&episode.before.logprobs);
            micro.before.values.extend_from_slice(&episode.before.values);
            micro.reference.extend_from_slice(&episode.reference);
            micro.advantages.extend_from_slice(&episode.advantages);
            micro.returns.extend_from_slice(&episode.returns);
            micro.sequences.push(start..micro.sampler.len());
        }
        micro
    }

    /// What the loss of the policy is told. A single update starts from the policy that sampled: its ratio is one.
    pub(crate) fn recorded(&self) -> Recorded<'_> {
        Recorded {
            old: self.is_old.then_some(self.before.logprobs.as_slice()),
            sampler: Some(&self.sampler),
            reference: (!self.reference.is_empty()).then_some(self.reference.as_slice()),
            advantages: &self.advantages,
            sequences: &self.sequences,
        }
    }
}
