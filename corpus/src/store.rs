//! [`Store`]: documents, chunks, collections, rulings, audit log, rejects and traces in SQLite.
//!
//! The one truth of a home: whatever an index holds can be rebuilt from here. One file per concern:
//!
//! * `schema`: tables and migrations; `open`: opening, checking, read-only homes;
//! * `ingest`: records in, in batches; `write`: one write transaction; `verdict`: who says what of a document;
//! * `curate` and `notices`: the curators' verbs and retraction registries; `audit`: what they left behind;
//! * `query`: one document; `list` and `collections`: many; `scan`: every chunk for an index; `fetch`: single chunks for an answer; `stats`;
//! * `trace`: episodes, until their time is over; `affected`: which of them cite what has been withdrawn since.
//!
//! **Durability.** WAL with `synchronous=FULL`: what [`Store::ingest`] has reported and what a verb has
//! returned survives `kill -9` and loss of power. **Concurrency.** One writer at a time, waiting up to the
//! [busy timeout](Store::set_busy_timeout) for its turn; readers never wait and see one state per call.
//! A `Store` is `Send` and not `Sync`: every thread opens its own.

mod affected;
mod audit;
mod card;
mod collections;
mod curate;
mod fetch;
mod ingest;
mod list;
mod names;
mod notices;
mod open;
mod prepared;
mod query;
mod scan;
mod schema;
mod stats;
mod trace;
mod verdict;
mod write;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::Result;

pub use affected::{Affected, ChangedDocument};
pub use audit::AuditRow;
pub use card::Card;
pub use collections::Collection;
pub use fetch::ChunkInContext;
pub use ingest::{Ingested, Rejection};
pub use list::{Listing, Row};
pub use notices::Applied;
pub use open::private_folder;
pub use query::Stored;
pub use stats::{Stats, Tally};
pub use trace::{Erase, LOCAL, NewTrace, TraceListing, TraceRow};

/// An open corpus database.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
    who: String,
    /// The only collections whose documents may be changed; any unless set.
    bounds: Option<Vec<String>>,
}

impl Store {
    /// The database file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` on one state of the database, whatever others commit meanwhile. Inside another read (a
    /// visitor of [`Store::scan`] may ask the store) it sees that one's state.
    fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let run = || {
            if !self.connection.is_autocommit() {
                return work(&self.connection);
            }
            let snapshot = self.connection.unchecked_transaction()?;
            work(&snapshot)
        };
        run().map_err(|error| error.at(&self.path))
    }
}
