//! [`Learner`]: the gradients of what learns in a decoder, and the optimiser that moves it.
//!
//! A step is: [`Learner::add`] for each micro-batch, a look at [`Learner::norm`], and either
//! [`Learner::update`] or [`Learner::forget`]. Objectives are closures from log-probabilities to a scalar. The
//! decoder is lent at each call, so that it may belong to the engine that samples from it. A [head](Tells) beside
//! it, where there is one, learns in the same step.

pub(crate) mod coverage;
mod head;
pub mod optimiser;
pub(crate) mod order;
pub mod packing;
pub mod schedule;
pub mod sharing;

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use candle_core::Tensor;
use nn::{Adapter, Batch, Decoder, Device, Gradients, LogProbs, Parameter, Scores, Target, Trainable, Weights};

pub use self::head::Tells;
pub(crate) use self::head::{Head, REWARD_FILE};
use crate::error::write;
use crate::recipe::{Learn, ModelSection, Plan, Recompute};
use crate::{Error, Optimiser, Result, Sample};

/// In a checkpoint: the folder of a model all of whose weights learn.
const MODEL: &str = "model";
/// In a checkpoint: the folder of an adapter.
const ADAPTER: &str = "adapter";
/// The weights that make tokens of states, where they are not those that make states of tokens.
const LANGUAGE_HEAD: &str = "lm_head.weight";
/// In a checkpoint: the moments.
const MOMENTS: &str = "optimiser.safetensors";

/// What makes one decoder learn.
#[derive(Debug)]
pub struct Learner {
    learn: Learn,
    parameters: Vec<Parameter>,
    gradients: Gradients,
    optimiser: Optimiser,
    head: Option<Head>,
}

/// What a pass without a way back gave, of each learnt token.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scored {
    /// Log-probabilities.
    pub logprobs: Vec<f32>,
    /// Entropies in nats.
    pub entropies: Vec<f32>,
    /// What the head says of the state before the token.
    pub values: Vec<f32>,
}

impl Learner {
    /// Opens the model of a plan and makes it learn, or goes on from the `checkpoint` that was written after so
    /// many updates.
    ///
    /// # Errors
    /// Those of a damaged model, adapter or checkpoint.
    pub fn open(plan: &Plan, checkpoint: Option<(&Path, u64)>) -> Result<(Decoder, Self)> {
        Self::open_with(plan, checkpoint, None)
    }

    /// As [`Learner::open`], with a head where it is to tell something.
    ///
    /// # Errors
    /// As [`Learner::open`].
    pub fn open_with(plan: &Plan, checkpoint: Option<(&Path, u64)>, tells: Option<Tells>) -> Result<(Decoder, Self)> {
        let recipe = plan.recipe();
        let ModelSection { path, learn, recompute, .. } = &recipe.model;
        let device = match NonZero::new(recipe.run.threads) {
            Some(threads) => Device::Cpu { threads },
            None => Device::cpu(),
        };
        let mut decoder = Decoder::load(path, device)?;
        if *learn == Learn::Adapter {
            let adapter = adapter(recipe.run.seed, &recipe.model, &decoder)?;
            decoder.set_adapter(Some(adapter))?;
        }
        let what = match learn {
            Learn::All => Trainable::All,
            Learn::Adapter => Trainable::Adapter,
        };
        let recompute = match recompute {
            Recompute::Auto => nn::Recompute::Auto,
            Recompute::On => nn::Recompute::On,
            Recompute::Off => nn::Recompute::Off,
        };
        let parameters = decoder.train(what, recompute)?;
        let head = tells.map(|tells| Head::new(tells, decoder.config().hidden_size, recipe.run.seed)).transpose()?;
        let learning = parameters.iter().chain(head.as_ref().map(Head::parameter));
        let named = learning.map(|parameter| (parameter.name.as_str(), &parameter.var));
        let mut optimiser = Optimiser::new(plan.adamw(), named)?;
        if let Some((folder, updates)) = checkpoint {
            // Into the model as it was first loaded: the checkpoint will be removed before the run ends.
            let weights = Weights::open_file(&weights(folder, *learn).join(file(*learn)))?;
            for Parameter { name, var } in &parameters {
                let values = weights.floats(name, var.dims())?;
                var.set(&Tensor::from_vec(values, var.dims(), var.device())?)?;
            }
            decoder.refresh()?;
            if let Some(head) = &head {
                head.load(&head.tells().file(folder, *learn))?;
            }
            optimiser.load(&folder.join(MOMENTS), updates)?;
        }
        let gradients = Gradients::new(&parameters);
        Ok((decoder, Self { learn: *learn, parameters, gradients, optimiser, head }))
    }

