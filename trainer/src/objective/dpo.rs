//! DPO (arXiv 2305.18290): makes the better of two answers likelier than the worse, by more than the reference does.
//!
//! With m = beta [(logprob_c - ref_c) - (logprob_r - ref_r)], sums over the answers' tokens, the loss
//! of a pair is -(1 - s) ln sigmoid(m) - s ln sigmoid(-m), where s is the share of labels taken to be
//! wrong (the conservative DPO of its authors). The reference is the model with its adapter off.

use std::ops::Range;

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::logistic::{minus_log_sigmoid, sigmoid};
use super::{Loss, Metrics, fault, host, in_range, same_length, within};
use crate::Result;

/// Settings of DPO.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DpoConfig {
    /// How far the policy is held to the reference: larger is nearer; 0.1.
    pub beta: f64,
    /// The share of pairs taken to be the wrong way round; 0.
    pub label_smoothing: f64,
}

impl Default for DpoConfig {
    fn default() -> Self {
        Self { beta: 0.1, label_smoothing: 0.0 }
    }
}

impl DpoConfig {
    /// Refuses settings out of their range.
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) that names the setting.
    pub fn check(&self) -> Result<()> {
        in_range("beta", self.beta, self.beta > 0.0, "above 0")?;
        let smoothing = self.label_smoothing;
        in_range("label_smoothing", smoothing, (0.0..0.5).contains(&smoothing), "from 0 to under 0.5")
    }
}

/// The tokens of two answers to one prompt, as ranges of the micro-batch's log-probabilities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Of the better answer.
    pub chosen: Range<usize>,
    /// Of the worse.
    pub rejected: Range<usize>,
}

/// The loss of `logprobs` (N) with those of the `reference`, for `pairs` out of `pairs_in_batch` in
/// the whole optimiser batch.
///
/// Metrics, with the reward of an answer being beta (logprob - reference): `loss`, `chosen_reward`,
/// `rejected_reward`, `margin`, `accuracy`, `chosen_logprob`, `rejected_logprob`.
///
/// # Errors
/// [`Error::Input`](crate::Error::Input) for a setting out of its range;
/// [`Error::Shape`](crate::Error::Shape) if lengths differ, a range leaves the log-probabilities, or
/// there are more pairs than `pairs_in_batch`.
pub fn dpo_loss(
    config: &DpoConfig,
    logprobs: &Tensor,
    reference: &[f32],
    pairs: &[Pair],
    pairs_in_batch: usize,
) -> Result<Loss> {
    config.check()?;
    let now = host(logprobs)?;
    same_length("reference log-probs", reference.len(), now.len())?;
    within("pairs", pairs.len(), pairs_in_batch)?;
    let (beta, smoothing, weight) = (config.beta, config.label_smoothing, 1.0 / pairs_in_batch.max(1) as f64);
    let reward = |range: &Range<usize>| -> Result<(f64, f64)> {
        let Some(now) = now.get(range.clone()) else {
            return Err(fault(format!("answer {range:?} of a pair leaves its {} tokens", now.len())));
        };
        let logprob: f64 = now.iter().sum();
        let reference: f64 = reference[range.clone()].iter().copied().map(f64::from).sum();
        Ok((logprob, beta * (logprob - reference)))
    };
    let (mut value, mut gradient) = (0.0, vec![0.0; now.len()]);
    let mut metrics = Metrics::default();
    for pair in pairs {
        let ((chosen_logprob, chosen), (rejected_logprob, rejected)) = (reward(&pair.chosen)?, reward(&pair.rejected)?);
        let margin = chosen - rejected;
        value += weight * (1.0 - smoothing) * minus_log_sigmoid(margin);
        value += weight * smoothing * minus_log_sigmoid(-margin);
        let slope = weight * beta * (smoothing * sigmoid(margin) - (1.0 - smoothing) * sigmoid(-margin));
        gradient[pair.chosen.clone()].iter_mut().for_each(|at| *at += slope);
        gradient[pair.rejected.clone()].iter_mut().for_each(|at| *at -= slope);
        metrics.mean("chosen_reward", [chosen]);
        metrics.mean("rejected_reward", [rejected]);
        metrics.mean("margin", [margin]);
        metrics.share("accuracy", [margin > 0.0]);
        metrics.mean("chosen_logprob", [chosen_logprob]);
        metrics.mean("rejected_logprob", [rejected_logprob]);
    }
    Loss::tied(logprobs, value, gradient, metrics)
}
