//! The audit log: who did what to which document, when and why. Rows are added and never changed.

use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;

use super::Store;
use crate::{DocumentId, Result};

/// One act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditRow {
    /// Counts up by one an act.
    pub number: i64,
    /// When, RFC 3339.
    pub at: String,
    /// The user who acted.
    pub who: String,
    /// `add`, `tag`, `untag`, `quarantine`, `restore`, `remove`, `status`, `level`, `update` or `drop-collection`.
    pub verb: String,
    /// The document, unless the act was on a collection.
    pub document: Option<DocumentId>,
    /// What held before.
    pub before: Option<String>,
    /// What holds after.
    pub after: Option<String>,
    /// Why.
    pub reason: String,
}

impl Store {
    /// Why a document does not stand active: the act that set it aside last.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn set_aside(&self, id: &DocumentId) -> Result<Option<AuditRow>> {
        self.read(|db| {
            let sql = format!(
                "SELECT {COLUMNS} FROM audit WHERE document = ? AND verb IN ('quarantine', 'remove', 'restore')
                 ORDER BY number DESC LIMIT 1"
            );
            Ok(db.prepare_cached(&sql)?.query_row([id.as_str()], act).optional()?)
        })
    }

    /// The latest acts first, at most `limit`: on the document `id`, or on all.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn audit(&self, id: Option<&DocumentId>, limit: u32) -> Result<Vec<AuditRow>> {
        self.audit_page(id, None, limit)
    }

    /// As [`Store::audit`], of acts before that of the number `before` alone, where it is given.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn audit_page(&self, id: Option<&DocumentId>, before: Option<i64>, limit: u32) -> Result<Vec<AuditRow>> {
        self.read(|db| {
            let only = if id.is_some() { "document = ?1" } else { "?1 IS NULL" };
            let sql = format!(
                "SELECT {COLUMNS} FROM audit WHERE {only} AND number < coalesce(?2, 9223372036854775807) ORDER BY number DESC LIMIT ?3"
            );
            let mut statement = db.prepare(&sql)?;
            let rows = statement.query_map(params![id.map(DocumentId::as_str), before, limit], act)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }
}

/// What [`act`] reads.
const COLUMNS: &str = "number, at, who, verb, document, before, after, reason";

fn act(row: &Row<'_>) -> rusqlite::Result<AuditRow> {
    Ok(AuditRow {
        number: row.get(0)?,
        at: row.get(1)?,
        who: row.get(2)?,
        verb: row.get(3)?,
        document: row.get::<_, Option<String>>(4)?.as_deref().and_then(DocumentId::parse),
        before: row.get(5)?,
        after: row.get(6)?,
        reason: row.get(7)?,
    })
}
