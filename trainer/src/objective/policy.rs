//! GRPO and its kin: one loss of the tokens that the policy wrote, under one typed setting.
//!
//! A token's loss is its surrogate, times the weight that corrects the sampler, plus the weighted
//! divergence from the reference; tokens are aggregated over the whole optimiser batch. The default
//! is DAPO's (arXiv 2503.14476: token mean, clip 0.2 below and 0.28 above) with Dr. GRPO's advantage
//! (arXiv 2503.20783: no division by the standard deviation) and no reference.
//!
//! With `level = "sequence"` (GSPO, arXiv 2507.18071) all tokens of a sequence share the ratio
//! e^(mean of logprob - old), and the loss of each moves all of them. Its clips are narrow, about
//! 3e-4 and 4e-4.
//!
//! Log-ratios are held to [-20, 20], with no gradient beyond, as verl and OpenRLHF do.

use std::ops::Range;

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::kl::MOST_LOG_RATIO;
use super::surrogate::{Point, Token};
use super::{
    Aggregation, Correction, Denominator, Kl, Loss, Metrics, Scaling, Surrogate, fault, host, in_range, mismatch,
    same_length,
};
use crate::{Error, Result};

/// Of what the importance ratio is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Each token has its own.
    #[default]
    Token,
    /// The tokens of a sequence share their geometric mean.
    Sequence,
}

/// Everything that tells one relative of GRPO from another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GrpoConfig {
    /// How rewards become advantages; by default less the group's mean.
    pub scaling: Scaling,
    /// The form of the policy's loss; by default a clipped ratio.
    pub surrogate: Surrogate,
    /// Whether tokens or sequences have the ratio; by default tokens.
    pub level: Level,
    /// A ratio counts down to one less this; 0.2.
    pub clip_low: f64,
    /// A ratio counts up to one more than this; 0.28.
    pub clip_high: f64,
    /// Where the advantage is negative, the loss is at most so many times it; none, 3 in verl.
    pub dual_clip: Option<f64>,
    /// Where the advantage is negative, a ratio counts up to this; none.
    pub delta: Option<f64>,
    /// How the losses of tokens become one; by default a mean over the batch's tokens.
    pub aggregation: Aggregation,
    /// The divergence from the reference as a part of the loss; by default none.
    pub kl: Kl,
    /// How the sampler's difference is corrected; by default it is reported only.
    pub correction: Option<Correction>,
    /// Which of what the policy wrote is left out; by default nothing.
    pub mask: Mask,
    /// How often a step asks further questions while fewer groups differ in reward than questions were asked
    /// (dynamic sampling, arXiv 2503.14476); 0.
    pub resample: u64,
}

/// What of an episode is left out of the policy's loss. What remains is held to the reference all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mask {
    /// Sequences of negative advantage whose tokens have become less likely by more than this, in nats a token on the
    /// mean (DeepSeek-V3.2, arXiv 2512.02556); none.
    pub off_policy: Option<f64>,
    /// All but the share of a step's tokens at which the policy was least sure (arXiv 2506.01939); none.
    pub top_entropy: Option<f64>,
}

impl Default for GrpoConfig {
    fn default() -> Self {
        Self {
            scaling: Scaling::default(),
            surrogate: Surrogate::default(),
            level: Level::default(),
            clip_low: 0.2,
            clip_high: 0.28,
            dual_clip: None,
            delta: None,
            aggregation: Aggregation::default(),
            kl: Kl::default(),
            correction: None,
            mask: Mask::default(),
            resample: 0,
        }
    }
}

