//! [`Linear`]: one or several linear layers over the same input, side by side, each with its LoRA.

use std::sync::Arc;

use candle_core::Tensor;

use super::load::{Layout, Source};
use crate::lora::Lora;
use crate::ops::tensor::{Frozen, PackedLayer, frozen_linear, frozen_product, plus, set_columns, sum};
use crate::{Error, Parameter, Result};

/// Linear layers that read the same rows; their outputs stand side by side.
#[derive(Debug)]
pub(super) struct Linear {
    pub(super) weight: Weight,
    pub(super) parts: Vec<Part>,
    pub(super) inputs: usize,
    /// Which of a model's groups of layers this is; the head is none.
    pub(super) place: Option<usize>,
    pub(super) has_bias: bool,
    /// The weights hold LoRA already.
    is_merged: bool,
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
    /// Laid out for the processor.
    Panels(Frozen),
    /// One tensor, (sum of outputs, inputs), in the type in which it is stored, and the biases.
    Dense(Tensor, Option<Tensor>),
}

impl Linear {
    /// Reads parts of the given names and outputs.
    pub(super) fn load(
        source: &Source<'_>,
        place: Option<usize>,
        parts: &[(String, usize)],
        inputs: usize,
        has_bias: bool,
    ) -> Result<Self> {
        let parts: Vec<Part> =
            parts.iter().map(|(name, outputs)| Part { name: name.clone(), outputs: *outputs, lora: None }).collect();
        let weight = Weight::load(source, &parts, inputs, has_bias)?;
        Ok(Self { weight, parts, inputs, place, has_bias, is_merged: false })
    }

    /// Reads the weights again and adds LoRA to them, or does not.
    pub(super) fn reload(&mut self, source: &Source<'_>, merged: bool) -> Result<()> {
        if self.parts.iter().all(|part| part.lora.is_none()) {
            return Ok(());
        }
        let plain = |part: &Part| Part { name: part.name.clone(), outputs: part.outputs, lora: None };
        self.weight = if merged {
            Weight::load(source, &self.parts, self.inputs, self.has_bias)?
        } else {
            let parts: Vec<Part> = self.parts.iter().map(plain).collect();
            Weight::load(source, &parts, self.inputs, self.has_bias)?
        };
        self.is_merged = merged;
        Ok(())
    }

    /// Takes the values of the first of `parameters`: all weights, then all biases.
    pub(super) fn refresh(&mut self, parameters: &[Parameter]) -> Result<()> {
        let Weight::Panels(frozen) = &mut self.weight else {
            return Err(Error::Shape("weights on an accelerator do not learn".to_owned()));
        };
        let team = Arc::clone(&frozen.team);
        if Arc::get_mut(&mut frozen.layers).is_none() {
            // A pass that is not done keeps the old ones.
            let copy = |layer: &PackedLayer| {
                let outputs = layer.panels.outputs();
                PackedLayer { panels: layer.panels.slice(0..outputs), bias: layer.bias.clone() }
            };
            frozen.layers = Arc::new(frozen.layers.iter().map(copy).collect());
        }
        let Some(layers) = Arc::get_mut(&mut frozen.layers) else {
            unreachable!("nobody else has what was made just now");
        };
        let count = layers.len();
        for (number, layer) in layers.iter_mut().enumerate() {
            parameters[number].read(|values| layer.panels.set(&team, values))?;
            if let Some(bias) = &mut layer.bias {
                parameters[count + number].read(|values| bias.copy_from_slice(values))?;
            }
        }
        Ok(())
    }

    /// The layers as the processor computes them.
    pub(super) fn packed(&self) -> &[PackedLayer] {
        match &self.weight {
            Weight::Panels(frozen) => &frozen.layers,
            Weight::Dense(..) => unreachable!("a decoder on the processor has panels"),
        }
    }

    /// Width of a result row.
    pub(super) fn outputs(&self) -> usize {
        self.parts.iter().map(|part| part.outputs).sum()
    }

    /// Bytes of the weights.
    pub(super) fn bytes(&self) -> usize {
        let of = |tensor: &Tensor| tensor.elem_count() * tensor.dtype().size_in_bytes();
        match &self.weight {
            Weight::Panels(frozen) => frozen
                .layers
                .iter()
                .map(|layer| layer.panels.bytes() + layer.bias.as_ref().map_or(0, |bias| size_of_val(bias.as_slice())))
                .sum(),
            Weight::Dense(weight, bias) => of(weight) + bias.as_ref().map_or(0, of),
        }
    }

    /// `y` from `x`, (T, inputs) to (T, outputs), differentiable in `x` and in LoRA alone, which is left
    /// out unless `adapted`.
    pub(super) fn forward(&self, x: &Tensor, adapted: bool) -> Result<Tensor> {
        let y = match &self.weight {
            Weight::Panels(frozen) => frozen_linear(x, frozen.clone())?,
            Weight::Dense(weight, None) => frozen_product(x, weight)?,
            Weight::Dense(weight, Some(bias)) => plus(&frozen_product(x, weight)?, bias)?,
        };
        let loras = || self.parts.iter().filter_map(|part| part.lora.as_ref());
        if self.is_merged || !adapted || loras().next().is_none() {
            return Ok(y);
        }
        if loras().count() == self.parts.len() {
            let deltas: Vec<Tensor> = loras().map(|lora| lora.forward(x)).collect::<Result<_>>()?;
            return Ok(sum(&y, &Tensor::cat(&deltas, 1)?)?);
        }
        let (mut y, mut start) = (y, 0);
        for part in &self.parts {
            if let Some(lora) = &part.lora {
                y = sum(&y, &set_columns(&lora.forward(x)?, start, self.outputs())?)?;
            }
            start += part.outputs;
        }
        Ok(y)
    }
}

impl Weight {
    /// Reads weights, and adds what LoRA the parts have.
    fn load(source: &Source<'_>, parts: &[Part], inputs: usize, has_bias: bool) -> Result<Self> {
        let weight = |part: &Part| format!("{}.weight", part.name);
        let bias = |part: &Part| format!("{}.bias", part.name);
        match source.layout {
            Layout::Panels { isa, team } => {
                let layers = parts.iter().map(|part| {
                    let panels = source.panels(&weight(part), part.outputs, inputs, part.lora.as_ref())?;
                    let bias = has_bias.then(|| source.floats(&bias(part), part.outputs)).transpose()?;
                    Ok(PackedLayer { panels, bias })
                });
                let layers = Arc::new(layers.collect::<Result<_>>()?);
                Ok(Self::Panels(Frozen { isa: *isa, team: Arc::clone(team), layers }))
            }
            Layout::Dense => {
                let weights: Vec<Tensor> = parts
                    .iter()
                    .map(|part| source.weight(&weight(part), part.outputs, inputs, part.lora.as_ref()))
                    .collect::<Result<_>>()?;
                let bias = has_bias
                    .then(|| {
                        let biases: Vec<Tensor> = parts
                            .iter()
                            .map(|part| Ok(source.gain(&bias(part), part.outputs)?.tensor))
                            .collect::<Result<_>>()?;
                        Ok::<_, crate::Error>(Tensor::cat(&biases, 0)?)
                    })
                    .transpose()?;
                Ok(Self::Dense(Tensor::cat(&weights, 0)?, bias))
            }
        }
    }
}
