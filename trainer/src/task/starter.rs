//! The starter task: the questions of the embedded starter corpus, over an index of it.
//!
//! Nothing is needed but this program: the folder holds a home with the corpus and its index. The `dev` half of the
//! questions is trained on, the `test` half is measured by. An answer quotes the sentence that holds the fact asked
//! for and cites its passage, so that support and citations can be rewarded where words of the answer are few.
//!
//! [`init`] writes a folder:
//!
//! ```text
//! home/                       the starter corpus and its index, with the bundled encoder
//! questions-train.jsonl       questions, with answers and the documents that hold them
//! questions-heldout.jsonl
//! warm/copying.jsonl          random sequences that are repeated: `ids` and `mask`
//! warm/reading.jsonl          lessons made of the documents alone
//! warm/demonstrations.jsonl   questions of the first half, played by rule
//! model/                      a random policy with a tokenizer learnt from the documents
//! ```

mod demonstration;

use std::fs;
use std::path::Path;

use agent::Budget;
use corpus::reader::Record;
use corpus::starter::{self, COLLECTION, Split};
use corpus::{Store, starter::Question as Asked};
use indexes::{Snapshots, VectorKind};
use retriever::indexing::{Settings, build};
use serde::{Deserialize, Serialize};

use crate::data::question::{Gold, Question};
use crate::draw::Draw;
use crate::error::{Result, write};
use crate::files;
use crate::home::{Home, failed};
use crate::task::scratch::primer::{Primed, Primer};
use crate::task::scratch::reading::Words;

/// The bounds of an episode of this task: as many searches as hops and one to spare, two passages each.
pub const BUDGET: Budget = Budget {
    turns: 3,
    queries_per_turn: 1,
    hits_per_query: 2,
    evidence_tokens: 700,
    generated_tokens: 700,
    wall_ms: 60_000,
};

/// How large the task is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Size {
    /// Tokens learnt from the documents (2,048).
    pub vocabulary: usize,
    /// Numbers of a token's state in the policy, a multiple of 32 (128).
    pub width: usize,
    /// Layers of the policy (4).
    pub layers: usize,
    /// Lessons in copying (20,000).
    pub copying: usize,
    /// Lessons in reading (6,000).
    pub reading: usize,
}

impl Default for Size {
    fn default() -> Self {
        Self { vocabulary: 2_048, width: 128, layers: 4, copying: 20_000, reading: 6_000 }
    }
}

/// What [`init`] wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Written {
    /// Questions to train on.
    pub train: usize,
    /// Questions to measure by.
    pub heldout: usize,
    /// Lessons in reading.
    pub reading: usize,
    /// Demonstrations.
    pub demonstrations: usize,
    /// Parameters of the policy.
    pub parameters: usize,
}

/// Writes the task of `seed` to the new folder `dir`. The same seed and size give the same questions, lessons,
/// demonstrations and model.
///
/// # Errors
/// [`crate::Error::Input`] when `dir` exists or a size cannot be; [`crate::Error::Write`] when the disk refuses.
pub fn init(dir: &Path, seed: u64, size: &Size) -> Result<Written> {
    let primer = Primer::new((size.width, size.layers), size.vocabulary, size.copying, size.reading)?;
    files::new_folder(dir, |aside| fill(aside, seed, primer))
}

fn fill(dir: &Path, seed: u64, primer: Primer) -> Result<Written> {
    let warm = dir.join("warm");
    fs::create_dir_all(&warm).map_err(write(&warm))?;
    let home = home(&dir.join("home"))?;
    let questions = starter::questions().map_err(failed)?;
    let (train, heldout): (Vec<_>, Vec<_>) = questions.into_iter().partition(|asked| asked.split == Split::Dev);
    files::lines(&dir.join("questions-train.jsonl"), train.iter().map(question))?;
    files::lines(&dir.join("questions-heldout.jsonl"), heldout.iter().map(question))?;

    let passages = home.sample(u64::MAX, &|_| true)?;
    let asked = train.iter().map(|asked| asked.question.as_str());
    let Primed { reader, parameters, reading } = primer.write(dir, (seed, BUDGET), &passages, asked, &pretend)?;
    let demonstrations = demonstration::samples(&reader, home.retriever(), &train)?;
    files::lines(&warm.join("demonstrations.jsonl"), &demonstrations)?;
    Ok(Written {
        train: train.len(),
        heldout: heldout.len(),
        reading,
        demonstrations: demonstrations.len(),
        parameters,
    })
}

/// A home in the new folder `dir` that holds the starter corpus, indexed.
fn home(dir: &Path) -> Result<Home> {
    fs::create_dir_all(dir).map_err(write(dir))?;
    let build = || -> retriever::Result<()> {
        let mut store = Store::open(&dir.join("corpus.db"))?;
        let records =
            starter::documents().map(|document| document.map(|document| Record::Document(Box::new(document))));
        store.ingest(COLLECTION, records, &mut |_| {})?;
        let encoder = retriever::embed::open("static")?;
        let settings =
            Settings { created: jiff::Timestamp::UNIX_EPOCH, place: "static", vectors: VectorKind::Auto, cache: None };
        build(&store, &Snapshots::new(&dir.join("snapshots")), Some(&encoder), &settings, &mut |_| {}).map(|_| ())
    };
    build().map_err(agent::Error::from)?;
    Home::open(dir)
}

fn question(asked: &Asked) -> Question {
    Question {
        id: asked.id.clone(),
        question: asked.question.clone(),
        gold: Gold::Overlap(vec![asked.answer.clone()]),
        documents: asked.documents.clone(),
        hops: asked.hops,
    }
}

/// A question of words, and how it is searched for.
fn pretend(draw: &mut Draw, words: &Words<'_>) -> (String, String) {
    const OPENINGS: [&str; 4] = ["What is", "Which", "When should", "How is"];
    let Words { topic, focus, .. } = words;
    let question = format!("{} {focus} {topic}?", OPENINGS[draw.below(OPENINGS.len())]);
    let query = question.trim_end_matches('?').to_owned();
    (question, query)
}

#[cfg(test)]
mod tests;
