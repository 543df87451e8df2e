//! The curators' verbs. Each takes a reason and leaves a line per changed document in the audit log.

use rusqlite::OptionalExtension;

use super::Store;
use super::card::document_id;
use super::verdict::Verdict;
use super::write::Write;
use crate::{DocumentId, Error, Level, Result, Standing, Status};

/// Every verb returns how many documents it changed; ids this home does not have, and documents that are
/// so already, are not counted. All are changed, or on an error none.
impl Store {
    /// Puts a tag on documents.
    ///
    /// # Errors
    /// [`Error::Input`] without a reason or a tag; else when the database cannot be written.
    pub fn tag(&mut self, ids: &[DocumentId], tag: &str, reason: &str) -> Result<u64> {
        let sql =
            "INSERT INTO tags (document, tag) SELECT number, ?2 FROM documents WHERE id = ?1 ON CONFLICT DO NOTHING";
        self.retag("tag", sql, ids, tag, reason)
    }

    /// Takes a tag off documents.
    ///
    /// # Errors
    /// [`Error::Input`] without a reason or a tag; else when the database cannot be written.
    pub fn untag(&mut self, ids: &[DocumentId], tag: &str, reason: &str) -> Result<u64> {
        let sql = "DELETE FROM tags WHERE document = (SELECT number FROM documents WHERE id = ?1) AND tag = ?2";
        self.retag("untag", sql, ids, tag, reason)
    }

    fn retag(&mut self, verb: &str, sql: &str, ids: &[DocumentId], tag: &str, reason: &str) -> Result<u64> {
        needed("reason", reason)?;
        let tag = needed("tag", tag)?;
        self.write(|write| {
            let mut changed = 0;
            for id in ids {
                write.may_change(id)?;
                if write.tx.prepare_cached(sql)?.execute([id.as_str(), tag])? > 0 {
                    let change = if verb == "tag" { (None, Some(tag)) } else { (Some(tag), None) };
                    write.audit(verb, Some(id), change, reason)?;
                    changed += 1;
                }
            }
            Ok(changed)
        })
    }

    /// Sets documents aside until somebody looks: not evidence meanwhile.
    ///
    /// # Errors
    /// [`Error::Input`] without a reason; else when the database cannot be written.
    pub fn quarantine(&mut self, ids: &[DocumentId], reason: &str) -> Result<u64> {
        self.rule("quarantine", ids, reason, |verdict| verdict.curated = Standing::Quarantined, standing)
    }

    /// Takes documents out: not evidence, kept for [`Store::restore`].
    ///
    /// # Errors
    /// [`Error::Input`] without a reason; else when the database cannot be written.
    pub fn remove(&mut self, ids: &[DocumentId], reason: &str) -> Result<u64> {
        self.rule("remove", ids, reason, |verdict| verdict.curated = Standing::Removed, standing)
    }

    /// Brings back what was quarantined, removed, or deleted by its source.
    ///
    /// # Errors
    /// [`Error::Input`] without a reason; else when the database cannot be written.
    pub fn restore(&mut self, ids: &[DocumentId], reason: &str) -> Result<u64> {
        let restore = |verdict: &mut Verdict| (verdict.curated, verdict.deleted) = (Standing::Active, false);
        self.rule("restore", ids, reason, restore, standing)
    }

    /// Rules on the status of documents: `retracted` takes them out of all answers, `ok` clears them
    /// whatever their source has said so far.
    ///
    /// # Errors
    /// [`Error::Input`] without a reason; else when the database cannot be written.
    pub fn set_status(&mut self, ids: &[DocumentId], status: Status, reason: &str) -> Result<u64> {
        self.rule(
            "status",
            ids,
            reason,
            |verdict| verdict.ruled_status = Some(status),
            |verdict| verdict.status().as_str(),
        )
    }

    /// Takes back what was said against documents, by curators, registries or their source: a retracted one is evidence
    /// again. What a registry says later counts again, and so does a source that says worse than it has said so far.
    ///
    /// # Errors
    /// [`Error::Input`] without a reason; else when the database cannot be written.
    pub fn reinstate(&mut self, ids: &[DocumentId], reason: &str) -> Result<u64> {
        let clear = |verdict: &mut Verdict| {
            if verdict.status() >= Status::Concern {
                verdict.ruled_status = Some(Status::Ok);
            }
        };
        self.rule("reinstate", ids, reason, clear, |verdict| verdict.status().as_str())
    }

