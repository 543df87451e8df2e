//! `anamnesis serve`: the service in the foreground, until it is told to end.

use std::io::Write;
use std::net::SocketAddr;
use std::num::{NonZeroU64, NonZeroUsize};
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::json;

use super::Outcome;
use super::ask::prepare_starter;
use crate::home::Home;
use crate::output::Output;
use crate::policies::PolicyArgs;
use crate::privacy::PhiArgs;
use crate::server::{self, Settings};

/// What `serve` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to listen; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080", value_parser = parse_address)]
    listen: SocketAddr,
    /// Requests answered at once [default: the number of cores; 16 where a model answers, which does
    /// better with many at once]
    #[arg(long, value_name = "N")]
    workers: Option<NonZeroUsize>,
    /// Requests that may wait for their turn; more are told to come back later
    #[arg(long, value_name = "N", default_value_t = 64)]
    queue: usize,
    /// Largest request body
    #[arg(long, value_name = "BYTES", default_value_t = 2 * 1024 * 1024)]
    max_body: usize,
    /// Longest that a request may take, in milliseconds, waiting included
    #[arg(long, value_name = "MS", default_value = "60000")]
    timeout_ms: NonZeroU64,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    phi: PhiArgs,
}

/// Requests at once where threads mostly wait for a model.
const WAITING_WORKERS: usize = 16;

pub(crate) fn run(home: &Home, args: &Args, output: &Output) -> Result<Outcome> {
    if !args.listen.ip().is_loopback() {
        bail!(
            "{} is reachable from elsewhere: until API keys exist the service listens on loopback only, such as --listen 127.0.0.1:{}",
            args.listen,
            args.listen.port()
        );
    }
    let policy = args.policy.open(home)?;
    if home.is_empty()? {
        prepare_starter(home, output)?;
    }
    let cores = available_parallelism().map_or(1, NonZeroUsize::get);
    let usual = if args.policy.is_model() { cores.max(WAITING_WORKERS) } else { cores };
    let workers = args.workers.map_or(usual, NonZeroUsize::get);
    let settings = Settings {
        listen: args.listen,
        workers,
        queue: args.queue,
        max_body: args.max_body,
        timeout: Duration::from_millis(args.timeout_ms.get()),
        phi: args.phi.handling,
    };
    server::serve(home, policy, &settings, |address| {
        let url = format!("http://{address}");
        // whoever started it may have closed standard error: the service goes on
        let _ = writeln!(std::io::stderr(), "listening on {url}");
        if output.is_json() { output.json(&json!({ "listening": url })) } else { Ok(()) }
    })?;
    Ok(Outcome::Done)
}

/// An address, or `localhost:PORT`.
fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let numeric = numeric.as_deref().unwrap_or(text);
    numeric.parse().map_err(|_| format!("`{text}` is no address with a port: write 127.0.0.1:8080"))
}
