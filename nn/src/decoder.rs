//! [`Decoder`]: one definition of Llama, Mistral, Qwen2 and Qwen3, for serving and for training.
//!
//! A layer is written once (`layer`), against a handful of operations (`compute`) that are
//! carried out on slices of reused memory or on candle tensors. [`Pass`] is the only fork between
//! serving and training: serving keeps keys and values in a [`KvCache`], training keeps a gradient.
//!
//! On the processor, learning goes its own way, without a graph: a `tape` runs the layers on the
//! kernels of serving and keeps what `backward` needs to take the gradient of the log-probabilities
//! ([`LogProbs`]) down through them again. An accelerator does the same on a graph of candle's (`graph`).

mod backward;
mod compute;
mod config;
mod embedding;
mod footprint;
mod graph;
mod host;
mod layer;
mod learning;
mod linear;
mod load;
mod logprobs;
mod rope;
pub(crate) mod rows;
mod save;
mod tape;
mod tensors;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use candle_core::{DType, Device as CandleDevice, Tensor};

use self::compute::{Compute, Gain};
pub use self::config::{DecoderConfig, Family};
use self::embedding::Embedding;
use self::host::{Host, HostStore};
use self::layer::Layer;
use self::learning::Learning;
pub use self::learning::{Parameter, Recompute, Trainable};
use self::linear::{Linear, Weight};
use self::load::{Layout, Source};
pub use self::logprobs::{LogProbs, Scores};
pub use self::rope::{Rope, Stretch};
use self::tape::TapeMemory;
use self::tensors::{TensorStore, Tensors};
use crate::ops::{Isa, Team};
use crate::{Adapter, BLOCK, Batch, BlockId, Device, Error, KvCache, Result, Weights};

/// What a forward pass is for.
#[derive(Debug)]
pub enum Pass<'a> {
    /// Serving: reads and extends the cache.
    Infer(&'a mut KvCache),
    /// Training: no cache, every sequence from its beginning, with a gradient for LoRA.
    Grad,
}

/// Logits of the rows that a batch wanted, (rows, vocabulary).
#[derive(Debug)]
pub enum Logits<'a> {
    /// In the cache's memory, until its next use.
    Host(&'a [f32]),
    /// On a device, or with a gradient.
    Tensor(Tensor),
}

impl<'a> Logits<'a> {
    /// The values, row-major.
    ///
    /// # Errors
    /// [`Error::Candle`] when they cannot be copied from their device.
    pub fn host(self) -> Result<Cow<'a, [f32]>> {
        match self {
            Self::Host(values) => Ok(Cow::Borrowed(values)),
            Self::Tensor(tensor) => Ok(Cow::Owned(tensor.flatten_all()?.to_vec1()?)),
        }
    }

    /// A copy of the values, row-major.
    ///
    /// # Errors
    /// As [`Logits::host`].
    pub fn to_vec(self) -> Result<Vec<f32>> {
        self.host().map(Cow::into_owned)
    }
}

/// A language model: ids in, logits out. Immutable while it serves, shared between threads.
#[derive(Debug)]
pub struct Decoder {
    /// Where it was loaded from.
    folder: PathBuf,
    config: DecoderConfig,
    candle: CandleDevice,
    layout: Layout,
    /// The angle of one position for each pair of a head, (size / 2).
    frequencies: Vec<f32>,
    embedding: Embedding,
    layers: Vec<Layer>,
    norm: Gain,
    /// (D) to (vocabulary)
    head: Linear,
    adapter: Option<Adapter>,
    is_merged: bool,
    /// Where a merge reads the weights from, and its undoing.
    weights: Weights,
    /// What learns, once something does.
    learning: Option<Learning>,
    tape_memory: Mutex<TapeMemory>,
}

/// Storage of a [`KvCache`].
#[derive(Debug)]
pub(crate) enum Store {
    Host(HostStore),
    Tensors(TensorStore),
}

impl Store {
    pub(crate) fn new(decoder: &Decoder, blocks: usize) -> Result<Self> {
        match decoder.layout {
            Layout::Panels { .. } => Ok(Self::Host(HostStore::new(&decoder.config, blocks))),
            Layout::Dense => Ok(Self::Tensors(TensorStore::new(decoder, blocks)?)),
        }
    }

    pub(crate) fn copy(&mut self, from: BlockId, to: BlockId) -> Result<()> {
        match self {
            Self::Host(store) => {
                store.copy(from, to);
                Ok(())
            }
            Self::Tensors(store) => store.copy(from, to),
        }
    }

