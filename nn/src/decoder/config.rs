//! [`DecoderConfig`]: the part of `config.json` that decides what a decoder computes.

use std::path::Path;

use serde::Deserialize;

use super::rope::{Rope, Scaling};
use crate::error::read_json;
use crate::{Error, Result};

/// The architectures that one definition of a layer covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Llama 2, 3 and 3.x, and what was distilled into them.
    Llama,
    /// Mistral: Llama with a sliding window.
    Mistral,
    /// Qwen2 and Qwen2.5: biases on queries, keys and values.
    Qwen2,
    /// Qwen3: queries and keys are normalised head by head.
    Qwen3,
}

impl Family {
    const ALL: [Self; 4] = [Self::Llama, Self::Mistral, Self::Qwen2, Self::Qwen3];

    /// The name that `model_type` gives it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Mistral => "mistral",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
        }
    }
}

/// Sizes and constants of a decoder, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderConfig {
    /// Architecture.
    pub family: Family,
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// D, the width of the residual stream.
    pub hidden_size: usize,
    /// F, the width inside the feed-forward net.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// H, the number of query heads.
    pub num_attention_heads: usize,
    /// The number of key heads; divides that of query heads.
    pub num_key_value_heads: usize,
    /// Width of one head; even.
    pub head_dim: usize,
    /// The most tokens of one sequence.
    pub max_position_embeddings: usize,
    /// Added to the mean square in normalisation.
    pub rms_norm_eps: f32,
    /// How positions turn queries and keys.
    pub rope: Rope,
    /// Whether queries, keys and values have biases.
    pub qkv_bias: bool,
    /// Whether the output of attention has a bias.
    pub output_bias: bool,
    /// Whether the feed-forward net has biases.
    pub mlp_bias: bool,
    /// Whether queries and keys are normalised head by head.
    pub qk_norm: bool,
    /// Whether the embedding is also the head.
    pub tie_word_embeddings: bool,
    /// For each layer, how many tokens one sees, itself among them; `None` where it sees all.
    pub windows: Vec<Option<usize>>,
    /// The tokens that end a sequence, from `generation_config.json` and `config.json`.
    pub eos_token_ids: Vec<u32>,
}

/// `config.json` as it is written, by transformers of any version.
#[derive(Deserialize)]
struct Raw {
    model_type: String,
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    max_position_embeddings: Option<usize>,
    rms_norm_eps: Option<f64>,
    rope_theta: Option<f64>,
    rope_scaling: Option<Scaling>,
    rope_parameters: Option<Scaling>,
    attention_bias: Option<bool>,
    mlp_bias: Option<bool>,
    tie_word_embeddings: Option<bool>,
    hidden_act: Option<String>,
    /// Null means none, absent means transformers' default.
    #[serde(default = "window")]
    sliding_window: Option<usize>,
    use_sliding_window: Option<bool>,
    max_window_layers: Option<usize>,
    layer_types: Option<Vec<String>>,
    quantization_config: Option<serde_json::Value>,
    eos_token_id: Option<Ids>,
}

#[derive(Deserialize)]
struct Generation {
    eos_token_id: Option<Ids>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Ids {
    One(u32),
    Many(Vec<u32>),
}

#[expect(clippy::unnecessary_wraps, reason = "the default of an optional field")]
fn window() -> Option<usize> {
    Some(4096)
}

impl DecoderConfig {
    /// Reads and checks `config.json` of the model folder `dir`, and what `generation_config.json`
    /// says of the end of a sequence.
    ///
    /// # Errors
    /// [`Error::Config`] when it is missing, damaged, absurd, or asks for another architecture.
    pub fn open(dir: &Path) -> Result<Self> {
        let file = dir.join("config.json");
        let fault = |reason: String| Error::Config { file: file.clone(), reason };
        // The architecture comes first: another one has other fields, whose absence says nothing.
        let value: serde_json::Value =
            read_json(&file)?.ok_or_else(|| fault("is missing: name a model folder".to_owned()))?;
        family(&value).map_err(fault)?;
        let raw: Raw = serde_json::from_value(value).map_err(|error| fault(error.to_string()))?;
        let generation: Option<Generation> = read_json(&dir.join("generation_config.json"))?;
        let ends = generation.and_then(|generation| generation.eos_token_id);
        raw.resolve(ends).map_err(fault)
    }

    /// Number of weights.
    pub fn parameters(&self) -> usize {
        let (width, queries, keys) = (self.hidden_size, self.query_width(), self.key_width());
        let qkv = (width + usize::from(self.qkv_bias)) * (queries + 2 * keys);
        let output = width * (queries + usize::from(self.output_bias));
        let feed =
            3 * width * self.intermediate_size + usize::from(self.mlp_bias) * (2 * self.intermediate_size + width);
        let norms = 2 * width + if self.qk_norm { 2 * self.head_dim } else { 0 };
        let tables = self.vocab_size * width * if self.tie_word_embeddings { 1 } else { 2 };
        self.num_hidden_layers * (qkv + output + feed + norms) + tables + width
    }

    /// Width of all query heads.
    pub(crate) fn query_width(&self) -> usize {
        self.num_attention_heads * self.head_dim
    }

