//! [`Graph`]: what [`super::LogProbs`] keeps on an accelerator, where candle knows the way back through
//! the layers. The head is left out of its graph, and goes by in chunks of rows both times.

use candle_core::{D, Tensor, Var};

use super::compute::Compute;
use super::tensors::Tensors;
use super::{Decoder, Parameter, Scores};
use crate::{Batch, Gradients, Result};

/// Bytes of logits of a chunk, about.
const CHUNK: usize = 1 << 28;

/// A pass through the layers, and what was asked of it.
#[derive(Debug)]
pub(super) struct Graph {
    /// Normalised states of the wanted rows, (N, D), with their history.
    normal: Tensor,
    targets: Vec<u32>,
    rate: f32,
}

impl Graph {
    pub(super) fn new(decoder: &Decoder, batch: &Batch, targets: &[u32], rate: f32, adapted: bool) -> Result<Self> {
        let mut compute = Tensors::new(decoder, batch, None)?;
        compute.adapted = adapted;
        let hidden = decoder.trunk(&mut compute)?; // (N, D)
        Ok(Self { normal: compute.norm(&hidden, &decoder.norm)?, targets: targets.to_vec(), rate })
    }

    /// The states without their history, on the processor.
    pub(super) fn states(&self) -> Result<Tensor> {
        Ok(self.normal.detach().to_device(&candle_core::Device::Cpu)?.copy()?)
    }

    /// The first row of each chunk, its states without their history, and its targets.
    fn chunks(&self, decoder: &Decoder) -> Result<Vec<(usize, Tensor, Tensor)>> {
        let rows = (CHUNK / (decoder.config.vocab_size * size_of::<f32>())).max(1);
        let chunk = |first: usize| {
            let targets = &self.targets[first..self.targets.len().min(first + rows)];
            let states = self.normal.detach().narrow(0, first, targets.len())?;
            Ok((first, states, Tensor::from_slice(targets, (targets.len(), 1), &decoder.candle)?))
        };
        (0..self.targets.len()).step_by(rows).map(chunk).collect()
    }

    /// Logits over the temperature, (rows, vocabulary), the logarithm of the sum of their powers, (rows, 1),
    /// and the log-probability of the targets, (rows).
    fn ask(&self, decoder: &Decoder, states: &Tensor, targets: &Tensor) -> Result<(Tensor, Tensor, Tensor)> {
        let logits = (decoder.head.forward(states, false)? * f64::from(self.rate))?;
        let all = logits.log_sum_exp(D::Minus1)?.unsqueeze(D::Minus1)?;
        let own = (logits.gather(targets, D::Minus1)? - &all)?.squeeze(D::Minus1)?;
        Ok((logits, all, own))
    }

    pub(super) fn scores(&self, decoder: &Decoder) -> Result<Scores> {
        let mut scores = Scores::default();
        for (_, states, targets) in self.chunks(decoder)? {
            let (logits, all, own) = self.ask(decoder, &states, &targets)?;
            let lower = logits.broadcast_sub(&all)?; // (rows, vocabulary)
            let entropy = (lower.exp()? * lower)?.sum(D::Minus1)?.neg()?;
            scores.logprobs.extend(own.to_vec1::<f32>()?);
            scores.entropies.extend(entropy.to_vec1::<f32>()?);
        }
        Ok(scores)
    }

    /// Adds the gradients of `parameters`, from slopes along log-probabilities, (N), and along states, (N, D).
    pub(super) fn backward(
        &self,
        decoder: &Decoder,
        slopes: &[f32],
        states: Option<&[f32]>,
        parameters: &[Parameter],
        gradients: &mut Gradients,
    ) -> Result<()> {
        let mut parts = Vec::new();
        for (first, rows, targets) in self.chunks(decoder)? {
            let rows = Var::from_tensor(&rows.contiguous()?)?;
            let (_, _, own) = self.ask(decoder, rows.as_tensor(), &targets)?;
            let count = own.dim(0)?;
            let slopes = Tensor::from_slice(&slopes[first..first + count], count, &decoder.candle)?;
            let store = (own * slopes)?.sum_all()?.backward()?;
            parts.push(match store.get(rows.as_tensor()) {
                Some(gradient) => gradient.clone(),
                None => rows.zeros_like()?,
            });
        }
        let mut slope = Tensor::cat(&parts, 0)?; // (N, D)
        if let Some(states) = states {
            slope = (slope + Tensor::from_slice(states, self.normal.shape(), &decoder.candle)?)?;
        }
        let store = (&self.normal * slope.detach())?.sum_all()?.backward()?;
        for (number, parameter) in parameters.iter().enumerate() {
            let Some(gradient) = store.get(parameter.var.as_tensor()) else { continue };
            let gradient: Vec<f32> = gradient.flatten_all()?.to_vec1()?;
            for (sum, value) in gradients.get_mut(number).iter_mut().zip(gradient) {
                *sum += value;
            }
        }
        Ok(())
    }
}
