//! `anamnesis serve --check`: everything that a start needs, tried without serving.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use indexes::Manifest;
use jiff::Timestamp;
use serde_json::json;

use super::{Args, config};
use crate::cli::Outcome;
use crate::home::Home;
use crate::keys::Standing;
use crate::output::{Output, WARNING, told};
use crate::server;

/// How long an endpoint may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(3);

/// What came of a check that did not fail.
enum Found {
    Fine(String),
    /// A service starts all the same.
    Doubtful(String),
}

/// Tries each part, also after one that failed, and tells of all.
///
/// # Errors
/// When any failed.
pub(super) fn run(home: &Home, args: &Args, output: &Output) -> Result<Outcome> {
    let fine = |outcome: Result<String>| outcome.map(Found::Fine);
    let checks = [
        ("config", fine(config(home, args))),
        ("keys", fine(keys(home, args))),
        ("tls", fine(tls(args))),
        ("privacy", privacy(home)),
        ("index", index(home)),
        ("policy", policy(home, args)),
        ("judge", fine(judge(home, args))),
        ("address", fine(address(args))),
    ];
    let mut failed = 0;
    for (what, outcome) in &checks {
        let (mark, message) = match outcome {
            Ok(Found::Fine(message)) => ("ok", message.clone()),
            Ok(Found::Doubtful(message)) => ("warning", message.clone()),
            Err(error) => {
                failed += 1;
                ("failed", told(error))
            }
        };
        if output.is_json() {
            output.json(&json!({ "check": what, "ok": outcome.is_ok(), "found": mark, "message": message }))?;
        } else if mark == "ok" {
            output.line(format!("{mark:<7} {what}: {message}"))?;
        } else {
            output.line(format!("{WARNING}{mark:<7}{WARNING:#} {what}: {message}"))?;
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

fn index(home: &Home) -> Result<Found> {
    if let Err(corpus::Error::Outdated { path, found }) = home.read_store() {
        return Ok(Found::Doubtful(format!(
            "{} has the older format {found}: a start brings it up to date, and older programs do not open it afterwards",
            path.display()
        )));
    }
    if home.is_empty()? {
        return Ok(Found::Fine("the home is empty: the first start indexes the starter corpus".to_owned()));
    }
    let retriever = home.retriever()?;
    let manifest = retriever.pinned().manifest();
    let Manifest { id, documents, chunks, .. } = manifest;
    Ok(Found::Fine(format!("snapshot {id} opens: {documents} documents, {chunks} chunks")))
}

fn address(args: &Args) -> Result<String> {
    let listen = args.service.listen;
    TcpListener::bind(listen).with_context(|| {
        format!("{listen} cannot be listened on: end what listens there, or take another with --listen")
    })?;
    Ok(format!("{listen} is free"))
}

/// Who answers.
fn policy(home: &Home, args: &Args) -> Result<Found> {
    let policy = args.policy.open(home)?;
    Ok(match args.policy.reach(PATIENCE)? {
        None => Found::Fine(format!("{} opens", policy.name())),
        Some(remark) => Found::Doubtful(format!("{} {remark}", policy.name())),
    })
}

/// Who checks.
fn judge(home: &Home, args: &Args) -> Result<String> {
    let has_judge = args.review.open(home, false)?.judge.is_some();
    Ok(if has_judge { "it opens" } else { "none: rules alone" }.to_owned())
}

/// Whether others on this machine can read what was asked. What a home was made with stays as it is.
fn privacy(home: &Home) -> Result<Found> {
    let mut open = Vec::new();
    for path in [home.root().to_owned(), home.database()] {
        match fs::metadata(&path) {
            Ok(found) if found.permissions().mode() & 0o077 != 0 => open.push(path),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot look at {}", path.display())),
        }
    }
    // nobody reaches a file in a folder that is closed to them
    if open.first().is_none_or(|path| path != home.root()) {
        return Ok(Found::Fine("the home is for its owner alone".to_owned()));
    }
    let paths: Vec<_> = open.iter().map(|path| path.display().to_string()).collect();
    Ok(Found::Doubtful(format!(
        "others on this machine may read the home, which holds questions: `chmod go= {}` closes it",
        paths.join(" ")
    )))
}
