//! The curators' verbs: each takes documents and a reason, and leaves a line in the audit log.

use std::path::Path;

use anyhow::{Result, bail};
use corpus::{DocumentId, Level, Status, Store, registry};
use serde_json::json;

use super::Reason;
use crate::cli::Outcome;
use crate::home::Home;
use crate::output::Output;

/// Documents and why.
#[derive(Debug, clap::Args)]
pub(crate) struct Documents {
    /// Documents: our ids, PMIDs, PMC ids, DOIs, or ids as they came in
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    #[command(flatten)]
    why: Reason,
}

/// What changes a document's standing.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verb {
    Quarantine,
    Remove,
    Restore,
}

pub(super) fn set_standing(home: &Home, verb: Verb, documents: &Documents, output: &Output) -> Result<Outcome> {
    let mut store = home.store()?;
    let ids = resolve(&store, &documents.ids)?;
    let reason = &documents.why.reason;
    let (changed, done) = match verb {
        Verb::Quarantine => (store.quarantine(&ids, reason)?, "quarantined"),
        Verb::Remove => (store.remove(&ids, reason)?, "removed"),
        Verb::Restore => (store.restore(&ids, reason)?, "restored"),
    };
    report(changed, done, output)?;
    if matches!(verb, Verb::Restore) {
        let retracted = store.retracted(&ids)?;
        for id in &retracted {
            output.note(format!(
                "{id} is retracted and answers nothing: `anamnesis corpus reinstate {id} --reason TEXT` takes that back"
            ));
        }
        if changed == 0 && !retracted.is_empty() {
            return Ok(Outcome::Nothing);
        }
    }
    Ok(Outcome::Done)
}

pub(super) fn reinstate(home: &Home, ids: &[String], reason: &str, output: &Output) -> Result<Outcome> {
    let mut store = home.store()?;
    let ids = resolve(&store, ids)?;
    report(store.reinstate(&ids, reason)?, "reinstated", output)
}

pub(super) fn migrate(home: &Home, output: &Output) -> Result<Outcome> {
    let migrated = home.migrate()?;
    if !migrated {
        // a home that cannot be read at all says why
        home.read_store()?;
    }
    if output.is_json() {
        output.json(&json!({ "migrated": migrated }))?;
    } else {
        output.line(if migrated { "the home is up to date now" } else { "the home was up to date" })?;
    }
    Ok(Outcome::Done)
}

pub(super) fn tag(home: &Home, tag: &str, ids: &[String], off: bool, reason: &str, output: &Output) -> Result<Outcome> {
    let mut store = home.store()?;
    let ids = resolve(&store, ids)?;
    let (changed, done) =
        if off { (store.untag(&ids, tag, reason)?, "untagged") } else { (store.tag(&ids, tag, reason)?, "tagged") };
    report(changed, done, output)
}

pub(super) fn retract(home: &Home, ids: &[String], reason: &str, output: &Output) -> Result<Outcome> {
    let mut store = home.store()?;
    let ids = resolve(&store, ids)?;
    report(store.set_status(&ids, Status::Retracted, reason)?, "retracted", output)
}

pub(super) fn level(home: &Home, level: Level, ids: &[String], reason: &str, output: &Output) -> Result<Outcome> {
    let mut store = home.store()?;
    let ids = resolve(&store, ids)?;
    report(store.set_level(&ids, level, reason)?, "levelled", output)
}

pub(super) fn apply_registry(home: &Home, file: &Path, output: &Output) -> Result<Outcome> {
    let mut store = home.store()?;
    let mut rejected = 0_u64;
    let notices: Vec<_> =
        registry::read(file)?.filter_map(|notice| notice.inspect_err(|_| rejected += 1).ok()).collect();
    let applied = store.apply_notices(&notices, &format!("registry {}", file.display()))?;
    if rejected > 0 {
        output.note(format!("{rejected} lines of {} name no document", file.display()));
    }
    if output.is_json() {
        output.json(&json!({ "applied": applied, "rejected": rejected }))?;
    } else {
        output.line(format!(
            "{} notices, {} documents of this home named, {} changed",
            applied.notices, applied.matched, applied.changed
        ))?;
    }
    Ok(Outcome::Done)
}

fn report(changed: u64, done: &str, output: &Output) -> Result<Outcome> {
    if output.is_json() {
        output.json(&json!({ done: changed }))?;
    } else {
        output.line(format!("{changed} documents {done}"))?;
    }
    Ok(Outcome::Done)
}

/// Every name must mean exactly one document: a curator's verb must not hit another by accident.
fn resolve(store: &Store, names: &[String]) -> Result<Vec<DocumentId>> {
    names.iter().map(|name| one(store, name)).collect()
}

/// The one document that `name` means.
pub(super) fn one(store: &Store, name: &str) -> Result<DocumentId> {
    let mut found = store.resolve(name)?;
    match found.len() {
        0 => bail!("no document is called `{name}`: see `anamnesis corpus list`"),
        1 => Ok(found.remove(0)),
        _ => {
            let ids: Vec<_> = found.iter().map(DocumentId::as_str).collect();
            bail!("`{name}` names {} documents: say which of {}", ids.len(), ids.join(", "))
        }
    }
}
