//! Records in: batches of documents, each batch one transaction.

use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::thread::{self, available_parallelism};

use rusqlite::params;
use serde::Serialize;

use super::Store;
use super::curate::needed;
use super::notices::Rulings;
use super::prepared::Prepared;
use super::verdict::Verdict;
use super::write::{Entry, Write, mark};
use crate::reader::{Record, Rejected};
use crate::starter::COLLECTION as STARTER;
use crate::{DocumentId, Error, Result, Standing, Status};

/// A batch is written when it holds so many records …
const BATCH_RECORDS: usize = 1_000;
/// … or so many bytes of text, whichever comes first.
const BATCH_BYTES: usize = 16 << 20;
/// Documents of a batch that are too few to ask another core for help.
const SCREENED_AT_ONCE: usize = 64;
/// Who acts in the audit log when a document is put in quarantine on its way in.
const SCREENING: &str = "screening";
/// Replacements by another file that one run tells of; more are counted.
const MOVES_TOLD: u64 = 20;
/// Rejects kept of one run; more are counted only, since a file of the wrong kind can hold any number.
const REJECTS_KEPT: u64 = 100_000;

/// What became of the records so far; everything counted is committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ingested {
    /// Documents the home did not have.
    pub added: u64,
    /// Documents replaced by a newer version or by other content of the same version, and documents
    /// their source had deleted and now brings again.
    pub updated: u64,
    /// Of the updated, those that were read from another file before: see [`Document::origin`](crate::Document::origin).
    pub moved: u64,
    /// Documents the home has just so.
    pub unchanged: u64,
    /// Records older than what the home has.
    pub ignored: u64,
    /// Documents their source deleted.
    pub deleted: u64,
    /// Records set aside with a reason.
    pub rejected: u64,
    /// Added and updated documents that read like an injection and stand in quarantine.
    pub quarantined: u64,
    /// Chunks of the added and updated documents.
    pub chunks: u64,
    /// Starter documents that left because real ones came.
    pub starter_removed: u64,
}

/// A record that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The record's place and what was wrong.
    pub rejected: Rejected,
    /// When, RFC 3339.
    pub when: String,
    /// Number of the run that met it first; higher is later.
    pub run: i64,
}

impl Store {
    /// Takes `records` into `collection`, a batch a transaction, and calls `progress` after each. A record
    /// that is met again unchanged changes nothing; a newer version, or other content of the same version,
    /// replaces the document and its chunks; an older version is ignored; membership of the collection is
    /// added in each of these cases. What curators and registries have said of a document stays.
    ///
    /// The first document of another collection makes the starter collection leave. A document that reads
    /// like an injection comes in as quarantined (see [`crate::injection`]), until a curator restores it.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Locked`] and the like end the run; batches reported before are kept, and
    /// the same call again goes on from there. [`Error::Input`] for an empty collection name, or for the
    /// starter collection in a home that holds anything else.
    pub fn ingest(
        &mut self,
        collection: &str,
        records: impl Iterator<Item = Result<Record, Rejected>>,
        progress: &mut dyn FnMut(&Ingested),
    ) -> Result<Ingested> {
        self.take_in(collection, None, records, true, progress)
    }

    /// As [`Store::ingest`], and leaves a line in the audit log when anything came of it: who put what into the
    /// collection, and why.
    ///
    /// # Errors
    /// Those of [`Store::ingest`]; [`Error::Input`] without a reason.
    pub fn ingest_because(
        &mut self,
        collection: &str,
        reason: &str,
        records: impl Iterator<Item = Result<Record, Rejected>>,
    ) -> Result<Ingested> {
        self.take_in(collection, Some(needed("reason", reason)?), records, true, &mut |_| {})
    }

    /// The same for records that whoever adds them answers for: nothing is put in quarantine.
    ///
    /// # Errors
    /// Those of [`Store::ingest`].
    pub fn ingest_trusted(
        &mut self,
        collection: &str,
        records: impl Iterator<Item = Result<Record, Rejected>>,
        progress: &mut dyn FnMut(&Ingested),
    ) -> Result<Ingested> {
        self.take_in(collection, None, records, false, progress)
    }

    fn take_in(
        &mut self,
        collection: &str,
        reason: Option<&str>,
        records: impl Iterator<Item = Result<Record, Rejected>>,
        is_screened: bool,
        progress: &mut dyn FnMut(&Ingested),
    ) -> Result<Ingested> {
        if collection.trim().is_empty() {
            return Err(Error::Input("a collection needs a name: give one with --collection NAME".to_owned()));
        }
        if collection == STARTER && !self.is_empty()? && !self.only_starter()? {
            return Err(Error::Input("the starter collection is used only while a home holds nothing else".to_owned()));
        }
        let (mut run, mut done) = (None, Ingested::default());
        let mut records = records.map(Item::new);
        let mut prepare = || {
            let mut batch = read_batch(&mut records);
            if is_screened {
                screen(&mut batch);
            }
            batch
        };
        let mut batch = prepare();
        while !batch.is_empty() {
            // the next batch is read and screened while this one is written
            let (written, next) = thread::scope(|scope| {
                let writer = scope.spawn(|| {
                    self.write(|write| {
                        write.may_change_all_of(Some(collection))?;
                        let rulings = Rulings::new(&write.tx)?;
                        let mut writer = Writer { write, collection, reason, number: None, run, rulings, done };
                        batch.iter().try_for_each(|item| writer.item(item))?;
                        Ok((writer.run, writer.done))
                    })
                });
                let next = prepare();
                (writer.join(), next)
            });
            (run, done) = written.unwrap_or_else(|panic| resume_unwind(panic))?;
            progress(&done);
            batch = next;
        }
        Ok(done)
    }

