//! The encoder's loss: InfoNCE (arXiv 1807.03748) of queries against in-batch and mined passages.
//!
//! A query's loss is the cross entropy of its passage among all of the batch, by similarity over
//! temperature. Every passage is a negative for every query but its own, so a batch is one
//! micro-batch of this loss; what is known to be relevant as well (the same passage twice, another
//! of the same document) is left out by `excluded`.

use candle_core::Tensor;

use super::classes::softmax;
use super::{Loss, Metrics, fault, host, in_range, same_length};
use crate::Result;

/// The loss of `queries` (B, D) against passages (P, D), all of length 1: `positives[q]` is the
/// passage of query q, the others are its negatives, but for the pairs (query, passage) of
/// `excluded`. Metrics: `loss`, `accuracy`, `positive` (mean similarity of the right passage).
///
/// # Errors
/// [`Error::Input`](crate::Error::Input) if `temperature` is not above 0;
/// [`Error::Shape`](crate::Error::Shape) if a passage is named that there is not, a query's own
/// passage is excluded, or the widths differ.
pub fn contrast_loss(
    queries: &Tensor,
    passages: &Tensor,
    positives: &[usize],
    excluded: &[(usize, usize)],
    temperature: f64,
) -> Result<Loss> {
    in_range("temperature", temperature, temperature > 0.0, "above 0")?;
    let similarities = queries.matmul(&passages.t()?)?; // (B, P)
    let (rows, width) = similarities.dims2()?;
    same_length("positives", positives.len(), rows)?;
    let measured = host(&similarities)?;
    let mut logits: Vec<_> = measured.iter().map(|similarity| similarity / temperature).collect();
    for &(query, passage) in excluded {
        if query >= rows || passage >= width || positives[query] == passage {
            return Err(fault(format!("pair ({query}, {passage}) cannot be excluded among {rows} by {width}")));
        }
        logits[query * width + passage] = f64::NEG_INFINITY;
    }
    let weight = 1.0 / rows.max(1) as f64;
    let mut value = 0.0;
    let mut metrics = Metrics::default();
    for ((query, positive), row) in positives.iter().enumerate().zip(logits.chunks_exact_mut(width.max(1))) {
        if *positive >= width {
            return Err(fault(format!("passage {positive} of {width}")));
        }
        let right = row[*positive];
        let is_right = row.iter().enumerate().all(|(at, logit)| at == *positive || *logit < right);
        let total = softmax(row);
        value += weight * (total - right);
        metrics.share("accuracy", [is_right]);
        metrics.mean("positive", [measured[query * width + *positive]]);
        for probability in row.iter_mut() {
            *probability *= weight / temperature;
        }
        row[*positive] -= weight / temperature;
    }
    Loss::tied(&similarities, value, logits, metrics)
}
