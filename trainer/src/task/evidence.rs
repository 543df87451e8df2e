//! The evidence task: real questions on trials that only the right passage answers, over a real index.
//!
//! A question asks what an intervention did to an outcome compared with something else (Evidence Inference,
//! Lehman et al. 2019); the passages of the trial reports lie in a home. The agent must find the trial's
//! passage and say, with a citation, whether the outcome significantly increased, significantly decreased,
//! or did not differ. An answer quotes what it found and concludes from it, so that a reader can check it.
//!
//! [`init`] writes a folder:
//!
//! ```text
//! questions-train.jsonl       questions on trials, with answers and the passages that hold them
//! questions-heldout.jsonl     on other trials
//! wordings.json               how often each way of asking the index finds such a passage
//! warm/copying.jsonl          random sequences that are repeated: `ids` and `mask`
//! warm/reading.jsonl          lessons made of passages alone
//! warm/spans.jsonl            demonstrations that find what annotators marked and nothing else
//! warm/demonstrations.jsonl   demonstrations with the real retriever
//! warm/closed.jsonl           the same questions answered without a search: what a control learns
//! model/                      a random policy with a tokenizer learnt from the passages
//! ```

mod demonstration;
mod passages;
mod trial;
mod wording;

use std::fs;
use std::path::{Path, PathBuf};

use agent::Budget;
use serde::{Deserialize, Serialize};

pub use self::trial::{Effect, Trial, trials};
pub use self::wording::Wording;
use crate::draw::Draw;
use crate::error::{Error, Result, write};
use crate::home::Home;
use crate::task::scratch::primer::{Primed, Primer};
use crate::task::scratch::reading::Words;
use crate::{Sample, files};

/// The bounds of an episode of this task: one search, one passage, and room to quote and to conclude.
pub const BUDGET: Budget = Budget {
    turns: 2,
    queries_per_turn: 1,
    hits_per_query: 1,
    evidence_tokens: 800,
    generated_tokens: 640,
    wall_ms: 60_000,
};

/// What the task is made of, and how large it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// A home of `anamnesis` that holds the passages, indexed.
    pub home: PathBuf,
    /// The questions: JSON lines with `intervention`, `comparator`, `outcome`, `label`, `split` and `evidence`.
    pub trials: PathBuf,
    /// Tokens learnt from the passages.
    #[serde(default = "defaults::vocabulary")]
    pub vocabulary: usize,
    /// Numbers of a token's state in the policy, a multiple of 32.
    #[serde(default = "defaults::width")]
    pub width: usize,
    /// Layers of the policy.
    #[serde(default = "defaults::layers")]
    pub layers: usize,
    /// Lessons in copying.
    #[serde(default = "defaults::copying")]
    pub copying: usize,
    /// Lessons in reading.
    #[serde(default = "defaults::reading")]
    pub reading: usize,
    /// Questions to train on, at most.
    #[serde(default = "defaults::questions")]
    pub train: usize,
    /// Questions to measure by, at most.
    #[serde(default = "defaults::questions")]
    pub heldout: usize,
}

mod defaults {
    //! Of fields beside those that have none.

    pub(super) fn vocabulary() -> usize {
        2_048
    }

    pub(super) fn width() -> usize {
        128
    }

    pub(super) fn layers() -> usize {
        4
    }

    pub(super) fn copying() -> usize {
        20_000
    }

    pub(super) fn reading() -> usize {
        6_000
    }

    pub(super) fn questions() -> usize {
        100_000
    }
}

impl Size {
    /// As large as usual, on the passages of `home` and the questions of `trials`.
    pub fn new(home: PathBuf, trials: PathBuf) -> Self {
        Self {
            home,
            trials,
            vocabulary: defaults::vocabulary(),
            width: defaults::width(),
            layers: defaults::layers(),
            copying: defaults::copying(),
            reading: defaults::reading(),
            train: defaults::questions(),
            heldout: defaults::questions(),
        }
    }