    /// The records set aside, latest run first, at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn rejected(&self, limit: u32) -> Result<Vec<Rejection>> {
        self.read(|db| {
            let sql = "SELECT file, position, reason, excerpt, at, run FROM rejects ORDER BY run DESC, number LIMIT ?";
            let mut statement = db.prepare(sql)?;
            let rows = statement.query_map([limit], |row| {
                let rejected =
                    Rejected { file: row.get(0)?, position: row.get(1)?, reason: row.get(2)?, excerpt: row.get(3)? };
                Ok(Rejection { rejected, when: row.get(4)?, run: row.get(5)? })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }
}

/// As many records as one transaction takes; none at the end.
fn read_batch(records: &mut impl Iterator<Item = Item>) -> Vec<Item> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while batch.len() < BATCH_RECORDS && bytes < BATCH_BYTES {
        let Some(item) = records.next() else { break };
        bytes += item.bytes();
        batch.push(item);
    }
    batch
}

/// Screens the documents of a batch, on all cores.
fn screen(batch: &mut [Item]) {
    let cores = available_parallelism().map_or(1, NonZeroUsize::get);
    let share = batch.len().div_ceil(cores).max(SCREENED_AT_ONCE);
    let one = |items: &mut [Item]| {
        for item in items {
            if let Item::Document(prepared) = item {
                prepared.screen();
            }
        }
    };
    thread::scope(|scope| {
        let mut shares = batch.chunks_mut(share);
        let own = shares.next();
        for others in shares {
            scope.spawn(move || one(others));
        }
        own.map(one);
    });
}

/// A record with all that can be worked out before the writer's lock is held.
enum Item {
    Document(Box<Prepared>),
    Delete(DocumentId),
    Reject(Rejected),
}

impl Item {
    fn new(record: Result<Record, Rejected>) -> Self {
        match record {
            Ok(Record::Document(document)) => Self::Document(Box::new(Prepared::new(*document))),
            Ok(Record::Delete(id)) => Self::Delete(id),
            Err(rejected) => Self::Reject(rejected),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Document(prepared) => prepared.bytes(),
            Self::Delete(_) => 0,
            Self::Reject(rejected) => rejected.excerpt.len(),
        }
    }
}

/// The records of one batch on their way in.
struct Writer<'w, 'a> {
    write: &'w mut Write<'a>,
    collection: &'w str,
    /// Why, where the run is to be found in the audit log.
    reason: Option<&'w str>,
    number: Option<i64>,
    run: Option<i64>,
    rulings: Rulings,
    done: Ingested,
}

impl Writer<'_, '_> {
    fn item(&mut self, item: &Item) -> Result<()> {
        match item {
            Item::Document(prepared) => self.document(prepared),
            Item::Delete(id) => self.delete(id),
            Item::Reject(rejected) => self.reject(rejected),
        }
    }

    fn document(&mut self, new: &Prepared) -> Result<()> {
        self.write.may_change(&new.document.id)?;
        let collection = self.join_number()?;
        let Some(mut entry) = self.write.entry(&new.document.id)? else {
            return self.add(new, collection);
        };
        let mut joined = self.write.join(entry.number, collection)?;
        let version = new.document.version;
        if version < entry.version {
            self.done.ignored += 1;
        } else if new.content == entry.content && !entry.verdict.deleted {
            if version > entry.version {
                let sql = "UPDATE documents SET version = ? WHERE number = ?";
                self.write.tx.prepare_cached(sql)?.execute(params![version, entry.number])?;
            }
            self.done.unchanged += 1;
        } else {
            self.replace(&mut entry, new)?;
            joined = true;
        }
        if joined { self.write.settle(&entry) } else { Ok(()) }
    }

    fn add(&mut self, new: &Prepared, collection: i64) -> Result<()> {
        let run = self.run()?;
        let mut verdict = Verdict::new(new.document.status, new.document.level);
        let ruling = self.rulings.of(&self.write.tx, &new.names)?;
        if let Some((status, reason)) = &ruling {
            verdict.ruled_status = Some(*status);
            let change = (Some(new.document.status.as_str()), Some(verdict.status().as_str()));
            self.write.audit("status", Some(&new.document.id), change, reason)?;
        }
        self.set_aside(&mut verdict, new)?;
        let chunks = new.chunks.len() as u32;
        let mark = mark(verdict, chunks, &new.content, vec![self.collection.to_owned()]);
        let number = new.insert(self.write, verdict, mark, run)?;
        self.write.join(number, collection)?;
        self.write.shift(0, mark);
        self.done.added += 1;
        self.done.chunks += u64::from(chunks);
        Ok(())
    }

    fn replace(&mut self, entry: &mut Entry, new: &Prepared) -> Result<()> {
        let run = self.run()?;
        let id = &new.document.id;
        let before = entry.verdict;
        entry.verdict.hear_source(new.document.status, new.document.level);
        if let Some((status, _)) = self.rulings.of(&self.write.tx, &new.names)? {
            entry.verdict.hear_registry(status);
        }
        let moved = self.elsewhere(entry.number, new)?;
        let (verb, reason) = if before.deleted {
            ("restore", "its source brings it again")
        } else if let Some(moved) = &moved {
            ("update", moved.as_str())
        } else {
            ("update", "its source brings other content")
        };
        let state = |version: u32, status: Status| format!("version {version}, {status}");
        let was = state(entry.version, before.status());
        let is = state(new.document.version, entry.verdict.status());
        self.write.audit(verb, Some(id), (Some(&was), Some(&is)), reason)?;
        self.set_aside(&mut entry.verdict, new)?;
        new.replace(self.write, entry.number, run)?;
        (entry.version, entry.content, entry.chunks) = (new.document.version, new.content, new.chunks.len() as u32);
        self.done.updated += 1;
        self.done.moved += u64::from(moved.is_some());
        self.done.chunks += u64::from(entry.chunks);
        Ok(())
    }

    /// From which file to which a document's text changes, where that is not one.
    fn elsewhere(&self, number: i64, new: &Prepared) -> Result<Option<String>> {
        let Some(now) = &new.document.origin else { return Ok(None) };
        let sql = "SELECT facts ->> '$.origin' FROM documents WHERE number = ?";
        let was: Option<String> = self.write.tx.prepare_cached(sql)?.query_row([number], |row| row.get(0))?;
        Ok(was.filter(|was| was != now).map(|was| {
            if self.done.moved < MOVES_TOLD {
                tracing::warn!("`{}` was read from {was} and is replaced by {now}", new.document.id);
            }
            format!("its text was read from {was}, and is now from {now}")
        }))
    }

    /// Puts a document in quarantine whose new text reads like an injection, unless it is set aside already.
    fn set_aside(&mut self, verdict: &mut Verdict, new: &Prepared) -> Result<()> {
        let Some(reason) = new.suspicion.as_ref().filter(|_| verdict.curated == Standing::Active) else {
            return Ok(());
        };
        verdict.curated = Standing::Quarantined;
        let change = (Some(Standing::Active.as_str()), Some(Standing::Quarantined.as_str()));
        self.write.audit_as(SCREENING, "quarantine", Some(&new.document.id), change, reason)?;
        self.done.quarantined += 1;
        Ok(())
    }

    fn delete(&mut self, id: &DocumentId) -> Result<()> {
        self.write.may_change(id)?;
        let Some(mut entry) = self.write.entry(id)? else {
            return Ok(());
        };
        if entry.verdict.deleted {
            return Ok(());
        }
        let before = entry.verdict.standing();
        entry.verdict.deleted = true;
        let change = (Some(before.as_str()), Some(entry.verdict.standing().as_str()));
        self.write.audit("remove", Some(id), change, "deleted by its source")?;
        self.write.settle(&entry)?;
        self.done.deleted += 1;
        Ok(())
    }

    fn reject(&mut self, rejected: &Rejected) -> Result<()> {
        self.done.rejected += 1;
        if self.done.rejected > REJECTS_KEPT {
            return Ok(());
        }
        let Rejected { file, position, reason, excerpt } = rejected;
        let known = "SELECT 1 FROM rejects WHERE file = ? AND position = ? AND reason = ?";
        if self.write.tx.prepare_cached(known)?.exists([file, position, reason])? {
            return Ok(());
        }
        let run = self.run()?;
        let sql = "INSERT OR REPLACE INTO rejects (run, at, file, position, reason, excerpt) VALUES (?, ?, ?, ?, ?, ?)";
        self.write.tx.prepare_cached(sql)?.execute(params![run, self.write.now, file, position, reason, excerpt])?;
        Ok(())
    }

    /// The collection's number. A first document of a real collection is when the starter leaves.
    fn join_number(&mut self) -> Result<i64> {
        if let Some(number) = self.number {
            return Ok(number);
        }
        if self.collection != STARTER {
            let left = self.write.drop_collection(STARTER, "real documents came")?;
            self.done.starter_removed += left;
        }
        let number = self.write.collection(self.collection)?;
        self.number = Some(number);
        Ok(number)
    }

    /// The run's number; a run that changes nothing leaves no row.
    fn run(&mut self) -> Result<i64> {
        if let Some(run) = self.run {
            return Ok(run);
        }
        let sql = "INSERT INTO runs (collection, started) VALUES (?, ?)";
        self.write.tx.execute(sql, [self.collection, &self.write.now])?;
        let run = self.write.tx.last_insert_rowid();
        if let Some(reason) = self.reason {
            self.write.audit("add", None, (None, Some(self.collection)), reason)?;
        }
        self.run = Some(run);
        Ok(run)
    }
}
