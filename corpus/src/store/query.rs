//! One document whole, documents by any of their names, and lists of them.

use rusqlite::{OptionalExtension, ToSql, params};
use serde::Serialize;

use super::Store;
use super::card::{COLUMNS, Cards, WIDTH, date, document_id, json, named};
use super::names::Names;
use super::stats::sources;
use crate::{Document, DocumentId, Level, PartialDate, Result, Standing, Status};

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
    /// When it first came, RFC 3339.
    pub added: String,
    /// When it last changed, RFC 3339.
    pub changed: Option<String>,
}

/// Which documents to list; everything by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Only of this collection.
    pub collection: Option<String>,
    /// Only of this status.
    pub status: Option<Status>,
    /// Only of this standing.
    pub standing: Option<Standing>,
    /// Only ids behind this one: the last of the page before.
    pub after: Option<DocumentId>,
    /// At most so many.
    pub limit: Option<u32>,
}

/// A line of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// `source:key`.
    pub id: DocumentId,
    /// May be empty.
    pub title: String,
    /// When it was published.
    pub date: Option<PartialDate>,
    /// How strong a kind of study it is.
    pub level: Level,
    /// What publishers and registries say of it.
    pub status: Status,
    /// What curators decided.
    pub standing: Standing,
    /// How many chunks it was cut into.
    pub chunks: u32,
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
                "SELECT {COLUMNS}, d.version, d.added, d.changed, t.sections, t.text, d.number
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
                    },
                    standing: card.standing,
                    collections: card.collections,
                    tags: Vec::new(),
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

    /// Documents in order of ids.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list(&self, listing: &Listing) -> Result<Vec<Row>> {
        let mut wanted: Vec<(&str, &dyn ToSql)> = Vec::new();
        let status = listing.status.map(Status::as_str);
        let standing = listing.standing.map(Standing::as_str);
        let after = listing.after.as_ref().map(DocumentId::as_str);
        if let Some(collection) = &listing.collection {
            let inside = "EXISTS (SELECT 1 FROM memberships m JOIN collections c ON c.number = m.collection
                          WHERE m.document = d.number AND c.name = ?)";
            wanted.push((inside, collection));
        }
        if let Some(status) = &status {
            wanted.push(("d.status = ?", status));
        }
        if let Some(standing) = &standing {
            wanted.push(("d.standing = ?", standing));
        }
        if let Some(after) = &after {
            wanted.push(("d.id > ?", after));
        }
        let mut sql =
            "SELECT d.id, d.title, d.date, d.level, d.status, d.standing, d.chunks FROM documents d WHERE 1".to_owned();
        for (condition, _) in &wanted {
            sql.push_str(" AND ");
            sql.push_str(condition);
        }
        sql.push_str(" ORDER BY d.id LIMIT ?");
        let limit = listing.limit.map_or(-1, i64::from);
        let values: Vec<&dyn ToSql> = wanted.iter().map(|(_, value)| *value).chain([&limit as &dyn ToSql]).collect();
        self.read(|db| {
            let mut statement = db.prepare(&sql)?;
            let rows = statement.query_map(&values[..], |row| {
                Ok(Row {
                    id: document_id(row, 0)?,
                    title: row.get(1)?,
                    date: date(row, 2)?,
                    level: named(row, 3)?,
                    status: named(row, 4)?,
                    standing: named(row, 5)?,
                    chunks: row.get(6)?,
                })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }
}
