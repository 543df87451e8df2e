//! [`State`]: the numbers of a run at the end of one step.

use serde::{Deserialize, Serialize};

use crate::objective::{KlControl, RewardScale};
use crate::stages::rl::Alarms;

/// Where a run is in its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// Whole passes over the data before this one.
    pub epoch: u64,
    /// Micro-batches of this pass that are done.
    pub pack: u64,
}

/// The step after which what is held out was done best.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Best {
    /// Steps done.
    pub step: u64,
    /// What is as great as possible: the accuracy of answers, or a loss with its sign turned round.
    pub score: f64,
}

/// What of PPO follows what it has seen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Controllers {
    /// The weight of the divergence from the reference.
    pub kl: KlControl,
    /// The rewards of the run so far.
    pub scale: RewardScale,
}

/// The numbers of a run at the end of one step. All randomness is a function of the seed and of places in the
/// run, so there is no other state of it. Holds no clock: equal runs have equal states.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// What is done, as `sft`.
    pub stage: String,
    /// Steps done, those that were skipped among them.
    pub step: u64,
    /// Updates the optimiser made.
    pub updates: u64,
    /// Where the run is in its data.
    pub cursor: Cursor,
    /// Tokens learnt from.
    pub tokens: u64,
    /// Steps skipped in a row up to this one, because a value was not finite.
    pub skipped: u64,
    /// Where what is held out was done best.
    pub best: Option<Best>,
    /// What reinforcement learning watches for.
    #[serde(default)]
    pub alarms: Alarms,
    /// What PPO follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controllers: Option<Controllers>,
    /// Hash of the data, by which a changed file is noticed.
    pub data: String,
}