    /// Width of all key heads.
    pub(crate) fn key_width(&self) -> usize {
        self.num_key_value_heads * self.head_dim
    }
}

fn family(config: &serde_json::Value) -> Result<Family, String> {
    let name = config.get("model_type").and_then(serde_json::Value::as_str).unwrap_or_default();
    Family::ALL.into_iter().find(|family| family.name() == name).ok_or_else(|| {
        let known = Family::ALL.map(Family::name).join(", ");
        format!("model_type is `{name}`, expected one of {known}")
    })
}

impl Raw {
    fn resolve(self, ends: Option<Ids>) -> Result<DecoderConfig, String> {
        let family = family(&serde_json::json!({ "model_type": self.model_type }))?;
        if self.quantization_config.is_some() {
            return Err("quantization_config is set: quantised weights are not read yet".to_owned());
        }
        if let Some(other) = self.hidden_act.as_deref().filter(|name| !["silu", "swish"].contains(name)) {
            return Err(format!("hidden_act is `{other}`, only `silu` is supported"));
        }
        // Generous next to any published decoder; small enough that no product of three overflows.
        let bounded = |field: &str, value: usize, most: usize| {
            if value == 0 || value > most {
                return Err(format!("{field} is {value}, expected 1 to {most}"));
            }
            Ok(value)
        };
        let heads = bounded("num_attention_heads", self.num_attention_heads, 1024)?;
        let hidden_size = bounded("hidden_size", self.hidden_size, 65_536)?;
        let implied = if family == Family::Mistral { 8 } else { heads };
        let key_heads = bounded("num_key_value_heads", self.num_key_value_heads.unwrap_or(implied), heads)?;
        if !heads.is_multiple_of(key_heads) {
            return Err(format!("{key_heads} key heads do not divide {heads} query heads"));
        }
        let head_dim = match (self.head_dim, family) {
            (Some(size), _) => size,
            (None, Family::Qwen3) => 128,
            (None, _) if hidden_size.is_multiple_of(heads) => hidden_size / heads,
            (None, _) => return Err(format!("{heads} heads do not divide hidden_size {hidden_size}")),
        };
        let head_dim = bounded("head_dim", head_dim, 1024)?;
        if !head_dim.is_multiple_of(2) {
            return Err(format!("head_dim is {head_dim}, expected an even number"));
        }
        let rms_norm_eps = self.rms_norm_eps.unwrap_or(1e-6);
        if !(0.0..1.0).contains(&rms_norm_eps) {
            return Err(format!("rms_norm_eps is {rms_norm_eps}, expected 0 to 1"));
        }
        let num_hidden_layers = bounded("num_hidden_layers", self.num_hidden_layers, 1024)?;
        let max_position_embeddings =
            bounded("max_position_embeddings", self.max_position_embeddings.unwrap_or(2048), 1 << 24)?;
        let windows = self.windows(family, num_hidden_layers)?;
        let scaling = self.rope_parameters.or(self.rope_scaling).unwrap_or_default();
        let rope = Rope::new(self.rope_theta, scaling, max_position_embeddings)?;
        let attention_bias = self.attention_bias.unwrap_or(false);
        let vocab_size = bounded("vocab_size", self.vocab_size, 4_000_000)?;
        let eos_token_ids = eos([ends, self.eos_token_id]);
        Ok(DecoderConfig {
            family,
            vocab_size,
            hidden_size,
            intermediate_size: bounded("intermediate_size", self.intermediate_size, 524_288)?,
            num_hidden_layers,
            num_attention_heads: heads,
            num_key_value_heads: key_heads,
            head_dim,
            max_position_embeddings,
            rms_norm_eps: rms_norm_eps as f32,
            rope,
            qkv_bias: match family {
                Family::Qwen2 => true,
                Family::Llama | Family::Qwen3 => attention_bias,
                Family::Mistral => false,
            },
            output_bias: matches!(family, Family::Llama | Family::Qwen3) && attention_bias,
            mlp_bias: family == Family::Llama && self.mlp_bias.unwrap_or(false),
            qk_norm: family == Family::Qwen3,
            tie_word_embeddings: self.tie_word_embeddings.unwrap_or(false),
            windows,
            eos_token_ids,
        })
    }

    /// Which layers see only the latest tokens.
    fn windows(&self, family: Family, layers: usize) -> Result<Vec<Option<usize>>, String> {
        let window = self.sliding_window;
        if family == Family::Llama {
            return Ok(vec![None; layers]);
        }
        if window == Some(0) {
            return Err("sliding_window is 0, expected at least 1 or null".to_owned());
        }
        if family == Family::Mistral {
            return Ok(vec![window; layers]);
        }
        let window = window.filter(|_| self.use_sliding_window.unwrap_or(false));
        let Some(types) = &self.layer_types else {
            let first = self.max_window_layers.unwrap_or(28);
            return Ok((0..layers).map(|layer| window.filter(|_| layer >= first)).collect());
        };
        if types.len() != layers {
            return Err(format!("layer_types has {} entries for {layers} layers", types.len()));
        }
        types
            .iter()
            .map(|kind| match (kind.as_str(), window) {
                ("full_attention", _) => Ok(None),
                ("sliding_attention", Some(window)) => Ok(Some(window)),
                ("sliding_attention", None) => Err("layer_types slides, but sliding_window is not in use".to_owned()),
                (other, _) => {
                    Err(format!("layer_types holds `{other}`, expected `full_attention` or `sliding_attention`"))
                }
            })
            .collect()
    }
}

/// The ids of all lists, each once, in their order.
fn eos(lists: [Option<Ids>; 2]) -> Vec<u32> {
    let mut ends = Vec::new();
    for list in lists.into_iter().flatten() {
        let ids = match list {
            Ids::One(id) => vec![id],
            Ids::Many(ids) => ids,
        };
        for id in ids {
            if !ends.contains(&id) {
                ends.push(id);
            }
        }
    }
    ends
}

#[cfg(test)]
mod tests;
