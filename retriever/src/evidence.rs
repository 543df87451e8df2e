//! [`Evidence`]: text a policy may read, labelled `[E7]`; the [`Ledger`] hands out labels once.

use std::fmt;
use std::ops::Range;

use corpus::store::ChunkInContext;
use corpus::{ChunkId, DocumentId, Identifiers, Level, Status};
use serde::{Deserialize, Serialize};

/// A label, printed `E7`. Never reused within an episode, whatever happens to its evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Label(pub u32);

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "E{}", self.0)
    }
}

/// A chunk as a policy reads it and a reader can check it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// What answers cite.
    pub label: Label,
    /// The chunk.
    pub chunk: ChunkId,
    /// Its document.
    pub document: DocumentId,
    /// Where the chunk lies in the document's text, in bytes.
    pub span: Range<usize>,
    /// PMID, PMC id, DOI, address.
    pub identifiers: Identifiers,
    /// The document's title.
    pub title: String,
    /// Breadcrumb inside the document; may be empty.
    pub heading: String,
    /// Year of publication.
    pub year: Option<u16>,
    /// Journal, book or site.
    pub journal: Option<String>,
    /// Kind of study.
    pub level: Level,
    /// What the publisher says of it.
    pub status: Status,
    /// The chunk's text, unescaped.
    pub text: String,
}

/// The evidence of one episode, in the order it was admitted, within one token budget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    entries: Vec<Evidence>,
    budget: usize,
    spent: usize,
}

/// What became of a chunk offered to a [`Ledger`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// New: it has this label now.
    New(Label),
    /// It was here already, under this label.
    Known(Label),
    /// The token budget has no room for it.
    OverBudget,
}

impl Evidence {
    /// Takes the text away; the label stays, so that it is never given to another.
    pub fn withdraw(&mut self) {
        self.text.clear();
        self.span.end = self.span.start;
    }

    /// Whether it was.
    pub fn is_withdrawn(&self) -> bool {
        self.text.is_empty()
    }
}

impl Ledger {
    /// An empty ledger that admits at most `budget` tokens of text (see [`estimate_tokens`]).
    pub fn new(budget: usize) -> Self {
        Self { entries: Vec::new(), budget, spent: 0 }
    }

    /// A ledger that begins with the evidence of an earlier one, by label, which costs nothing of the budget.
    pub fn going_on(evidence: Vec<Evidence>, budget: usize) -> Self {
        Self { entries: evidence, budget, spent: 0 }
    }

    /// Admits a chunk under the next label, unless it is known or does not fit.
    pub fn admit(&mut self, found: ChunkInContext) -> Admission {
        let known = self.entries.iter_mut().find(|entry| entry.chunk == found.chunk.id);
        if let Some(known) = known.as_ref().filter(|known| !known.is_withdrawn()) {
            return Admission::Known(known.label);
        }
        let tokens = estimate_tokens(&found.chunk.text);
        if self.spent + tokens > self.budget {
            return Admission::OverBudget;
        }
        self.spent += tokens;
        if let Some(back) = known {
            (back.text, back.span, back.status) = (found.chunk.text, found.chunk.span, found.document.status);
            return Admission::New(back.label);
        }
        let label = Label(self.entries.len() as u32 + 1);
        self.entries.push(Evidence {
            label,
            chunk: found.chunk.id,
            document: found.chunk.document,
            span: found.chunk.span,
            identifiers: found.document.identifiers,
            title: found.document.title,
            heading: found.chunk.heading,
            year: found.document.date.map(|date| date.year),
            journal: found.document.journal,
            level: found.document.level,
            status: found.document.status,
            text: found.chunk.text,
        });
        Admission::New(label)
    }

    /// The evidence under `label`, if the ledger ever gave it out and it was not withdrawn since.
    pub fn get(&self, label: Label) -> Option<&Evidence> {
        let index = (label.0 as usize).checked_sub(1)?;
        self.entries.get(index).filter(|entry| !entry.is_withdrawn())
    }

    /// All evidence, by label.
    pub fn entries(&self) -> &[Evidence] {
        &self.entries
    }

    /// Tokens left.
    pub fn remaining(&self) -> usize {
        self.budget - self.spent
    }
}

/// Tokens that `text` costs, without a tokenizer: four bytes each, never less than its words.
/// English medical text has 4.2 to 4.8 bytes a WordPiece or BPE token, so this errs on the safe side.
pub fn estimate_tokens(text: &str) -> usize {
    text.len().div_ceil(4).max(text.split_whitespace().count())
}
