//! The episodes of a step, kept: `traces/step-00000001.jsonl` in the folder of a run, a line each.

use std::fs;
use std::path::Path;

use agent::Trace;
use rayon::prelude::*;
use serde::Serialize;

use crate::data::question::Question;
use crate::error::write;
use crate::files::replace_soon;
use crate::objective::Advantages;
use crate::reward::Reward;
use crate::rollout::Rollout;
use crate::{Error, Result, run::episode};

/// One line, as [`Episode`](episode::Episode) reads it.
#[derive(Serialize)]
struct Line<'a> {
    /// Steps done with this one.
    step: u64,
    /// Name of the question.
    question: &'a str,
    /// Whether its time was over, so that nothing was learnt from it.
    is_masked: bool,
    /// How much better than its group it was; absent when it was not learnt from.
    advantage: Option<f64>,
    reward: &'a Reward,
    trace: &'a Trace,
}

/// Writes the episodes of `step`; what a killed run wrote of it is replaced.
pub(super) fn write_episodes(
    run: &Path,
    step: u64,
    questions: &[Question],
    rollouts: &[Rollout],
    advantages: &Advantages,
) -> Result<()> {
    let path = episode::file(run, step);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(write(folder))?;
    }
    let lines = rollouts.par_iter().enumerate().map(|(number, rollout)| {
        let line = Line {
            step,
            question: &questions[rollout.prompt].id,
            is_masked: rollout.is_masked,
            advantage: advantages.is_kept[number].then(|| advantages.values[number]),
            reward: &rollout.reward,
            trace: &rollout.trace,
        };
        let mut bytes = serde_json::to_vec(&line).map_err(|error| Error::Shape(error.to_string()))?;
        bytes.push(b'\n');
        Ok(bytes)
    });
    let bytes = lines.collect::<Result<Vec<_>>>()?.concat();
    replace_soon(&path, &bytes)
}
