//! Traces of episodes: JSON documents by id, written by the agent and opaque here, and what lists ask of them.
//!
//! **Invariant.** A trace that has expired is given by nothing here, whether it is erased already or not.

use jiff::{Timestamp, Unit};
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use serde::Serialize;

use super::Store;
use crate::{DocumentId, Error, Result, Status};

/// The caller of whoever sits at the machine itself.
pub const LOCAL: &str = "local";
/// Traces that one call erases because their time is over: the rest is for the next call, so that none takes long.
const ERASED_AT_ONCE: u32 = 500;

/// A trace on its way in, its JSON apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTrace {
    /// Its name; names sort by time.
    pub id: String,
    /// When the episode began.
    pub created: Timestamp,
    /// When it is to be gone; never, unless given.
    pub expires: Option<Timestamp>,
    /// Who asked.
    pub caller: String,
    /// How it ended: `answered`, `abstained`, …
    pub outcome: String,
    /// What was asked.
    pub question: String,
    /// The documents that the answer cites, each with its status then.
    pub cited: Vec<(DocumentId, Status)>,
    /// What question and answer hash to as a client was told them, where it may send them back.
    pub told: Option<[u8; 32]>,
}

/// A line of a list of traces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TraceRow {
    /// Its name.
    pub id: String,
    /// When the episode began, RFC 3339.
    pub created: String,
    /// When it will be gone, RFC 3339; never, where there is nothing.
    pub expires: Option<String>,
    /// Who asked.
    pub caller: String,
    /// How it ended; `unknown` where that was never told.
    pub outcome: String,
    /// What was asked.
    pub question: String,
}

/// Which traces to list, newest first; everything by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceListing {
    /// Only of this caller.
    pub caller: Option<String>,
    /// Only older ones than this: the last of the page before.
    pub after: Option<String>,
    /// At most so many.
    pub limit: Option<u32>,
}

/// Which traces to erase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Erase {
    /// The one of this name.
    Named(String),
    /// All of this caller.
    Caller(String),
    /// All of episodes that began before.
    Before(Timestamp),
    /// Some hundred of those whose time is over.
    Expired,
}

/// The columns that [`row`] reads first, of traces named `t`.
pub(super) const COLUMNS: &str = "t.id, t.created, t.expires, t.caller, t.outcome, t.question";
/// How many [`COLUMNS`] there are.
pub(super) const WIDTH: usize = 6;
/// Holds for traces named `t` that are to be seen `?1`, which is now.
pub(super) const LIVES: &str = "(t.expires IS NULL OR t.expires > ?1)";

