//! Estimates of the KL divergence from the reference, as a loss and as a part of the reward.
//!
//! With d = ref - logprob of a token that the policy drew (Schulman 2020, "Approximating KL
//! divergence"): k1 = -d, k2 = d²/2, k3 = e^d - d - 1. All have about the right value; as a loss only
//! k2 has the right gradient, since that of k1 is zero in expectation and that of k3 leads to the
//! forward divergence; `k3_plus` has the value of k3 and the gradient of k2. In k3 d is held to
//! [-20, 20] and the result to at most 10, with no gradient beyond, as verl does: e^d overflows.

use serde::{Deserialize, Serialize};

use super::{in_range, same_length};
use crate::Result;

/// Log-ratios are held to this on either side before they are exponentiated.
pub(super) const MOST_LOG_RATIO: f64 = 20.0;

const MOST_K3: f64 = 10.0;

/// Of a step's divergence from its target, so much counts at most.
const MOST_ERROR: f64 = 0.2;

/// How a token's divergence is estimated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Estimator {
    /// The log-ratio.
    K1,
    /// Half its square.
    K2,
    /// Never negative, of low variance.
    #[default]
    K3,
    /// The value of k3 with the gradient of k2.
    K3Plus,
}

impl Estimator {
    /// The estimate, and its derivative by `logprob`.
    pub fn at(self, logprob: f64, reference: f64) -> (f64, f64) {
        let ahead = logprob - reference;
        match self {
            Self::K1 => (ahead, 1.0),
            Self::K2 => (0.5 * ahead * ahead, ahead),
            Self::K3 => k3(ahead),
            Self::K3Plus => (k3(ahead).0, ahead),
        }
    }
}

fn k3(ahead: f64) -> (f64, f64) {
    let d = (-ahead).clamp(-MOST_LOG_RATIO, MOST_LOG_RATIO);
    let value = d.exp_m1() - d;
    // d is held where it is -20, and there value is 19: above 10 all gradient is gone, on both sides
    if value > MOST_K3 { (MOST_K3, 0.0) } else { (value, -d.exp_m1()) }
}

/// The divergence as a part of the loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kl {
    /// Its weight; 0, the default, needs no reference.
    pub coefficient: f64,
    /// How it is estimated.
    pub estimator: Estimator,
    /// Multiplies the estimate by the importance ratio, which makes its gradient unbiased off
    /// policy (DeepSeek-V3.2, arXiv 2512.02556).
    pub is_unbiased: bool,
}

/// The weight of the divergence in the reward, and how it follows what was measured
/// (arXiv 1909.08593, section 2.2). Part of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KlControl {
    /// The present weight.
    pub coefficient: f64,
    /// How it is estimated.
    pub estimator: Estimator,
    /// The divergence per token to be held; none keeps the weight.
    pub target: Option<f64>,
    /// Episodes over which an error of the target is made good.
    pub horizon: f64,
}

impl Default for KlControl {
    fn default() -> Self {
        Self { coefficient: 0.05, estimator: Estimator::K1, target: None, horizon: 10_000.0 }
    }
}

impl KlControl {
    /// Refuses settings out of their range.
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) that names the setting.
    pub fn check(&self) -> Result<()> {
        in_range("kl.coefficient", self.coefficient, self.coefficient >= 0.0, "0 or more")?;
        in_range("kl.horizon", self.horizon, self.horizon > 0.0, "above 0")?;
        let target = self.target.unwrap_or(1.0);
        in_range("kl.target", target, target > 0.0, "above 0")
    }

    /// Follows the mean divergence per token that a step of so many episodes measured.
    pub fn update(&mut self, measured: f64, episodes: usize) {
        let Some(target) = self.target.filter(|_| measured.is_finite()) else {
            return;
        };
        let error = (measured / target - 1.0).clamp(-MOST_ERROR, MOST_ERROR);
        self.coefficient *= (1.0 + error * episodes as f64 / self.horizon).max(0.0);
    }

    /// The rewards of an episode's policy tokens: minus the weighted divergence on each, and the
    /// episode's `score` on the last.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) if the log-probabilities are not as many.
    pub fn rewards(&self, score: f64, logprobs: &[f32], reference: &[f32]) -> Result<Vec<f64>> {
        same_length("reference log-probs", reference.len(), logprobs.len())?;
        let penalty = |(logprob, reference): (&f32, &f32)| {
            -self.coefficient * self.estimator.at(f64::from(*logprob), f64::from(*reference)).0
        };
        let mut rewards: Vec<_> = logprobs.iter().zip(reference).map(penalty).collect();
        if let Some(last) = rewards.last_mut() {
            *last += score;
        }
        Ok(rewards)
    }
}
