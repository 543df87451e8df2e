//! What is descended for one token: by its log-probability, the ratio to the policy that drew it, and its advantage.
//!
//! With r = e^(logprob - old) and advantage A, each a loss:
//!
//! | here | formula | from |
//! |---|---|---|
//! | `clip` | -min(r A, clip(r, 1 - low, 1 + high) A) | PPO (arXiv 1707.06347); high over low: DAPO (arXiv 2503.14476) |
//! | with `delta` | r in the first arm is at most delta | INTELLECT-2 (arXiv 2505.07291) |
//! | with `dual_clip` | at most -c A where A < 0 | arXiv 1912.09729 |
//! | `cispo` | -sg(min(r, most)) A logprob | MiniMax-M1 (arXiv 2506.13585) |
//! | `sapo` | -A 4/τ sigmoid(τ (r - 1)) | arXiv 2511.20347 |
//! | `dppo` | -keep A r + pull (logprob - old)² | prime-rl; keep: p has moved by less than `most`, or back |
//! | `reinforce` | -A logprob | no ratio, no clip |
//!
//! sg stops the gradient. `old` is the policy that PPO anchors to; give the sampler's log-probabilities
//! as `old` to anchor on the sampler.

use serde::{Deserialize, Serialize};

use super::logistic::sigmoid;
use super::policy::GrpoConfig;

/// The form of the policy's loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Surrogate {
    /// The ratio held to a region, as the settings `clip_low`, `clip_high`, `dual_clip` and `delta` say.
    #[default]
    Clip,
    /// Weighted log-likelihood; every token keeps a gradient.
    Cispo {
        /// Ratios weigh at most this; 5 in ScaleRL.
        most: f64,
    },
    /// A soft gate around a ratio of one.
    Sapo {
        /// Steepness where the advantage is positive; 1 is usual.
        above: f64,
        /// Elsewhere; 1.05 is usual.
        below: f64,
    },
    /// Drops tokens whose probability has already moved far the way the advantage points.
    Dppo {
        /// So much of a probability is far; 0.2 is usual.
        most: f64,
        /// Weight of the squared log-ratio; 0.001 is usual.
        pull: f64,
    },
    /// The plain policy gradient.
    Reinforce,
}

/// What a surrogate looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) logprob: f64,
    pub(super) old: f64,
    /// Of the token, or of its sequence.
    pub(super) ratio: f64,
    pub(super) advantage: f64,
}

/// The loss of a token and its two derivatives.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Point {
    pub(super) value: f64,
    /// By the logarithm of the ratio.
    pub(super) by_ratio: f64,
    /// By the token's own log-probability, the ratio held.
    pub(super) by_logprob: f64,
    pub(super) is_clipped_low: bool,
    pub(super) is_clipped_high: bool,
}

impl Surrogate {
    pub(super) fn at(self, config: &GrpoConfig, token: Token) -> Point {
        let Token { logprob, old, ratio, advantage } = token;
        match self {
            Self::Clip => clip(config, ratio, advantage),
            Self::Cispo { most } => {
                let weight = at_most(ratio, most);
                Point {
                    value: -weight * advantage * logprob,
                    by_logprob: -weight * advantage,
                    is_clipped_high: ratio > most,
                    ..Point::default()
                }
            }
            Self::Sapo { above, below } => {
                let steepness = if advantage > 0.0 { above } else { below };
                let gate = sigmoid(steepness * (ratio - 1.0));
                Point {
                    value: -advantage * 4.0 / steepness * gate,
                    by_ratio: -advantage * 4.0 * gate * (1.0 - gate) * ratio,
                    ..Point::default()
                }
            }
            Self::Dppo { most, pull } => {
                let moved = logprob.exp() - old.exp();
                let is_clipped_high = advantage > 0.0 && moved > most;
                let is_clipped_low = advantage < 0.0 && moved < -most;
                let gain = if is_clipped_high || is_clipped_low { 0.0 } else { ratio * advantage };
                let apart = logprob - old;
                Point {
                    value: pull * apart * apart - gain,
                    by_ratio: -gain,
                    by_logprob: 2.0 * pull * apart,
                    is_clipped_low,
                    is_clipped_high,
                }
            }
            Self::Reinforce => Point { value: -advantage * logprob, by_logprob: -advantage, ..Point::default() },
        }
    }
}

/// Where both arms of the minimum are equal, they are so because nothing is clipped: the ratio's
/// derivative counts whole.
fn clip(config: &GrpoConfig, ratio: f64, advantage: f64) -> Point {
    let (low, high) = (1.0 - config.clip_low, 1.0 + config.clip_high);
    let most = config.delta.unwrap_or(f64::INFINITY);
    let free = at_most(ratio, most) * advantage;
    let held = ratio.clamp(low, high) * advantage;
    let (gain, is_free) = if held < free { (held, (low..=high).contains(&ratio)) } else { (free, ratio <= most) };
    let floor = config.dual_clip.filter(|_| advantage < 0.0).map_or(f64::NEG_INFINITY, |c| c * advantage);
    let is_floored = gain < floor;
    Point {
        value: if is_floored { -floor } else { -gain },
        by_ratio: if is_free && !is_floored { -ratio * advantage } else { 0.0 },
        by_logprob: 0.0,
        is_clipped_low: advantage < 0.0 && ratio < low,
        is_clipped_high: advantage > 0.0 && ratio > high,
    }
}

/// The lesser, and NaN of NaN.
fn at_most(value: f64, most: f64) -> f64 {
    if value > most { most } else { value }
}