    /// Bytes that one block takes in all layers together, on the processor.
    pub(crate) fn bytes_per_block(config: &DecoderConfig) -> usize {
        HostStore::bytes_per_block(config)
    }
}

impl Decoder {
    /// Opens the decoder of the model folder `dir` on `device`.
    ///
    /// # Errors
    /// [`Error::Config`] for a configuration that is damaged or of another architecture,
    /// [`Error::Weights`] for weights that do not fit it, [`Error::Io`] for unreadable files.
    pub fn load(dir: &Path, device: Device) -> Result<Self> {
        let layout = match device.processor() {
            Some(threads) => Layout::Panels { isa: Isa::detect(), team: Arc::new(Team::new(threads)) },
            None => Layout::Dense,
        };
        Self::load_as(dir, device, layout)
    }

    fn load_as(dir: &Path, device: Device, layout: Layout) -> Result<Self> {
        let config = DecoderConfig::open(dir)?;
        let weights = Weights::open(dir)?;
        let candle = device.candle()?;
        let source = Source::new(&weights, &candle, &layout);
        let (width, vocabulary) = (config.hidden_size, config.vocab_size);
        let table = source.name("embed_tokens");
        let (embedding, head) = if config.tie_word_embeddings {
            (Embedding::Tied, table)
        } else {
            (Embedding::Own(source.table(&format!("{table}.weight"), vocabulary, width)?), "lm_head".to_owned())
        };
        let head = Linear::load(&source, None, &[(head, vocabulary)], width, false)?;
        let layers =
            (0..config.num_hidden_layers).map(|number| Layer::load(&source, &config, number)).collect::<Result<_>>()?;
        let norm = source.gain(&source.name("norm.weight"), width)?;
        let frequencies = config.rope.frequencies(config.head_dim);
        Ok(Self {
            folder: dir.to_owned(),
            config,
            candle,
            layout,
            frequencies,
            embedding,
            layers,
            norm,
            head,
            adapter: None,
            is_merged: false,
            weights,
            learning: None,
            tape_memory: Mutex::default(),
        })
    }

    /// What the decoder was built from.
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// Bytes of all weights in memory.
    pub fn bytes(&self) -> usize {
        let layers = self.layers.iter().map(Layer::bytes).sum::<usize>();
        self.embedding.bytes() + layers + self.head.bytes()
    }

    /// Bytes that one block of this decoder's cache takes in all layers together.
    pub fn bytes_per_block(&self) -> usize {
        match self.cache_type() {
            None => KvCache::bytes_per_block(&self.config),
            Some(dtype) => self.config.num_hidden_layers * 2 * BLOCK * self.config.key_width() * dtype.size_in_bytes(),
        }
    }

    /// Whether weights and cache are on an accelerator.
    pub(crate) fn is_on_accelerator(&self) -> bool {
        !self.candle.is_cpu()
    }

    /// The type of keys and values that are cached in tensors.
    fn cache_type(&self) -> Option<DType> {
        match &self.head.weight {
            Weight::Panels(_) => None,
            Weight::Dense(weight, _) => Some(weight.dtype()),
        }
    }

