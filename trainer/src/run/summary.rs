//! [`Summary`]: what came of a run, from its journal alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use agent::journal::{self, Entry};
use serde::Serialize;

use crate::{Result, stages};

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Its folder.
    pub run: PathBuf,
    /// The last stage, as `sft`.
    pub stage: String,
    /// Steps done.
    pub step: u64,
    /// Steps it was to have.
    pub steps: u64,
    /// Whether it reached its end.
    pub is_done: bool,
    /// Values that learn.
    pub parameters: u64,
    /// Samples to learn from.
    pub samples: u64,
    /// The loss of the first step.
    pub first_loss: Option<f64>,
    /// The mean loss of the last tenth of the steps, at least one.
    pub last_loss: Option<f64>,
    /// The mean reward of the first step's episodes, where there are any.
    pub first_reward: Option<f64>,
    /// The mean of the mean rewards of the last tenth of the steps, at least one.
    pub last_reward: Option<f64>,
    /// Steps skipped because a value was not finite.
    pub skipped: u64,
    /// Tokens that were learnt.
    pub learnt: u64,
    /// Tokens through the model in a second, over all steps.
    pub tokens_per_second: f64,
    /// Seconds of all steps.
    pub seconds: f64,
    /// Measures on what is held out: `before`, `after_<stage>`, `final`, each by name.
    pub heldout: BTreeMap<String, BTreeMap<String, f64>>,
    /// The step of the best checkpoint.
    pub best_step: Option<u64>,
    /// What a person should know.
    pub notices: Vec<String>,
    /// Where there are several: each stage that was begun.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<Self>,
}

impl Summary {
    /// The summary of the run in the folder `run`.
    ///
    /// # Errors
    /// [`crate::Error::Agent`] when there is no journal, or it is damaged.
    pub fn read(run: &Path) -> Result<Self> {
        let folders = stages::begun(run)?;
        if folders.is_empty() {
            return Ok(Self::of(run, &journal::read(run)?));
        }
        let stages: Vec<Self> = folders.iter().map(|folder| Self::read(folder)).collect::<Result<_>>()?;
        let asked = if run.join(journal::FILE).is_file() { journal::read(run)? } else { Vec::new() };
        Ok(Self::over(Self::of(run, &asked), stages))
    }

    /// A run of several stages: what its questions came to, the sums over its stages, and where the last one stands.
    fn over(asked: Self, stages: Vec<Self>) -> Self {
        let sum = |of: fn(&Self) -> u64| stages.iter().map(of).sum::<u64>();
        let seconds: f64 = stages.iter().map(|stage| stage.seconds).sum();
        let tokens: f64 = stages.iter().map(|stage| stage.tokens_per_second * stage.seconds).sum();
        let notices = stages.iter().flat_map(|stage| stage.notices.iter().cloned()).collect();
        let last = stages.last().cloned().unwrap_or_default();
        Self {
            step: sum(|stage| stage.step),
            steps: sum(|stage| stage.steps),
            skipped: sum(|stage| stage.skipped),
            learnt: sum(|stage| stage.learnt),
            tokens_per_second: if seconds > 0.0 { tokens / seconds } else { 0.0 },
            seconds,
            run: asked.run,
            is_done: asked.is_done,
            heldout: asked.heldout,
            notices,
            stages,
            ..last
        }
    }

    /// What it is called among the stages of a run.
    pub fn name(&self) -> String {
        stages::name(&self.run)
    }

    fn of(run: &Path, entries: &[Entry]) -> Self {
        let mut summary = Self { run: run.to_owned(), ..Self::default() };
        let (mut losses, mut rewards) = (Vec::new(), Vec::new());
        let mut tokens = 0;
        for entry in entries {
            match entry {
                Entry::Start(start) => {
                    summary.stage.clone_from(&start.stage);
                    (summary.steps, summary.parameters) = (start.steps, start.parameters);
                    summary.samples = start.samples;
                }
                Entry::Step(step) => {
                    summary.step = step.step;
                    summary.skipped += u64::from(step.skipped);
                    summary.seconds += step.seconds;
                    summary.learnt += if step.skipped { 0 } else { step.learnt };
                    tokens += step.tokens;
                    losses.extend(step.loss);
                    rewards.extend(step.values.get("reward"));
                }
                Entry::Heldout(heldout) => {
                    let final_one = ("final".to_owned(), heldout.values.clone());
                    let named = (heldout.phase != "during").then(|| (heldout.phase.clone(), heldout.values.clone()));
                    summary.heldout.extend(named.into_iter().chain([final_one]));
                }
                Entry::Checkpoint { step, best: true } => summary.best_step = Some(*step),
                Entry::Notice { text, .. } => summary.notices.push(text.clone()),
                Entry::End { .. } => summary.is_done = true,
                Entry::Checkpoint { best: false, .. } | Entry::Unknown => {}
            }
        }
        (summary.first_loss, summary.last_loss) = ends(&losses);
        (summary.first_reward, summary.last_reward) = ends(&rewards);
        summary.tokens_per_second = if summary.seconds > 0.0 { tokens as f64 / summary.seconds } else { 0.0 };
        summary
    }
}

/// The first of some numbers, and the mean of their last tenth.
fn ends(numbers: &[f64]) -> (Option<f64>, Option<f64>) {
    let tail = &numbers[numbers.len() - numbers.len().div_ceil(10)..];
    let mean = (!tail.is_empty()).then(|| tail.iter().sum::<f64>() / tail.len() as f64);
    (numbers.first().copied(), mean)
}

#[cfg(test)]
mod tests {
    use agent::journal::{Heldout, Step};

    use super::*;

    fn step(step: u64, loss: Option<f64>) -> Entry {
        Entry::Step(Step {
            step,
            stage: "sft".to_owned(),
            epoch: 0.0,
            loss,
            gradient_norm: Some(1.0),
            learning_rate: 1e-3,
            skipped: loss.is_none(),
            tokens: 100,
            learnt: 30,
            seconds: 0.5,
            values: BTreeMap::new(),
        })
    }

    fn heldout(step: u64, phase: &str, loss: f64) -> Entry {
        let values = BTreeMap::from([("loss".to_owned(), loss)]);
        Entry::Heldout(Heldout { step, phase: phase.to_owned(), values })
    }

    #[test]
    fn a_journal_is_summed_up() {
        let mut entries = vec![heldout(0, "before", 5.0)];
        entries.extend((1..=19).map(|number| step(number, Some(6.0 - number as f64 / 10.0))));
        entries.push(step(20, None));
        entries.extend([heldout(10, "during", 3.0), Entry::Checkpoint { step: 10, best: true }]);
        entries.extend([heldout(20, "after_sft", 4.0), Entry::Checkpoint { step: 20, best: false }]);
        entries.push(Entry::End { step: 20, seconds: 9.0 });
        let summary = Summary::of(Path::new("r"), &entries);
        let loss = |phase: &str| summary.heldout[phase]["loss"];
        assert_eq!((loss("before"), loss("after_sft"), loss("final")), (5.0, 4.0, 4.0));
        assert!(!summary.heldout.contains_key("during"));
        assert_eq!((summary.step, summary.skipped, summary.best_step, summary.learnt), (20, 1, Some(10), 570));
        assert_eq!((summary.first_loss, summary.tokens_per_second, summary.is_done), (Some(5.9), 200.0, true));
        assert!((summary.last_loss.unwrap() - 4.15).abs() < 1e-12);
        assert_eq!(Summary::of(Path::new("r"), &[]).last_loss, None);
    }
}
