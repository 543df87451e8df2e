//! [`Source`]: a decoder's tensors by their names, wherever the file puts them.

use std::sync::Arc;

use candle_core::{DType, Device as CandleDevice, Tensor};
use half::bf16;

use super::compute::Gain;
use super::embedding::Table;
use crate::lora::Lora;
use crate::ops::{Isa, Panels, Team, Values};
use crate::weights::View;
use crate::{Result, Weights};

/// How weights are kept.
#[derive(Clone, Debug)]
pub(super) enum Layout {
    /// For the processor's own kernels.
    Panels { isa: Isa, team: Arc<Team> },
    /// As candle's tensors.
    Dense,
}

/// Reads tensors of a model folder onto a device.
#[derive(Debug)]
pub(super) struct Source<'a> {
    weights: &'a Weights,
    device: &'a CandleDevice,
    pub(super) layout: &'a Layout,
    /// Files of the bare decoder leave this out.
    prefix: &'static str,
}

impl<'a> Source<'a> {
    pub(super) fn new(weights: &'a Weights, device: &'a CandleDevice, layout: &'a Layout) -> Self {
        let prefix = if weights.contains("embed_tokens.weight") { "" } else { "model." };
        Self { weights, device, layout, prefix }
    }

    /// The full name of a tensor or layer of the decoder's body.
    pub(super) fn name(&self, inner: &str) -> String {
        format!("{}{inner}", self.prefix)
    }

    /// A weight, (outputs, inputs), laid out for the processor, with what `lora` adds. bf16 stays so,
    /// which loses nothing but the last bits of a merged addition.
    pub(super) fn panels(&self, name: &str, outputs: usize, inputs: usize, lora: Option<&Lora>) -> Result<Panels> {
        let view = self.weights.view(name, &[outputs, inputs])?;
        let merged = lora.map(|lora| merge(view, lora)).transpose()?;
        let rounded: Vec<u8>;
        let values = match (view.dtype, &merged) {
            (DType::BF16, None) => Values::Bf16Bytes(view.bytes),
            (DType::BF16, Some(merged)) => {
                rounded = merged.iter().flat_map(|value| bf16::from_f32(*value).to_le_bytes()).collect();
                Values::Bf16Bytes(&rounded)
            }
            (_, Some(merged)) => Values::F32(merged),
            (DType::F16, None) => Values::F16Bytes(view.bytes),
            (_, None) => Values::F32Bytes(view.bytes),
        };
        let panels = Panels::pack(values, outputs, inputs);
        self.weights.forget(name);
        Ok(panels)
    }

    /// A table of token vectors, (rows, width).
    pub(super) fn table(&self, name: &str, rows: usize, width: usize) -> Result<Table> {
        if let Layout::Dense = self.layout {
            return Ok(Table::Dense(self.tensor(name, &[rows, width])?));
        }
        let view = self.weights.view(name, &[rows, width])?;
        let table = match view.dtype {
            DType::BF16 => {
                Table::Half(view.bytes.as_chunks().0.iter().map(|bytes| u16::from_le_bytes(*bytes)).collect())
            }
            _ => Table::Full(self.weights.floats(name, &[rows, width])?),
        };
        self.weights.forget(name);
        Ok(table)
    }

    /// A weight, (outputs, inputs), as a tensor, with what `lora` adds.
    pub(super) fn weight(&self, name: &str, outputs: usize, inputs: usize, lora: Option<&Lora>) -> Result<Tensor> {
        let weight = self.tensor(name, &[outputs, inputs])?;
        let Some(lora) = lora else { return Ok(weight) };
        Ok((weight.to_dtype(DType::F32)? + lora.delta()?)?.to_dtype(weight.dtype())?)
    }

    /// A tensor in the type in which it is stored.
    pub(super) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let view = self.weights.view(name, shape)?;
        let tensor = Tensor::from_raw_buffer(view.bytes, view.dtype, shape, &CandleDevice::Cpu)?;
        // The processor widens weights of 16 bits on every use; better once.
        let dtype = if self.device.is_cpu() { DType::F32 } else { view.dtype };
        let tensor = tensor.to_dtype(dtype)?.to_device(self.device)?;
        self.weights.forget(name);
        Ok(tensor)
    }

    /// A tensor on the processor in single precision.
    pub(super) fn wide(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        self.weights.get(name, shape)
    }

    /// A bias, (width).
    pub(super) fn floats(&self, name: &str, width: usize) -> Result<Vec<f32>> {
        self.weights.floats(name, &[width])
    }

    /// A gain or bias, (width).
    pub(super) fn gain(&self, name: &str, width: usize) -> Result<Gain> {
        let values = self.floats(name, width)?;
        let tensor = Tensor::from_slice(&values, width, self.device)?;
        Ok(Gain { values, tensor })
    }
}

/// The values of a weight with what `lora` adds.
pub(super) fn merge(view: View<'_>, lora: &Lora) -> Result<Vec<f32>> {
    let mut delta: Vec<f32> = lora.delta()?.flatten_all()?.to_vec1()?;
    for (sum, value) in delta.iter_mut().zip(view.floats()) {
        *sum += value;
    }
    Ok(delta)
}
