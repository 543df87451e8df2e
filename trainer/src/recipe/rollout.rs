//! `[rollout]`: the episodes of a step, and how many steps are made of them.

use agent::Budget;
use agent::protocol::Profile;
use nn::Sampling;
use serde::{Deserialize, Serialize};

use super::check::within;
use crate::rollout::RolloutConfig;

/// Episodes under way at once when nobody says.
const AT_ONCE: usize = 64;

/// Whose tokens are learnt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LearntTokens {
    /// Those that the policy wrote.
    #[default]
    Policy,
    /// Also what was retrieved. Only to see what the mask is worth.
    All,
}

/// What a search finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Retriever {
    /// What the index holds.
    #[default]
    True,
    /// Other documents than it should. Only to see what the search is worth.
    Shuffled,
    /// Nothing. Only to see what a policy knows by itself.
    Empty,
}

/// `[rollout]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RolloutSection {
    /// Steps of the run, each with new episodes.
    pub steps: u64,
    /// Questions of a step.
    pub questions: usize,
    /// Episodes of each.
    pub group: usize,
    /// How often the episodes of a step are learnt from.
    pub epochs: u64,
    /// Tokens of a micro-batch, which decide about memory.
    pub micro_tokens: usize,
    /// Temperature of sampling, and of the log-probabilities that are learnt from.
    pub temperature: f32,
    /// The likeliest tokens that hold this share of the probability may be sampled.
    pub top_p: f32,
    /// Episodes under way at once; 0 for as many as there are, up to 64.
    pub at_once: usize,
    /// The grammar of episodes.
    pub profile: Profile,
    /// Whose tokens are learnt.
    pub learn: LearntTokens,
    /// What searches find.
    pub retriever: Retriever,
    /// The bounds of each.
    pub budget: Budget,
}

impl Default for RolloutSection {
    fn default() -> Self {
        Self {
            steps: 200,
            questions: 16,
            group: 8,
            epochs: 1,
            micro_tokens: 4096,
            temperature: 1.0,
            top_p: 1.0,
            at_once: 0,
            profile: Profile::SearchR1,
            learn: LearntTokens::Policy,
            retriever: Retriever::True,
            budget: Budget::default(),
        }
    }
}

impl RolloutSection {
    /// How tokens are chosen.
    pub fn sampling(&self) -> Sampling {
        Sampling { temperature: self.temperature, top_p: self.top_p, ..Sampling::default() }
    }

    /// Episodes that are computed in one batch.
    pub fn batch(&self) -> usize {
        if self.at_once > 0 { self.at_once } else { self.questions.saturating_mul(self.group).min(AT_ONCE) }
    }

    /// How `group` episodes of a question are run.
    pub fn config(&self, group: usize) -> RolloutConfig {
        RolloutConfig { group, at_once: self.at_once, budget: self.budget, profile: self.profile }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        within("rollout.steps", self.steps as f64, 1.0, f64::from(u32::MAX - 1))?;
        within("rollout.questions", self.questions as f64, 1.0, 1e5)?;
        within("rollout.group", self.group as f64, 1.0, 1e4)?;
        within("rollout.epochs", self.epochs as f64, 1.0, 100.0)?;
        within("rollout.micro_tokens", self.micro_tokens as f64, 2.0, 1e8)?;
        within("rollout.temperature", f64::from(self.temperature), 0.01, 100.0)?;
        within("rollout.top_p", f64::from(self.top_p), 0.01, 1.0)?;
        within("rollout.at_once", self.at_once as f64, 0.0, 4096.0)?;
        self.budget.check().map_err(|error| format!("rollout.{error}"))
    }
}
