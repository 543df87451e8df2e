//! [`Bert`]: the encoder of BERT (arXiv 1810.04805) over packed sequences.
//!
//! One definition for sentence vectors and for relevance. Weights are laid out for the product at
//! load time: queries, keys and values are one layer, with the scale of attention folded into the
//! queries. T tokens of a batch stand in T rows whatever sequences they belong to; only attention
//! looks at sequences.

use std::path::Path;

use candle_core::{Device as CandleDevice, Tensor};

use crate::ops::{After, Attention, Isa, Linear, attention, layer_norm};
use crate::{BertConfig, Error, Packed, Result, Weights};

/// Encoder weights.
#[derive(Debug)]
pub struct Bert {
    config: BertConfig,
    isa: Isa,
    /// (vocabulary, D)
    words: Vec<f32>,
    /// (positions, D)
    positions: Vec<f32>,
    /// (segments, D)
    segments: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
}

#[derive(Debug)]
struct Norm {
    gain: Vec<f32>,
    bias: Vec<f32>,
}

#[derive(Debug)]
struct Layer {
    /// (D) to (3 D)
    qkv: Linear,
    /// (D) to (D)
    output: Linear,
    attention_norm: Norm,
    /// (D) to (F)
    up: Linear,
    /// (F) to (D)
    down: Linear,
    norm: Norm,
}

/// Memory that forward passes reuse; one for each thread.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// (T, D): the residual stream, and the result.
    hidden: Vec<f32>,
    /// (T, 3 D)
    qkv: Vec<f32>,
    /// (T, D)
    mixed: Vec<f32>,
    /// (rows of one block, F)
    wide: Vec<f32>,
    attention: Attention,
}

/// Rows that go through both layers of the feed-forward net at a time, so that what lies between
/// them never leaves the second-level cache.
const BLOCK: usize = 96;

impl Bert {
    /// Opens the encoder of the model folder `dir`.
    ///
    /// # Errors
    /// [`Error::Config`] for a configuration that is damaged or of another architecture,
    /// [`Error::Weights`] for weights that do not fit it, [`Error::Io`] for unreadable files.
    pub fn load(dir: &Path) -> Result<Self> {
        Self::from_weights(&BertConfig::open(dir)?, &Weights::open(dir)?)
    }

    /// Takes the encoder from opened weights, whose names may start with `bert.`.
    ///
    /// # Errors
    /// [`Error::Weights`] for a tensor that is missing or of another shape.
    pub fn from_weights(config: &BertConfig, weights: &Weights) -> Result<Self> {
        let prefix = if weights.contains("bert.embeddings.word_embeddings.weight") { "bert." } else { "" };
        let reader = Reader { weights, prefix, width: config.hidden_size };
        let width = config.hidden_size;
        let table = |name: &str, rows| weights.floats(&format!("{prefix}embeddings.{name}.weight"), &[rows, width]);
        Ok(Self {
            config: config.clone(),
            isa: Isa::detect(),
            words: table("word_embeddings", config.vocab_size)?,
            positions: table("position_embeddings", config.max_position_embeddings)?,
            segments: table("token_type_embeddings", config.type_vocab_size)?,
            norm: reader.norm("embeddings.LayerNorm")?,
            layers: (0..config.num_hidden_layers)
                .map(|layer| Layer::load(&reader, layer, config))
                .collect::<Result<_>>()?,
        })
    }

    /// What the encoder was built from.
    pub fn config(&self) -> &BertConfig {
        &self.config
    }

    /// The instructions it computes with.
    pub(crate) fn isa(&self) -> Isa {
        self.isa
    }

    /// The last hidden state of every token of `batch`, (T, D), on the calling thread.
    ///
    /// # Errors
    /// [`Error::Shape`] for an id or a segment that the embedding lacks, or a sequence longer than
    /// the encoder has positions.
    pub fn forward(&self, batch: &Packed) -> Result<Tensor> {
        let mut memory = Memory::default();
        let hidden = self.hidden(batch, &mut memory)?.to_vec();
        Ok(Tensor::from_vec(hidden, (batch.ids().len(), self.config.hidden_size), &CandleDevice::Cpu)?)
    }

