//! Documents, lists, counts, rejects and the audit log, for people or as JSON.

use std::fmt::Display;

use agent::TraceId;
use anyhow::Result;
use corpus::store::{Affected, Listing, Tally};
use corpus::{DocumentId, Standing, Store};
use serde_json::json;

use super::curate::one;
use crate::cli::Outcome;
use crate::home::Home;
use crate::output::{FAINT, HEADING, LABEL, Output, STRONG, WARNING};

pub(super) fn document(home: &Home, name: &str, output: &Output) -> Result<Outcome> {
    let store = home.read_store()?;
    let id = one(&store, name)?;
    let Some(stored) = store.document(&id)? else {
        output.note(format!("{id} has just gone"));
        return Ok(Outcome::Nothing);
    };
    let reason = reason(&store, &id, stored.standing)?;
    if output.is_json() {
        output.json(&WithReason { of: &stored, reason })?;
        return Ok(Outcome::Done);
    }
    let document = &stored.document;
    output.line(format!("{STRONG}{}{STRONG:#}", document.title))?;
    let mut facts = vec![
        format!("{LABEL}{id}{LABEL:#}"),
        document.level.label().to_owned(),
        document.status.to_string(),
        stored.standing.to_string(),
    ];
    facts.extend(document.date.map(|date| date.to_string()));
    facts.extend(document.journal.clone());
    output.line(facts.join(" · "))?;
    show_reason(reason.as_deref(), output)?;
    let identifiers = &document.identifiers;
    for (name, value) in
        [("PMID", &identifiers.pmid), ("PMC", &identifiers.pmcid), ("DOI", &identifiers.doi), ("URL", &identifiers.url)]
    {
        if let Some(value) = value {
            output.line(format!("{FAINT}{name} {value}{FAINT:#}"))?;
        }
    }
    for (name, values) in [
        ("types", &document.publication_types),
        ("mesh", &document.mesh),
        ("collections", &stored.collections),
        ("tags", &stored.tags),
    ] {
        if !values.is_empty() {
            output.line(format!("{FAINT}{name}: {}{FAINT:#}", values.join("; ")))?;
        }
    }
    let mut heading = "";
    for section in &document.sections {
        output.line("")?;
        if section.heading != heading {
            heading = &section.heading;
            output.line(format!("{HEADING}{heading}{HEADING:#}"))?;
        }
        output.line(&document.text[section.span.clone()])?;
    }
    Ok(Outcome::Done)
}

/// A document or a line of a list, and why it is set aside.
#[derive(serde::Serialize)]
struct WithReason<'a, T> {
    #[serde(flatten)]
    of: &'a T,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Why a document that does not stand active does not.
fn reason(store: &Store, id: &DocumentId, standing: Standing) -> Result<Option<String>> {
    if standing == Standing::Active {
        return Ok(None);
    }
    Ok(store.set_aside(id)?.map(|act| format!("{} by {}: {}", act.verb, act.who, act.reason)))
}

fn show_reason(reason: Option<&str>, output: &Output) -> Result<()> {
    reason.map_or(Ok(()), |reason| output.line(format!("      {WARNING}{reason}{WARNING:#}")))
}

pub(super) fn list(home: &Home, wanted: Listing, after: Option<&str>, output: &Output) -> Result<Outcome> {
    let store = home.read_store()?;
    let after = after.map(|name| one(&store, name)).transpose()?;
    let limit = wanted.limit;
    let rows = store.list(&Listing { after, ..wanted })?;
    for row in &rows {
        let reason = reason(&store, &row.id, row.standing)?;
        if output.is_json() {
            output.json(&WithReason { of: row, reason })?;
        } else {
            let date = row.date.map_or_else(|| "----".to_owned(), |date| date.year.to_string());
            let standing =
                if row.standing == corpus::Standing::Active { String::new() } else { format!(" · {}", row.standing) };
            output.line(format!(
                "{LABEL}{}{LABEL:#}  {date}  {} · {}{standing}  {}",
                row.id,
                row.level.label(),
                row.status,
                row.title
            ))?;
            show_reason(reason.as_deref(), output)?;
        }
    }
    if limit.is_some_and(|limit| rows.len() == limit as usize)
        && let Some(last) = rows.last()
        && !output.is_json()
    {
        output.note(format!("more may follow: --after {}", last.id));
    }
    Ok(if rows.is_empty() { Outcome::Nothing } else { Outcome::Done })
}

