//! `anamnesis replay`: a stored episode again, and whether it came out the same.

use agent::{Cancel, Trace, TraceId, replay::replay};
use anyhow::{Context, Result, bail};
use serde_json::json;

use super::Outcome;
use super::ask::clock;
use crate::home::Home;
use crate::output::{Output, STRONG, WARNING};
use crate::review::JudgeArgs;

/// What `replay` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The trace, as `ask` named it
    trace: TraceId,
    /// Print the stored trace as one line of JSON instead of repeating it
    #[arg(long)]
    export: bool,
    #[command(flatten)]
    judge: JudgeArgs,
}

pub(crate) fn run(home: &Home, args: &Args, output: &Output) -> Result<Outcome> {
    let store = home.read_store()?;
    let id = &args.trace;
    let Some((_, stored)) = store.trace(id.as_str())? else {
        bail!("no trace {id} in this home: see `anamnesis trace list`");
    };
    if args.export {
        Output::raw(format!("{stored}\n").as_bytes())?;
        return Ok(Outcome::Done);
    }
    let recorded = Trace::from_json(&stored)?;
    let retriever = home
        .retriever_of(&recorded.snapshot)
        .with_context(|| format!("snapshot {} of this trace is needed to repeat it", recorded.snapshot))?;
    let replayed = replay(&recorded, &retriever, args.judge.open(home)?, &clock, &Cancel::new())?;
    if output.is_json() {
        output.json(
            &json!({ "trace_id": id, "same": replayed.difference.is_none(), "difference": replayed.difference }),
        )?;
    } else {
        match &replayed.difference {
            None => output.line(format!("{STRONG}same{STRONG:#}: {} came out as recorded", recorded.id))?,
            Some(found) => {
                output.line(format!("{WARNING}different{WARNING:#} at {}", found.at))?;
                output.line(format!("  recorded: {}\n  now:      {}", found.recorded, found.now))?;
            }
        }
    }
    Ok(if replayed.difference.is_none() { Outcome::Done } else { Outcome::Nothing })
}
