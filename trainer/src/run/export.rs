//! [`export()`]: what a run learnt, as an adapter in PEFT's layout or as a model in Hugging Face's.

use std::fs;
use std::path::Path;
use std::str::FromStr;

use nn::{Adapter, Decoder, Device};

use crate::error::{read, write};
use crate::files::{remove_folder, sync_all};
use crate::recipe::Learn;
use crate::{Error, Result, learner, run, stages, stages::reward_model};

/// Which checkpoint of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one that did best on what is held out; the last where nothing was held out.
    Best,
    /// The last.
    Last,
    /// The one after so many steps.
    Step(u64),
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "best" => Ok(Self::Best),
            "last" => Ok(Self::Last),
            step => step.parse().map(Self::Step).map_err(|_| format!("`{step}` is neither best, last nor a step")),
        }
    }
}

/// Writes what the run in the folder `dir` had learnt at a checkpoint, of several stages the last, to the new folder
/// `to`; gives its step. `merged` adds an adapter to the weights.
///
/// # Errors
/// [`Error::Input`] when `to` exists, or there is no such checkpoint; those of damaged files.
pub fn export(dir: &Path, to: &Path, which: Which, merged: bool) -> Result<u64> {
    if fs::symlink_metadata(to).is_ok() {
        return Err(Error::Input(format!("{} exists already: remove it, or name another folder", to.display())));
    }
    let last = stages::begun(dir)?.pop();
    let dir = last.as_deref().unwrap_or(dir);
    let plan = run::plan(dir)?;
    let checkpoints = run::checkpoints(dir)?;
    let Some((newest, state)) = checkpoints.newest()? else {
        return Err(Error::Input(format!("{} has no checkpoint yet", dir.display())));
    };
    let best = state.best.map_or(state.step, |best| best.step);
    let step = match which {
        Which::Last => state.step,
        Which::Best => best,
        Which::Step(step) => step,
    };
    let folder = if step == state.step { newest } else { checkpoints.load(step)?.0 };
    let learn = plan.recipe().model.learn;
    // A scorer and an encoder are more than their weights: the run has the best one whole.
    let outcome = dir.join(&state.stage);
    let weights = if step == best && outcome.is_dir() { outcome } else { learner::weights(&folder, learn) };
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let aside = to.with_file_name(format!(".{name}.partial"));
    remove_folder(&aside)?;
    if merged && learn == Learn::Adapter {
        let mut decoder = Decoder::load(&plan.recipe().model.path, Device::cpu())?;
        decoder.set_adapter(Some(Adapter::open(&weights)?))?;
        decoder.save(&aside)?;
        reward_model::carry_over(&weights, &aside)?;
    } else {
        copy(&weights, &aside)?;
    }
    sync_all(&aside)?;
    fs::rename(&aside, to).map_err(write(to))?;
    Ok(step)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).map_err(write(to))?;
    for entry in fs::read_dir(from).map_err(read(from))? {
        let path = entry.map_err(read(from))?.path();
        let copy = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            self::copy(&path, &copy)?;
        } else {
            fs::copy(&path, &copy).map_err(write(&copy))?;
        }
    }
    Ok(())
}
