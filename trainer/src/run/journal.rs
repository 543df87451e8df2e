//! [`Journal`]: what a run tells about itself: `journal.jsonl` line by line, and TensorBoard's event files.

mod crc;
mod events;
mod mlflow;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use agent::journal::{Entry, FILE};
use jiff::Timestamp;

use self::events::Events;
pub use self::mlflow::Mlflow;
pub(crate) use self::mlflow::settings;
use crate::Result;
use crate::error::{read, write};
use crate::files::replace;

/// The journal of one run, open for more.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    events: Events,
    mlflow: Option<Mlflow>,
}

impl Journal {
    /// Opens the journal of the run in the folder `run`, where `step` steps are done: what a killed
    /// process wrote about later ones is removed, since they will be done again. `now` is the clock.
    ///
    /// # Errors
    /// [`crate::Error::Write`] when the disk refuses, and those of a damaged journal.
    pub fn open(run: &Path, step: u64, now: Timestamp) -> Result<Self> {
        let path = run.join(FILE);
        if path.is_file() {
            rewind(&path, step)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(write(&path))?;
        let events = Events::create(run, step, now)?;
        Ok(Self { path, file, events, mlflow: None })
    }

    /// Tells the numbers of all further lines to an MLflow server as well.
    pub fn tell(&mut self, mlflow: Mlflow) {
        self.mlflow = Some(mlflow);
    }

    /// Writes one line, and its numbers to TensorBoard. `now` is the clock.
    ///
    /// # Errors
    /// [`crate::Error::Write`] when the disk refuses.
    pub fn write(&mut self, entry: &Entry, now: Timestamp) -> Result<()> {
        let mut line = serde_json::to_vec(entry).map_err(|error| write(&self.path)(error.into()))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(write(&self.path))?;
        let scalars = scalars(entry);
        if let Some(mlflow) = self.mlflow.take() {
            if !scalars.is_empty() {
                mlflow.numbers(entry.step(), &scalars, now);
            }
            let failure = if matches!(entry, Entry::End { .. }) {
                mlflow.end(now)
            } else {
                let failure = mlflow.failure();
                self.mlflow = Some(mlflow).filter(|_| failure.is_none());
                failure
            };
            if let Some(text) = failure {
                self.write(&Entry::Notice { step: entry.step(), text }, now)?;
            }
        }
        if scalars.is_empty() { Ok(()) } else { self.events.scalars(entry.step(), &scalars, now) }
    }

    /// Carries all lines to the disk.
    ///
    /// # Errors
    /// [`crate::Error::Write`] when the disk refuses.
    pub fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(write(&self.path))
    }
}

/// Leaves the lines up to `step`, and those that are whole.
fn rewind(path: &Path, step: u64) -> Result<()> {
    let text = fs::read(path).map_err(read(path))?;
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let stays = |line: &&[u8]| serde_json::from_slice::<Entry>(line).map_or(true, |entry| entry.step() <= step);
    let kept: Vec<u8> = text[..whole].split_inclusive(|byte| *byte == b'\n').filter(stays).flatten().copied().collect();
    if kept == text { Ok(()) } else { replace(path, &kept) }
}

/// The numbers of a line, by the names that TensorBoard groups them by.
fn scalars(entry: &Entry) -> Vec<(String, f64)> {
    match entry {
        Entry::Step(step) => {
            let rate = |count: u64| if step.seconds > 0.0 { count as f64 / step.seconds } else { 0.0 };
            let fixed = [
                ("loss", step.loss),
                ("gradient_norm", step.gradient_norm),
                ("learning_rate", Some(step.learning_rate)),
                ("epoch", Some(step.epoch)),
                ("skipped", Some(f64::from(u8::from(step.skipped)))),
                ("learnt", Some(step.learnt as f64)),
                ("tokens_per_second", Some(rate(step.tokens))),
                ("seconds", Some(step.seconds)),
            ];
            let named = |name: &str| format!("{}/{name}", step.stage);
            let fixed = fixed.into_iter().filter_map(|(name, value)| Some((named(name), value?)));
            fixed.chain(step.values.iter().map(|(name, value)| (named(name), *value))).collect()
        }
        Entry::Heldout(heldout) => {
            heldout.values.iter().map(|(name, value)| (format!("heldout/{name}"), *value)).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
