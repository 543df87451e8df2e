//! PPO's own parts (arXiv 1707.06347): advantages from a value head, and the loss of that head.
//!
//! Generalised advantage estimation (arXiv 1506.02438) over an episode that the environment
//! interrupts: what it wrote is no step of the policy, so a policy token's successor is the *next
//! policy token*, however much was retrieved between the two. A reward that stands on an observation
//! belongs to the policy token before it. (verl hops the same way but loses such rewards; a plain
//! recursion bootstraps from values of retrieved text.)
//!
//! The value loss is 0.5 max((v - R)², (clip(v, old - c, old + c) - R)²), a mean over the tokens of
//! the whole optimiser batch. The policy's loss is [`policy_loss`](super::policy_loss) with an
//! advantage a token; the divergence from the reference is in the reward ([`KlControl`]).

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::{GrpoConfig, KlControl, Loss, Metrics, fault, host, in_range, same_length, within};
use crate::Result;

/// Added to a variance before its root divides.
const EPSILON: f64 = 1e-8;

/// Settings of PPO beside those of the policy's loss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PpoConfig {
    /// Updates of one pass over the episodes of a step, each on a part of them; 1.
    pub minibatches: usize,
    /// What a reward one token later is worth; 1.
    pub gamma: f64,
    /// 0 trusts the value head, 1 what came of it; 0.95.
    pub lambda: f64,
    /// A ratio counts down to one less this; 0.2.
    pub clip_low: f64,
    /// A ratio counts up to one more than this; 0.2.
    pub clip_high: f64,
    /// How far a value counts from the one before the update; 0.2, none for any.
    pub value_clip: Option<f64>,
    /// The weight of the value loss; 0.1.
    pub value_weight: f64,
    /// Whether rewards are brought to mean 0 and variance 1 over the run so far; yes.
    pub scale_rewards: bool,
    /// The divergence from the reference as a part of the reward.
    pub kl: KlControl,
}

impl Default for PpoConfig {
    fn default() -> Self {
        Self {
            minibatches: 1,
            gamma: 1.0,
            lambda: 0.95,
            clip_low: 0.2,
            clip_high: 0.2,
            value_clip: Some(0.2),
            value_weight: 0.1,
            scale_rewards: true,
            kl: KlControl::default(),
        }
    }
}

impl PpoConfig {
    /// The settings of the policy's loss.
    pub fn policy(&self) -> GrpoConfig {
        GrpoConfig { clip_low: self.clip_low, clip_high: self.clip_high, ..GrpoConfig::default() }
    }

    /// Refuses settings out of their range.
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) that names the setting.
    pub fn check(&self) -> Result<()> {
        let parts = self.minibatches;
        in_range("minibatches", parts as f64, (1..=10_000).contains(&parts), "from 1 to 10000")?;
        in_range("gamma", self.gamma, (0.0..=1.0).contains(&self.gamma), "from 0 to 1")?;
        in_range("lambda", self.lambda, (0.0..=1.0).contains(&self.lambda), "from 0 to 1")?;
        let clip = self.value_clip.unwrap_or(1.0);
        in_range("value_clip", clip, clip > 0.0, "above 0")?;
        in_range("value_weight", self.value_weight, self.value_weight >= 0.0, "0 or more")?;
        self.policy().check()?;
        self.kl.check()
    }
}

/// Advantages and returns of an episode's positions; 0 where the environment wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct Gae {
    /// What is given to the policy's loss, once whitened.
    pub advantages: Vec<f64>,
    /// What the value head learns.
    pub returns: Vec<f64>,
}

/// Advantages of one finished episode: `rewards` and `values` of each position, and whether the
/// policy wrote it.
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) if the lengths differ, or a reward comes before the first
/// token of the policy.
pub fn gae(config: &PpoConfig, rewards: &[f64], values: &[f64], is_policy: &[bool]) -> Result<Gae> {
    same_length("rewards", rewards.len(), is_policy.len())?;
    same_length("values", values.len(), is_policy.len())?;
    let (mut advantages, mut returns) = (vec![0.0; values.len()], vec![0.0; values.len()]);
    let (mut next_value, mut next_advantage, mut later) = (0.0, 0.0, 0.0);
    for at in (0..values.len()).rev() {
        later += rewards[at];
        if !is_policy[at] {
            continue;
        }
        let surprise = later + config.gamma * next_value - values[at];
        next_advantage = surprise + config.gamma * config.lambda * next_advantage;
        next_value = values[at];
        later = 0.0;
        advantages[at] = next_advantage;
        returns[at] = next_advantage + values[at];
    }
    if later != 0.0 {
        return Err(fault(format!("a reward of {later} before the policy's first token")));
    }
    Ok(Gae { advantages, returns })
}

/// Brings values to mean 0 and variance 1; fewer than two only to mean 0.
pub fn whiten(values: &mut [f64]) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let scale = if values.len() > 1 { 1.0 / (squares / (count - 1.0) + EPSILON).sqrt() } else { 1.0 };
    for value in values {
        *value = (*value - mean) * scale;
    }
}

/// The loss of the value head's `values` (N) at the policy's tokens, with those before the update
/// and the returns; `tokens` counts the whole optimiser batch. Not yet times `value_weight`.
///
/// Metrics: `loss`, `value_clipped` (share of tokens), `value_mean`, `return_mean`, `value_error`
/// (mean square), `return_square` (mean square of the returns).
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) if the lengths differ or the micro-batch holds more than `tokens`.
pub fn value_loss(config: &PpoConfig, values: &Tensor, old: &[f32], returns: &[f64], tokens: usize) -> Result<Loss> {
    let now = host(values)?;
    same_length("old values", old.len(), now.len())?;
    same_length("returns", returns.len(), now.len())?;
    within("tokens", now.len(), tokens)?;
    let weight = 1.0 / tokens.max(1) as f64;
    let (mut value, mut gradient) = (0.0, Vec::with_capacity(now.len()));
    let (mut errors, mut is_clipped) = (Vec::with_capacity(now.len()), Vec::with_capacity(now.len()));
    for ((now, old), wanted) in now.iter().zip(old).zip(returns) {
        let old = f64::from(*old);
        let held = config.value_clip.map_or(*now, |clip| now.clamp(old - clip, old + clip));
        let (free, clipped) = (now - wanted, held - wanted);
        // where the clipped arm is the worse one, the value has left the region that it can move in
        let is_worse = clipped * clipped > free * free;
        let error = if is_worse { clipped } else { free };
        value += weight * 0.5 * error * error;
        gradient.push(if is_worse { 0.0 } else { weight * free });
        errors.push(free * free);
        is_clipped.push(is_worse);
    }
    let mut metrics = Metrics::default();
    metrics.share("value_clipped", is_clipped);
    metrics.mean("value_error", errors);
    metrics.mean("value_mean", now.iter().copied());
    metrics.mean("return_mean", returns.iter().copied());
    metrics.mean("return_square", returns.iter().map(|wanted| wanted * wanted));
    Loss::tied(values, value, gradient, metrics)
}
