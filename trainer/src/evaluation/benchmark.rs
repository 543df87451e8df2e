//! [`read`]: questions of published sets, whatever their layout; [`ask`]: what a policy answers in one [`Arm`].
//!
//! Layouts, told apart by their fields: our own questions; choices (`options`, `answer`: MedQA, MedMCQA, MMLU, BioASQ);
//! PubMedQA (`final_decision`, `contexts`); trials (`intervention`, `outcome`, `label`); SQuAD (`data`, `paragraphs`).
//! What cannot be asked is left out and told with its place; an answer's place in its text that is wrong is told too.

mod arm;
mod bleu;
mod layout;
mod measure;

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

use corpus::Document;
use retriever::Retrieve;
use serde_json::Value;

pub use self::arm::{Arm, ask};
pub use self::bleu::bleu;
pub use self::measure::measures;
use crate::data::question::Question;
use crate::error::{Error, Result};
use crate::stages::rl::library;

/// Bytes of a file that are read.
const LARGEST: u64 = 1 << 30;

/// A question of a set.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// The question; its id begins with the set's name.
    pub question: Question,
    /// The set.
    pub set: String,
    /// A right answer in words, where there is one.
    pub reference: Option<String>,
    /// What comes along: the documents that hold the answer.
    pub contexts: Vec<Document>,
}

/// A file of questions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Set {
    /// What can be asked, in the order of the file.
    pub items: Vec<Item>,
    /// What is wrong with the file, each with its place.
    pub faults: Vec<String>,
}

/// Reads a file of questions; `.gz` and `.zst` are read directly.
///
/// # Errors
/// [`Error::Io`] for an unreadable file; [`Error::Data`] for one in no known layout, or without a question that can be asked.
pub fn read(path: &Path) -> Result<Set> {
    let unreadable = |source: std::io::Error| Error::Io { path: path.to_owned(), source };
    let reader = corpus::reader::open_text(path).map_err(|error| unreadable(std::io::Error::other(error)))?;
    let mut text = String::new();
    reader.take(LARGEST).read_to_string(&mut text).map_err(unreadable)?;
    let data = |line: usize, reason: String| Error::Data { file: path.to_owned(), line, reason };
    let mut set = Set::default();
    if let Ok(whole) = serde_json::from_str::<Value>(&text)
        && whole.get("data").is_some()
    {
        layout::squad(&whole, &name(path), &mut set);
    } else {
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let row: Value =
                serde_json::from_str(line).map_err(|error| data(number + 1, format!("is no JSON: {error}")))?;
            let layout = layout::of(&row).ok_or_else(|| {
                data(
                    number + 1,
                    "is no question: expected `gold`, `options`, `final_decision` or `intervention`".into(),
                )
            })?;
            match layout::item(layout, &row, &name(path)) {
                Ok(item) => set.items.push(item),
                Err(reason) => set.faults.push(format!("line {}: {reason}", number + 1)),
            }
        }
    }
    let mut names = BTreeSet::new();
    let (kept, twice): (Vec<_>, Vec<_>) = set.items.drain(..).partition(|item| names.insert(item.question.id.clone()));
    set.faults.extend(twice.iter().map(|item| format!("question `{}` is there twice", item.question.id)));
    set.items = kept;
    if set.items.is_empty() {
        return Err(data(0, "holds no question that can be asked".to_owned()));
    }
    Ok(set)
}

/// What is searched: the current index of a home, or a few documents in memory.
///
/// # Errors
/// [`Error::Input`] when neither is named; those of a damaged home, or of one whose encoder is not at hand.
pub fn library(home: Option<&Path>, documents: Option<&Path>) -> Result<Box<dyn Retrieve>> {
    Ok(library::of(home, documents)?.into_retriever())
}

/// What a file is called, without its endings.
fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.split('.').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