    /// Values that learn.
    pub fn parameters(&self) -> usize {
        self.learning().map(|parameter| parameter.var.elem_count()).sum()
    }

    /// Updates that were made.
    pub fn updates(&self) -> u64 {
        self.optimiser.updates()
    }

    /// Adds to the gradients what a micro-batch gives at this temperature, and gives its loss. `loss` makes a
    /// scalar of the log-probabilities of all learnt tokens, end to end. One that is not finite has no gradient.
    ///
    /// # Errors
    /// Those of the model and of `loss`.
    pub fn add(
        &mut self,
        decoder: &Decoder,
        samples: &[&Sample],
        temperature: f32,
        loss: impl FnOnce(&LogProbs) -> Result<Tensor>,
    ) -> Result<f64> {
        let (batch, targets) = batch(samples);
        let pass = decoder.logprobs(&batch, &targets, temperature)?;
        let loss = loss(&pass)?;
        self.descend(decoder, pass, &loss)
    }

    /// As [`Learner::add`], of a loss that also depends on what the head says of the state before each learnt
    /// token, (N).
    ///
    /// # Errors
    /// [`Error::Shape`] without a head, and as [`Learner::add`].
    pub fn add_valued(
        &mut self,
        decoder: &Decoder,
        samples: &[&Sample],
        temperature: f32,
        loss: impl FnOnce(&LogProbs, &Tensor) -> Result<Tensor>,
    ) -> Result<f64> {
        let (pass, values) = self.valued(decoder, samples, temperature)?;
        let loss = loss(&pass, &values)?;
        if let Some(head) = &mut self.head {
            head.learn(&loss.backward()?)?;
        }
        self.descend(decoder, pass, &loss)
    }

    /// What the model and the head say of samples, without a gradient. A learner without a head gives no values.
    ///
    /// # Errors
    /// Those of the model.
    pub fn score(&self, decoder: &Decoder, samples: &[&Sample], temperature: f32) -> Result<Scored> {
        if self.head.is_none() {
            let (batch, targets) = batch(samples);
            let Scores { logprobs, entropies } = decoder.score(&batch, &targets, temperature, true)?;
            return Ok(Scored { logprobs, entropies, values: Vec::new() });
        }
        let (pass, values) = self.valued(decoder, samples, temperature)?;
        let (logprobs, entropies) = (pass.logprobs.to_vec1()?, pass.entropies.to_vec1()?);
        Ok(Scored { logprobs, entropies, values: values.to_vec1()? })
    }

    /// A pass, and what the head says of its states.
    fn valued(&self, decoder: &Decoder, samples: &[&Sample], temperature: f32) -> Result<(LogProbs, Tensor)> {
        let head = self.head.as_ref().ok_or_else(|| Error::Shape("there is no head to tell a value".to_owned()))?;
        let (batch, targets) = batch(samples);
        let mut pass = decoder.logprobs(&batch, &targets, temperature)?;
        let states = decoder.states(&mut pass)?;
        let values = head.values(&states)?;
        Ok((pass, values))
    }

    fn descend(&mut self, decoder: &Decoder, pass: LogProbs, loss: &Tensor) -> Result<f64> {
        let value = f64::from(loss.to_scalar::<f32>()?);
        if value.is_finite() {
            decoder.backward(pass, loss, &mut self.gradients)?;
        }
        Ok(value)
    }

    /// Everything that learns, in the order of the optimiser.
    fn learning(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().chain(self.head.as_ref().map(Head::parameter))
    }

    /// The norm of the gradients; not finite when one of their values is not.
    pub fn norm(&self) -> f64 {
        let norm = self.gradients.norm();
        self.head.as_ref().map_or(norm, |head| norm.hypot(head.gradients().norm()))
    }

    /// Moves the weights by the gradients, whose norm is `norm`, and forgets them.
    ///
    /// # Errors
    /// Those of a tensor operation.
    pub fn update(&mut self, decoder: &mut Decoder, norm: f64, learning_rate: f64) -> Result<()> {
        let head = self.head.iter().flat_map(|head| head.gradients().iter());
        let gradients: Vec<&[f32]> = self.gradients.iter().chain(head).collect();
        self.optimiser.step(gradients.into_iter(), norm, learning_rate)?;
        self.forget();
        Ok(decoder.refresh()?)
    }