impl GrpoConfig {
    /// Refuses settings out of their range or that contradict each other.
    ///
    /// # Errors
    /// [`Error::Input`] that names the setting.
    pub fn check(&self) -> Result<()> {
        let above = |name, value: f64, least: f64| in_range(name, value, value > least, &format!("above {least}"));
        in_range("clip_low", self.clip_low, self.clip_low > 0.0 && self.clip_low <= 1.0, "above 0 and at most 1")?;
        above("clip_high", self.clip_high, 0.0)?;
        above("dual_clip", self.dual_clip.unwrap_or(3.0), 1.0)?;
        above("delta", self.delta.unwrap_or(f64::MAX), 1.0 + self.clip_high)?;
        in_range("kl.coefficient", self.kl.coefficient, self.kl.coefficient >= 0.0, "0 or more")?;
        self.correction.map_or(Ok(()), |correction| correction.check())?;
        above("mask.off_policy", self.mask.off_policy.unwrap_or(1.0), 0.0)?;
        in_range("resample", self.resample as f64, self.resample <= 100, "at most 100")?;
        let share = self.mask.top_entropy.unwrap_or(1.0);
        in_range("mask.top_entropy", share, share > 0.0 && share <= 1.0, "above 0 and at most 1")?;
        match self.surrogate {
            Surrogate::Clip => Ok(()),
            _ if self.dual_clip.is_some() || self.delta.is_some() => {
                Err(Error::Input("dual_clip and delta belong to surrogate = \"clip\"".to_owned()))
            }
            Surrogate::Reinforce => Ok(()),
            Surrogate::Cispo { most } => above("surrogate.cispo.most", most, 0.0),
            Surrogate::Sapo { above: steep, below } => {
                above("surrogate.sapo.above", steep, 0.0)?;
                above("surrogate.sapo.below", below, 0.0)
            }
            Surrogate::Dppo { .. } if self.level == Level::Sequence => {
                Err(Error::Input("surrogate = \"dppo\" needs level = \"token\"".to_owned()))
            }
            Surrogate::Dppo { most, pull } => {
                above("surrogate.dppo.most", most, 0.0)?;
                in_range("surrogate.dppo.pull", pull, pull >= 0.0, "0 or more")
            }
        }
    }
}

/// What is known of the N tokens of a micro-batch besides their present log-probabilities.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    /// Log-probabilities under the policy that is anchored to; none where this batch's only step is
    /// taken on the policy that drew it.
    pub old: Option<&'a [f32]>,
    /// As the sampler recorded them, at its temperature and before truncation.
    pub sampler: Option<&'a [f32]>,
    /// Under the reference.
    pub reference: Option<&'a [f32]>,
    /// Of each token: that of its episode, or its own under PPO.
    pub advantages: &'a [f64],
    /// The tokens of each episode, end to end; an episode of which nothing is trained on is empty.
    pub sequences: &'a [Range<usize>],
}

/// The loss of `logprobs` (N), those of the tokens that the policy wrote; `denominator` counts the
/// whole optimiser batch.
///
/// Metrics: `loss`, `ratio_mean`, `ratio_max`, `clip_low`, `clip_high` (shares of tokens), `old_kl`
/// (k3 from `old`); `kl` where there is a reference; `mismatch_mean`, `mismatch_max`, `mismatch_k3`
/// where the sampler is known, `off_policy_dropped` (share of sequences) where such are left out, `correction_mean`, `correction_min`, `correction_max` and
/// `correction_dropped` where it is corrected.
///
/// # Errors
/// [`Error::Input`] for a setting out of its range or one that lacks what it needs;
/// [`Error::Shape`] if lengths differ, sequences do not lie end to end, or the micro-batch holds
/// more than `denominator` counts.
pub fn policy_loss(
    config: &GrpoConfig,
    logprobs: &Tensor,
    recorded: &Recorded<'_>,
    denominator: Denominator,
) -> Result<Loss> {
    config.check()?;
    let now = host(logprobs)?;
    let tokens = Tokens::new(config, &now, recorded)?;
    let weights = config.aggregation.weights(recorded.sequences, denominator)?;
    same_length("tokens in sequences", weights.len(), now.len())?;

    let mut metrics = Metrics::default();
    let corrections = tokens.corrections(config, recorded.sequences, &mut metrics);
    let (mut value, mut gradient) = (0.0, vec![0.0; now.len()]);
    let (mut ratios, mut points, mut divergences) = (Vec::new(), Vec::new(), Vec::new());
    for range in recorded.sequences {
        let mean = range.clone().map(|at| tokens.log_ratio(at)).sum::<f64>() / range.len() as f64;
        let is_off = tokens.is_off_policy(config, range.clone(), recorded.advantages);
        if config.mask.off_policy.is_some() && !range.is_empty() {
            metrics.share("off_policy_dropped", [is_off]);
        }
        let mut shared = 0.0;
        for at in range.clone() {
            let log = if config.level == Level::Token { tokens.log_ratio(at) } else { mean };
            let ratio = log.clamp(-MOST_LOG_RATIO, MOST_LOG_RATIO).exp();
            let token = Token { logprob: now[at], old: tokens.old[at], ratio, advantage: recorded.advantages[at] };
            let point = if is_off { Point::default() } else { config.surrogate.at(config, token) };
            let correction = corrections.as_ref().map_or(1.0, |corrections| corrections[at]);
            let mut loss = correction * point.value;
            let (mut by_ratio, mut by_logprob) = (correction * point.by_ratio, correction * point.by_logprob);
            if let Some(reference) = &tokens.reference {
                let (kl, slope) = config.kl.estimator.at(now[at], reference[at]);
                divergences.push(kl);
                if config.kl.coefficient > 0.0 {
                    let weight = config.kl.coefficient * if config.kl.is_unbiased { ratio } else { 1.0 };
                    loss += weight * kl;
                    by_logprob += weight * slope;
                    by_ratio += if config.kl.is_unbiased { weight * kl } else { 0.0 };
                }
            }
            let by_log = if log.abs() <= MOST_LOG_RATIO { weights[at] * by_ratio } else { 0.0 };
            value += weights[at] * loss;
            gradient[at] += weights[at] * by_logprob;
            match config.level {
                Level::Token => gradient[at] += by_log,
                Level::Sequence => shared += by_log / range.len() as f64,
            }
            ratios.push(ratio);
            points.push(point);
        }
        gradient[range.clone()].iter_mut().for_each(|slope| *slope += shared);
    }

    metrics.mean("ratio_mean", ratios.iter().copied());
    metrics.max("ratio_max", ratios.iter().copied());
    metrics.share("clip_low", points.iter().map(|point| point.is_clipped_low));
    metrics.share("clip_high", points.iter().map(|point| point.is_clipped_high));
    metrics.mean("old_kl", now.iter().zip(&tokens.old).map(|(now, old)| (old - now).exp_m1() - (old - now)));
    metrics.mean("kl", divergences);
    Loss::tied(logprobs, value, gradient, metrics)
}

