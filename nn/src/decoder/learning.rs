//! [`Learning`]: which weights of a decoder learn, and where their gradients stand.

use candle_core::{Device as CandleDevice, Tensor, Var};

use super::Decoder;
use super::linear::Linear;
use super::load::{Layout, Source};
use crate::{Error, Gradients, Result};

/// Which weights learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trainable {
    /// Those of the adapter that is on.
    Adapter,
    /// All of the decoder's own.
    All,
}

/// Whether the backward pass computes the inside of a layer again, instead of having kept it. The
/// gradients have the same bits either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recompute {
    /// Where a batch would keep more than a gibibyte.
    #[default]
    Auto,
    /// Always: a layer keeps its input alone.
    On,
    /// Never.
    Off,
}

/// A weight that learns. Clones share the variable.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// As in the file of weights, or in PEFT's.
    pub name: String,
    /// `f32`; [`Decoder::refresh`] carries its values over to what computes.
    pub var: Var,
}

/// What learns, and the numbers of its parameters.
#[derive(Debug)]
pub(super) struct Learning {
    pub(super) what: Trainable,
    pub(super) recompute: Recompute,
    pub(super) parameters: Vec<Parameter>,
    pub(super) slots: Slots,
}

/// Numbers of the parameters that are not in linear layers of a layer, and the layers.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// Also the head's, where it is tied.
    pub(super) embedding: Option<usize>,
    pub(super) layers: Vec<LayerSlots>,
    pub(super) norm: Option<usize>,
    pub(super) head: Option<usize>,
}

/// Numbers of one layer's parameters.
#[derive(Debug, Default)]
pub(super) struct LayerSlots {
    pub(super) attention_norm: Option<usize>,
    /// Of queries; that of keys follows.
    pub(super) head_norms: Option<usize>,
    pub(super) feed_norm: Option<usize>,
    /// By place.
    pub(super) linears: [LinearSlot; 4],
}

/// The first of the parameters of layers that stand side by side.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum LinearSlot {
    #[default]
    Nothing,
    /// All weights, then all biases.
    Weights(usize),
    /// A of all parts that have LoRA, then B of all.
    Lora(usize),
}

/// Collects parameters.
struct Collector<'a> {
    source: &'a Source<'a>,
    parameters: Vec<Parameter>,
}

impl Collector<'_> {
    /// A parameter with the values of the file; its number.
    fn read(&mut self, name: String, shape: &[usize]) -> Result<usize> {
        let tensor = self.source.wide(&name, shape)?;
        self.parameters.push(Parameter { name, var: Var::from_tensor(&tensor)? });
        Ok(self.parameters.len() - 1)
    }

    fn linear(&mut self, linear: &Linear) -> Result<LinearSlot> {
        let first = self.parameters.len();
        for part in &linear.parts {
            self.read(format!("{}.weight", part.name), &[part.outputs, linear.inputs])?;
        }
        for part in linear.parts.iter().filter(|_| linear.has_bias) {
            self.read(format!("{}.bias", part.name), &[part.outputs])?;
        }
        Ok(LinearSlot::Weights(first))
    }
}

impl Decoder {
    /// Makes weights learn and gives them in a fixed order. What learned before is given again with
    /// the values it has.
    ///
    /// # Errors
    /// [`Error::Shape`] for an adapter where none is on, for all weights while one is on, on an
    /// accelerator, or when other weights of this decoder have learned already; those of [`Decoder::load`].
    pub fn train(&mut self, what: Trainable, recompute: Recompute) -> Result<Vec<Parameter>> {
        let refuse = |reason: &str| Err(Error::Shape(reason.to_owned()));
        if let Some(learning) = &mut self.learning {
            if learning.what != what {
                return refuse("other weights of this decoder learn already: save it and load what was saved");
            }
            learning.recompute = recompute;
            return Ok(learning.parameters.clone());
        }
        let (parameters, slots) = match (what, &self.adapter) {
            (Trainable::Adapter, None) => return refuse("there is no adapter to train: set one first"),
            (Trainable::All, Some(_)) => return refuse("an adapter is on: take it off to train all weights"),
            (Trainable::All, None) if matches!(self.layout, Layout::Dense) => {
                return refuse("all weights learn on the processor alone: train an adapter on an accelerator");
            }
            (Trainable::All, None) => self.all_parameters()?,
            (Trainable::Adapter, Some(_)) => {
                self.unmerge()?;
                self.adapter_parameters()
            }
        };
        self.learning = Some(Learning { what, recompute, parameters: parameters.clone(), slots });
        // Weights of 16 bits are widened before they learn.
        self.refresh()?;
        Ok(parameters)
    }