    /// What the policy begins as, if everything else can be too.
    fn check(&self) -> Result<Primer> {
        if self.train == 0 || self.heldout == 0 {
            return Err(Error::Input("task.train and task.heldout must be at least 1".to_owned()));
        }
        Primer::new((self.width, self.layers), self.vocabulary, self.copying, self.reading)
    }
}

/// What [`init`] wrote.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Written {
    /// Questions to train on.
    pub train: usize,
    /// Questions to measure by.
    pub heldout: usize,
    /// Lessons in reading.
    pub reading: usize,
    /// Demonstrations with the real retriever.
    pub demonstrations: usize,
    /// Parameters of the policy.
    pub parameters: usize,
    /// How often each wording finds a passage that holds the answer.
    pub wordings: Vec<wording::Found>,
}

/// Writes the task of `seed` to the new folder `dir`. The same seed, size, home and questions give the same bytes.
///
/// # Errors
/// [`Error::Input`] when `dir` exists, a size cannot be, or the home does not hold the passages that the questions
/// are about; [`Error::Data`] for what is no question; those of a damaged home; [`Error::Write`] when the disk refuses.
pub fn init(dir: &Path, seed: u64, size: &Size) -> Result<Written> {
    let primer = size.check()?;
    let trials = trials(&size.trials)?;
    let library = Home::open(&size.home)?;
    files::new_folder(dir, |aside| fill(aside, seed, (size, primer), &trials, &library))
}

fn fill(dir: &Path, seed: u64, (size, primer): (&Size, Primer), trials: &[Trial], library: &Home) -> Result<Written> {
    let warm = dir.join("warm");
    fs::create_dir_all(&warm).map_err(write(&warm))?;
    let part = |split: &str, most: usize| {
        let of = trials.iter().filter(|trial| trial.split == split && !trial.passages().is_empty());
        of.take(most).collect::<Vec<_>>()
    };
    let (train, heldout) = (part("train", size.train), part("validation", size.heldout));
    for (split, part) in [("train", &train), ("validation", &heldout)] {
        if part.is_empty() {
            let what = format!("{}: no question of split `{split}` names a passage", size.trials.display());
            return Err(Error::Input(what));
        }
    }
    passages::check(library, size, train.iter().chain(&heldout).copied())?;
    files::lines(&dir.join("questions-train.jsonl"), train.iter().map(|trial| trial.question()))?;
    files::lines(&dir.join("questions-heldout.jsonl"), heldout.iter().map(|trial| trial.question()))?;
    let wordings = wording::measure(library.retriever(), &train, &heldout)?;
    files::lines(&dir.join("wordings.json"), [&wordings])?;

    let passages = passages::sample(library, &heldout)?;
    let asked = train.iter().map(|trial| trial.text.as_str());
    let Primed { reader, parameters, reading } = primer.write(dir, (seed, BUDGET), &passages, asked, &pretend)?;
    files::lines(&warm.join("spans.jsonl"), demonstration::spans(&reader, seed, &train)?)?;
    let demonstrations = demonstration::found(&reader, seed, library.retriever(), &train)?;
    files::lines(&warm.join("demonstrations.jsonl"), &demonstrations)?;
    let reader = reader.within(Budget { turns: 0, ..BUDGET });
    files::lines(&warm.join("closed.jsonl"), demonstration::closed(&reader, &train)?)?;
    Ok(Written {
        train: train.len(),
        heldout: heldout.len(),
        reading,
        demonstrations: demonstrations.len(),
        parameters,
        wordings,
    })
}

/// A question like those on trials, of words that are no intervention and no outcome, and how it is searched for.
fn pretend(draw: &mut Draw, words: &Words<'_>) -> (String, String) {
    let Words { topic, other, focus } = words;
    let question = trial::question(topic, other, focus);
    let wording = Wording::ALL[draw.below(Wording::ALL.len())];
    let query = wording.query(&question, topic, other, focus);
    (question, query)
}

/// Samples of nothing but what they are.
type Samples = Result<Vec<Sample>>;

#[cfg(test)]
mod tests;