    /// Logits of the rows that `batch` wants, (rows, vocabulary).
    ///
    /// # Errors
    /// [`Error::Shape`] for a batch that names a token, a position or a block that is not there.
    pub fn forward<'a>(&self, batch: &Batch, pass: Pass<'a>) -> Result<Logits<'a>> {
        match pass {
            Pass::Grad => {
                batch.check(&self.config, None)?;
                if batch.rows() == 0 {
                    return Ok(Logits::Host(&[]));
                }
                Ok(Logits::Tensor(self.run(&mut Tensors::new(self, batch, None)?)?))
            }
            Pass::Infer(cache) => {
                batch.check(&self.config, Some(cache.blocks()))?;
                if batch.tokens() == 0 {
                    return Ok(Logits::Host(&[]));
                }
                match (&mut cache.store, &self.layout) {
                    (Store::Host(store), Layout::Panels { isa, team }) if store.fits(&self.config) => {
                        let logits = self.run(&mut Host::new(self, *isa, team, batch, store))?;
                        store.keep(logits);
                        Ok(Logits::Host(store.logits()))
                    }
                    (Store::Tensors(store), Layout::Dense) if store.fits(self) => {
                        let mut compute = Tensors::new(self, batch, Some(store))?;
                        if batch.rows() == 0 {
                            self.body(&mut compute)?;
                            return Ok(Logits::Host(&[]));
                        }
                        Ok(Logits::Tensor(self.run(&mut compute)?))
                    }
                    _ => Err(Error::Shape("the cache was made for a decoder of another shape or device".to_owned())),
                }
            }
        }
    }

    /// The last hidden states of all tokens, normalised, (T, D), with a gradient for LoRA.
    ///
    /// # Errors
    /// As [`Decoder::forward`].
    pub fn hidden(&self, batch: &Batch) -> Result<Tensor> {
        batch.check(&self.config, None)?;
        let mut compute = Tensors::new(self, batch, None)?;
        let hidden = self.body(&mut compute)?;
        compute.norm(&hidden, &self.norm)
    }

    /// Puts an adapter on, or takes it off. One that is merged is taken out of the weights first, and
    /// one that learns learns no more.
    ///
    /// # Errors
    /// [`Error::Shape`] when it was made for another model or all weights learn, and as [`Decoder::unmerge`].
    pub fn set_adapter(&mut self, adapter: Option<Adapter>) -> Result<()> {
        if self.learning.as_ref().is_some_and(|learning| learning.what == Trainable::All) && adapter.is_some() {
            let reason = "all weights of this decoder learn: save it and load that to put an adapter on";
            return Err(Error::Shape(reason.to_owned()));
        }
        let adapter = adapter.map(|adapter| adapter.attach(&self.config, &self.candle)).transpose()?;
        self.unmerge()?;
        for layer in &mut self.layers {
            layer.adapt(adapter.as_ref());
        }
        self.adapter = adapter;
        self.learning.take_if(|learning| learning.what == Trainable::Adapter);
        Ok(())
    }

    /// The adapter that is on.
    pub fn adapter(&self) -> Option<&Adapter> {
        self.adapter.as_ref()
    }

    /// Adds the adapter's present values to the weights, so that serving costs no more than without
    /// it. What is stored in bf16 is rounded to it again.
    ///
    /// # Errors
    /// [`Error::Shape`] without an adapter, and those of [`Decoder::load`].
    pub fn merge(&mut self) -> Result<()> {
        if self.adapter.is_none() {
            return Err(Error::Shape("there is no adapter to merge: set one first".to_owned()));
        }
        self.reload(true)
    }

    /// Takes a merged adapter out of the weights again, which then have the bits they were loaded
    /// with: they are read from the files again, which stay open for it. The adapter stays on.
    ///
    /// # Errors
    /// Those of [`Decoder::load`].
    pub fn unmerge(&mut self) -> Result<()> {
        if self.is_merged { self.reload(false) } else { Ok(()) }
    }

    fn reload(&mut self, merged: bool) -> Result<()> {
        let source = Source::new(&self.weights, &self.candle, &self.layout);
        // Whatever fails half-way, an undoing reads all layers again.
        self.is_merged = true;
        for linear in self.layers.iter_mut().flat_map(Layer::linears_mut) {
            linear.reload(&source, merged)?;
        }
        self.is_merged = merged;
        Ok(())
    }

    /// The adapter that the processor's kernels must add.
    fn served_adapter(&self) -> Option<&Adapter> {
        self.adapter.as_ref().filter(|_| !self.is_merged)
    }

    /// All rows after the last layer.
    fn body<C: Compute>(&self, compute: &mut C) -> Result<C::Rows> {
        let hidden = compute.embed()?; // (T, D)
        self.layers.iter().try_fold(hidden, |hidden, layer| layer.forward(compute, hidden, false))
    }

    /// The rows that are wanted after the last layer.
    fn trunk<C: Compute>(&self, compute: &mut C) -> Result<C::Rows> {
        let hidden = compute.embed()?; // (T, D)
        let last = self.layers.len() - 1;
        let mut layers = self.layers.iter().enumerate();
        layers.try_fold(hidden, |hidden, (number, layer)| layer.forward(compute, hidden, number == last)) // (rows, D)
    }

    /// The logits that are wanted.
    fn run<C: Compute>(&self, compute: &mut C) -> Result<C::Rows> {
        let hidden = self.trunk(compute)?; // (rows, D)
        compute.head(hidden) // (rows, vocabulary)
    }
}

#[cfg(test)]
mod tests;
