//! [`BertConfig`]: the part of `config.json` that decides what an encoder computes.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::read_json;
use crate::{Error, Result};

/// Sizes and constants of a BERT encoder, by the names that `config.json` gives them. Fields that
/// do not bear on inference are ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BertConfig {
    /// Architecture family; only `bert`.
    pub model_type: String,
    /// Rows of the word embedding.
    pub vocab_size: usize,
    /// D, the width of the residual stream.
    pub hidden_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Number of attention heads; divides `hidden_size`.
    pub num_attention_heads: usize,
    /// F, the width between the two layers of the feed-forward net.
    pub intermediate_size: usize,
    /// Activation between them; only `gelu`.
    pub hidden_act: String,
    /// The most tokens of one sequence.
    pub max_position_embeddings: usize,
    /// Number of segments.
    #[serde(default = "two")]
    pub type_vocab_size: usize,
    /// Added to the variance in layer normalisation.
    #[serde(default = "epsilon")]
    pub layer_norm_eps: f32,
    /// How positions enter; only `absolute`.
    #[serde(default = "absolute")]
    pub position_embedding_type: String,
}

fn two() -> usize {
    2
}

fn epsilon() -> f32 {
    1e-12
}

fn absolute() -> String {
    "absolute".to_owned()
}

impl BertConfig {
    /// Reads and checks `config.json` of the model folder `dir`.
    ///
    /// # Errors
    /// [`Error::Config`] when it is missing, damaged, absurd, or asks for another architecture.
    pub fn open(dir: &Path) -> Result<Self> {
        let file = dir.join("config.json");
        let fault = |reason: String| Error::Config { file: file.clone(), reason };
        let config: Self = read_json(&file)?.ok_or_else(|| fault("is missing: name a model folder".to_owned()))?;
        config.check().map_err(fault)?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        for (field, value, only) in [
            ("model_type", &self.model_type, "bert"),
            ("hidden_act", &self.hidden_act, "gelu"),
            ("position_embedding_type", &self.position_embedding_type, "absolute"),
        ] {
            if value != only {
                return Err(format!("{field} is `{value}`, only `{only}` is supported"));
            }
        }
        // Generous next to any published encoder; small enough that no product of two overflows.
        for (field, value, most) in [
            ("vocab_size", self.vocab_size, 4_000_000),
            ("hidden_size", self.hidden_size, 16_384),
            ("num_hidden_layers", self.num_hidden_layers, 256),
            ("num_attention_heads", self.num_attention_heads, 1024),
            ("intermediate_size", self.intermediate_size, 131_072),
            ("max_position_embeddings", self.max_position_embeddings, 131_072),
            ("type_vocab_size", self.type_vocab_size, 1024),
        ] {
            if value == 0 || value > most {
                return Err(format!("{field} is {value}, expected 1 to {most}"));
            }
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Err(format!("{} heads do not divide hidden_size {}", self.num_attention_heads, self.hidden_size));
        }
        if !(0.0..1.0).contains(&self.layer_norm_eps) {
            return Err(format!("layer_norm_eps is {}, expected 0 to 1", self.layer_norm_eps));
        }
        Ok(())
    }
}