/// The recorded numbers, checked and widened.
struct Tokens<'a> {
    now: &'a [f64],
    old: Vec<f64>,
    sampler: Option<Vec<f64>>,
    reference: Option<Vec<f64>>,
}

impl<'a> Tokens<'a> {
    fn new(config: &GrpoConfig, now: &'a [f64], recorded: &Recorded<'_>) -> Result<Self> {
        let widened = |what, numbers: Option<&[f32]>| -> Result<Option<Vec<f64>>> {
            let Some(numbers) = numbers else { return Ok(None) };
            same_length(what, numbers.len(), now.len())?;
            Ok(Some(numbers.iter().copied().map(f64::from).collect()))
        };
        same_length("advantages", recorded.advantages.len(), now.len())?;
        if let Some(at) = recorded.advantages.iter().position(|advantage| !advantage.is_finite()) {
            return Err(fault(format!("the advantage of token {at} is {}", recorded.advantages[at])));
        }
        let tokens = Self {
            now,
            old: widened("old log-probs", recorded.old)?.unwrap_or_else(|| now.to_vec()),
            sampler: widened("sampler log-probs", recorded.sampler)?,
            reference: widened("reference log-probs", recorded.reference)?,
        };
        if config.kl.coefficient > 0.0 && tokens.reference.is_none() {
            return Err(Error::Input("kl.coefficient above 0 needs the reference's log-probs".to_owned()));
        }
        if config.correction.is_some() && tokens.sampler.is_none() {
            return Err(Error::Input("correction needs the sampler's log-probs".to_owned()));
        }
        Ok(tokens)
    }

    fn log_ratio(&self, at: usize) -> f64 {
        self.now[at] - self.old[at]
    }

    /// Whether a sequence is to become less likely and has become so already.
    fn is_off_policy(&self, config: &GrpoConfig, range: Range<usize>, advantages: &[f64]) -> bool {
        let Some(most) = config.mask.off_policy else { return false };
        let sampled = self.sampler.as_ref().unwrap_or(&self.old);
        let apart: f64 = range.clone().map(|at| sampled[at] - self.now[at]).sum();
        advantages[range.clone()].iter().sum::<f64>() < 0.0 && apart > most * range.len() as f64
    }

    fn corrections(&self, config: &GrpoConfig, sequences: &[Range<usize>], metrics: &mut Metrics) -> Option<Vec<f64>> {
        let sampler = self.sampler.as_ref()?;
        mismatch::measure(&self.old, sampler, metrics);
        let weights = config.correction?.weights(&self.old, sampler, sequences);
        metrics.mean("correction_mean", weights.iter().copied());
        metrics.min("correction_min", weights.iter().copied());
        metrics.max("correction_max", weights.iter().copied());
        metrics.share("correction_dropped", weights.iter().map(|weight| *weight == 0.0));
        Some(weights)
    }
}
