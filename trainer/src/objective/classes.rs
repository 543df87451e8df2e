//! The scorer's loss: cross entropy of labelled rows of logits.

use candle_core::Tensor;

use super::{Loss, Metrics, fault, host, same_length, within};
use crate::Result;

/// The loss of `logits` (B, C) with the right class of each row, for rows out of `rows_in_batch` in
/// the whole optimiser batch. Metrics: `loss`, `accuracy`, `confidence` (mean probability of the
/// likeliest class).
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) if the lengths differ, a label is no class, or there are
/// more rows than `rows_in_batch`.
pub fn class_loss(logits: &Tensor, labels: &[usize], rows_in_batch: usize) -> Result<Loss> {
    weighted_class_loss(logits, labels, &vec![1.0; labels.len()], rows_in_batch)
}

/// As [`class_loss`], where a row counts as many times as its weight says; the mean is still over rows.
///
/// # Errors
/// As [`class_loss`].
pub fn weighted_class_loss(logits: &Tensor, labels: &[usize], weights: &[f64], rows_in_batch: usize) -> Result<Loss> {
    let (rows, classes) = logits.dims2()?;
    same_length("labels", labels.len(), rows)?;
    same_length("weights", weights.len(), rows)?;
    within("rows", rows, rows_in_batch)?;
    let mut now = host(logits)?;
    let mut value = 0.0;
    let mut metrics = Metrics::default();
    for ((row, label), weight) in now.chunks_exact_mut(classes.max(1)).zip(labels).zip(weights) {
        let weight = weight / rows_in_batch.max(1) as f64;
        if *label >= classes {
            return Err(fault(format!("label {label} of {classes} classes")));
        }
        let right = row[*label];
        let is_right = row.iter().enumerate().all(|(at, logit)| at == *label || *logit < right);
        let total = softmax(row);
        value += weight * (total - right);
        metrics.share("accuracy", [is_right]);
        metrics.mean("confidence", [row.iter().copied().fold(0.0, f64::max)]);
        for probability in row.iter_mut() {
            *probability *= weight;
        }
        row[*label] -= weight;
    }
    Loss::tied(logits, value, now, metrics)
}

/// Makes probabilities of logits and gives the logarithm of the sum of their exponentials.
pub(crate) fn softmax(row: &mut [f64]) -> f64 {
    let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = row.iter().map(|logit| (logit - most).exp()).sum();
    let total = most + sum.ln();
    for logit in row {
        *logit = (*logit - total).exp();
    }
    total
}
