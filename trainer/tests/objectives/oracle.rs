//! The policy's loss once more: sequence by sequence, from the formulas, with gradients stopped by hand.

use std::num::NonZero;

use trainer::objective::{Aggregation, Correction, Estimator, GrpoConfig, Level, Mode, Surrogate};

/// The tokens that one episode's policy wrote.
#[derive(Clone, Debug)]
pub(crate) struct Episode {
    pub(crate) logprobs: Vec<f64>,
    pub(crate) old: Vec<f64>,
    pub(crate) sampler: Vec<f64>,
    pub(crate) reference: Vec<f64>,
    pub(crate) advantage: f64,
}

/// The loss when the log-probabilities of all episodes, end to end, are `moved`. Where a gradient
/// stops, the episodes' own `logprobs` stand, and so they do for `old` on policy.
pub(crate) fn policy(config: &GrpoConfig, episodes: &[Episode], is_on_policy: bool, moved: &[f64]) -> f64 {
    let mut rest = moved;
    let mut losses: Vec<Vec<f64>> = Vec::new();
    for episode in episodes {
        let (moved, after) = rest.split_at(episode.logprobs.len());
        rest = after;
        let old = if is_on_policy { &episode.logprobs } else { &episode.old };
        losses.push((0..moved.len()).map(|at| token(config, episode, old, moved, at)).collect());
    }
    let tokens: f64 = losses.iter().map(|losses| losses.len() as f64).sum();
    let sequences = losses.iter().filter(|losses| !losses.is_empty()).count() as f64;
    let sum = |losses: &[f64]| losses.iter().sum::<f64>();
    match config.aggregation {
        Aggregation::TokenMean => losses.iter().map(|losses| sum(losses)).sum::<f64>() / tokens,
        Aggregation::SequenceMean => {
            let means =
                losses.iter().filter(|losses| !losses.is_empty()).map(|losses| sum(losses) / losses.len() as f64);
            means.sum::<f64>() / sequences
        }
        Aggregation::SequenceSum => losses.iter().map(|losses| sum(losses)).sum::<f64>() / sequences,
        Aggregation::Constant(longest) => {
            losses.iter().map(|losses| sum(losses)).sum::<f64>() / (sequences * NonZero::get(longest) as f64)
        }
    }
}

fn token(config: &GrpoConfig, episode: &Episode, old: &[f64], moved: &[f64], at: usize) -> f64 {
    let log_ratio = |now: &[f64]| match config.level {
        Level::Token => now[at] - old[at],
        Level::Sequence => now.iter().zip(old).map(|(now, old)| now - old).sum::<f64>() / now.len() as f64,
    };
    let ratio = log_ratio(moved).clamp(-20.0, 20.0).exp();
    let stopped = log_ratio(&episode.logprobs).clamp(-20.0, 20.0).exp();
    let a = episode.advantage;
    let surrogate = match config.surrogate {
        Surrogate::Clip => {
            let free = ratio.min(config.delta.unwrap_or(f64::MAX)) * a;
            let held = ratio.max(1.0 - config.clip_low).min(1.0 + config.clip_high) * a;
            let loss = (-free).max(-held);
            match config.dual_clip {
                Some(most) if a < 0.0 => loss.min(-a * most),
                _ => loss,
            }
        }
        Surrogate::Cispo { most } => -stopped.min(most) * a * moved[at],
        Surrogate::Sapo { above, below } => {
            let steepness = if a > 0.0 { above } else { below };
            -a * 4.0 / steepness / (1.0 + (-steepness * (ratio - 1.0)).exp())
        }
        Surrogate::Dppo { most, pull } => {
            let moved_by = episode.logprobs[at].exp() - old[at].exp();
            let is_kept = if a > 0.0 { moved_by <= most } else { moved_by >= -most };
            let gain = if is_kept { ratio * a } else { 0.0 };
            pull * (moved[at] - old[at]).powi(2) - gain
        }
        Surrogate::Reinforce => -a * moved[at],
    };
    let faded = episode.sampler.iter().zip(&episode.logprobs).map(|(sampler, now)| sampler - now).sum::<f64>();
    let most = config.mask.off_policy.unwrap_or(f64::INFINITY);
    let surrogate = if a < 0.0 && faded / old.len() as f64 > most { 0.0 } else { surrogate };
    let correction = config.correction.map_or(1.0, |correction| weight(correction, old, &episode.sampler, at));
    let here = kl(config.kl.estimator, moved[at], episode.logprobs[at], episode.reference[at]);
    let importance = if config.kl.is_unbiased { ratio } else { 1.0 };
    correction * surrogate + config.kl.coefficient * importance * here
}

fn kl(estimator: Estimator, moved: f64, stopped: f64, reference: f64) -> f64 {
    let k2 = |logprob: f64| 0.5 * (logprob - reference) * (logprob - reference);
    let k3 = |logprob: f64| {
        let ahead = (reference - logprob).clamp(-20.0, 20.0);
        (ahead.exp() - ahead - 1.0).clamp(-10.0, 10.0)
    };
    match estimator {
        Estimator::K1 => moved - reference,
        Estimator::K2 => k2(moved),
        Estimator::K3 => k3(moved),
        Estimator::K3Plus => k3(stopped) + k2(moved) - k2(stopped),
    }
}

fn weight(correction: Correction, old: &[f64], sampler: &[f64], at: usize) -> f64 {
    let ratios = old.iter().zip(sampler).map(|(old, sampler)| (old - sampler).exp());
    let ratio = match correction.mode {
        Mode::TokenTruncate | Mode::TokenMask => (old[at] - sampler[at]).exp(),
        Mode::SequenceTruncate | Mode::SequenceMask => ratios.product(),
    };
    let is_inside = ratio >= correction.min && ratio <= correction.max;
    match correction.mode {
        Mode::TokenTruncate | Mode::SequenceTruncate => ratio.max(correction.min).min(correction.max),
        Mode::TokenMask | Mode::SequenceMask => f64::from(is_inside) * ratio,
    }
}