impl Store {
    /// Keeps `json` as `trace`, over what was there by its name.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn put_trace(&mut self, trace: &NewTrace, json: &str) -> Result<()> {
        // Outside `write`: a trace changes no document, so it must not look like news to cached readers.
        self.traces_changed(|db| {
            db.prepare_cached("DELETE FROM traces WHERE id = ?")?.execute([&trace.id])?;
            let sql = "INSERT INTO traces (id, created, expires, caller, outcome, question, told) VALUES (?, ?, ?, ?, ?, ?, ?)";
            let expires = trace.expires.map(second);
            db.prepare_cached(sql)?.execute(params![
                trace.id,
                trace.created.to_string(),
                expires,
                trace.caller,
                trace.outcome,
                trace.question,
                trace.told
            ])?;
            let sql = "INSERT INTO trace_texts (trace, json) VALUES (?, ?)";
            db.prepare_cached(sql)?.execute([&trace.id, json])?;
            let sql = "INSERT INTO citations (document, trace, status) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
            let mut cite = db.prepare_cached(sql)?;
            for (document, status) in &trace.cited {
                cite.execute([document.as_str(), &trace.id, status.as_str()])?;
            }
            Ok(())
        })
    }

    /// The trace called `id`, with its JSON as it was kept.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn trace(&self, id: &str) -> Result<Option<(TraceRow, String)>> {
        let sql = format!(
            "SELECT {COLUMNS}, j.json FROM traces t JOIN trace_texts j ON j.trace = t.id WHERE {LIVES} AND t.id = ?2"
        );
        self.read(|db| {
            let mut statement = db.prepare_cached(&sql)?;
            let found = statement.query_row([&now(), id], |found| Ok((row(found)?, found.get(WIDTH)?)));
            Ok(found.optional()?)
        })
    }

    /// The newest trace of `caller` that was told as what hashes to `told`: its JSON.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn trace_told(&self, caller: &str, told: &[u8; 32]) -> Result<Option<String>> {
        let sql = format!(
            "SELECT j.json FROM traces t JOIN trace_texts j ON j.trace = t.id
             WHERE {LIVES} AND t.told = ?2 AND t.caller = ?3 ORDER BY t.id DESC LIMIT 1"
        );
        self.read(|db| {
            let mut statement = db.prepare_cached(&sql)?;
            Ok(statement.query_row(params![now(), told, caller], |found| found.get(0)).optional()?)
        })
    }

    /// Traces, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn traces(&self, listing: &TraceListing) -> Result<Vec<TraceRow>> {
        let TraceListing { caller, after, limit } = listing;
        // each condition only where it is asked, so that the index that fits is taken
        let caller_is = if caller.is_some() { "t.caller = ?2" } else { "?2 IS NULL" };
        let is_older = if after.is_some() { "t.id < ?3" } else { "?3 IS NULL" };
        let sql = format!(
            "SELECT {COLUMNS} FROM traces t WHERE {LIVES} AND {caller_is} AND {is_older} ORDER BY t.id DESC LIMIT ?4"
        );
        self.read(|db| {
            let mut statement = db.prepare_cached(&sql)?;
            let rows = statement.query_map(params![now(), caller, after, limit.map_or(-1, i64::from)], row)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Erases traces for good: what they held is overwritten in the file. Gives how many there were.
    ///
    /// # Errors
    /// When the database cannot be written; nothing is erased then.
    pub fn erase_traces(&mut self, which: &Erase) -> Result<u64> {
        let (condition, value) = match which {
            Erase::Named(id) => ("id = ?1", id.clone()),
            Erase::Caller(caller) => ("caller = ?1", caller.clone()),
            // A time without its zone sorts before the same second with any fraction.
            Erase::Before(time) => ("created < ?1", second(*time).trim_end_matches('Z').to_owned()),
            Erase::Expired => ("expires <= ?1", now()),
        };
        let limit = if *which == Erase::Expired { i64::from(ERASED_AT_ONCE) } else { -1 };
        let sql = format!("DELETE FROM traces WHERE id IN (SELECT id FROM traces WHERE {condition} LIMIT ?2)");
        let erased = self.traces_changed(|db| {
            db.pragma_update(None, "secure_delete", true)?;
            Ok(db.prepare_cached(&sql)?.execute(params![value, limit])? as u64)
        })?;
        if erased > 0 {
            // The log still has the pages as they were. A reader may hold it: then the next checkpoint does it.
            let _ = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        }
        Ok(erased)
    }

    fn traces_changed<T>(&mut self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let Self { connection, path, .. } = self;
        let run = || {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        run().map_err(|error: Error| error.at(path))
    }
}

/// Reads [`COLUMNS`].
pub(super) fn row(row: &Row<'_>) -> rusqlite::Result<TraceRow> {
    Ok(TraceRow {
        id: row.get(0)?,
        created: row.get(1)?,
        expires: row.get(2)?,
        caller: row.get(3)?,
        outcome: row.get(4)?,
        question: row.get(5)?,
    })
}

/// Now, as `expires` is written.
pub(super) fn now() -> String {
    second(Timestamp::now())
}

/// A time to the second, so that times compare as texts.
fn second(time: Timestamp) -> String {
    time.round(Unit::Second).unwrap_or(time).to_string()
}