    fn all_parameters(&self) -> Result<(Vec<Parameter>, Slots)> {
        let config = &self.config;
        let source = Source::new(&self.weights, &CandleDevice::Cpu, &self.layout);
        let mut collector = Collector { source: &source, parameters: Vec::new() };
        let (width, size) = (config.hidden_size, config.head_dim);
        let table = format!("{}.weight", source.name("embed_tokens"));
        let mut slots =
            Slots { embedding: Some(collector.read(table, &[config.vocab_size, width])?), ..Slots::default() };
        for (number, layer) in self.layers.iter().enumerate() {
            let name = |part: &str| source.name(&format!("layers.{number}.{part}.weight"));
            let attention_norm = Some(collector.read(name("input_layernorm"), &[width])?);
            let qkv = collector.linear(&layer.qkv)?;
            let mut head_norms = None;
            if config.qk_norm {
                head_norms = Some(collector.read(name("self_attn.q_norm"), &[size])?);
                collector.read(name("self_attn.k_norm"), &[size])?;
            }
            let output = collector.linear(&layer.output)?;
            let feed_norm = Some(collector.read(name("post_attention_layernorm"), &[width])?);
            let linears = [qkv, output, collector.linear(&layer.gate_up)?, collector.linear(&layer.down)?];
            slots.layers.push(LayerSlots { attention_norm, head_norms, feed_norm, linears });
        }
        slots.norm = Some(collector.read(source.name("norm.weight"), &[width])?);
        slots.head = if config.tie_word_embeddings {
            slots.embedding
        } else {
            Some(collector.read("lm_head.weight".to_owned(), &[config.vocab_size, width])?)
        };
        Ok((collector.parameters, slots))
    }

    fn adapter_parameters(&self) -> (Vec<Parameter>, Slots) {
        let mut parameters = Vec::new();
        let mut slots = Slots::default();
        for layer in &self.layers {
            let mut of_layer = LayerSlots::default();
            for (linear, slot) in layer.linears().into_iter().zip(&mut of_layer.linears) {
                let first = parameters.len();
                for which in ["A", "B"] {
                    for part in &linear.parts {
                        let Some(lora) = &part.lora else { continue };
                        let var = if which == "A" { lora.a.clone() } else { lora.b.clone() };
                        parameters.push(Parameter { name: lora.name(which), var });
                    }
                }
                if parameters.len() > first {
                    *slot = LinearSlot::Lora(first);
                }
            }
            slots.layers.push(of_layer);
        }
        (parameters, slots)
    }

    /// Carries the present values of what learns over to what computes. To be called after each change
    /// of the variables, before the next pass.
    ///
    /// # Errors
    /// [`Error::Shape`] when a variable is no longer what [`Decoder::train`] gave.
    pub fn refresh(&mut self) -> Result<()> {
        let Some(learning) = &self.learning else {
            return self.adapter.as_ref().map_or(Ok(()), crate::Adapter::refresh);
        };
        let Slots { embedding, layers, norm, head } = &learning.slots;
        if learning.what == Trainable::Adapter {
            return self.adapter.as_ref().map_or(Ok(()), crate::Adapter::refresh);
        }
        let parameters = &learning.parameters;
        for (layer, slots) in self.layers.iter_mut().zip(layers) {
            layer.attention_norm.refresh(parameters, slots.attention_norm)?;
            layer.feed_norm.refresh(parameters, slots.feed_norm)?;
            if let Some((queries, keys)) = &mut layer.attention.norms {
                queries.refresh(parameters, slots.head_norms)?;
                keys.refresh(parameters, slots.head_norms.map(|slot| slot + 1))?;
            }
            for (linear, slot) in layer.linears_mut().into_iter().zip(slots.linears) {
                if let LinearSlot::Weights(first) = slot {
                    linear.refresh(&parameters[first..])?;
                }
            }
        }
        self.norm.refresh(parameters, *norm)?;
        if let Some(head) = head {
            self.head.refresh(&parameters[*head..])?;
        }
        if let Some(slot) = embedding {
            self.embedding.refresh(&parameters[*slot])?;
        }
        Ok(())
    }
}

impl Parameter {
    /// A weight on the processor.
    pub(crate) fn new(name: String, values: Vec<f32>, shape: &[usize]) -> Result<Self> {
        Ok(Self { name, var: Var::from_vec(values, shape, &CandleDevice::Cpu)? })
    }

    /// Calls `work` with the present values, row-major; of a variable on the processor.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&[f32]) -> T) -> Result<T> {
        let (storage, layout) = self.var.storage_and_layout();
        if let (candle_core::Storage::Cpu(values), Some((start, end))) = (&*storage, layout.contiguous_offsets()) {
            return Ok(work(&values.as_slice::<f32>()?[start..end]));
        }
        Err(Error::Shape(format!("`{}` is no longer in one piece on the processor", self.name)))
    }

    /// A copy of the present values.
    pub(super) fn tensor(&self) -> Result<Tensor> {
        Ok(self.var.as_detached_tensor().copy()?)
    }
}

impl Learning {
    /// Refuses gradients of other parameters.
    pub(super) fn check(&self, gradients: &Gradients) -> Result<()> {
        if gradients.fits(&self.parameters) {
            return Ok(());
        }
        Err(Error::Shape("the gradients are made for other parameters".to_owned()))
    }
}
