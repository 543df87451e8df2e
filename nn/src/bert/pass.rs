//! [`EncoderPass`]: a forward pass that an encoder learns from, and the way back from a loss on its states.

use std::ops::Range;

use candle_core::backprop::GradStore;
use candle_core::{Device as CandleDevice, Tensor, Var};

use super::backward::{Backward, Kept};
use super::layer::Inside;
use super::learning::{EMBEDDING_NORM, Learning, LearningMemory, WORDS};
use super::{Bert, Run};
use crate::decoder::rows::Rows;
use crate::ops::layer_norm_to;
use crate::{Error, Gradients, Packed, Parameter, Result};

/// The last hidden states of a batch, and what the backward pass needs.
#[derive(Debug)]
pub struct EncoderPass {
    /// (T, D), a variable to build a head and a loss on.
    pub states: Tensor,
    batch: Packed,
    layers: Vec<Kept>,
}

impl EncoderPass {
    /// The tokens that it went over.
    pub fn batch(&self) -> &Packed {
        &self.batch
    }

    /// The state of the first token of each sequence, (N, D), differentiable.
    ///
    /// # Errors
    /// [`Error::Shape`] for a sequence of no tokens.
    pub fn first_states(&self) -> Result<Tensor> {
        let starts: Vec<u32> = self.batch.sequences().map(|rows| rows.start as u32).collect();
        if self.batch.sequences().any(|rows| rows.is_empty()) {
            return Err(Error::Shape("a sequence of no tokens has no first one".to_owned()));
        }
        Ok(self.states.index_select(&Tensor::new(starts, &CandleDevice::Cpu)?, 0)?)
    }
}

