//! [`OnAlarm`], and what a run that was stopped by an alarm goes back to.
//!
//! A run is a function of its recipe: one that goes on as it was meets the same alarm. So a run that was put back
//! goes on with a change alone, and what was changed is told.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{read, write};
use crate::files::replace;
use crate::recipe::Plan;
use crate::run::checkpoint::Checkpoints;
use crate::{Error, Result};

/// The file that a stopped run holds.
pub(super) const FILE: &str = "alarm.json";

/// What is done when a run goes where it should not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnAlarm {
    /// It is told, and the run goes on.
    Warn,
    /// The run stops, and stays as it is.
    Halt,
    /// The run stops and is put back to its best checkpoint, from where it may go on with other settings.
    #[default]
    Rollback,
}

/// Why a run was stopped, and what it was put back to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stopped {
    /// The step of the alarm.
    pub(super) step: u64,
    /// What happened.
    pub(super) reason: String,
    /// The step of the checkpoint; its beginning when there is none.
    pub(super) back_to: Option<u64>,
    /// Hash of the recipe that led there.
    recipe: String,
}

impl Stopped {
    /// Puts a run in the folder `dir` back to its best checkpoint, its last one where nothing was measured.
    pub(super) fn put_back(dir: &Path, checkpoints: &Checkpoints, plan: &str, step: u64, reason: &str) -> Result<Self> {
        let newest = checkpoints.newest()?.map(|(_, state)| state);
        let steps = checkpoints.steps()?;
        let back_to = newest.map(|state| state.best.map_or(state.step, |best| best.step).min(state.step));
        let back_to = back_to.filter(|step| steps.contains(step)).or(steps.last().copied());
        let stopped = Self { step, reason: reason.to_owned(), back_to, recipe: hash(plan) };
        // Told first: what a kill leaves undone is done when the run goes on.
        let text = serde_json::to_string_pretty(&stopped).map_err(|error| Error::Shape(error.to_string()))?;
        replace(&dir.join(FILE), text.as_bytes())?;
        stopped.prune(checkpoints)?;
        Ok(stopped)
    }

    /// Why the run in the folder `dir` was stopped, if it was.
    pub(super) fn read(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(FILE);
        if !path.is_file() {
            return Ok(None);
        }
        let bytes = fs::read(&path).map_err(read(&path))?;
        let fault = |error: serde_json::Error| Error::Artefact { path: path.clone(), reason: error.to_string() };
        serde_json::from_slice(&bytes).map(Some).map_err(fault)
    }

    /// Whether the run may go on by `plan`, where it was begun by `own`.
    pub(super) fn allows(&self, own: &Plan, plan: &Plan) -> std::result::Result<(), String> {
        let (own, other) = (own.recipe(), plan.recipe());
        if hash(&other.to_toml()) == self.recipe {
            let Self { step, reason, .. } = self;
            return Err(format!(
                "was stopped at step {step} and put back: {reason}. It would end there again: go on with --resume and a change, as --set optimiser.learning_rate=1e-5"
            ));
        }
        if own.model != other.model || own.data != other.data {
            return Err("was put back after an alarm: all but its model and its data may be changed".to_owned());
        }
        Ok(())
    }

    /// Removes what came after the checkpoint that the run was put back to.
    pub(super) fn prune(&self, checkpoints: &Checkpoints) -> Result<()> {
        checkpoints.prune(self.back_to.as_slice())
    }

    /// The run goes on: it is no longer a stopped one.
    pub(super) fn lift(dir: &Path) -> Result<()> {
        let path = dir.join(FILE);
        fs::remove_file(&path).map_err(write(&path))
    }
}

fn hash(recipe: &str) -> String {
    blake3::hash(recipe.as_bytes()).to_hex().to_string()
}
