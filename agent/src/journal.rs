//! The journal of a training run, `journal.jsonl`: what was done, measured and noticed, a line each.
//!
//! The trainer writes it; whoever shows runs reads it. Lines of a kind that is not known are passed over,
//! and so is a last line that a kill cut off.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The name of the journal in the folder of a run.
pub const FILE: &str = "journal.jsonl";

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Entry {
    /// The run began, or went on after a stop.
    Start(Start),
    /// One step of the optimiser.
    Step(Step),
    /// A measure on what is held out.
    Heldout(Heldout),
    /// A checkpoint is on the disk.
    Checkpoint {
        /// Steps done.
        step: u64,
        /// Whether it is the best so far.
        best: bool,
    },
    /// Something that a person should know.
    Notice {
        /// Steps done.
        step: u64,
        /// What.
        text: String,
    },
    /// The run reached its end.
    End {
        /// Steps done.
        step: u64,
        /// Seconds since the last start.
        seconds: f64,
    },
    /// Of a newer version.
    #[serde(other)]
    Unknown,
}

/// The beginning of a run, or of its going on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// When.
    pub at: Timestamp,
    /// Steps done before.
    pub step: u64,
    /// Steps the run will have.
    pub steps: u64,
    /// The stage, as `sft`.
    pub stage: String,
    /// Values that learn.
    pub parameters: u64,
    /// Samples to learn from.
    pub samples: u64,
    /// Tokens of one pass over them that are learnt.
    pub tokens: u64,
    /// Samples that are held out.
    pub heldout: u64,
    /// Bytes that the largest micro-batch was expected to take in all.
    pub forecast_bytes: u64,
    /// The most bytes the process had taken after it was run, where that can be told.
    pub peak_bytes: Option<u64>,
}

/// One step of the optimiser.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Steps done with this one.
    pub step: u64,
    /// The stage.
    pub stage: String,
    /// Passes over the data, with the part of this one.
    pub epoch: f64,
    /// What is minimised; absent when it was not finite.
    pub loss: Option<f64>,
    /// The norm of the gradient before it was clipped; absent when it was not finite.
    pub gradient_norm: Option<f64>,
    /// The learning rate.
    pub learning_rate: f64,
    /// Whether the step was skipped, because a value was not finite.
    pub skipped: bool,
    /// Tokens that went through the model.
    pub tokens: u64,
    /// Those of them that were learnt.
    pub learnt: u64,
    /// Seconds of the step in all.
    pub seconds: f64,
    /// Everything else by its name: parts of the loss, rewards, lengths, seconds of each part.
    pub values: BTreeMap<String, f64>,
}

/// A measure on what is held out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Heldout {
    /// Steps done.
    pub step: u64,
    /// When in the run: `before`, `during`, `after_<stage>` or `final`.
    pub phase: String,
    /// What was measured, by name.
    pub values: BTreeMap<String, f64>,
}

impl Entry {
    /// Steps done when it was written.
    pub fn step(&self) -> u64 {
        match self {
            Self::Start(Start { step, .. })
            | Self::Step(Step { step, .. })
            | Self::Heldout(Heldout { step, .. })
            | Self::Checkpoint { step, .. }
            | Self::Notice { step, .. }
            | Self::End { step, .. } => *step,
            Self::Unknown => 0,
        }
    }
}

/// The journal of the run in the folder `run`.
///
/// # Errors
/// [`Error::Input`] when there is none, or when a line before the last is damaged.
pub fn read(run: &Path) -> Result<Vec<Entry>> {
    let path = run.join(FILE);
    let shown = path.display();
    let text = fs::read(&path).map_err(|error| Error::Input(format!("cannot read {shown}: {error}")))?;
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    text[..whole]
        .split(|byte| *byte == b'\n')
        .zip(1..)
        .filter(|(line, _)| !line.is_empty())
        .map(|(line, number)| {
            serde_json::from_slice(line).map_err(|error| Error::Input(format!("{shown}:{number}: {error}")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_and_a_torn_last_one_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let values = BTreeMap::from([("loss".to_owned(), 1.5)]);
        let entries = [
            Entry::Heldout(Heldout { step: 0, phase: "before".to_owned(), values }),
            Entry::Checkpoint { step: 5, best: true },
            Entry::Notice { step: 6, text: "a value was not finite".to_owned() },
        ];
        let mut text: String = entries.iter().map(|entry| serde_json::to_string(entry).unwrap() + "\n").collect();
        text.push_str("{\"kind\":\"colour\",\"hue\":3}\n{\"kind\":\"end\",\"st");
        fs::write(folder.path().join(FILE), &text).unwrap();
        let read_back = read(folder.path()).unwrap();
        assert_eq!(read_back[..3], entries);
        assert_eq!(read_back[3..], [Entry::Unknown]);
        assert_eq!(read_back.iter().map(Entry::step).collect::<Vec<_>>(), [0, 5, 6, 0]);
        fs::write(folder.path().join(FILE), "no json\n").unwrap();
        let error = read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("journal.jsonl:1:"), "{error}");
        assert!(read(&folder.path().join("none")).is_err());
    }
}
