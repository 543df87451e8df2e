//! [`Compute`]: the operations that a layer is written in.

use super::layer::Attention;
use super::linear::Linear;
use crate::{Parameter, Result};

/// A gain of a normalisation, (D).
#[derive(Debug)]
pub(super) struct Gain {
    pub(super) values: Vec<f32>,
    pub(super) tensor: candle_core::Tensor,
}

impl Gain {
    /// Takes the values of the parameter of this number, where there is one.
    pub(super) fn refresh(&mut self, parameters: &[Parameter], slot: Option<usize>) -> Result<()> {
        let Some(parameter) = slot.map(|slot| &parameters[slot]) else {
            return Ok(());
        };
        parameter.read(|values| self.values.copy_from_slice(values))?;
        self.tensor = parameter.tensor()?;
        Ok(())
    }
}

/// What a decoder computes with, for one batch: on slices of reused memory, or on tensors.
/// `Rows` are (T, width); an operation that takes them by value may reuse their memory.
pub(super) trait Compute {
    type Rows;

    /// Rows of the embedding, (T, D).
    fn embed(&mut self) -> Result<Self::Rows>;
    /// Root-mean-square normalisation of each row.
    fn norm(&mut self, x: &Self::Rows, gain: &Gain) -> Result<Self::Rows>;
    /// The parts of a linear layer side by side.
    fn linear(&mut self, x: Self::Rows, linear: &Linear) -> Result<Self::Rows>;
    /// What a linear layer of one part gives, added to `residual`.
    fn add_linear(&mut self, x: Self::Rows, linear: &Linear, residual: Self::Rows) -> Result<Self::Rows>;
    /// Causal attention from (T, (H + 2 KV) size) to (T, H size).
    fn attend(&mut self, qkv: Self::Rows, attention: &Attention) -> Result<Self::Rows>;
    /// silu(gate) * up, from (T, 2 F) to (T, F).
    fn swiglu(&mut self, gate_up: Self::Rows) -> Result<Self::Rows>;
    /// The rows whose logits are wanted.
    fn select(&mut self, x: Self::Rows) -> Result<Self::Rows>;
    /// Logits, (rows, vocabulary), from rows of the last layer, which are normalised first.
    fn head(&mut self, x: Self::Rows) -> Result<Self::Rows>;
}
