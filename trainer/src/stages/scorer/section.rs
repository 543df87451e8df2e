//! [`ScorerSection`]: how a scorer is trained, `[scorer]` of a recipe.

use serde::{Deserialize, Serialize};

use crate::recipe::within;

/// `[scorer]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScorerSection {
    /// How often every example is learnt from.
    pub epochs: u64,
    /// Steps after which the run ends even within an epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u64>,
    /// Examples of one optimiser step.
    pub pairs: usize,
    /// Tokens of a micro-batch, which decide about memory.
    pub micro_tokens: usize,
    /// The most tokens of a claim with a window of evidence.
    pub window_tokens: usize,
    /// Whether rarer labels count more, so that each label counts as much as the others.
    pub balance: bool,
    /// The share of the claims to learn from that is kept for choosing a checkpoint and a temperature.
    pub calibration: f64,
    /// The most examples of each file; 0 for all.
    pub per_file: usize,
    /// Values of `split` in files to learn from that are held out.
    pub heldout_splits: Vec<String>,
}

impl Default for ScorerSection {
    fn default() -> Self {
        Self {
            epochs: 2,
            max_steps: None,
            pairs: 32,
            micro_tokens: 4096,
            window_tokens: 256,
            balance: true,
            calibration: 0.1,
            per_file: 0,
            heldout_splits: ["dev", "validation", "test"].map(str::to_owned).to_vec(),
        }
    }
}

impl ScorerSection {
    /// Refuses what cannot be.
    pub(crate) fn check(&self) -> Result<(), String> {
        within("scorer.epochs", self.epochs as f64, 1.0, 1e6)?;
        within("scorer.max_steps", self.max_steps.unwrap_or(1) as f64, 1.0, 1e12)?;
        within("scorer.pairs", self.pairs as f64, 1.0, 1e6)?;
        within("scorer.window_tokens", self.window_tokens as f64, 16.0, 1e5)?;
        within("scorer.micro_tokens", self.micro_tokens as f64, self.window_tokens as f64, 1e8)?;
        within("scorer.calibration", self.calibration, 0.0, 0.5)
    }
}
