//! [`Affected`]: stored answers that cited what must not, or not so plainly, be cited any more.

use rusqlite::params;
use serde::Serialize;

use super::Store;
use super::card::{document_id, named};
use super::trace::{COLUMNS, LIVES, TraceRow, WIDTH, now, row};
use crate::{DocumentId, Result, Standing, Status};

/// A stored trace, and what of its citations has changed since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Affected {
    /// The trace.
    pub trace: TraceRow,
    /// The documents, in order of ids.
    pub documents: Vec<ChangedDocument>,
}

/// A cited document that is retracted, quarantined or removed now, or of concern when it was not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChangedDocument {
    /// Its id.
    pub id: DocumentId,
    /// May be empty.
    pub title: String,
    /// What publishers and registries say of it now.
    pub status: Status,
    /// What curators decided.
    pub standing: Standing,
    /// What publishers and registries said when it was cited.
    pub cited_status: Status,
}

impl Store {
    /// The stored answers, newest first and at most `limit`, that cite a document which is retracted, quarantined or
    /// removed now, or is of concern now and was not; only older ones than `after`, where that is given. Of documents
    /// that this home no longer has nothing is known, so nothing is said.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn affected(&self, after: Option<&str>, limit: u32) -> Result<Vec<Affected>> {
        let is_older = if after.is_some() { "t.id < ?2" } else { "?2 IS NULL" };
        let sql = format!(
            "WITH changed AS (
                 SELECT id, title, status, standing FROM documents WHERE status = 'retracted' OR standing <> 'active'
                 UNION ALL
                 SELECT id, title, status, standing FROM documents WHERE status = 'concern' AND standing = 'active')
             SELECT {COLUMNS}, d.id, d.title, d.status, d.standing, c.status
             FROM changed d JOIN citations c ON c.document = d.id JOIN traces t ON t.id = c.trace
             WHERE {LIVES} AND {is_older}
               AND (d.status = 'retracted' OR d.standing <> 'active' OR c.status NOT IN ('concern', 'retracted'))
             ORDER BY t.id DESC, d.id"
        );
        self.read(|db| {
            let mut statement = db.prepare_cached(&sql)?;
            let mut rows = statement.query(params![now(), after])?;
            let mut affected: Vec<Affected> = Vec::new();
            while let Some(found) = rows.next()? {
                let trace = row(found)?;
                let document = ChangedDocument {
                    id: document_id(found, WIDTH)?,
                    title: found.get(WIDTH + 1)?,
                    status: named(found, WIDTH + 2)?,
                    standing: named(found, WIDTH + 3)?,
                    cited_status: named(found, WIDTH + 4)?,
                };
                if let Some(last) = affected.last_mut().filter(|last| last.trace.id == trace.id) {
                    last.documents.push(document);
                } else if affected.len() == limit as usize {
                    break;
                } else {
                    affected.push(Affected { trace, documents: vec![document] });
                }
            }
            Ok(affected)
        })
    }
}
