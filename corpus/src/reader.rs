//! Readers: files, folders and archives in, [`Document`]s out, one record at a time.
//!
//! [`open`] tells the format (or takes it from [`Options`]) and gives a [`Reader`], an iterator that
//! never holds more than one record. Only a path that cannot be opened, or whose format cannot be told,
//! is an error; everything after that is a [`Rejected`] item and the rest is read on. `.gz`, `.zst` and
//! `.xz` are read directly, known by their first bytes.

mod archive;
mod beir;
mod detect;
mod entities;
mod field_map;
mod files;
mod inline;
mod input;
mod jats;
mod json;
mod jsonl;
mod lines;
mod markdown;
mod medrag;
mod members;
mod pubmed;
mod pubmedqa;
mod split;
mod xml;

use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

pub use self::field_map::FieldMap;
use self::input::Input;
use crate::status::names;
use crate::text::normalise;
use crate::{Document, DocumentId, Error, Result};

/// The largest record that is read: one article, one line, one text file.
const RECORD_BYTES: usize = 64 << 20;
/// How deep archives may lie in archives.
const DEPTH: usize = 3;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// PubMed XML: baseline, update files, efetch.
    PubMed,
    /// JATS full text: one or many `<article>`.
    Jats,
    /// A BEIR folder or its `corpus.jsonl`.
    Beir,
    /// MedRAG chunk JSONL.
    MedRag,
    /// PubMedQA: `ori_pqal.json` or JSON lines.
    PubMedQa,
    /// Any other JSON lines, with a [`FieldMap`] where the defaults do not fit.
    Jsonl,
    /// Markdown or plain text.
    Text,
}

names!(Format {
    PubMed = "pubmed",
    Jats = "jats",
    Beir = "beir",
    MedRag = "medrag",
    PubMedQa = "pubmedqa",
    Jsonl = "jsonl",
    Text = "text",
});

/// How to read.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The format; told from content and name when absent.
    pub format: Option<Format>,
    /// Which fields of a general JSON line mean what.
    pub map: Option<FieldMap>,
    /// The source of [`DocumentId`]s of BEIR, JSON lines and text; a name taken from the path when absent.
    pub source: Option<String>,
}

/// What a reader gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A document to keep.
    Document(Box<Document>),
    /// The source took this record back (`DeleteCitation` in PubMed update files).
    Delete(DocumentId),
}

/// A record that could not be read, kept aside with its place and the reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{file}: {position}: {reason}")]
pub struct Rejected {
    /// The file, with the entry's name after it for an archive.
    pub file: String,
    /// `line 12`, `record 34 (PMID 123)` or `byte 9001`.
    pub position: String,
    /// What is wrong with it.
    pub reason: String,
    /// Its beginning, normalised, at most 200 characters.
    pub excerpt: String,
}

impl Rejected {
    pub(crate) fn new(file: &str, position: impl Into<String>, reason: impl Into<String>, record: &[u8]) -> Self {
        // Four bytes a character at most, and as much again for what normalisation drops.
        let head = String::from_utf8_lossy(&record[..record.len().min(1600)]);
        let excerpt = normalise(&head).replace('\n', " ").chars().take(200).collect();
        Self { file: file.to_owned(), position: position.into(), reason: reason.into(), excerpt }
    }
}

type Item = Result<Record, Rejected>;
type Records = Box<dyn Iterator<Item = Item> + Send>;
type Inputs = Box<dyn Iterator<Item = Result<Input, Rejected>> + Send>;

/// Documents from one path, one at a time. Made by [`open`].
pub struct Reader {
    options: Options,
    current: Option<Records>,
    /// Folders and archives still to be read, the innermost last.
    inputs: Vec<Inputs>,
    consumed: Arc<AtomicU64>,
    total: u64,
}

/// Opens a file, a folder or a tar archive.
///
/// # Errors
/// If `path` cannot be opened, holds nothing to read, or is a file whose format cannot be told.
pub fn open(path: &Path, options: &Options) -> Result<Reader> {
    let failed = |source| Error::File { action: "open", path: path.to_owned(), source };
    let consumed = Arc::new(AtomicU64::new(0));
    let mut reader = Reader { options: options.clone(), current: None, inputs: Vec::new(), consumed, total: 0 };
    if std::fs::metadata(path).map_err(failed)?.is_dir() {
        let files = files::list(path, options.format).map_err(failed)?;
        if files.is_empty() {
            return Err(Error::Input(format!(
                "nothing to read in {}: no .xml, .nxml, .jsonl, .md or .txt file and no archive",
                path.display()
            )));
        }
        reader.total = files.iter().map(|file| file.bytes).sum();
        reader.inputs.push(Box::new(files::inputs(files, Arc::clone(&reader.consumed))));
    } else {
        let file = files::single(path).map_err(failed)?;
        reader.total = file.bytes;
        let input = Input::open(&file, &reader.consumed).map_err(failed)?;
        if let Err(mut unknown) = reader.start(input) {
            return Err(match unknown.take_failure() {
                Some(source) => Error::File { action: "read", path: path.to_owned(), source },
                None => Error::UnknownFormat { path: path.to_owned() },
            });
        }
    }
    Ok(reader)
}

