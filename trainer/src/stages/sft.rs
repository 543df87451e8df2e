//! [`sft()`]: supervised fine-tuning: the mean negative log-probability of learnt tokens, made less.
//!
//! The mean is over all learnt tokens of an optimiser step, however many micro-batches it has. What
//! is written by users and by the environment is read and never learnt.

use std::path::Path;

use candle_core::Tensor;

use crate::Result;
use crate::data::{Dataset, Text};
use crate::objective::{Loss, Metrics};
use crate::recipe::{Passes, Plan, SftSection};
use crate::run::checkpoint::State;
use crate::run::{Clock, Progress};
use crate::stages::passes::{self, Items, Micro, Objective, Stage};

/// The mean negative log-probability over `learnt` tokens, of which these may be a part.
///
/// # Errors
/// Those of a tensor operation.
pub fn loss(logprobs: &Tensor, learnt: usize) -> Result<Tensor> {
    Ok((logprobs.sum_all()? * (-1.0 / learnt as f64))?)
}

/// Trains by `plan` in the folder `dir`; `resume` goes on where the newest checkpoint ends. `told` is called after
/// every step. Gives the last state.
///
/// # Errors
/// Those of a bad data set or model before anything is trained; [`Error::Halted`](crate::Error::Halted) when training
/// cannot go on.
pub fn sft(plan: &Plan, dir: &Path, resume: bool, clock: Clock<'_>, told: &mut dyn FnMut(Progress)) -> Result<State> {
    let (train, heldout) = read(plan)?;
    passes::run(stage(plan, &train, &heldout), dir, resume, clock, told)
}

/// What is learnt from, and what is held out.
pub(crate) fn read(plan: &Plan) -> Result<(Dataset, Dataset)> {
    let (data, model) = (&plan.recipe().data, &plan.recipe().model);
    let text = Text::open(&model.path)?;
    let rules = passes::rules(plan, ("sft", plan.recipe().sft.micro_tokens), 1)?;
    let train = Dataset::read(&data.train, &text, rules)?;
    let heldout =
        if data.heldout.is_empty() { Dataset::default() } else { Dataset::read(&data.heldout, &text, rules)? };
    train.check_apart(&heldout)?;
    Ok((train, heldout))
}

pub(crate) fn stage<'a>(plan: &'a Plan, train: &'a Dataset, heldout: &'a Dataset) -> Stage<'a> {
    let SftSection { epochs, max_steps, micro_tokens, accumulate } = plan.recipe().sft;
    let items = |dataset: &'a Dataset| Items::of(dataset.samples.iter().map(|sample| vec![sample]).collect());
    Stage {
        name: "sft",
        section: "sft",
        plan,
        passes: Passes { epochs, max_steps, micro_tokens, accumulate },
        objective: Objective::Likelihood,
        train: items(train),
        heldout: items(heldout),
        data: train.fingerprint(),
    }
}

/// The loss of a micro-batch.
pub(crate) fn micro_loss(micro: &Micro<'_>, logprobs: &Tensor) -> Result<Loss> {
    let sum: f64 = logprobs.to_vec1::<f32>()?.into_iter().map(f64::from).sum();
    let value = -sum / micro.tokens as f64;
    let mut metrics = Metrics::default();
    metrics.sum("loss", value);
    Ok(Loss { loss: loss(logprobs, micro.tokens)?, value, metrics })
}

#[cfg(test)]
mod tests;
