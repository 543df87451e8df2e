//! Traces of episodes: JSON documents by id, written by the agent and opaque here.

use rusqlite::OptionalExtension;

use super::Store;
use crate::{Error, Result};

impl Store {
    /// Keeps `json` under `id`, over what was there. `created` is RFC 3339 and orders [`Store::traces`].
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn put_trace(&mut self, id: &str, created: &str, json: &str) -> Result<()> {
        // Outside `write`: a trace changes no document, so it must not look like news to cached readers.
        let sql = "INSERT OR REPLACE INTO traces (id, created, json) VALUES (?, ?, ?)";
        match self.connection.execute(sql, [id, created, json]) {
            Ok(_) => Ok(()),
            Err(error) => Err(Error::from(error).at(&self.path)),
        }
    }

    /// The JSON kept under `id`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn trace(&self, id: &str) -> Result<Option<String>> {
        self.read(|db| Ok(db.query_row("SELECT json FROM traces WHERE id = ?", [id], |row| row.get(0)).optional()?))
    }

    /// Ids and times of the latest traces, latest first, at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn traces(&self, limit: u32) -> Result<Vec<(String, String)>> {
        self.read(|db| {
            let mut statement = db.prepare("SELECT id, created FROM traces ORDER BY created DESC, id LIMIT ?")?;
            let rows = statement.query_map([limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }
}
