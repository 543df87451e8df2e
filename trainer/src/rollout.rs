//! [`Rollout`]: a finished episode as a policy gradient needs it; [`rollouts`]: groups of them.
//!
//! Episodes run at once on one engine, each on a thread that sleeps while the engine computes, so that
//! one which waits for retrieval leaves the batch and a group computes its prompt once. What an episode
//! comes to depends on its place alone (seed, step, prompt, sample), not on the others nor on how many
//! run at once. Tokens go in and out as ids: a sample is what the model saw, and its mask is who wrote.
//!
//! An episode that ran out of time is masked, not given a reward of zero: its model is not to blame.

mod cached;
mod summary;

use std::time::Duration;

use agent::policy::Local;
use agent::protocol::Profile;
use agent::trace::{Author, StopReason};
use agent::{Ask, Budget, Cancel, Trace};
use nn::Stream;
use retriever::{Query, Retrieve};
use serde::{Deserialize, Serialize};

pub use self::cached::Cached;
pub use self::summary::{Summary, summary};
use crate::data::question::Question;
use crate::reward::Reward;
use crate::{Error, Result, Sample, at_once};

/// A finished episode.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    /// The ids its model saw, and which of them it wrote.
    pub sample: Sample,
    /// Log-probability of each token that it wrote, when it was sampled.
    pub logprobs: Vec<f32>,
    /// The whole episode.
    pub trace: Trace,
    /// What it was worth.
    pub reward: Reward,
    /// Its group: the place of its question.
    pub prompt: usize,
    /// Version of the weights that all of it was sampled from.
    pub version: u64,
    /// Whether nothing may be learnt from it: its time was over.
    pub is_masked: bool,
}

/// How episodes are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RolloutConfig {
    /// Episodes of one question (8).
    pub group: usize,
    /// Episodes under way at once; 0 is as many as the engine computes at once (0).
    pub at_once: usize,
    /// The bounds of each; its wall time is what masks.
    pub budget: Budget,
    /// The grammar they are written in (`search-r1`).
    pub profile: Profile,
}

impl Default for RolloutConfig {
    fn default() -> Self {
        Self { group: 8, at_once: 0, budget: Budget::default(), profile: Profile::SearchR1 }
    }
}

/// What turns questions and the traces of their episodes into rewards, one each, in order.
pub type Score<'a> = dyn Fn(&[(&Question, &Trace)]) -> Result<Vec<Reward>> + Sync + 'a;

/// What episodes run in.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    /// Who is asked.
    pub policy: &'a Local,
    /// Where it may search; rather a [`Cached`] one.
    pub retriever: &'a dyn Retrieve,
    /// What may be evidence, and which arms look. Text and `k` are not used.
    pub query: &'a Query,
    /// How they are run.
    pub config: &'a RolloutConfig,
    /// What they are worth.
    pub score: &'a Score<'a>,
    /// Time since a moment of the caller's choice.
    pub clock: &'a (dyn Fn() -> Duration + Sync),
    /// What an episode takes for the time of day: templates may tell it to the model.
    pub started: jiff::Timestamp,
}

/// Where in a run these episodes stand: with the number of a prompt and of a sample, the key of all that
/// is random in one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Seed of the run.
    pub seed: u64,
    /// The optimiser step.
    pub step: u32,
}

impl Place {
    /// The seed of one episode.
    pub(crate) fn seed(self, prompt: usize, sample: usize) -> u64 {
        let stream = Stream { seed: self.seed, step: self.step, prompt: prompt as u32, sample: sample as u32 };
        let [low, high, ..] = stream.words(0);
        u64::from(high) << 32 | u64::from(low)
    }
}

/// Asks each question as often as a group is large; groups in the order of the questions, one after
/// another.
///
/// # Errors
/// The first that an episode ends with, retrieval's and the engine's; those of the rewards; [`Error::Shape`] when the weights
/// changed meanwhile, or a trace is not what its model saw.
pub fn rollouts(setting: &Setting<'_>, questions: &[Question], place: Place) -> Result<Vec<Rollout>> {
    let config = setting.config;
    if config.group == 0 {
        return Err(Error::Input("rollout.group is 0, it must be at least 1".to_owned()));
    }
    let count = questions.len() * config.group;
    let engine = setting.policy.engine();
    let version = engine.version();
    let at_once = if config.at_once == 0 { engine.options().max_batch } else { config.at_once };
    let done = at_once::each(count, at_once, |number, cancel| {
        let (prompt, sample) = (number / config.group, number % config.group);
        episode(setting, questions, prompt, place.seed(prompt, sample), version, cancel)
    })?;
    let episodes: Vec<_> =
        done.iter().enumerate().map(|(number, ended)| (&questions[number / config.group], &ended.trace)).collect();
    let rewards = (setting.score)(&episodes)?;
    if rewards.len() != count {
        return Err(Error::Shape(format!("{} rewards for {count} episodes", rewards.len())));
    }
    let rewarded = done.into_iter().enumerate().zip(rewards);
    let rollout = rewarded.map(|((number, Ended { sample, logprobs, trace }), reward)| {
        let is_masked = trace.stop == StopReason::Time || sample.learnt() == 0;
        Rollout { sample, logprobs, trace, reward, prompt: number / config.group, version, is_masked }
    });
    Ok(rollout.collect())
}

/// An episode before anybody said what it was worth.
struct Ended {
    sample: Sample,
    logprobs: Vec<f32>,
    trace: Trace,
}

fn episode(
    setting: &Setting<'_>,
    questions: &[Question],
    prompt: usize,
    seed: u64,
    version: u64,
    cancel: &Cancel,
) -> Result<Ended> {
    let Setting { policy, retriever, query, config, clock, started, .. } = *setting;
    let question = &questions[prompt];
    let task = Ask {
        query: query.clone(),
        budget: config.budget,
        profile: config.profile,
        seed,
        is_heard: false,
        ..Ask::new(question.question.as_str(), started)
    };
    let trace = agent::ask::ask(&task, policy, retriever, clock, cancel, &mut |_| {})?;
    let (sample, logprobs) = learnable(&trace, version)?;
    Ok(Ended { sample, logprobs, trace })
}

/// What a trace has to teach: its ids, who wrote them, and what was thought of those that its policy
/// wrote.
///
/// # Errors
/// [`Error::Shape`] when it lacks ids, was written by weights of another version, or does not fit itself.
fn learnable(trace: &Trace, version: u64) -> Result<(Sample, Vec<f32>)> {
    let fault = |reason: &str| Error::Shape(format!("episode {}: {reason}", trace.id));
    let (ids, mask) = trace.sequence().ok_or_else(|| fault("its policy gives no token ids, so it cannot train"))?;
    let mut logprobs = Vec::new();
    for segment in trace.segments.iter().filter(|segment| segment.author == Author::Policy) {
        let written = segment.token_ids.as_deref().unwrap_or_default();
        let own = segment.logprobs.as_deref().unwrap_or_default();
        if own.len() != written.len() || own.iter().any(|logprob| logprob.is_nan() || *logprob > 0.0) {
            return Err(fault("its log-probabilities are not those of its tokens"));
        }
        if !written.is_empty() && segment.version != Some(version) {
            return Err(fault("the weights changed while it was written: update between rollouts"));
        }
        logprobs.extend_from_slice(own);
    }
    let sample = Sample { ids, mask };
    if sample.learnt() != logprobs.len() {
        return Err(fault("its mask is not that of its log-probabilities"));
    }
    Ok((sample, logprobs))
}

impl std::fmt::Debug for Setting<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setting").field("config", self.config).field("started", &self.started).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
