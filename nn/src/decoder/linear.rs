//! [`Linear`]: one or several linear layers over the same input, side by side, each with its LoRA.

use candle_core::{DType, Tensor};

use super::load::Source;
use crate::lora::Lora;
use crate::ops::tensor::frozen_product;
use crate::{Device, Result};

/// Linear layers that read the same rows; their outputs stand side by side.
#[derive(Debug)]
pub(super) struct Linear {
    pub(super) weight: Weight,
    /// The biases of all parts side by side, where any has one.
    pub(super) bias: Option<Tensor>,
    pub(super) parts: Vec<Part>,
    pub(super) inputs: usize,
}

/// One of the layers.
#[derive(Debug)]
pub(super) struct Part {
    /// Name in the file, as `model.layers.0.self_attn.q_proj`.
    pub(super) name: String,
    pub(super) outputs: usize,
    pub(super) lora: Option<Lora>,
}

/// Weights of all parts, as what computes with them wants them.
#[derive(Debug)]
pub(super) enum Weight {
    /// One tensor, (sum of outputs, inputs), in the type in which it is stored.
    Dense(Tensor),
}

impl Linear {
    /// Reads parts of the given names and outputs.
    pub(super) fn load(source: &Source<'_>, parts: &[(String, usize)], inputs: usize, bias: bool) -> Result<Self> {
        let weights: Vec<Tensor> = parts
            .iter()
            .map(|(name, outputs)| source.tensor(&format!("{name}.weight"), &[*outputs, inputs]))
            .collect::<Result<_>>()?;
        let bias = if bias {
            let biases: Vec<Tensor> = parts
                .iter()
                .map(|(name, outputs)| source.gain(&format!("{name}.bias"), *outputs).map(|gain| gain.tensor))
                .collect::<Result<_>>()?;
            Some(Tensor::cat(&biases, 0)?)
        } else {
            None
        };
        let parts =
            parts.iter().map(|(name, outputs)| Part { name: name.clone(), outputs: *outputs, lora: None }).collect();
        Ok(Self { weight: Weight::Dense(Tensor::cat(&weights, 0)?), bias, parts, inputs })
    }

    /// Width of a result row.
    pub(super) fn outputs(&self) -> usize {
        self.parts.iter().map(|part| part.outputs).sum()
    }

    /// Bytes of the weights.
    pub(super) fn bytes(&self) -> usize {
        let bias = self.bias.as_ref().map_or(0, |bias| bias.elem_count() * size_of::<f32>());
        let Weight::Dense(weight) = &self.weight;
        bias + weight.elem_count() * weight.dtype().size_in_bytes()
    }

    /// `y` from `x`, (T, inputs) to (T, outputs), differentiable in `x` and in LoRA alone.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let Weight::Dense(weight) = &self.weight;
        let mut y = frozen_product(x, weight)?;
        if let Some(bias) = &self.bias {
            y = y.broadcast_add(bias)?;
        }
        if self.parts.iter().all(|part| part.lora.is_none()) {
            return Ok(y);
        }
        let rows = x.dim(0)?;
        let deltas: Vec<Tensor> = self
            .parts
            .iter()
            .map(|part| match &part.lora {
                Some(lora) => lora.forward(x),
                None => Ok(Tensor::zeros((rows, part.outputs), DType::F32, x.device())?),
            })
            .collect::<Result<_>>()?;
        Ok((y + Tensor::cat(&deltas, 1)?)?)
    }
}
