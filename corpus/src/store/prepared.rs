//! [`Prepared`]: a document as the tables take it, worked out before the writer's lock is held.

use rusqlite::params;

use super::card::Facts;
use super::names::Names;
use super::verdict::Verdict;
use super::write::{Content, Write};
use crate::chunk::chunk;
use crate::{Chunk, Document, Level, Result, Status, injection};

/// A document with its chunks, its hash and its JSON columns.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) document: Document,
    pub(super) names: Names,
    pub(super) chunks: Vec<Chunk>,
    pub(super) content: Content,
    facts: String,
    sections: String,
    /// Why it should be looked at before it answers anything.
    pub(super) suspicion: Option<String>,
}

impl Prepared {
    pub(super) fn new(mut document: Document) -> Self {
        // the graver of what its reader found and what the record says, whatever form it came in
        document.status = document.status.max(Status::of_record(&document));
        if document.level == Level::Unclassified {
            document.level = Level::from_title(&document.title);
        }
        let chunks = chunk(&document);
        let facts = json(&Facts::of(&document));
        let sections = json(&document.sections);
        let content = content(&document, &chunks, &json(&Facts::said(&document)), &sections);
        Self { names: Names::of(&document.identifiers), document, chunks, content, facts, sections, suspicion: None }
    }

    /// Looks for signs of an injection, in all that a reader of evidence is shown.
    pub(super) fn screen(&mut self) {
        let Document { text, concealed, .. } = &self.document;
        (_, self.suspicion) = injection::screen(&self.document.head(), text, *concealed);
    }

    /// Bytes it holds, about.
    pub(super) fn bytes(&self) -> usize {
        2 * self.document.text.len() + self.facts.len() + self.sections.len()
    }

    /// Writes the rows of a document that is not there yet and returns its number.
    pub(super) fn insert(&self, write: &Write<'_>, verdict: Verdict, mark: i64, run: i64) -> Result<i64> {
        let Self { document, names, .. } = self;
        let sql = "INSERT INTO documents (id, version, pmid, pmcid, doi, date, own_status, ruled_status, status, own_level, level,
                   curated, deleted, standing, chunks, content, mark, run, added, title, facts)
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        write.tx.prepare_cached(sql)?.execute(params![
            document.id.as_str(),
            document.version,
            names.pmid,
            names.pmcid,
            names.doi,
            document.date.map(|date| date.to_string()),
            verdict.own_status.as_str(),
            verdict.ruled_status.map(Status::as_str),
            verdict.status().as_str(),
            verdict.own_level.as_str(),
            verdict.level().as_str(),
            verdict.curated.as_str(),
            verdict.deleted,
            verdict.standing().as_str(),
            self.chunks.len() as i64,
            self.content,
            mark,
            run,
            write.now,
            document.title,
            self.facts,
        ])?;
        let number = write.tx.last_insert_rowid();
        self.insert_text(write, number)?;
        Ok(number)
    }

    /// Writes all that a source says over the document `number`; verdict and mark are the caller's.
    pub(super) fn replace(&self, write: &Write<'_>, number: i64, run: i64) -> Result<()> {
        let Self { document, names, .. } = self;
        let sql = "UPDATE documents SET version = ?, pmid = ?, pmcid = ?, doi = ?, date = ?, chunks = ?, content = ?, run = ?,
                   title = ?, facts = ? WHERE number = ?";
        write.tx.prepare_cached(sql)?.execute(params![
            document.version,
            names.pmid,
            names.pmcid,
            names.doi,
            document.date.map(|date| date.to_string()),
            self.chunks.len() as i64,
            self.content,
            run,
            document.title,
            self.facts,
            number,
        ])?;
        write.tx.prepare_cached("DELETE FROM chunks WHERE document = ?")?.execute([number])?;
        write.tx.prepare_cached("DELETE FROM texts WHERE document = ?")?.execute([number])?;
        self.insert_text(write, number)
    }

    fn insert_text(&self, write: &Write<'_>, number: i64) -> Result<()> {
        let sql = "INSERT INTO texts (document, sections, text) VALUES (?, ?, ?)";
        write.tx.prepare_cached(sql)?.execute(params![number, self.sections, self.document.text])?;
        let sql = "INSERT INTO chunks (document, ordinal, id, start, stop, heading) VALUES (?, ?, ?, ?, ?, ?)";
        let mut statement = write.tx.prepare_cached(sql)?;
        for chunk in &self.chunks {
            let (start, stop) = (chunk.span.start as i64, chunk.span.end as i64);
            statement.execute(params![number, chunk.ordinal, chunk.id.as_bytes(), start, stop, chunk.heading])?;
        }
        Ok(())
    }
}

/// Hashes all that the source says, the version apart, and how the text was cut: documents cut by other
/// rules count as changed when they are added again.
fn content(document: &Document, chunks: &[Chunk], facts: &str, sections: &str) -> Content {
    let mut hasher = blake3::Hasher::new();
    let date = document.date.map(|date| date.to_string()).unwrap_or_default();
    for field in
        [&document.title, &document.text, facts, sections, &date, document.status.as_str(), document.level.as_str()]
    {
        hasher.update(&(field.len() as u64).to_le_bytes()).update(field.as_bytes());
    }
    for chunk in chunks {
        // The id covers start and text.
        hasher.update(chunk.id.as_bytes()).update(&(chunk.heading.len() as u64).to_le_bytes());
        hasher.update(chunk.heading.as_bytes());
    }
    let mut content = Content::default();
    hasher.finalize_xof().fill(&mut content);
    content
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("strings, numbers and lists of them always become JSON")
}