impl Bert {
    /// A pass over `batch` that can be learned from, on the threads given to [`Bert::train`]. The states
    /// have the bits of [`Bert::forward`].
    ///
    /// # Errors
    /// [`Error::Shape`] before [`Bert::train`], and as [`Bert::forward`].
    pub fn pass(&self, batch: &Packed) -> Result<EncoderPass> {
        let learning = self.learning()?;
        let LearningMemory { forward: memory, .. } = &mut *learning.memory();
        let sequences: Vec<Range<usize>> = batch.sequences().collect();
        let run = Run { bert: self, team: &learning.team, sequences: &sequences };
        let (tokens, width) = (batch.ids().len(), self.config.hidden_size);
        if tokens == 0 {
            return Err(Error::Shape("the batch has no tokens".to_owned()));
        }
        let mut hidden = memory.pool.take(tokens * width); // (T, D)
        self.embed(batch, &mut hidden)?;
        let mut normal = memory.pool.take(hidden.len());
        self.normalise_to(learning, &hidden, &mut normal);
        memory.pool.give(std::mem::replace(&mut hidden, normal));
        let keeps = learning.keeps(&self.config, tokens);
        let mut layers = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            if keeps {
                let mut inside = Inside::new(&mut memory.pool, &self.config, tokens, &hidden);
                layer.forward(run, memory, &mut hidden, Some(&mut inside));
                layers.push(Kept::Inside(Box::new(inside)));
            } else {
                layers.push(Kept::Input(memory.pool.copy(hidden.get())));
                layer.forward(run, memory, &mut hidden, None);
            }
        }
        let states = Var::from_vec(hidden.get().to_vec(), (tokens, width), &CandleDevice::Cpu)?;
        memory.pool.give(hidden);
        Ok(EncoderPass { states: states.as_tensor().clone(), batch: batch.clone(), layers })
    }

    /// Adds the gradients of `loss`, a scalar made of `pass.states` and of the variables of `head`, to
    /// `gradients`, which are made for the encoder's parameters and after them those of `head`.
    ///
    /// # Errors
    /// [`Error::Shape`] before [`Bert::train`], when the loss does not depend on the states, or when the
    /// gradients are made for other parameters.
    pub fn backward(
        &self,
        pass: EncoderPass,
        loss: &Tensor,
        head: &[Parameter],
        gradients: &mut Gradients,
    ) -> Result<()> {
        let learning = self.learning()?;
        let parameters: Vec<Parameter> = learning.parameters.iter().chain(head).cloned().collect();
        if !gradients.fits(&parameters) {
            return Err(Error::Shape("the gradients are made for other parameters".to_owned()));
        }
        let store = loss.backward()?;
        let Some(slopes) = store.get(&pass.states) else {
            return Err(Error::Shape("the loss does not depend on the states of this pass".to_owned()));
        };
        add_head(&store, head, learning.parameters.len(), gradients)?;
        self.backward_from(pass, &slopes.flatten_all()?.to_vec1()?, gradients)
    }

    /// From the slopes of a loss along the states, (T, D).
    fn backward_from(&self, pass: EncoderPass, slopes: &[f32], gradients: &mut Gradients) -> Result<()> {
        let learning = self.learning()?;
        let EncoderPass { batch, layers, .. } = pass;
        let width = self.config.hidden_size;
        if layers.len() != self.layers.len() || slopes.len() != batch.ids().len() * width {
            return Err(Error::Shape("this pass was made by another encoder".to_owned()));
        }
        let sequences: Vec<Range<usize>> = batch.sequences().collect();
        let run = Run { bert: self, team: &learning.team, sequences: &sequences };
        let LearningMemory { forward: memory, backward } = &mut *learning.memory();
        let mut d = memory.pool.copy(slopes); // (T, D)
        for (number, kept) in layers.into_iter().enumerate().rev() {
            let inside = match kept {
                Kept::Inside(inside) => *inside,
                Kept::Input(mut hidden) => {
                    let mut inside = Inside::new(&mut memory.pool, &self.config, batch.ids().len(), &hidden);
                    self.layers[number].forward(run, memory, &mut hidden, Some(&mut inside));
                    memory.pool.give(hidden);
                    inside
                }
            };
            Backward { run, pool: &mut memory.pool, memory: &mut *backward, gradients: &mut *gradients }
                .layer(number, inside, &mut d);
        }
        let mut before = memory.pool.take(d.len());
        self.embed(&batch, &mut before)?;
        let mut last = Backward { run, pool: &mut memory.pool, memory: backward, gradients: &mut *gradients };
        last.norm(&before, &self.embeddings.norm, EMBEDDING_NORM, &mut d);
        memory.pool.give(before);
        let table = |slot: usize, number: usize, row: &[f32], gradients: &mut Gradients| {
            for (sum, value) in gradients.get_mut(slot)[number * width..][..width].iter_mut().zip(row) {
                *sum += value;
            }
        };
        let mut rows = d.get().chunks_exact(width);
        for sequence in sequences {
            for ((position, token), row) in sequence.enumerate().zip(&mut rows) {
                for (slot, number) in
                    (WORDS..).zip([batch.ids()[token] as usize, position, batch.types()[token] as usize])
                {
                    table(slot, number, row, gradients);
                }
            }
        }
        memory.pool.give(d);
        Ok(())
    }

    fn normalise_to(&self, learning: &Learning, x: &Rows, out: &mut Rows) {
        let (norm, epsilon) = (&self.embeddings.norm, self.config.layer_norm_eps);
        layer_norm_to(self.isa, &learning.team, x.get(), &norm.gain, &norm.bias, epsilon, out.get_mut());
    }
}

/// Adds what the loss says of the head's variables, whose first number is `first`.
fn add_head(store: &GradStore, head: &[Parameter], first: usize, gradients: &mut Gradients) -> Result<()> {
    for (number, parameter) in (first..).zip(head) {
        let Some(slopes) = store.get(&parameter.var) else { continue };
        let slopes: Vec<f32> = slopes.flatten_all()?.to_vec1()?;
        for (sum, value) in gradients.get_mut(number).iter_mut().zip(slopes) {
            *sum += value;
        }
    }
    Ok(())
}
