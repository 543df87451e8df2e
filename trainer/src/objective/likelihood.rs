//! SFT: the mean cross entropy of the tokens that count.

use candle_core::Tensor;

use super::{Loss, Metrics, host, within};
use crate::Result;

/// The loss of `logprobs` (N), those of the tokens that are learnt; `tokens` counts them over the
/// whole optimiser batch. Metrics: `loss`, and `likelihood`, the mean log-probability.
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) if the micro-batch holds more than `tokens`.
pub fn likelihood_loss(logprobs: &Tensor, tokens: usize) -> Result<Loss> {
    let now = host(logprobs)?;
    within("tokens", now.len(), tokens)?;
    let weight = 1.0 / tokens.max(1) as f64;
    let mut metrics = Metrics::default();
    metrics.mean("likelihood", now.iter().copied());
    let value = -weight * now.iter().sum::<f64>();
    Loss::tied(logprobs, value, vec![-weight; now.len()], metrics)
}
