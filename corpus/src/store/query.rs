//! One document whole, and documents by any of their names.

use rusqlite::{OptionalExtension, params};
use serde::Serialize;

use super::Store;
use super::card::{COLUMNS, Cards, WIDTH, document_id, json};
use super::names::Names;
use super::stats::sources;
use crate::{Document, DocumentId, Result, Standing};

/// A document and what this home says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stored {
    /// The document; status and level are what holds here, rulings included.
    pub document: Document,
    /// What curators decided.
    pub standing: Standing,
    /// Names of its collections, sorted.
    pub collections: Vec<String>,
    /// Its tags, sorted.
    pub tags: Vec<String>,
    /// How many chunks it was cut into.
    pub chunks: u32,
    /// When it first came, RFC 3339.
    pub added: String,
    /// When it last changed, RFC 3339.
    pub changed: Option<String>,
}

impl Store {
    /// The document called `id`, whatever its standing.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn document(&self, id: &DocumentId) -> Result<Option<Stored>> {
        self.read(|db| {
            let cards = Cards::new(db)?;
            let sql = format!(
                "SELECT {COLUMNS}, d.version, d.added, d.changed, t.sections, t.text, d.number, d.chunks
                 FROM documents d JOIN texts t ON t.document = d.number WHERE d.id = ?"
            );
            let stored = db.prepare_cached(&sql)?.query_row([id.as_str()], |row| {
                let (card, rest) = cards.read_whole(row)?;
                let stored = Stored {
                    document: Document {
                        id: card.id,
                        version: row.get(WIDTH)?,
                        title: card.title,
                        text: row.get(WIDTH + 4)?,
                        sections: json(row, WIDTH + 3)?,
                        identifiers: card.identifiers,
                        date: card.date,
                        journal: card.journal,
                        language: rest.language,
                        licence: card.licence,
                        publication_types: card.publication_types,
                        mesh: card.mesh,
                        corrections: rest.corrections,
                        status: card.status,
                        level: card.level,
                        concealed: 0,
                        origin: rest.origin,
                    },
                    standing: card.standing,
                    collections: card.collections,
                    tags: Vec::new(),
                    chunks: row.get(WIDTH + 6)?,
                    added: row.get(WIDTH + 1)?,
                    changed: row.get(WIDTH + 2)?,
                };
                Ok((stored, row.get::<_, i64>(WIDTH + 5)?))
            });
            let Some((mut stored, number)) = stored.optional()? else {
                return Ok(None);
            };
            let mut statement = db.prepare_cached("SELECT tag FROM tags WHERE document = ? ORDER BY tag")?;
            stored.tags = statement.query_map([number], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            Ok(Some(stored))
        })
    }

    /// The collections of the document called `id`; none where there is no such document.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn collections_of(&self, id: &DocumentId) -> Result<Option<Vec<String>>> {
        self.read(|db| {
            let mut document = db.prepare_cached("SELECT number FROM documents WHERE id = ?")?;
            let Some(number) = document.query_row([id.as_str()], |row| row.get::<_, i64>(0)).optional()? else {
                return Ok(None);
            };
            let sql = "SELECT c.name FROM memberships m JOIN collections c ON c.number = m.collection
                       WHERE m.document = ? ORDER BY c.name";
            let mut statement = db.prepare_cached(sql)?;
            let names = statement.query_map([number], |row| row.get(0))?;
            Ok(Some(names.collect::<rusqlite::Result<_>>()?))
        })
    }

    /// Every document that `name` can mean, in order of ids: our id, a PMID (`123`, `PMID 123`), a PMC id, a
    /// DOI, or the key a document came in with, whatever its source.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn resolve(&self, name: &str) -> Result<Vec<DocumentId>> {
        self.read(|db| {
            let name = name.trim();
            let names = Names::guess(name);
            let sql = "SELECT id FROM documents WHERE id = ?1 UNION SELECT id FROM documents WHERE pmid = ?2
                       UNION SELECT id FROM documents WHERE pmcid = ?3 UNION SELECT id FROM documents WHERE doi = ?4";
            let mut statement = db.prepare_cached(sql)?;
            let found =
                statement.query_map(params![name, names.pmid, names.pmcid, names.doi], |row| document_id(row, 0))?;
            let mut ids = found.collect::<rusqlite::Result<Vec<_>>>()?;
            let mut exists = db.prepare_cached("SELECT 1 FROM documents WHERE id = ?")?;
            for source in sources(db)? {
                let id = DocumentId::new(&source, name);
                if exists.exists([id.as_str()])? {
                    ids.push(id);
                }
            }
            ids.sort_unstable();
            ids.dedup();
            Ok(ids)
        })
    }
}
