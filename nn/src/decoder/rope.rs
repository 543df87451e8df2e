//! [`Rope`]: rotary positions (arXiv 2104.09864) and the four ways in which checkpoints stretch them.
//!
//! Everything is computed in `f32` in the order in which transformers does, because an angle at
//! position 100,000 keeps only two digits behind the point in `f32`: the same two are needed.

use std::f64::consts::PI;

use serde::Deserialize;

/// How positions turn into angles.
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    /// The longest wavelength is 2 pi times this.
    pub theta: f64,
    /// How wavelengths are stretched beyond the training length.
    pub stretch: Stretch,
}

/// How wavelengths are stretched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stretch {
    /// Not at all.
    None,
    /// All by one factor.
    Linear {
        /// The factor.
        factor: f64,
    },
    /// Llama 3.1: long waves by the factor, short ones not, those between smoothly.
    Llama3 {
        /// The factor.
        factor: f64,
        /// Waves longer than `original / low` are long.
        low: f64,
        /// Waves shorter than `original / high` are short.
        high: f64,
        /// The training length.
        original: f64,
    },
    /// YaRN (arXiv 2309.00071).
    Yarn {
        /// The factor.
        factor: f64,
        /// Scales cosine and sine.
        attention: f64,
        /// Waves that turn more often than this over the training length stay.
        fast: f64,
        /// Waves that turn less often than this are stretched.
        slow: f64,
        /// The training length.
        original: f64,
        /// Whether the bounds between the two are made whole numbers.
        truncate: bool,
    },
}

/// `rope_scaling`, or `rope_parameters` as newer files call it.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Scaling {
    rope_type: Option<String>,
    /// As older files call it; some have both.
    #[serde(rename = "type")]
    old_type: Option<String>,
    rope_theta: Option<f64>,
    factor: Option<f64>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    original_max_position_embeddings: Option<f64>,
    attention_factor: Option<f64>,
    beta_fast: Option<f64>,
    beta_slow: Option<f64>,
    mscale: Option<f64>,
    mscale_all_dim: Option<f64>,
    truncate: Option<bool>,
    partial_rotary_factor: Option<f64>,
}

impl Rope {
    /// From what a configuration says; the message of what is wrong with it.
    pub(super) fn new(theta: Option<f64>, scaling: Scaling, positions: usize) -> Result<Self, String> {
        let theta = scaling.rope_theta.or(theta).unwrap_or(10_000.0);
        if !(theta > 1.0 && theta.is_finite()) {
            return Err(format!("rope_theta is {theta}, expected more than 1"));
        }
        if scaling.partial_rotary_factor.is_some_and(|part| part != 1.0) {
            return Err("partial_rotary_factor is not 1: heads that turn in part are not supported".to_owned());
        }
        let stretch = scaling.stretch(positions)?;
        Ok(Self { theta, stretch })
    }

    /// For each pair of a head of `size`, the angle of one position; (size / 2).
    pub(super) fn frequencies(&self, size: usize) -> Vec<f32> {
        let waves = (0..size).step_by(2).map(|pair| (self.theta as f32).powf(pair as f32 / size as f32));
        match self.stretch {
            Stretch::None => waves.map(|wave| 1.0 / wave).collect(),
            Stretch::Linear { factor } => waves.map(|wave| 1.0 / wave / factor as f32).collect(),
            Stretch::Llama3 { factor, low, high, original } => waves
                .map(|wave| {
                    let frequency = 1.0 / wave;
                    let length = 2.0 * PI as f32 / frequency;
                    if length < (original / high) as f32 {
                        frequency
                    } else if length > (original / low) as f32 {
                        frequency / factor as f32
                    } else {
                        let smooth = (original as f32 / length - low as f32) / (high - low) as f32;
                        (1.0 - smooth) * frequency / factor as f32 + smooth * frequency
                    }
                })
                .collect(),
            Stretch::Yarn { factor, fast, slow, original, truncate, .. } => {
                let bound = |turns: f64| size as f64 * (original / (turns * 2.0 * PI)).ln() / (2.0 * self.theta.ln());
                let (low, high) = (bound(fast), bound(slow));
                let (low, high) = if truncate { (low.floor(), high.ceil()) } else { (low, high) };
                let (low, mut high) = (low.max(0.0), high.min(size as f64 - 1.0));
                if low == high {
                    high += 0.001;
                }
                waves
                    .enumerate()
                    .map(|(pair, wave)| {
                        let ramp = ((pair as f32 - low as f32) / (high - low) as f32).clamp(0.0, 1.0);
                        let keep = 1.0 - ramp;
                        1.0 / (factor as f32 * wave) * (1.0 - keep) + 1.0 / wave * keep
                    })
                    .collect()
            }
        }
    }

