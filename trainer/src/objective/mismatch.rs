//! Weights that make good what the sampler's log-probabilities differ from the trainer's.
//!
//! w = e^(old - sampler), of a token or as the product over a sequence, multiplies the policy's loss
//! before the divergence is added, and has no gradient. Truncated (TIS, Yao et al. 2025) or, where it
//! leaves its range, set to zero (IcePop; a whole sequence in TRL's default). A sequence's product
//! grows with its length: 0.012 a token is 3.3 over a hundred tokens.
//!
//! Sampler and trainer share weights and kernels here, so the difference should be rounding: what it
//! is gets reported whenever the sampler's log-probabilities are given, corrected or not. They are
//! those at the sampling temperature, before top-k and top-p.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{Metrics, in_range};
use crate::Result;

/// What is done with a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// A token's weight is held to the range.
    TokenTruncate,
    /// A token whose weight leaves the range is left out.
    TokenMask,
    /// A sequence's weight is held to the range.
    SequenceTruncate,
    /// A sequence whose weight leaves the range is left out.
    SequenceMask,
}

/// How the sampler's difference is corrected.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Correction {
    /// What is done with a weight.
    pub mode: Mode,
    /// The lower end of the range; 0 by default.
    #[serde(default)]
    pub min: f64,
    /// The upper end; 3 by default.
    #[serde(default = "three")]
    pub max: f64,
}

fn three() -> f64 {
    3.0
}

impl Correction {
    /// Refuses settings out of their range.
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) that names the setting.
    pub fn check(&self) -> Result<()> {
        in_range("correction.min", self.min, (0.0..=1.0).contains(&self.min), "from 0 to 1")?;
        in_range("correction.max", self.max, self.max >= 1.0, "1 or more")
    }

    /// The weight of each token of `sequences`, which lie end to end.
    pub(super) fn weights(&self, old: &[f64], sampler: &[f64], sequences: &[Range<usize>]) -> Vec<f64> {
        let apart = |at: usize| old[at] - sampler[at];
        let weight = |log: f64| self.hold(log.exp());
        let mut weights = Vec::with_capacity(old.len());
        for range in sequences {
            match self.mode {
                Mode::TokenTruncate | Mode::TokenMask => weights.extend(range.clone().map(|at| weight(apart(at)))),
                Mode::SequenceTruncate | Mode::SequenceMask => {
                    let product = weight(range.clone().map(apart).sum());
                    weights.extend(range.clone().map(|_| product));
                }
            }
        }
        weights
    }

    fn hold(&self, weight: f64) -> f64 {
        match self.mode {
            Mode::TokenTruncate | Mode::SequenceTruncate => weight.clamp(self.min, self.max),
            Mode::TokenMask | Mode::SequenceMask if weight < self.min || weight > self.max => 0.0,
            Mode::TokenMask | Mode::SequenceMask => weight,
        }
    }
}

/// Writes down how far the sampler is from the trainer.
pub(super) fn measure(old: &[f64], sampler: &[f64], metrics: &mut Metrics) {
    let apart = || old.iter().zip(sampler).map(|(old, sampler)| old - sampler);
    metrics.mean("mismatch_mean", apart().map(f64::abs));
    metrics.max("mismatch_max", apart().map(f64::abs));
    metrics.mean("mismatch_k3", apart().map(|apart| apart.exp_m1() - apart));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncates_and_masks_tokens_and_sequences() {
        let logs = [2.0_f64, 0.25, 4.0, 0.5].map(f64::ln);
        let sequences = [0..2, 2..2, 2..4];
        let weights = |mode, min, max| {
            let weights = Correction { mode, min, max }.weights(&logs, &[0.0; 4], &sequences);
            weights.iter().map(|weight| (weight * 1e9).round() / 1e9).collect::<Vec<_>>()
        };
        assert_eq!(weights(Mode::TokenTruncate, 0.3, 3.0), [2.0, 0.3, 3.0, 0.5]);
        assert_eq!(weights(Mode::TokenMask, 0.3, 3.0), [2.0, 0.0, 0.0, 0.5]);
        assert_eq!(weights(Mode::TokenMask, 0.0, 4.5), [2.0, 0.25, 4.0, 0.5]);
        assert_eq!(weights(Mode::SequenceTruncate, 0.0, 1.5), [0.5, 0.5, 1.5, 1.5]);
        assert_eq!(weights(Mode::SequenceMask, 0.0, 1.5), [0.5, 0.5, 0.0, 0.0]);
        assert_eq!(weights(Mode::SequenceMask, 0.6, 3.0), [0.0, 0.0, 2.0, 2.0]);
    }

    #[test]
    fn refuses_ranges_without_one() {
        let check = |min, max| Correction { mode: Mode::TokenMask, min, max }.check();
        assert!(check(0.0, 1.0).is_ok());
        assert!(check(1.1, 2.0).unwrap_err().to_string().contains("correction.min is 1.1"));
        assert!(check(0.0, 0.9).unwrap_err().to_string().contains("correction.max is 0.9"));
        assert!(check(0.0, f64::INFINITY).is_err());
        assert!(check(f64::NAN, 1.0).is_err());
    }
}