/// Reads what a caller holds in memory, compressed or not, instead of a file; `name` is what rejected records call it.
/// A text that says no id of its own is known by its content. Archives are not read.
///
/// # Errors
/// [`Error::Input`] when it cannot be read at all, or nothing tells its format.
pub fn open_bytes(name: &str, bytes: Vec<u8>, options: &Options) -> Result<Reader> {
    let place = files::Place {
        name: name.to_owned(),
        stem: blake3::hash(&bytes).to_hex()[..16].to_owned(),
        bytes: bytes.len() as u64,
        ..files::Place::default()
    };
    let mut reader = Reader {
        options: options.clone(),
        current: None,
        inputs: Vec::new(),
        consumed: Arc::default(),
        total: place.bytes,
    };
    let unknown = || {
        let formats = "pubmed, jats, beir, medrag, pubmedqa, jsonl, or text for Markdown and plain text";
        Error::Input(format!("nothing tells the format: name it as `format` ({formats})"))
    };
    let input = Input::new(place, io::Cursor::new(bytes)).map_err(|error| Error::Input(error.to_string()))?;
    if detect::is_tar(input.head()) {
        return Err(Error::Input("this is an archive: send what it holds".to_owned()));
    }
    match reader.start(input) {
        Ok(()) => Ok(reader),
        Err(mut input) => Err(input.take_failure().map_or_else(unknown, |failure| Error::Input(failure.to_string()))),
    }
}

/// Opens one text file for reading line by line; `.gz`, `.zst` and `.xz` are read directly.
///
/// # Errors
/// If `path` cannot be opened.
pub fn open_text(path: &Path) -> Result<impl BufRead> {
    let open = || Input::open(&files::single(path)?, &Arc::default());
    let input = open().map_err(|source| Error::File { action: "open", path: path.to_owned(), source })?;
    Ok(BufReader::new(input))
}

impl Reader {
    /// Bytes of the files (as they lie on disk, compressed) read so far.
    pub fn bytes_read(&self) -> u64 {
        self.consumed.load(Ordering::Relaxed)
    }

    /// Bytes of all files to read.
    pub fn bytes_total(&self) -> u64 {
        self.total
    }

    /// Makes `input` the current one, or a source of further inputs if it is an archive; gives it back
    /// if its format cannot be told.
    fn start(&mut self, input: Input) -> Result<(), Box<Input>> {
        if detect::is_tar(input.head()) && self.inputs.len() < DEPTH {
            self.inputs.push(Box::new(archive::inputs(input)));
            return Ok(());
        }
        let told = self.options.format.or_else(|| detect::format(&input, self.options.map.is_some()));
        let Some(format) = told else {
            return Err(Box::new(input));
        };
        let source = self.options.source.as_deref();
        self.current = Some(match format {
            Format::PubMed => Box::new(pubmed::records(input)),
            Format::Jats => Box::new(jats::records(input)),
            Format::Beir => Box::new(beir::records(input, source)),
            Format::MedRag => Box::new(medrag::records(input)),
            Format::PubMedQa => pubmedqa::records(input),
            Format::Jsonl => Box::new(jsonl::records(input, self.options.map.clone(), source)),
            Format::Text => Box::new(markdown::records(input, source)),
        });
        Ok(())
    }
}

/// The document of an embedded Markdown file called `name`.
pub(crate) fn starter_document(name: &str, bytes: &[u8], source: &str) -> Result<Document, Rejected> {
    let reject = |reason: String| Rejected::new(name, "byte 0", reason, bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| reject(error.to_string()))?;
    markdown::document(text, &files::stem(name), source).map_err(reject)
}

impl Iterator for Reader {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(records) = &mut self.current {
                if let Some(item) = records.next() {
                    return Some(item);
                }
                self.current = None;
            }
            match self.inputs.last_mut()?.next() {
                None => drop(self.inputs.pop()),
                Some(Err(rejected)) => return Some(Err(rejected)),
                Some(Ok(input)) => {
                    if let Err(mut input) = self.start(input) {
                        let reason = input.take_failure().map_or_else(
                            || "cannot tell the format: name it with --format".to_owned(),
                            |failure| format!("cannot read: {failure}"),
                        );
                        return Some(Err(Rejected::new(input.name(), "byte 0", reason, input.head())));
                    }
                }
            }
        }
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("options", &self.options)
            .field("bytes_read", &self.bytes_read())
            .field("bytes_total", &self.total)
            .finish_non_exhaustive()
    }
}