pub(super) fn stats(home: &Home, output: &Output) -> Result<Outcome> {
    let stats = home.read_store()?.stats()?;
    if output.is_json() {
        output.json(&stats)?;
        return Ok(Outcome::Done);
    }
    output.line(format!("{STRONG}{} documents, {} chunks{STRONG:#}", stats.documents, stats.chunks))?;
    show_tallies("collections", &stats.collections, output)?;
    show_tallies("sources", &stats.sources, output)?;
    show_tallies("status", &stats.statuses, output)?;
    show_tallies("standing", &stats.standings, output)?;
    show_tallies("level", &stats.levels, output)?;
    if let Some((first, last)) = stats.dates {
        output.line(format!("{:<12} {first} to {last}", "dates"))?;
    }
    if stats.rejected > 0 {
        output.note(format!("{} records were set aside: see `anamnesis corpus rejected`", stats.rejected));
    }
    Ok(Outcome::Done)
}

fn show_tallies<T: Display>(name: &str, tallies: &[Tally<T>], output: &Output) -> Result<()> {
    let parts: Vec<_> = tallies.iter().map(|tally| format!("{} {}", tally.of, tally.documents)).collect();
    output.line(format!("{name:<12} {}", parts.join(", ")))
}

pub(super) fn rejected(home: &Home, limit: u32, output: &Output) -> Result<Outcome> {
    let rejections = home.read_store()?.rejected(limit)?;
    for rejection in &rejections {
        let rejected = &rejection.rejected;
        if output.is_json() {
            output.json(&json!({
                "file": rejected.file, "position": rejected.position, "reason": rejected.reason,
                "excerpt": rejected.excerpt, "when": rejection.when, "run": rejection.run,
            }))?;
        } else {
            output.line(format!("{LABEL}{} {}{LABEL:#}  {}", rejected.file, rejected.position, rejected.reason))?;
            output.line(format!("    {FAINT}{}{FAINT:#}", rejected.excerpt.replace('\n', " ")))?;
        }
    }
    if rejections.is_empty() && !output.is_json() {
        output.line("no record was set aside")?;
    }
    Ok(Outcome::Done)
}

pub(super) fn log(home: &Home, name: Option<&str>, limit: u32, output: &Output) -> Result<Outcome> {
    let store = home.read_store()?;
    let id = name.map(|name| one(&store, name)).transpose()?;
    for row in store.audit(id.as_ref(), limit)? {
        if output.is_json() {
            output.json(&row)?;
        } else {
            output.line(format!(
                "{} {STRONG}{}{STRONG:#} {LABEL}{}{LABEL:#} {} -> {} {FAINT}({}: {}){FAINT:#}",
                row.at,
                row.verb,
                row.document.as_ref().map_or("-", |id| id.as_str()),
                row.before.as_deref().unwrap_or("-"),
                row.after.as_deref().unwrap_or("-"),
                row.who,
                row.reason,
            ))?;
        }
    }
    Ok(Outcome::Done)
}

/// Stored answers that need a second look; finding none is good news, and exits 1 as any search that finds nothing.
pub(super) fn affected(home: &Home, after: Option<&TraceId>, limit: u32, output: &Output) -> Result<Outcome> {
    let found = home.read_store()?.affected(after.map(TraceId::as_str), limit)?;
    for Affected { trace, documents } in &found {
        if output.is_json() {
            output.json(&json!({
                "trace": trace.id, "created": trace.created, "caller": trace.caller, "question": trace.question,
                "documents": documents,
            }))?;
            continue;
        }
        output
            .line(format!("{LABEL}{}{LABEL:#}  {}  {STRONG}{}{STRONG:#}", trace.id, trace.created, trace.question))?;
        for document in documents {
            let what = if document.standing == Standing::Active {
                document.status.to_string()
            } else {
                document.standing.to_string()
            };
            output.line(format!("    {what}: {} {FAINT}{}{FAINT:#}", document.id, document.title))?;
        }
    }
    if found.is_empty() && !output.is_json() {
        output.line("no stored answer cites what was withdrawn since")?;
    }
    Ok(if found.is_empty() { Outcome::Nothing } else { Outcome::Done })
}
