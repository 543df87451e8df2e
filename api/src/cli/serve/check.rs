//! `anamnesis serve --check`: everything that a start needs, tried without serving.

use std::net::TcpListener;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use serde_json::json;

use super::{Args, config};
use crate::cli::Outcome;
use crate::home::Home;
use crate::keys::Standing;
use crate::output::{Output, WARNING};
use crate::server;

/// Tries each part, also after one that failed, and tells of all.
///
/// # Errors
/// When any failed.
pub(super) fn run(home: &Home, args: &Args, output: &Output) -> Result<Outcome> {
    let checks = [
        ("config", config(home, args)),
        ("keys", keys(home, args)),
        ("tls", tls(args)),
        ("index", index(home)),
        ("policy", opens(home, args)),
        ("address", address(args)),
    ];
    let mut failed = 0;
    for (what, outcome) in &checks {
        let message = match outcome {
            Ok(message) => message.clone(),
            Err(error) => {
                failed += 1;
                format!("{error:#}")
            }
        };
        if output.is_json() {
            output.json(&json!({ "check": what, "ok": outcome.is_ok(), "message": message }))?;
        } else if outcome.is_ok() {
            output.line(format!("ok      {what}: {message}"))?;
        } else {
            output.line(format!("{WARNING}failed{WARNING:#}  {what}: {message}"))?;
        }
    }
    if failed > 0 {
        bail!("{failed} of {} checks failed: mend what they name", checks.len());
    }
    Ok(Outcome::Done)
}

/// A file that is not in order has ended the command before this.
fn config(home: &Home, args: &Args) -> Result<String> {
    let path = config::path(args, home)?;
    Ok(path.map_or("no file: options and defaults".to_owned(), |path| format!("{} is in order", path.display())))
}

fn keys(home: &Home, args: &Args) -> Result<String> {
    let now = Timestamp::now();
    let keys = home.keys().read()?;
    server::may_listen(keys.as_ref(), args.service.listen, now)?;
    Ok(match keys {
        None => "none: whoever is on this machine may do everything".to_owned(),
        Some(keys) => {
            let active = keys.all().iter().filter(|key| key.standing(now) == Standing::Active).count();
            format!("{active} of {} let somebody in", keys.all().len())
        }
    })
}

fn tls(args: &Args) -> Result<String> {
    args.tls()?.map_or_else(|| Ok("none: plain HTTP".to_owned()), |files| files.check())
}

fn index(home: &Home) -> Result<String> {
    if home.is_empty()? {
        return Ok("the home is empty: the first start indexes the starter corpus".to_owned());
    }
    let retriever = home.retriever()?;
    let manifest = retriever.pinned().manifest();
    Ok(format!("snapshot {} opens: {} documents, {} chunks", manifest.id, manifest.documents, manifest.chunks))
}

fn address(args: &Args) -> Result<String> {
    let listen = args.service.listen;
    TcpListener::bind(listen).with_context(|| {
        format!("{listen} cannot be listened on: end what listens there, or take another with --listen")
    })?;
    Ok(format!("{listen} is free"))
}

/// Who answers and who checks.
fn opens(home: &Home, args: &Args) -> Result<String> {
    let policy = args.policy.open(home)?;
    let judge = if args.review.open(home, false)?.judge.is_some() { " and its judge opens" } else { "" };
    Ok(format!("{} opens{judge}", policy.name()))
}
