//! [`Optimiser`]: AdamW with a gradient clip, and all of its state by name.
//!
//! Decoupled weight decay (arXiv 1711.05101) on matrices alone: gains and biases are left free. Moments
//! are `f32` and belong to us, so that a run goes on after a kill as if nothing had happened. On the
//! processor one parallel pass reads each value once.

mod host;

use std::path::Path;

use candle_core::{DType, Tensor, Var};
use nn::Weights;

use self::host::Update;
use crate::tensors::{Floats, write_tensors};
use crate::{Error, Result};

/// What turns gradients into updates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Share of the first moment that stays.
    pub beta1: f64,
    /// Share of the second moment that stays.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Share of a matrix that is taken away at a learning rate of 1.
    pub weight_decay: f64,
    /// Gradients of a greater norm are scaled down to it; 0 leaves them.
    pub clip_norm: f64,
}

impl Default for AdamW {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01, clip_norm: 1.0 }
    }
}

/// AdamW over the parameters of one model.
#[derive(Debug)]
pub struct Optimiser {
    config: AdamW,
    slots: Vec<Slot>,
    updates: u64,
}

#[derive(Debug)]
struct Slot {
    name: String,
    var: Var,
    moments: Moments,
}

/// Running means of the gradient and of its square.
#[derive(Debug)]
enum Moments {
    Host { first: Vec<f32>, second: Vec<f32> },
    Device { first: Tensor, second: Tensor },
}

/// The numbers of one update that all values share.
#[derive(Clone, Copy, Debug)]
struct Numbers {
    beta1: f64,
    beta2: f64,
    /// Scales the gradient to the clip.
    scale: f64,
    /// Scales the value before the update.
    keep: f64,
    /// The learning rate over the first moment's bias.
    rate: f64,
    /// One over the root of the second moment's bias.
    unbias: f64,
    epsilon: f64,
}

impl Optimiser {
    /// An optimiser of variables and their names, in this order, that has not updated them yet.
    ///
    /// # Errors
    /// [`Error::Shape`] for a variable that is not `f32`.
    pub fn new<'a>(config: AdamW, parameters: impl IntoIterator<Item = (&'a str, &'a Var)>) -> Result<Self> {
        let slots = parameters.into_iter().map(|(name, var)| Slot::new(name, var));
        Ok(Self { config, slots: slots.collect::<Result<_>>()?, updates: 0 })
    }

    /// How many updates it has made.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Updates every parameter in place at this learning rate, from one gradient each, row-major and in
    /// their order. `norm` is that of all gradients as one vector, which the caller has looked at already.
    ///
    /// # Errors
    /// [`Error::Shape`] when a gradient is missing, or of another size than its parameter.
    pub fn step<'a>(
        &mut self,
        gradients: impl ExactSizeIterator<Item = &'a [f32]>,
        norm: f64,
        learning_rate: f64,
    ) -> Result<()> {
        if gradients.len() != self.slots.len() {
            let (given, held) = (gradients.len(), self.slots.len());
            return Err(Error::Shape(format!("{given} gradients for {held} parameters")));
        }
        self.updates += 1;
        let AdamW { beta1, beta2, epsilon, weight_decay, clip_norm } = self.config;
        let bias = |beta: f64| 1.0 - beta.powf(self.updates as f64);
        let scale = if clip_norm > 0.0 && norm > clip_norm { clip_norm / (norm + 1e-6) } else { 1.0 };
        let rate = learning_rate / bias(beta1);
        let unbias = 1.0 / bias(beta2).sqrt();
        for (slot, gradient) in self.slots.iter_mut().zip(gradients) {
            let decay = if slot.var.rank() >= 2 { weight_decay } else { 0.0 };
            let keep = 1.0 - learning_rate * decay;
            slot.update(gradient, Numbers { beta1, beta2, scale, keep, rate, unbias, epsilon })?;
        }
        Ok(())
    }

    /// Writes the moments to the safetensors file `path`, as `first.NAME` and `second.NAME`.
    ///
    /// # Errors
    /// [`Error::Write`] when the disk refuses.
    pub fn save(&self, path: &Path) -> Result<()> {
        let floats: Vec<(String, Vec<usize>, Floats<'_>)> = self
            .slots
            .iter()
            .flat_map(|slot| {
                let (first, second) = match &slot.moments {
                    Moments::Host { first, second } => (Floats::Host(first), Floats::Host(second)),
                    Moments::Device { first, second } => (Floats::Tensor(first), Floats::Tensor(second)),
                };
                let named = |which: &str, floats| (format!("{which}.{}", slot.name), slot.var.dims().to_vec(), floats);
                [named("first", first), named("second", second)]
            })
            .collect();
        write_tensors(path, &floats)
    }

    /// Takes over moments that [`Optimiser::save`] wrote after so many updates.
    ///
    /// # Errors
    /// Those of a damaged file, and of one that lacks a parameter.
    pub fn load(&mut self, path: &Path, updates: u64) -> Result<()> {
        let weights = Weights::open_file(path)?;
        for slot in &mut self.slots {
            let read = |which: &str| weights.floats(&format!("{which}.{}", slot.name), slot.var.dims());
            let (read_first, read_second) = (read("first")?, read("second")?);
            match &mut slot.moments {
                Moments::Host { first, second } => (*first, *second) = (read_first, read_second),
                Moments::Device { first, second } => {
                    let tensor = |floats| Tensor::from_vec(floats, slot.var.dims(), slot.var.device());
                    (*first, *second) = (tensor(read_first)?, tensor(read_second)?);
                }
            }
        }
        self.updates = updates;
        Ok(())
    }
}

impl Slot {
    fn new(name: &str, var: &Var) -> Result<Self> {
        if var.dtype() != DType::F32 || !var.is_contiguous() {
            let dtype = var.dtype().as_str();
            return Err(Error::Shape(format!("`{name}` is {dtype}: what is trained is f32 and contiguous")));
        }
        let moments = if var.device().is_cpu() {
            Moments::Host { first: vec![0.0; var.elem_count()], second: vec![0.0; var.elem_count()] }
        } else {
            Moments::device(var)?
        };
        Ok(Self { name: name.to_owned(), var: var.clone(), moments })
    }

    fn update(&mut self, gradient: &[f32], numbers: Numbers) -> Result<()> {
        if gradient.len() != self.var.elem_count() {
            let (given, held) = (gradient.len(), self.var.elem_count());
            return Err(Error::Shape(format!("`{}` has {held} values, its gradient {given}", self.name)));
        }
        match &mut self.moments {
            Moments::Host { first, second } => {
                self.var.inplace_op1(&Update::new(numbers, gradient, first, second))?;
            }
            Moments::Device { first, second } => {
                let gradient = Tensor::from_slice(gradient, self.var.dims(), self.var.device())?;
                let gradient = (gradient * numbers.scale)?;
                *first = ((&*first * numbers.beta1)? + (&gradient * (1.0 - numbers.beta1))?)?;
                *second = ((&*second * numbers.beta2)? + (gradient.sqr()? * (1.0 - numbers.beta2))?)?;
                let root = ((second.sqrt()? * numbers.unbias)? + numbers.epsilon)?;
                let kept = (self.var.as_detached_tensor() * numbers.keep)?;
                self.var.set(&(kept - (first.div(&root)? * numbers.rate)?)?)?;
            }
        }
        Ok(())
    }
}

impl Moments {
    fn device(var: &Var) -> Result<Self> {
        let zeros = || Tensor::zeros(var.dims(), DType::F32, var.device());
        Ok(Self::Device { first: zeros()?, second: zeros()? })
    }
}

#[cfg(test)]
mod tests;
