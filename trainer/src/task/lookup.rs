//! The lookup task: a formulary that exists nowhere else, questions on it, and a policy small enough to
//! learn it from nothing on two cores.
//!
//! Drugs, classes and conditions are invented, so that an answer can only come from what was retrieved.
//! Editions of one seed share no name: a policy is warmed up on other editions (copying, their text
//! told again, a few demonstrations), and learns by reinforcement on questions of edition 0, without demonstrations.
//! Held-out questions are about drugs that no training question is about.
//!
//! [`init`] writes a folder:
//!
//! ```text
//! formulary.jsonl             documents of edition 0: `anamnesis corpus add` reads them
//! questions-train.jsonl       questions on them, with answers
//! questions-heldout.jsonl
//! warm/copying.jsonl          random sequences that are repeated: `ids` and `mask`
//! warm/retelling.jsonl        documents of other editions, some of their facts told again: `ids` and `mask`
//! warm/demonstrations.jsonl   episodes on other editions, played by rule: `ids` and `mask`
//! model/                      a random policy of 0.9M parameters with its tokenizer and template
//! ```

mod copying;
mod demonstration;
mod evaluate;
mod formulary;
mod names;
mod retelling;
mod tokens;

use std::fs;
use std::path::Path;

use agent::Budget;
use agent::policy::{Local, LocalOptions};
use corpus::{Document, DocumentId};
use nn::Tokenizer;
use serde::{Deserialize, Serialize};
use serde_json::json;

pub use self::evaluate::evaluate;
pub use self::formulary::Formulary;
use crate::error::{Error, Result, write};
use crate::files;
use crate::task::scratch::{self, Shape};

/// The bounds of an episode of this task: as many searches as hops and one to spare, one document each.
pub const BUDGET: Budget = Budget {
    turns: 3,
    queries_per_turn: 1,
    hits_per_query: 1,
    evidence_tokens: 512,
    generated_tokens: 600,
    wall_ms: 60_000,
};

/// The task's own policy, of 0.9M parameters.
const SHAPE: Shape = Shape { width: 128, inner: 384, layers: 4, heads: 4 };

/// How large the task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Size {
    /// Drugs of one edition.
    pub drugs: usize,
    /// Questions to train on.
    pub train: usize,
    /// Questions to measure by.
    pub heldout: usize,
    /// Editions that a policy is warmed up on.
    pub editions: u32,
    /// Demonstrations on all of them together.
    pub demonstrations: usize,
    /// How many of them take two documents.
    pub two_hop: usize,
    /// Repeated sequences.
    pub copying: usize,
    /// Documents of those editions that are told again, at most 64 times each.
    pub retelling: usize,
}

impl Default for Size {
    fn default() -> Self {
        Self {
            drugs: 600,
            train: 2_200,
            heldout: 200,
            editions: 8,
            demonstrations: 200,
            two_hop: 40,
            copying: 24_000,
            retelling: 16_000,
        }
    }
}

impl Size {
    fn check(self) -> Result<()> {
        let Self { drugs, train, heldout, editions, demonstrations, two_hop, copying, retelling } = self;
        let refuse = |what: String| Err(Error::Input(what));
        if !(10..=names::PER_EDITION - formulary::OTHER_NAMES).contains(&drugs) {
            let most = names::PER_EDITION - formulary::OTHER_NAMES;
            return refuse(format!("{drugs} drugs: choose from 10 to {most}"));
        }
        if !(1..names::EDITIONS).contains(&editions) {
            return refuse(format!("{editions} editions to warm up on: choose from 1 to {}", names::EDITIONS - 1));
        }
        let least = [train, heldout, demonstrations, copying, retelling].into_iter().min();
        if least == Some(0) || two_hop > demonstrations {
            return refuse(
                "every count must be at least 1, and two-hop demonstrations are among the others".to_owned(),
            );
        }
        Ok(())
    }
}

/// What [`init`] wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Written {
    /// Documents of the edition under test.
    pub documents: usize,
    /// Questions to train on.
    pub train: usize,
    /// Questions to measure by.
    pub heldout: usize,
    /// Demonstrations.
    pub demonstrations: usize,
    /// Parameters of the policy.
    pub parameters: usize,
}

/// Writes the task of `seed` to the new folder `dir`. The same seed and size give the same bytes.
///
/// # Errors
/// [`Error::Input`] when `dir` exists or a size cannot be; [`Error::Write`] when the disk refuses.
pub fn init(dir: &Path, seed: u64, size: Size) -> Result<Written> {
    size.check()?;
    files::new_folder(dir, |aside| fill(aside, seed, size))
}

fn fill(dir: &Path, seed: u64, size: Size) -> Result<Written> {
    let warm = dir.join("warm");
    fs::create_dir_all(&warm).map_err(write(&warm))?;
    let model = dir.join("model");
    let parameters = scratch::write_folder(&model, SHAPE, &tokens::vocabulary(), seed)?;

    let formulary = Formulary::new(seed, 0, size.drugs);
    let documents = formulary.documents();
    let (train, heldout) = formulary.split(size.train, size.heldout);
    files::lines(&dir.join("formulary.jsonl"), documents.iter().map(row))?;
    files::lines(&dir.join("questions-train.jsonl"), &train)?;
    files::lines(&dir.join("questions-heldout.jsonl"), &heldout)?;

    let tokenizer = Tokenizer::open(&model)?;
    let editions: Vec<_> = (1..=size.editions).map(|edition| Formulary::new(seed, edition, size.drugs)).collect();
    files::lines(&warm.join("copying.jsonl"), copying::samples(&tokenizer, seed, size.copying)?)?;
    let retold = retelling::samples(&tokenizer, seed, &editions, size.retelling)?;
    files::lines(&warm.join("retelling.jsonl"), retold)?;
    let local = Local::open(&model, &LocalOptions { kv_bytes: Some(1 << 22), ..LocalOptions::default() })?;
    let demonstrations = demonstration::samples(&local, tokenizer, &editions, size.demonstrations, size.two_hop)?;
    files::lines(&warm.join("demonstrations.jsonl"), &demonstrations)?;
    Ok(Written {
        documents: documents.len(),
        train: train.len(),
        heldout: heldout.len(),
        demonstrations: demonstrations.len(),
        parameters,
    })
}

/// A document as the reader of JSON lines has it.
fn row(document: &Document) -> serde_json::Value {
    json!({ "id": document.id.key(), "title": document.title, "text": document.text })
}

/// The documents of a `formulary.jsonl`, under the ids that a corpus gives them.
///
/// # Errors
/// [`Error::Data`] with the line of a record that is no document, [`Error::Io`] for an unreadable file.
pub fn documents(path: &Path) -> Result<Vec<Document>> {
    #[derive(serde::Deserialize)]
    struct Row {
        id: String,
        title: String,
        text: String,
    }
    let text = fs::read_to_string(path).map_err(crate::error::read(path))?;
    let rows = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    rows.map(|(number, line)| {
        let fault = |error: serde_json::Error| Error::Data {
            file: path.to_owned(),
            line: number + 1,
            reason: format!("is no document: {error}"),
        };
        let Row { id, title, text } = serde_json::from_str(line).map_err(fault)?;
        Ok(Document::plain(DocumentId::new(formulary::SOURCE, &id), &title, &text))
    })
    .collect()
}

#[cfg(test)]
mod tests;