    /// [`Bert::forward`] into reused memory.
    pub(crate) fn hidden<'a>(&self, batch: &Packed, memory: &'a mut Memory) -> Result<&'a [f32]> {
        let width = self.config.hidden_size;
        self.embed(batch, &mut memory.hidden)?;
        let tokens = batch.ids().len();
        memory.qkv.resize(tokens * 3 * width, 0.0);
        memory.mixed.resize(tokens * width, 0.0);
        for layer in &self.layers {
            layer.forward(self, batch, memory);
        }
        Ok(&memory.hidden)
    }

    /// Sum of the embeddings of word, position and segment, normalised: (T, D).
    fn embed(&self, batch: &Packed, hidden: &mut Vec<f32>) -> Result<()> {
        let width = self.config.hidden_size;
        hidden.clear();
        hidden.reserve(batch.ids().len() * width);
        for sequence in batch.sequences() {
            for (position, token) in sequence.enumerate() {
                let word = row(&self.words, width, batch.ids()[token] as usize, "token id")?;
                let place = row(&self.positions, width, position, "position")?;
                let segment = row(&self.segments, width, batch.types()[token] as usize, "segment")?;
                hidden
                    .extend(word.iter().zip(place).zip(segment).map(|((word, place), segment)| word + place + segment));
            }
        }
        self.normalise(hidden, &self.norm);
        Ok(())
    }

    fn normalise(&self, rows: &mut [f32], norm: &Norm) {
        layer_norm(self.isa, rows, &norm.gain, &norm.bias, self.config.layer_norm_eps);
    }
}

fn row<'a>(table: &'a [f32], width: usize, number: usize, what: &str) -> Result<&'a [f32]> {
    table
        .chunks_exact(width)
        .nth(number)
        .ok_or_else(|| Error::Shape(format!("{what} {number} is beyond the {} of the encoder", table.len() / width)))
}

impl Layer {
    fn load(reader: &Reader<'_>, number: usize, config: &BertConfig) -> Result<Self> {
        let (width, wide) = (config.hidden_size, config.intermediate_size);
        let name = |part: &str| format!("encoder.layer.{number}.{part}");
        let scale = 1.0 / ((width / config.num_attention_heads) as f32).sqrt();
        let (mut weight, mut bias) = reader.parts(&name("attention.self.query"), width, width)?;
        for value in weight.iter_mut().chain(&mut bias) {
            *value *= scale;
        }
        for part in ["key", "value"] {
            let (more, offset) = reader.parts(&name(&format!("attention.self.{part}")), width, width)?;
            weight.extend(more);
            bias.extend(offset);
        }
        Ok(Self {
            qkv: Linear::new(&weight, &bias, width),
            output: reader.linear(&name("attention.output.dense"), width, width)?,
            attention_norm: reader.norm(&name("attention.output.LayerNorm"))?,
            up: reader.linear(&name("intermediate.dense"), width, wide)?,
            down: reader.linear(&name("output.dense"), wide, width)?,
            norm: reader.norm(&name("output.LayerNorm"))?,
        })
    }

    /// hidden = norm(hidden + output(attention(hidden))); hidden = norm(hidden + down(gelu(up(hidden))))
    fn forward(&self, bert: &Bert, batch: &Packed, memory: &mut Memory) {
        let Memory { hidden, qkv, mixed, wide, attention: scratch } = memory;
        let (isa, width) = (bert.isa, bert.config.hidden_size);
        self.qkv.forward(isa, hidden, qkv, After::Nothing); // (T, 3 D)
        for sequence in batch.sequences() {
            let qkv = &qkv[sequence.start * 3 * width..sequence.end * 3 * width]; // (L, 3 D)
            let mixed = &mut mixed[sequence.start * width..sequence.end * width]; // (L, D)
            attention(isa, scratch, bert.config.num_attention_heads, width, qkv, mixed);
        }
        wide.resize(BLOCK * self.up.outputs(), 0.0);
        for (hidden, mixed) in hidden.chunks_mut(BLOCK * width).zip(mixed.chunks(BLOCK * width)) {
            self.output.forward(isa, mixed, hidden, After::Add); // (block, D)
            bert.normalise(hidden, &self.attention_norm);
            let wide = &mut wide[..hidden.len() / width * self.up.outputs()];
            self.up.forward(isa, hidden, wide, After::Gelu); // (block, F)
            self.down.forward(isa, wide, hidden, After::Add); // (block, D)
            bert.normalise(hidden, &self.norm);
        }
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

    fn parts(&self, name: &str, inputs: usize, outputs: usize) -> Result<(Vec<f32>, Vec<f32>)> {
        let Self { weights, prefix, .. } = self;
        let weight = weights.floats(&format!("{prefix}{name}.weight"), &[outputs, inputs])?;
        Ok((weight, weights.floats(&format!("{prefix}{name}.bias"), &[outputs])?))
    }

    fn linear(&self, name: &str, inputs: usize, outputs: usize) -> Result<Linear> {
        let (weight, bias) = self.parts(name, inputs, outputs)?;
        Ok(Linear::new(&weight, &bias, inputs))
    }
}
