//! [`Learning`]: the weights of an encoder that learns, where their gradients stand, and how new values
//! reach what computes.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::backward::BackwardMemory;
use super::layer::{Inside, LINEAR_NAMES, Memory, NORM_NAMES};
use super::{Bert, Embeddings};
use crate::ops::Team;
use crate::{BertConfig, Device, Error, Parameter, Recompute, Result};

/// Bytes that a pass may keep before layers are computed again.
const KEPT: usize = 1 << 30;

/// Number of the word embedding among the parameters; positions and segments follow.
pub(super) const WORDS: usize = 0;
/// Number of the gain of the norm over the embeddings; its bias follows.
pub(super) const EMBEDDING_NORM: usize = 3;
/// Parameters before those of the first layer.
const EMBEDDINGS: usize = 5;
/// Parameters of a layer: the weights of its linear layers, their biases, then gain and bias of each norm.
const LAYER: usize = 16;
/// Among a layer's linear layers, queries; keys and values follow.
pub(super) const QKV: usize = 0;
pub(super) const OUTPUT: usize = 3;
pub(super) const UP: usize = 4;
pub(super) const DOWN: usize = 5;
/// How many linear layers a layer has.
const LINEARS: usize = 6;
/// Among a layer's norms.
pub(super) const ATTENTION_NORM: usize = 0;
pub(super) const LAST_NORM: usize = 1;

/// The number of the weight of a linear layer of layer `layer`.
pub(super) fn weight(layer: usize, linear: usize) -> usize {
    EMBEDDINGS + layer * LAYER + linear
}

/// The number of its bias.
pub(super) fn bias(layer: usize, linear: usize) -> usize {
    weight(layer, linear) + LINEARS
}

/// The number of the gain of a norm; its bias follows.
pub(super) fn gain(layer: usize, norm: usize) -> usize {
    weight(layer, 2 * LINEARS) + 2 * norm
}

/// What learns.
#[derive(Debug)]
pub(super) struct Learning {
    pub(super) team: Team,
    pub(super) recompute: Recompute,
    pub(super) parameters: Vec<Parameter>,
    memory: Mutex<LearningMemory>,
}

/// Memory that passes reuse.
#[derive(Debug, Default)]
pub(super) struct LearningMemory {
    pub(super) forward: Memory,
    pub(super) backward: BackwardMemory,
}

impl Bert {
    /// Makes all weights learn, a pooler's apart, and gives them in a fixed order, by the names that they
    /// are saved with. Passes run on the threads of `device`. What learned before is given again with the
    /// values it has.
    ///
    /// # Errors
    /// [`Error::Shape`] on an accelerator.
    pub fn train(&mut self, device: Device, recompute: Recompute) -> Result<Vec<Parameter>> {
        let Some(threads) = device.processor() else {
            return Err(Error::Shape("an encoder learns on the processor: name that device".to_owned()));
        };
        if let Some(learning) = &mut self.learning {
            learning.recompute = recompute;
            return Ok(learning.parameters.clone());
        }
        let parameters = self.parameters()?;
        let (team, memory) = (Team::new(threads), Mutex::default());
        self.learning = Some(Learning { team, recompute, parameters: parameters.clone(), memory });
        Ok(parameters)
    }

    /// Lets the names of all weights begin with `bert.`, and leaves the pooler to a head.
    pub(crate) fn stand_beside_a_head(&mut self) {
        self.prefix = "bert.";
        self.pooler = None;
    }

    /// All weights as variables.
    fn parameters(&self) -> Result<Vec<Parameter>> {
        let width = self.config.hidden_size;
        let mut parameters = Vec::new();
        let mut push = |name: &str, values: &[f32], shape: &[usize]| -> Result<()> {
            parameters.push(Parameter::new(format!("{}{name}", self.prefix), values.to_vec(), shape)?);
            Ok(())
        };
        let Embeddings { words, positions, segments, norm } = &self.embeddings;
        for (name, table) in [("word", words), ("position", positions), ("token_type", segments)] {
            push(&format!("embeddings.{name}_embeddings.weight"), table, &[table.len() / width, width])?;
        }
        push("embeddings.LayerNorm.weight", &norm.gain, &[width])?;
        push("embeddings.LayerNorm.bias", &norm.bias, &[width])?;
        for (number, layer) in self.layers.iter().enumerate() {
            let name = |part: &str| format!("encoder.layer.{number}.{part}");
            for (part, linear) in LINEAR_NAMES.iter().zip(layer.linears()) {
                push(&name(&format!("{part}.weight")), &linear.weight(), &[linear.outputs(), linear.inputs()])?;
            }
            for (part, linear) in LINEAR_NAMES.iter().zip(layer.linears()) {
                push(&name(&format!("{part}.bias")), linear.bias(), &[linear.outputs()])?;
            }
            for (part, norm) in NORM_NAMES.iter().zip([&layer.attention_norm, &layer.norm]) {
                push(&name(&format!("{part}.weight")), &norm.gain, &[width])?;
                push(&name(&format!("{part}.bias")), &norm.bias, &[width])?;
            }
        }
        Ok(parameters)
    }

    /// Carries the present values of what learns over to what computes. To be called after each change
    /// of the variables, before the next pass.
    ///
    /// # Errors
    /// [`Error::Shape`] when a variable is no longer what [`Bert::train`] gave.
    pub fn refresh(&mut self) -> Result<()> {
        let Some(Learning { team, parameters, .. }) = &self.learning else {
            return Ok(());
        };
        let copy = |number: usize, to: &mut [f32]| parameters[number].read(|values| to.copy_from_slice(values));
        let Embeddings { words, positions, segments, norm } = &mut self.embeddings;
        for (number, table) in (WORDS..).zip([words, positions, segments, &mut norm.gain, &mut norm.bias]) {
            copy(number, table)?;
        }
        for (number, layer) in self.layers.iter_mut().enumerate() {
            for (place, linear) in layer.linears_mut().into_iter().enumerate() {
                parameters[weight(number, place)].read(|values| linear.set_weight(team, values))?;
                parameters[bias(number, place)].read(|values| linear.set_bias(values))?;
            }
            for (place, norm) in [&mut layer.attention_norm, &mut layer.norm].into_iter().enumerate() {
                copy(gain(number, place), &mut norm.gain)?;
                copy(gain(number, place) + 1, &mut norm.bias)?;
            }
        }
        Ok(())
    }

    pub(super) fn learning(&self) -> Result<&Learning> {
        let learning = self.learning.as_ref();
        learning.ok_or_else(|| Error::Shape("nothing learns yet: call `train` first".to_owned()))
    }
}

impl Learning {
    pub(super) fn memory(&self) -> MutexGuard<'_, LearningMemory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the insides of all layers are kept for so many tokens.
    pub(super) fn keeps(&self, config: &BertConfig, tokens: usize) -> bool {
        match self.recompute {
            Recompute::On => false,
            Recompute::Off => true,
            Recompute::Auto => {
                let bytes = Inside::bytes(config).saturating_mul(config.num_hidden_layers);
                bytes.saturating_mul(tokens) <= KEPT
            }
        }
    }
}
