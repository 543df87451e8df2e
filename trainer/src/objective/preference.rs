//! The reward model's loss: Bradley-Terry over pairs of scores.
//!
//! The mean of -ln sigmoid(chosen - rejected), and of `centering` times (chosen + rejected)², which
//! fixes the zero that differences leave open (arXiv 2312.09244).

use candle_core::Tensor;

use super::logistic::{minus_log_sigmoid, sigmoid};
use super::{Loss, Metrics, fault, host, in_range, within};
use crate::Result;

/// The loss of `scores` (N), of which each pair names the better and the worse, for `pairs` out of
/// `pairs_in_batch` in the whole optimiser batch. Metrics: `loss`, `accuracy`, `margin`, `score`.
///
/// # Errors
/// [`Error::Input`](crate::Error::Input) if `centering` is negative;
/// [`Error::Shape`](crate::Error::Shape) if a pair names no score or there are more than `pairs_in_batch`.
pub fn preference_loss(
    scores: &Tensor,
    pairs: &[(usize, usize)],
    centering: f64,
    pairs_in_batch: usize,
) -> Result<Loss> {
    in_range("centering", centering, centering >= 0.0, "0 or more")?;
    let now = host(scores)?;
    within("pairs", pairs.len(), pairs_in_batch)?;
    let weight = 1.0 / pairs_in_batch.max(1) as f64;
    let (mut value, mut gradient) = (0.0, vec![0.0; now.len()]);
    let mut metrics = Metrics::default();
    for &(better, worse) in pairs {
        let (Some(chosen), Some(rejected)) = (now.get(better), now.get(worse)) else {
            return Err(fault(format!("pair ({better}, {worse}) of {} scores", now.len())));
        };
        let (margin, sum) = (chosen - rejected, chosen + rejected);
        value += weight * (minus_log_sigmoid(margin) + centering * sum * sum);
        let (apart, together) = (-weight * sigmoid(-margin), weight * 2.0 * centering * sum);
        gradient[better] += together + apart;
        gradient[worse] += together - apart;
        metrics.share("accuracy", [margin > 0.0]);
        metrics.mean("margin", [margin]);
        metrics.mean("score", [*chosen, *rejected]);
    }
    Loss::tied(scores, value, gradient, metrics)
}
