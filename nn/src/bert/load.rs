//! Reading an encoder's tensors by the names that files give them.

use std::num::NonZero;
use std::path::Path;

use super::layer::{LINEAR_NAMES, Layer, NORM_NAMES};
use super::learning::{ATTENTION_NORM, DOWN, LAST_NORM, OUTPUT, QKV, UP};
use super::{Bert, Embeddings, Norm};
use crate::ops::{Isa, Linear, Team};
use crate::{BertConfig, Result, Weights};

impl Bert {
    /// Takes the encoder of the folder `dir` from its opened weights, whose names may start with `bert.`.
    ///
    /// # Errors
    /// [`Error::Weights`](crate::Error::Weights) for a tensor that is missing or of another shape.
    pub(crate) fn from_weights(dir: &Path, config: &BertConfig, weights: &Weights) -> Result<Self> {
        let prefix = if weights.contains("bert.embeddings.word_embeddings.weight") { "bert." } else { "" };
        let reader = Reader { weights, prefix, width: config.hidden_size };
        let width = config.hidden_size;
        let table = |name: &str, rows| weights.floats(&format!("{prefix}embeddings.{name}.weight"), &[rows, width]);
        let has_pooler = weights.contains(&format!("{prefix}pooler.dense.weight"));
        Ok(Self {
            config: config.clone(),
            isa: Isa::detect(),
            folder: dir.to_owned(),
            prefix,
            embeddings: Embeddings {
                words: table("word_embeddings", config.vocab_size)?,
                positions: table("position_embeddings", config.max_position_embeddings)?,
                segments: table("token_type_embeddings", config.type_vocab_size)?,
                norm: reader.norm("embeddings.LayerNorm")?,
            },
            layers: (0..config.num_hidden_layers)
                .map(|layer| Layer::load(&reader, layer, config))
                .collect::<Result<_>>()?,
            pooler: has_pooler.then(|| reader.linear("pooler.dense", width, width)).transpose()?,
            alone: Team::new(NonZero::<usize>::MIN),
            learning: None,
        })
    }
}

impl Layer {
    fn load(reader: &Reader<'_>, number: usize, config: &BertConfig) -> Result<Self> {
        let (width, wide) = (config.hidden_size, config.intermediate_size);
        let linear = |place: usize, inputs, outputs| {
            reader.linear(&format!("encoder.layer.{number}.{}", LINEAR_NAMES[place]), inputs, outputs)
        };
        let norm = |place: usize| reader.norm(&format!("encoder.layer.{number}.{}", NORM_NAMES[place]));
        Ok(Self {
            qkv: [linear(QKV, width, width)?, linear(QKV + 1, width, width)?, linear(QKV + 2, width, width)?],
            output: linear(OUTPUT, width, width)?,
            attention_norm: norm(ATTENTION_NORM)?,
            up: linear(UP, width, wide)?,
            down: linear(DOWN, wide, width)?,
            norm: norm(LAST_NORM)?,
        })
    }
}

/// Reads layers by their name in the folder.
#[derive(Clone, Copy)]
struct Reader<'a> {
    weights: &'a Weights,
    prefix: &'a str,
    width: usize,
}

impl Reader<'_> {
    fn norm(&self, name: &str) -> Result<Norm> {
        let Self { weights, prefix, width } = self;
        // Checkpoints converted from TensorFlow call gain and bias gamma and beta.
        let old = weights.contains(&format!("{prefix}{name}.gamma"));
        let (gain, bias) = if old { ("gamma", "beta") } else { ("weight", "bias") };
        Ok(Norm {
            gain: weights.floats(&format!("{prefix}{name}.{gain}"), &[*width])?,
            bias: weights.floats(&format!("{prefix}{name}.{bias}"), &[*width])?,
        })
    }

    fn linear(&self, name: &str, inputs: usize, outputs: usize) -> Result<Linear> {
        let Self { weights, prefix, .. } = self;
        let weight = weights.floats(&format!("{prefix}{name}.weight"), &[outputs, inputs])?;
        let bias = weights.floats(&format!("{prefix}{name}.bias"), &[outputs])?;
        Ok(Linear::new(&weight, &bias, inputs))
    }
}
