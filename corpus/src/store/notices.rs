//! Retraction registries: what they say is kept by the work's names, and holds for documents to come.

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

use super::Store;
use super::names::Names;
use super::write::Write;
use crate::registry::Notice;
use crate::{DocumentId, Result, Status};

/// What a registry changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// Notices read.
    pub notices: u64,
    /// Documents of this home that they name.
    pub matched: u64,
    /// Documents whose status is another now.
    pub changed: u64,
}

impl Store {
    /// Takes over what a retraction registry says, for documents here and for those added later. A ruling
    /// only gets graver, unless a notice says `ok` (reinstated). Registries list a reinstated paper as retracted
    /// too, in any order, so within one registry the reinstatement counts. `registry` names the file in the audit log.
    ///
    /// # Errors
    /// When the database cannot be written; nothing is applied then.
    pub fn apply_notices(&mut self, notices: &[Notice], registry: &str) -> Result<Applied> {
        self.write(|write| {
            write.may_change_all_of(None)?;
            let mut applied = Applied { notices: notices.len() as u64, ..Applied::default() };
            let (cleared, graver): (Vec<&Notice>, Vec<&Notice>) =
                notices.iter().partition(|notice| notice.status == Status::Ok);
            for notice in graver.into_iter().chain(cleared) {
                let reason =
                    if notice.reason.trim().is_empty() { registry } else { &format!("{registry}: {}", notice.reason) };
                let names = Names::new(notice.pmid.as_deref(), None, notice.doi.as_deref());
                keep(write, &names, notice.status, reason)?;
                for id in find(&write.tx, &names)? {
                    applied.matched += 1;
                    applied.changed += u64::from(rule(write, &id, notice.status, reason)?);
                }
            }
            Ok(applied)
        })
    }
}

/// Lets a registry's word count for a document; `true` if its status is another now.
fn rule(write: &mut Write<'_>, id: &DocumentId, said: Status, reason: &str) -> Result<bool> {
    let Some(mut entry) = write.entry(id)? else {
        return Ok(false);
    };
    let ruled = climb(entry.verdict.ruled_status, said);
    if entry.verdict.ruled_status == Some(ruled) {
        return Ok(false);
    }
    let before = entry.verdict.status();
    entry.verdict.ruled_status = Some(ruled);
    let after = entry.verdict.status();
    write.settle(&entry)?;
    if before != after {
        write.audit("status", Some(id), (Some(before.as_str()), Some(after.as_str())), reason)?;
    }
    Ok(before != after)
}

/// What holds once `said` comes after `before`.
fn climb(before: Option<Status>, said: Status) -> Status {
    if said == Status::Ok { said } else { before.map_or(said, |before| before.max(said)) }
}

/// Keeps a notice under each of the work's names.
fn keep(write: &Write<'_>, names: &Names, said: Status, reason: &str) -> Result<()> {
    for name in keys(names) {
        let before = lookup(&write.tx, &name)?.map(|(status, _)| status);
        let status = climb(before, said);
        if before != Some(status) {
            let sql = "INSERT OR REPLACE INTO notices (name, status, reason, at) VALUES (?, ?, ?, ?)";
            write.tx.prepare_cached(sql)?.execute(params![name, status.as_str(), reason, write.now])?;
        }
    }
    Ok(())
}

/// The documents of these names, in order.
fn find(connection: &Connection, names: &Names) -> Result<Vec<DocumentId>> {
    let sql = "SELECT id FROM documents WHERE pmid = ?1 UNION SELECT id FROM documents WHERE doi = ?2 ORDER BY 1";
    let mut statement = connection.prepare_cached(sql)?;
    let ids = statement.query_map(params![names.pmid, names.doi], |row| super::card::document_id(row, 0))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}

/// What registries have said, asked for every document that comes in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rulings {
    any: bool,
}

impl Rulings {
    pub(super) fn new(connection: &Connection) -> Result<Self> {
        let any = connection.query_row("SELECT EXISTS (SELECT 1 FROM notices)", [], |row| row.get(0))?;
        Ok(Self { any })
    }

    /// The gravest word on a work of these names, and why.
    pub(super) fn of(self, connection: &Connection, names: &Names) -> Result<Option<(Status, String)>> {
        let mut gravest = None;
        if self.any {
            for name in keys(names) {
                gravest = gravest.max(lookup(connection, &name)?);
            }
        }
        Ok(gravest)
    }
}

fn lookup(connection: &Connection, name: &str) -> Result<Option<(Status, String)>> {
    let mut statement = connection.prepare_cached("SELECT status, reason FROM notices WHERE name = ?")?;
    Ok(statement.query_row([name], |row| Ok((super::card::named(row, 0)?, row.get(1)?))).optional()?)
}

fn keys(names: &Names) -> impl Iterator<Item = String> {
    let pmid = names.pmid.as_ref().map(|pmid| format!("pmid:{pmid}"));
    pmid.into_iter().chain(names.doi.as_ref().map(|doi| format!("doi:{doi}")))
}
