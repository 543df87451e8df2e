//! One write transaction: every change of a document passes here, so that marks and audit log keep up.

use rusqlite::{OptionalExtension, Transaction, TransactionBehavior, params};

use super::Store;
use super::card::named;
use super::verdict::Verdict;
use crate::{DocumentId, Error, Level, Result, Status};

/// What the tables need to know of a document to change it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) number: i64,
    pub(super) version: u32,
    pub(super) verdict: Verdict,
    pub(super) chunks: u32,
    pub(super) content: Content,
    pub(super) mark: i64,
}

/// Hash of all that a source said of a document, and of how it was cut.
pub(super) type Content = [u8; 16];

/// A write transaction under way.
#[derive(Debug)]
pub(super) struct Write<'a> {
    pub(super) tx: Transaction<'a>,
    /// When it began, RFC 3339.
    pub(super) now: String,
    who: &'a str,
    bounds: Option<&'a [String]>,
    drift: i64,
}

impl Store {
    /// Runs `work` as one transaction that holds the writer's lock from its start; nothing of it stays
    /// when it fails.
    pub(super) fn write<T>(&mut self, work: impl FnOnce(&mut Write<'_>) -> Result<T>) -> Result<T> {
        let Self { connection, path, who, bounds } = self;
        let run = || {
            let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let now = jiff::Timestamp::now().to_string();
            let mut write = Write { tx, now, who, bounds: bounds.as_deref(), drift: 0 };
            let before = write.tx.total_changes();
            let value = work(&mut write)?;
            if write.tx.total_changes() != before {
                write.tx.execute("UPDATE state SET value = value + 1 WHERE name = 'writes'", [])?;
            }
            if write.drift != 0 {
                let mark: i64 = write.tx.query_row(MARK, [], |row| row.get(0))?;
                write.tx.execute("UPDATE state SET value = ? WHERE name = 'mark'", [mark.wrapping_add(write.drift)])?;
            }
            write.tx.commit()?;
            Ok(value)
        };
        run().map_err(|error: Error| error.at(path))
    }
}

/// Reads the sum of all documents' marks.
pub(super) const MARK: &str = "SELECT value FROM state WHERE name = 'mark'";

impl Write<'_> {
    /// Refuses a document that stands in a collection beyond the operator's bounds.
    pub(super) fn may_change(&self, id: &DocumentId) -> Result<()> {
        let Some(own) = self.bounds else { return Ok(()) };
        let sql = "SELECT c.name FROM documents d JOIN memberships m ON m.document = d.number
                   JOIN collections c ON c.number = m.collection WHERE d.id = ?";
        let mut statement = self.tx.prepare_cached(sql)?;
        let names = statement.query_map([id.as_str()], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
        if names.iter().all(|name| own.contains(name)) {
            return Ok(());
        }
        Err(Error::Input(format!("`{id}` is in a collection that is not yours: it was not changed")))
    }

    /// Refuses an operator who is bound to collections, where a change is of another or of all.
    pub(super) fn may_change_all_of(&self, collection: Option<&str>) -> Result<()> {
        let may = |own: &[String]| collection.is_some_and(|name| own.iter().any(|own| own == name));
        match self.bounds {
            Some(own) if !may(own) => {
                Err(Error::Input("this is of collections that are not yours: nothing was changed".to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// Takes down an act in the audit log.
    pub(super) fn audit(
        &self,
        verb: &str,
        document: Option<&DocumentId>,
        (before, after): (Option<&str>, Option<&str>),
        reason: &str,
    ) -> Result<()> {
        self.audit_as(self.who, verb, document, (before, after), reason)
    }

    /// The same for an act of `who`.
    pub(super) fn audit_as(
        &self,
        who: &str,
        verb: &str,
        document: Option<&DocumentId>,
        (before, after): (Option<&str>, Option<&str>),
        reason: &str,
    ) -> Result<()> {
        let sql = "INSERT INTO audit (at, who, verb, document, before, after, reason) VALUES (?, ?, ?, ?, ?, ?, ?)";
        let document = document.map(DocumentId::as_str);
        self.tx.prepare_cached(sql)?.execute(params![self.now, who, verb, document, before, after, reason])?;
        Ok(())
    }

    pub(super) fn entry(&self, id: &DocumentId) -> Result<Option<Entry>> {
        let sql = "SELECT number, version, own_status, ruled_status, own_level, ruled_level, curated, deleted, chunks, content, mark
                   FROM documents WHERE id = ?";
        let mut statement = self.tx.prepare_cached(sql)?;
        let entry = statement.query_row([id.as_str()], |row| {
            let verdict = Verdict {
                own_status: named(row, 2)?,
                ruled_status: row.get::<_, Option<String>>(3)?.map(|_| named(row, 3)).transpose()?,
                own_level: named(row, 4)?,
                ruled_level: row.get::<_, Option<String>>(5)?.map(|_| named(row, 5)).transpose()?,
                curated: named(row, 6)?,
                deleted: row.get(7)?,
            };
            Ok(Entry {
                number: row.get(0)?,
                version: row.get(1)?,
                verdict,
                chunks: row.get(8)?,
                content: row.get(9)?,
                mark: row.get(10)?,
            })
        });
        Ok(entry.optional()?)
    }

    /// The number of `collection`, made if it is new.
    pub(super) fn collection(&self, name: &str) -> Result<i64> {
        self.tx.execute("INSERT INTO collections (name) VALUES (?) ON CONFLICT DO NOTHING", [name])?;
        Ok(self.tx.query_row("SELECT number FROM collections WHERE name = ?", [name], |row| row.get(0))?)
    }

    /// Adds a document to a collection; `true` if it was not there.
    pub(super) fn join(&self, document: i64, collection: i64) -> Result<bool> {
        let sql = "INSERT INTO memberships (document, collection) VALUES (?, ?) ON CONFLICT DO NOTHING";
        Ok(self.tx.prepare_cached(sql)?.execute([document, collection])? > 0)
    }

    /// Writes a document's verdict and mark after either, or its collections, changed.
    pub(super) fn settle(&mut self, entry: &Entry) -> Result<()> {
        let sql = "SELECT c.name FROM memberships m JOIN collections c ON c.number = m.collection WHERE m.document = ?";
        let collections = self
            .tx
            .prepare_cached(sql)?
            .query_map([entry.number], |row| row.get(0))?
            .collect::<rusqlite::Result<Vec<String>>>()?;
        let mark = mark(entry.verdict, entry.chunks, &entry.content, collections);
        let sql = "UPDATE documents SET own_status = ?, ruled_status = ?, status = ?, own_level = ?, ruled_level = ?, level = ?,
                   curated = ?, deleted = ?, standing = ?, mark = ?, changed = ? WHERE number = ?";
        let verdict = &entry.verdict;
        self.tx.prepare_cached(sql)?.execute(params![
            verdict.own_status.as_str(),
            verdict.ruled_status.map(Status::as_str),
            verdict.status().as_str(),
            verdict.own_level.as_str(),
            verdict.ruled_level.map(Level::as_str),
            verdict.level().as_str(),
            verdict.curated.as_str(),
            verdict.deleted,
            verdict.standing().as_str(),
            mark,
            self.now,
            entry.number,
        ])?;
        self.shift(entry.mark, mark);
        Ok(())
    }

    /// Counts a document's change of mark into the home's.
    pub(super) fn shift(&mut self, before: i64, after: i64) {
        self.drift = self.drift.wrapping_add(after).wrapping_sub(before);
    }
}

/// A hash of all that an index takes from a document, zero when it takes nothing. The home's fingerprint
/// is the wrapping sum of these, so it costs nothing to keep and does not depend on the order of adding.
pub(super) fn mark(verdict: Verdict, chunks: u32, content: &Content, mut collections: Vec<String>) -> i64 {
    if chunks == 0 || !verdict.is_shown() {
        return 0;
    }
    collections.sort_unstable();
    let mut hasher = blake3::Hasher::new();
    hasher.update(content).update(&[verdict.status() as u8, verdict.level() as u8]);
    for name in collections {
        hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
    }
    let mut mark = [0; 8];
    hasher.finalize_xof().fill(&mut mark);
    i64::from_le_bytes(mark)
}
