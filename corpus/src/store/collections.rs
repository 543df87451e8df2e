//! The collections of a home, and how much each holds.

use serde::Serialize;

use super::Store;
use crate::Result;

/// A collection and its size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Collection {
    /// Its name.
    pub name: String,
    /// Its documents, of any standing; a document can be in several collections.
    pub documents: u64,
    /// Their chunks.
    pub chunks: u64,
    /// Those of its documents that are retracted, quarantined or removed: no evidence.
    pub withdrawn: u64,
}

impl Store {
    /// All collections in order of their names.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn collections(&self) -> Result<Vec<Collection>> {
        self.read(|db| {
            let sql = "SELECT c.name, count(d.number), coalesce(sum(d.chunks), 0),
                              coalesce(sum(d.status = 'retracted' OR d.standing <> 'active'), 0)
                       FROM collections c LEFT JOIN memberships m ON m.collection = c.number
                       LEFT JOIN documents d ON d.number = m.document GROUP BY c.number ORDER BY c.name";
            let mut statement = db.prepare_cached(sql)?;
            let rows = statement.query_map([], |row| {
                let count = |index| row.get::<_, i64>(index).map(|count| count as u64);
                Ok(Collection { name: row.get(0)?, documents: count(1)?, chunks: count(2)?, withdrawn: count(3)? })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }
}
