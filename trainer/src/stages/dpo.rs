//! [`dpo()`]: direct preference optimisation (arXiv 2305.18290): from pairs of answers, without a reward model.
//!
//! The reference is the model as the run found it: with a new adapter that is the model with its adapter off. Its
//! log-probabilities are computed once, before the first step, and kept in the folder of the run under the hash of
//! the data, so that training holds one model and a resumed run goes on with the same numbers.

use std::fs::{self, File};
use std::path::Path;

use candle_core::Tensor;
use nn::{Decoder, Weights};

use crate::data::Text;
use crate::data::preference::Preferences;
use crate::error::write;
use crate::learner::packing::pack;
use crate::learner::{Learner, score};
use crate::objective::{DpoConfig, Loss, Pair, dpo_loss};
use crate::recipe::{Plan, Recipe};
use crate::run::checkpoint::State;
use crate::run::{Clock, Progress};
use crate::stages::passes::{self, Items, Micro, Objective, Stage};
use crate::tensors::{Floats, write_tensors};
use crate::{Result, Sample};

/// In the folder of a run: the log-probabilities of the reference.
const REFERENCE: &str = "reference.safetensors";

/// Trains by `plan` in the folder `dir`; `resume` goes on where the newest checkpoint ends. `told` is called after
/// every step. Gives the last state.
///
/// # Errors
/// Those of a bad data set or model before anything is trained; [`Error::Halted`](crate::Error::Halted) when training
/// cannot go on.
pub fn dpo(plan: &Plan, dir: &Path, resume: bool, clock: Clock<'_>, told: &mut dyn FnMut(Progress)) -> Result<State> {
    let Recipe { data, dpo, .. } = plan.recipe();
    let text = Text::open(&plan.recipe().model.path)?;
    let rules = passes::rules(plan, ("dpo", dpo.micro_tokens), 2)?;
    let (train, heldout) = Preferences::read_both(data, &text, rules)?;
    passes::run(stage(plan, &train, &heldout), dir, resume, clock, told)
}

pub(crate) fn stage<'a>(plan: &'a Plan, train: &'a Preferences, heldout: &'a Preferences) -> Stage<'a> {
    let dpo = &plan.recipe().dpo;
    Stage {
        name: "dpo",
        section: "dpo",
        plan,
        passes: dpo.passes(),
        objective: Objective::Dpo(dpo.objective()),
        train: items(train),
        heldout: items(heldout),
        data: train.fingerprint(heldout),
    }
}

/// Each pair is an item, the better answer first.
fn items(preferences: &Preferences) -> Items<'_> {
    Items::of(preferences.pairs.iter().map(|pair| vec![&pair.chosen, &pair.rejected]).collect())
}

/// The loss of a micro-batch.
pub(crate) fn loss(config: &DpoConfig, micro: &Micro<'_>, logprobs: &Tensor) -> Result<Loss> {
    let Micro { items, numbers, whole, .. } = *micro;
    let mut end = 0;
    let mut next = |sample: &Sample| {
        end += sample.learnt();
        end - sample.learnt()..end
    };
    let pairs: Vec<Pair> = numbers
        .iter()
        .map(|number| Pair { chosen: next(items.samples[*number][0]), rejected: next(items.samples[*number][1]) })
        .collect();
    let reference: Vec<f32> = numbers.iter().flat_map(|number| items.reference[*number].iter().copied()).collect();
    dpo_loss(config, logprobs, &reference, &pairs, whole)
}

/// Gives a stage what the reference says of its items: as the folder `dir` has it, or computed by the model at the
/// `beginning` of the run, which is opened when it is not given.
pub(crate) fn refer(stage: &mut Stage<'_>, beginning: Option<&Decoder>, dir: &Path) -> Result<()> {
    let path = dir.join(REFERENCE);
    if path.is_file() && read(stage, &path).is_ok() {
        return Ok(());
    }
    let opened = if beginning.is_none() { Some(Learner::open(stage.plan, None)?.0) } else { None };
    let decoder = beginning.or(opened.as_ref()).expect("opened where it was not given");
    for items in [&mut stage.train, &mut stage.heldout] {
        items.reference = vec![Vec::new(); items.samples.len()];
        for numbers in pack(&items.lengths(), stage.passes.micro_tokens) {
            let mut scored = score(decoder, &items.pick(&numbers), 1.0, true)?.into_iter();
            for number in numbers {
                let learnt = items.samples[number].iter().map(|sample| sample.learnt()).sum();
                items.reference[number] = scored.by_ref().take(learnt).collect();
            }
        }
    }
    let flat = names(stage).map(|(name, items)| (name, items.reference.concat()));
    let tensors = flat.iter().map(|(name, values)| (name.clone(), vec![values.len()], Floats::Host(values)));
    let aside = path.with_extension("part");
    write_tensors(&aside, &tensors.collect::<Vec<_>>())?;
    File::open(&aside).and_then(|file| file.sync_all()).map_err(write(&aside))?;
    fs::rename(&aside, &path).map_err(write(&path))
}

/// The items of a stage by what their reference is called: data that is another has another name.
fn names<'b, 'a>(stage: &'b Stage<'a>) -> [(String, &'b Items<'a>); 2] {
    [(format!("train.{}", stage.data), &stage.train), (format!("heldout.{}", stage.data), &stage.heldout)]
}

fn read(stage: &mut Stage<'_>, path: &Path) -> Result<()> {
    let weights = Weights::open_file(path)?;
    let [train, heldout] = names(stage).map(|(name, items)| -> Result<Vec<Vec<f32>>> {
        let learnt = |samples: &Vec<&Sample>| samples.iter().map(|sample| sample.learnt()).sum::<usize>();
        let lengths: Vec<usize> = items.samples.iter().map(learnt).collect();
        let mut values = weights.floats(&name, &[lengths.iter().sum()])?.into_iter();
        Ok(lengths.into_iter().map(|length| values.by_ref().take(length).collect()).collect())
    });
    (stage.train.reference, stage.heldout.reference) = (train?, heldout?);
    Ok(())
}

#[cfg(test)]
mod tests;
