//! [`Source`]: a decoder's tensors by their names, wherever the file puts them.

use candle_core::{DType, Device as CandleDevice, Tensor};

use super::compute::Gain;
use crate::{Result, Weights};

/// Reads tensors of a model folder onto a device.
#[derive(Debug)]
pub(super) struct Source<'a> {
    weights: &'a Weights,
    device: &'a CandleDevice,
    /// Files of the bare decoder leave this out.
    prefix: &'static str,
}

impl<'a> Source<'a> {
    pub(super) fn new(weights: &'a Weights, device: &'a CandleDevice) -> Self {
        let prefix = if weights.contains("embed_tokens.weight") { "" } else { "model." };
        Self { weights, device, prefix }
    }

    /// The full name of a tensor or layer of the decoder's body.
    pub(super) fn name(&self, inner: &str) -> String {
        format!("{}{inner}", self.prefix)
    }

    /// A weight in the type in which it is stored.
    pub(super) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let view = self.weights.view(name, shape)?;
        let tensor = Tensor::from_raw_buffer(view.bytes, view.dtype, shape, &CandleDevice::Cpu)?;
        // The processor widens weights of 16 bits on every use; better once.
        let dtype = if self.device.is_cpu() { DType::F32 } else { view.dtype };
        let tensor = tensor.to_dtype(dtype)?.to_device(self.device)?;
        self.weights.forget(name);
        Ok(tensor)
    }

    /// A gain or bias as `f32`, (width).
    pub(super) fn gain(&self, name: &str, width: usize) -> Result<Gain> {
        let values = self.weights.floats(name, &[width])?;
        let tensor = Tensor::from_slice(&values, width, self.device)?;
        Ok(Gain { values, tensor })
    }
}
