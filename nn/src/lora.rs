//! LoRA (arXiv 2106.09685): a low-rank addition to a frozen linear layer, and [`Adapter`], all of a model's.

use std::path::Path;

use candle_core::{Tensor, Var};

use crate::Result;

/// The addition to one linear layer: `scale * (x A^T) B^T`.
#[derive(Clone, Debug)]
pub(crate) struct Lora {
    /// (rank, inputs)
    pub(crate) a: Var,
    /// (outputs, rank)
    pub(crate) b: Var,
    pub(crate) scale: f64,
}

impl Lora {
    /// (T, inputs) to (T, outputs), differentiable.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let low = x.matmul(&self.a.t()?)?; // (T, rank)
        Ok((low.matmul(&self.b.t()?)? * self.scale)?)
    }
}

/// LoRA for a whole decoder. Clones share their variables.
#[derive(Clone, Debug)]
pub struct Adapter {}

impl Adapter {
    /// Reads an adapter in PEFT layout.
    pub fn open(dir: &Path) -> Result<Self> {
        Err(crate::Error::Shape(dir.display().to_string()))
    }
}
