//! `[dpo]` and `[reward_model]`: learning from pairs of answers.

use serde::{Deserialize, Serialize};

use super::check::within;
use crate::objective::DpoConfig;

/// How often and in which portions records are learnt from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passes {
    /// How often every record is learnt from.
    pub epochs: u64,
    /// Steps after which the run ends even within an epoch.
    pub max_steps: Option<u64>,
    /// Tokens of a micro-batch, which decide about memory.
    pub micro_tokens: usize,
    /// Micro-batches of one optimiser step.
    pub accumulate: usize,
}

/// `[dpo]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DpoSection {
    /// How far the policy is held to the reference: larger is nearer.
    pub beta: f64,
    /// The share of pairs taken to be the wrong way round.
    pub label_smoothing: f64,
    /// How often every pair is learnt from.
    pub epochs: u64,
    /// Steps after which the run ends even within an epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u64>,
    /// Tokens of a micro-batch, which decide about memory; both answers of a pair are in one.
    pub micro_tokens: usize,
    /// Micro-batches of one optimiser step.
    pub accumulate: usize,
}

impl Default for DpoSection {
    fn default() -> Self {
        let DpoConfig { beta, label_smoothing } = DpoConfig::default();
        Self { beta, label_smoothing, epochs: 1, max_steps: None, micro_tokens: 4096, accumulate: 4 }
    }
}

/// `[reward_model]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RewardModelSection {
    /// Weight of the squared sum of what both answers are worth, which holds worth around zero.
    pub centering: f64,
    /// How often every pair is learnt from.
    pub epochs: u64,
    /// Steps after which the run ends even within an epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u64>,
    /// Tokens of a micro-batch, which decide about memory; both answers of a pair are in one.
    pub micro_tokens: usize,
    /// Micro-batches of one optimiser step.
    pub accumulate: usize,
}

impl Default for RewardModelSection {
    fn default() -> Self {
        Self { centering: 0.01, epochs: 1, max_steps: None, micro_tokens: 4096, accumulate: 4 }
    }
}

impl Passes {
    fn check(self, section: &str) -> Result<(), String> {
        within(&format!("{section}.epochs"), self.epochs as f64, 1.0, 1e6)?;
        within(&format!("{section}.micro_tokens"), self.micro_tokens as f64, 4.0, 1e8)?;
        within(&format!("{section}.accumulate"), self.accumulate as f64, 1.0, 1e6)?;
        within(&format!("{section}.max_steps"), self.max_steps.unwrap_or(1) as f64, 1.0, 1e12)
    }
}

impl DpoSection {
    /// What is minimised.
    pub fn objective(&self) -> DpoConfig {
        DpoConfig { beta: self.beta, label_smoothing: self.label_smoothing }
    }

    /// How the pairs are gone through.
    pub fn passes(&self) -> Passes {
        let Self { epochs, max_steps, micro_tokens, accumulate, .. } = *self;
        Passes { epochs, max_steps, micro_tokens, accumulate }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        self.objective().check().map_err(|error| format!("dpo.{error}"))?;
        self.passes().check("dpo")
    }
}

impl RewardModelSection {
    /// How the pairs are gone through.
    pub fn passes(&self) -> Passes {
        let Self { epochs, max_steps, micro_tokens, accumulate, .. } = *self;
        Passes { epochs, max_steps, micro_tokens, accumulate }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        within("reward_model.centering", self.centering, 0.0, 1e3)?;
        self.passes().check("reward_model")
    }
}
