//! [`Bert`]: the encoder of BERT (arXiv 1810.04805) over packed sequences, which serves and learns.
//!
//! One definition for sentence vectors, for relevance and for classes. T tokens of a batch stand in T
//! rows whatever sequences they belong to; only attention looks at sequences. A layer is written once
//! (`layer`): serving runs it on the calling thread, learning on a team of threads, keeping what
//! `backward` needs to take a gradient down through it again.
//!
//! Deviation from the paper: nothing is dropped out, in serving or in learning.

mod backward;
mod layer;
mod learning;
mod load;
mod pass;
mod save;

use std::ops::Range;
use std::path::{Path, PathBuf};

use candle_core::{Device as CandleDevice, Tensor};

use self::layer::Layer;
pub(crate) use self::layer::Memory;
use self::learning::Learning;
pub use self::pass::EncoderPass;
use crate::decoder::rows::Rows;
use crate::ops::{Isa, Linear, Team, layer_norm};
use crate::{BertConfig, Error, Packed, Result, Weights};

/// Encoder weights.
#[derive(Debug)]
pub struct Bert {
    config: BertConfig,
    isa: Isa,
    /// Where it was read from.
    folder: PathBuf,
    /// What the names of its weights begin with.
    prefix: &'static str,
    embeddings: Embeddings,
    layers: Vec<Layer>,
    /// (D) to (D), where the folder has one; it takes no part in the hidden states.
    pooler: Option<Linear>,
    /// The calling thread.
    alone: Team,
    learning: Option<Learning>,
}

#[derive(Debug)]
struct Embeddings {
    /// (vocabulary, D)
    words: Vec<f32>,
    /// (positions, D)
    positions: Vec<f32>,
    /// (segments, D)
    segments: Vec<f32>,
    norm: Norm,
}

#[derive(Debug)]
struct Norm {
    gain: Vec<f32>,
    bias: Vec<f32>,
}

/// The rows of one batch, and who computes them.
#[derive(Clone, Copy)]
struct Run<'a> {
    bert: &'a Bert,
    team: &'a Team,
    sequences: &'a [Range<usize>],
}

impl Bert {
    /// Opens the encoder of the model folder `dir`.
    ///
    /// # Errors
    /// [`Error::Config`] for a configuration that is damaged or of another architecture,
    /// [`Error::Weights`] for weights that do not fit it, [`Error::Io`] for unreadable files.
    pub fn load(dir: &Path) -> Result<Self> {
        Self::from_weights(dir, &BertConfig::open(dir)?, &Weights::open(dir)?)
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
        let sequences: Vec<Range<usize>> = batch.sequences().collect();
        let run = Run { bert: self, team: &self.alone, sequences: &sequences };
        let before = memory.take_result();
        memory.pool.give(before);
        let mut hidden = memory.pool.take(batch.ids().len() * self.config.hidden_size); // (T, D)
        self.embed(batch, &mut hidden)?;
        self.normalise(hidden.get_mut(), &self.embeddings.norm);
        for layer in &self.layers {
            layer.forward(run, memory, &mut hidden, None);
        }
        Ok(memory.keep_result(hidden))
    }

    /// Sum of the embeddings of word, position and segment, not yet normalised: (T, D).
    fn embed(&self, batch: &Packed, hidden: &mut Rows) -> Result<()> {
        let width = self.config.hidden_size;
        let Embeddings { words, positions, segments, .. } = &self.embeddings;
        let mut rows = hidden.get_mut().chunks_exact_mut(width);
        for sequence in batch.sequences() {
            for ((position, token), out) in sequence.enumerate().zip(&mut rows) {
                let word = row(words, width, batch.ids()[token] as usize, "token id")?;
                let place = row(positions, width, position, "position")?;
                let segment = row(segments, width, batch.types()[token] as usize, "segment")?;
                for (((out, word), place), segment) in out.iter_mut().zip(word).zip(place).zip(segment) {
                    *out = word + place + segment;
                }
            }
        }
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
