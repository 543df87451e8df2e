//! `anamnesis trace`: stored answers: list, show, erase.

use agent::{Trace, TraceId};
use anyhow::{Result, bail};
use clap::Subcommand;
use corpus::PartialDate;
use corpus::store::{Erase, TraceListing};
use jiff::Timestamp;
use serde_json::json;

use super::Outcome;
use super::answer::show_answer;
use crate::home::Home;
use crate::output::{FAINT, LABEL, Output, STRONG, cut};

/// Characters of a question in a list; `show` and --json have it whole.
const QUESTION_SHOWN: usize = 160;

/// What can be done with stored answers.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List stored answers, newest first
    List {
        /// Only of this caller; who asks at the command line is `local`
        #[arg(long, value_name = "NAME")]
        caller: Option<String>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
        /// Go on behind this trace
        #[arg(long, value_name = "ID")]
        after: Option<TraceId>,
    },
    /// Show a stored answer; with --json the whole episode
    Show {
        /// The trace, as the answer named it
        id: TraceId,
    },
    /// Erase stored answers for good
    Erase(Which),
}

/// Which answers to erase: one of these.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Which {
    /// The trace, as the answer named it
    id: Option<TraceId>,
    /// All of this caller
    #[arg(long, value_name = "NAME")]
    caller: Option<String>,
    /// All that were asked before this date: 2026, 2026-03 or 2026-03-31
    #[arg(long, value_name = "DATE", value_parser = parse_date)]
    before: Option<Timestamp>,
}

pub(crate) fn run(home: &Home, command: Command, output: &Output) -> Result<Outcome> {
    match command {
        Command::List { caller, limit, after } => {
            list(home, &TraceListing { caller, after: after.map(String::from), limit: Some(limit) }, output)
        }
        Command::Show { id } => show(home, &id, output),
        Command::Erase(which) => erase(home, which, output),
    }
}

fn list(home: &Home, listing: &TraceListing, output: &Output) -> Result<Outcome> {
    let rows = home.read_store()?.traces(listing)?;
    for row in &rows {
        if output.is_json() {
            output.json(row)?;
        } else {
            let expires = row.expires.as_ref().map(|time| format!(" until {time}")).unwrap_or_default();
            output.line(format!(
                "{LABEL}{}{LABEL:#}  {} {}  {STRONG}{}{STRONG:#}  {FAINT}{}{expires}{FAINT:#}",
                row.id,
                row.created,
                row.outcome,
                cut(&row.question, QUESTION_SHOWN),
                row.caller
            ))?;
        }
    }
    if rows.len() == listing.limit.unwrap_or_default() as usize
        && let Some(last) = rows.last()
        && !output.is_json()
    {
        output.note(format!("more may follow: --after {}", last.id));
    }
    Ok(if rows.is_empty() { Outcome::Nothing } else { Outcome::Done })
}

fn show(home: &Home, id: &TraceId, output: &Output) -> Result<Outcome> {
    let Some((row, stored)) = home.read_store()?.trace(id.as_str())? else {
        bail!("no trace {id} in this home: see `anamnesis trace list`");
    };
    if output.is_json() {
        // as it was stored: what was written by another version stays as it is
        Output::raw(format!("{stored}\n").as_bytes())?;
        return Ok(Outcome::Done);
    }
    output.line(format!("{STRONG}{}{STRONG:#}", row.question))?;
    output.line(format!("{FAINT}{} · {}{FAINT:#}", row.created, row.caller))?;
    show_answer(&Trace::from_json(&stored)?, output)?;
    Ok(Outcome::Done)
}

fn erase(home: &Home, which: Which, output: &Output) -> Result<Outcome> {
    let which = match which {
        Which { id: Some(id), .. } => Erase::Named(id.into()),
        Which { caller: Some(caller), .. } => Erase::Caller(caller),
        Which { before: Some(before), .. } => Erase::Before(before),
        Which { id: None, caller: None, before: None } => bail!("name a trace, --caller or --before"),
    };
    home.migrate()?;
    if home.is_empty()? {
        bail!("no documents and no answers in this home yet: name another with --home DIR");
    }
    let erased = home.store()?.erase_traces(&which)?;
    if output.is_json() {
        output.json(&json!({ "erased": erased }))?;
    } else {
        output.line(format!("{erased} answers erased"))?;
    }
    Ok(if erased == 0 { Outcome::Nothing } else { Outcome::Done })
}

/// The first moment of a day, a month or a year.
fn parse_date(text: &str) -> Result<Timestamp, String> {
    let bad = || format!("`{text}` is no date: write 2026, 2026-03 or 2026-03-31");
    let date = PartialDate::parse(text).ok_or_else(bad)?;
    let first = format!("{:04}-{:02}-{:02}T00:00:00Z", date.year, date.month.unwrap_or(1), date.day.unwrap_or(1));
    first.parse().map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_begins_at_its_first_moment() {
        for (text, expected) in [
            ("2026", "2026-01-01T00:00:00Z"),
            ("2026-03", "2026-03-01T00:00:00Z"),
            ("2026-03-31", "2026-03-31T00:00:00Z"),
        ] {
            assert_eq!(parse_date(text).unwrap().to_string(), expected);
        }
        assert!(parse_date("yesterday").unwrap_err().contains("2026-03-31"));
    }
}