    /// Forgets the gradients.
    pub fn forget(&mut self) {
        self.gradients.clear();
        self.head.iter_mut().for_each(Head::forget);
    }

    /// Refuses gradients that show that something does not learn. The first factor of a new adapter gets none until
    /// the second has moved, and what chooses tokens none where rewards alone are learnt.
    ///
    /// # Errors
    /// [`Error::Shape`] that names the parameter.
    pub fn check_coverage(&self) -> Result<()> {
        let is_new = self.learn == Learn::Adapter && self.optimiser.updates() == 0;
        let is_rewarding = self.head.as_ref().is_some_and(|head| head.tells() == Tells::Reward);
        let head = self.head.iter().flat_map(|head| head.gradients().iter());
        coverage::check(self.learning().zip(self.gradients.iter().chain(head)).map(
            |(Parameter { name, .. }, gradient)| {
                let is_idle = (is_new && name.contains("lora_A")) || (is_rewarding && name == LANGUAGE_HEAD);
                (name.as_str(), gradient, is_idle)
            },
        ))
    }

    /// Makes a weight that is not a number.
    #[cfg(test)]
    pub(crate) fn poison(&self, decoder: &mut Decoder) {
        let var = &self.parameters[0].var;
        var.set(&(var.ones_like().unwrap() * f64::NAN).unwrap()).unwrap();
        decoder.refresh().unwrap();
    }

    /// Writes weights and moments into the folder of a checkpoint.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn save(&self, decoder: &Decoder, folder: &Path) -> Result<()> {
        let weights = weights(folder, self.learn);
        fs::create_dir_all(&weights).map_err(write(&weights))?;
        match decoder.adapter() {
            Some(adapter) => adapter.save(&weights)?,
            None => decoder.save(&weights)?,
        }
        if let Some(head) = &self.head {
            head.save(&head.tells().file(folder, self.learn))?;
        }
        self.optimiser.save(&folder.join(MOMENTS))
    }
}

/// The log-probabilities of all learnt tokens of some samples, end to end, without a gradient; `adapted` false leaves
/// an adapter out, which gives the reference.
///
/// # Errors
/// Those of the model.
pub fn score(decoder: &Decoder, samples: &[&Sample], temperature: f32, adapted: bool) -> Result<Vec<f32>> {
    let (batch, targets) = batch(samples);
    Ok(decoder.score(&batch, &targets, temperature, adapted)?.logprobs)
}

/// What learnt in a checkpoint: the folder of the adapter or of the model.
pub(crate) fn weights(checkpoint: &Path, learn: Learn) -> PathBuf {
    checkpoint.join(if learn == Learn::Adapter { ADAPTER } else { MODEL })
}

/// The file in that folder that holds the values.
fn file(learn: Learn) -> &'static str {
    if learn == Learn::Adapter { "adapter_model.safetensors" } else { "model.safetensors" }
}

/// The adapter to go on from, or a new one.
fn adapter(seed: u64, model: &ModelSection, decoder: &Decoder) -> Result<Adapter> {
    if let Some(folder) = &model.adapter {
        return Ok(Adapter::open(folder)?);
    }
    let is_wanted =
        |target: &Target| model.targets.is_empty() || model.targets.iter().any(|name| name == target.name());
    let targets: Vec<Target> = Target::ALL.into_iter().filter(is_wanted).collect();
    Ok(Adapter::new(decoder.config(), model.rank, model.alpha, &targets, seed)?)
}

/// One pass over samples, each up to its last learnt token, and the tokens that are to be predicted. What several
/// samples begin with is computed once.
pub(crate) fn batch(samples: &[&Sample]) -> (Batch, Vec<u32>) {
    let mut batch = Batch::default();
    let mut targets = Vec::new();
    let mut read: Vec<&[u32]> = Vec::with_capacity(samples.len());
    for Sample { ids, mask } in samples {
        let end = mask.iter().rposition(|learnt| *learnt).unwrap_or(0);
        read.push(&ids[..end]);
        targets.extend((1..=end).filter(|at| mask[*at]).map(|at| ids[at]));
    }
    batch.push_sharing(&read, |sample, row| samples[sample].mask[row + 1]);
    (batch, targets)
}