    /// What cosine and sine are multiplied by.
    pub(super) fn amplitude(&self) -> f32 {
        match self.stretch {
            Stretch::Yarn { attention, .. } => attention as f32,
            _ => 1.0,
        }
    }
}

/// Cosine and sine of each position of `positions`, (T, size / 2) each, from the angles of one position.
pub(super) fn angles(
    positions: impl Iterator<Item = usize>,
    frequencies: &[f32],
    amplitude: f32,
    cos: &mut Vec<f32>,
    sin: &mut Vec<f32>,
) {
    cos.clear();
    sin.clear();
    for position in positions {
        for frequency in frequencies {
            let (up, along) = (position as f32 * frequency).sin_cos();
            cos.push(along * amplitude);
            sin.push(up * amplitude);
        }
    }
}

impl Scaling {
    fn stretch(self, positions: usize) -> Result<Stretch, String> {
        let kind = self.rope_type.as_deref().or(self.old_type.as_deref()).unwrap_or("default");
        let wants = |name: &str, value: Option<f64>| {
            let value = value.ok_or_else(|| format!("rope type `{kind}` needs {name}"))?;
            if value > 0.0 && value.is_finite() {
                return Ok(value);
            }
            Err(format!("{name} is {value}, expected more than 0"))
        };
        let original = self.original_max_position_embeddings;
        Ok(match kind {
            "default" => Stretch::None,
            "linear" => Stretch::Linear { factor: wants("factor", self.factor)? },
            "llama3" => {
                let low = wants("low_freq_factor", self.low_freq_factor)?;
                let high = wants("high_freq_factor", self.high_freq_factor)?;
                if high <= low {
                    return Err(format!("high_freq_factor {high} is not above low_freq_factor {low}"));
                }
                let original = original.unwrap_or(positions as f64);
                let original = wants("original_max_position_embeddings", Some(original))?;
                Stretch::Llama3 { factor: wants("factor", self.factor)?, low, high, original }
            }
            "yarn" => {
                let original = wants("original_max_position_embeddings", original.or(Some(positions as f64)))?;
                let factor = wants("factor", self.factor.or(Some(positions as f64 / original)))?;
                let scale = |by: f64| if factor <= 1.0 { 1.0 } else { 0.1 * by * factor.ln() + 1.0 };
                let attention = match (self.attention_factor, self.mscale, self.mscale_all_dim) {
                    (Some(given), ..) => given,
                    (None, Some(one), Some(all)) if one != 0.0 && all != 0.0 => scale(one) / scale(all),
                    _ => scale(1.0),
                };
                Stretch::Yarn {
                    factor,
                    attention: wants("attention_factor", Some(attention))?,
                    fast: wants("beta_fast", Some(self.beta_fast.unwrap_or(32.0)))?,
                    slow: wants("beta_slow", Some(self.beta_slow.unwrap_or(1.0)))?,
                    original,
                    truncate: self.truncate.unwrap_or(true),
                }
            }
            other => {
                return Err(format!("rope type is `{other}`, expected default, linear, llama3 or yarn"));
            }
        })
    }
}

#[cfg(test)]
mod tests;
