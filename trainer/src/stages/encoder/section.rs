//! [`EncoderSection`]: how a retrieval encoder is trained, `[encoder]` of a recipe.

use serde::{Deserialize, Serialize};

use crate::recipe::within;

/// `[encoder]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EncoderSection {
    /// How often every judged pair is learnt from.
    pub epochs: u64,
    /// Steps after which the run ends even within an epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u64>,
    /// Queries of one optimiser step; each is a negative for all others' passages.
    pub queries: usize,
    /// Passages beside its own that each query brings: hits by words that are not relevant.
    pub negatives: usize,
    /// The hits by words that these are drawn from.
    pub depth: usize,
    /// What similarities are divided by.
    pub temperature: f64,
    /// The most tokens of a query.
    pub query_tokens: usize,
    /// The most tokens of a passage.
    pub passage_tokens: usize,
    /// Tokens of a micro-batch, which decide about memory; a step of more than one reads all texts twice.
    pub micro_tokens: usize,
    /// Passages that are searched when it is measured: relevant ones first; 0 for all.
    pub pool: usize,
}

impl Default for EncoderSection {
    fn default() -> Self {
        Self {
            epochs: 1,
            max_steps: None,
            queries: 32,
            negatives: 1,
            depth: 30,
            temperature: 0.05,
            query_tokens: 64,
            passage_tokens: 256,
            micro_tokens: 16384,
            pool: 0,
        }
    }
}

impl EncoderSection {
    /// Refuses what cannot be.
    pub(crate) fn check(&self) -> Result<(), String> {
        within("encoder.epochs", self.epochs as f64, 1.0, 1e6)?;
        within("encoder.max_steps", self.max_steps.unwrap_or(1) as f64, 1.0, 1e12)?;
        within("encoder.queries", self.queries as f64, 2.0, 1e6)?;
        within("encoder.negatives", self.negatives as f64, 0.0, 1e3)?;
        within("encoder.depth", self.depth as f64, self.negatives as f64, 1e4)?;
        within("encoder.temperature", self.temperature, 1e-3, 1e3)?;
        within("encoder.query_tokens", self.query_tokens as f64, 3.0, 1e5)?;
        within("encoder.passage_tokens", self.passage_tokens as f64, 3.0, 1e5)?;
        within("encoder.micro_tokens", self.micro_tokens as f64, self.passage_tokens as f64, 1e8)
    }
}