    /// Those of `ids` that are retracted, and so answer nothing whatever their standing.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn retracted(&self, ids: &[DocumentId]) -> Result<Vec<DocumentId>> {
        self.read(|db| {
            let mut statement = db.prepare_cached("SELECT 1 FROM documents WHERE id = ? AND status = ?")?;
            let mut retracted = Vec::new();
            for id in ids {
                if statement.exists([id.as_str(), Status::Retracted.as_str()])? {
                    retracted.push(id.clone());
                }
            }
            Ok(retracted)
        })
    }

    /// Rules on the evidence level of documents.
    ///
    /// # Errors
    /// [`Error::Input`] without a reason; else when the database cannot be written.
    pub fn set_level(&mut self, ids: &[DocumentId], level: Level, reason: &str) -> Result<u64> {
        self.rule("level", ids, reason, |verdict| verdict.ruled_level = Some(level), |verdict| verdict.level().as_str())
    }

    fn rule(
        &mut self,
        verb: &str,
        ids: &[DocumentId],
        reason: &str,
        change: impl Fn(&mut Verdict),
        show: impl Fn(Verdict) -> &'static str,
    ) -> Result<u64> {
        needed("reason", reason)?;
        self.write(|write| {
            let mut changed = 0;
            for id in ids {
                write.may_change(id)?;
                let Some(mut entry) = write.entry(id)? else {
                    continue;
                };
                let before = entry.verdict;
                change(&mut entry.verdict);
                if entry.verdict != before {
                    write.settle(&entry)?;
                    write.audit(verb, Some(id), (Some(show(before)), Some(show(entry.verdict))), reason)?;
                    changed += 1;
                }
            }
            Ok(changed)
        })
    }

    /// Drops a collection. Its documents stay where another collection holds them too; the others are
    /// deleted for good. Returns how many were.
    ///
    /// # Errors
    /// [`Error::Input`] without a reason; else when the database cannot be written.
    pub fn drop_collection(&mut self, name: &str, reason: &str) -> Result<u64> {
        needed("reason", reason)?;
        self.write(|write| {
            write.may_change_all_of(Some(name))?;
            write.drop_collection(name, reason)
        })
    }
}

fn standing(verdict: Verdict) -> &'static str {
    verdict.standing().as_str()
}

pub(super) fn needed<'a>(what: &str, given: &'a str) -> Result<&'a str> {
    match given.trim() {
        "" => Err(Error::Input(format!("a {what} is needed"))),
        given => Ok(given),
    }
}

impl Write<'_> {
    /// See [`Store::drop_collection`].
    pub(super) fn drop_collection(&mut self, name: &str, reason: &str) -> Result<u64> {
        let number =
            self.tx.query_row("SELECT number FROM collections WHERE name = ?", [name], |row| row.get::<_, i64>(0));
        let Some(number) = number.optional()? else {
            return Ok(0);
        };
        let sql = "SELECT d.id, d.mark, EXISTS (SELECT 1 FROM memberships o WHERE o.document = d.number AND o.collection <> ?1)
                   FROM memberships m JOIN documents d ON d.number = m.document WHERE m.collection = ?1";
        let members = self
            .tx
            .prepare(sql)?
            .query_map([number], |row| Ok((document_id(row, 0)?, row.get(1)?, row.get(2)?)))?
            .collect::<rusqlite::Result<Vec<(DocumentId, i64, bool)>>>()?;
        self.tx.execute("DELETE FROM memberships WHERE collection = ?", [number])?;
        let mut dropped = 0;
        for (id, mark, stays) in members {
            if !stays {
                self.tx.prepare_cached("DELETE FROM documents WHERE id = ?")?.execute([id.as_str()])?;
                self.shift(mark, 0);
                dropped += 1;
            } else if let Some(entry) = self.entry(&id)? {
                self.settle(&entry)?;
            }
        }
        self.tx.execute("DELETE FROM collections WHERE number = ?", [number])?;
        self.audit("drop-collection", None, (Some(name), None), &format!("{reason} ({dropped} documents)"))?;
        Ok(dropped)
    }
}
