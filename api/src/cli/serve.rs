//! `anamnesis serve`: the service in the foreground, until it is told to end.

mod check;
pub(crate) mod config;

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Result, bail};
use jiff::Timestamp;
use serde_json::json;

use super::ask::prepare_starter;
use super::{LogFormat, Outcome, positive};
use crate::home::Home;
use crate::keeping;
use crate::output::Output;
use crate::policies::PolicyArgs;
use crate::privacy::PhiArgs;
use crate::review::ReviewArgs;
use crate::server::{self, Answering, Names, Room, Settings, TlsFiles};

const TLS: &str = "\
Without keys the service is for this machine only; `anamnesis key create` makes the first key.
Where other machines come, let them come by TLS, and name what they call this service with --host.
Either the service speaks it itself (--tls-cert, --tls-key; renewed files are taken up as they
change), or a reverse proxy does (nginx, Caddy), which passes requests on to --listen: name it with
--proxy, so that what it says of clients is believed.";

/// What `serve` takes. Every option without one of `config`'s exceptions is also a key of the configuration
/// file, in the section of its heading.
#[derive(Debug, clap::Args)]
#[command(after_help = TLS)]
pub(crate) struct Args {
    /// Read options from this file; those of the command line win
    /// [default: anamnesis.toml of the home, if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print an example of such a file, with a comment on every key
    #[arg(long)]
    print_config: bool,
    /// Do not serve: tell whether configuration, keys, privacy, index, policy, judge and address are in order
    #[arg(long, conflicts_with = "print_config")]
    check: bool,
    #[command(flatten)]
    service: ServiceArgs,
    /// Tell a collector of OpenTelemetry where the time of requests goes (OTLP over HTTP, in JSON), such as
    /// http://127.0.0.1:4318: no text of questions, documents or answers is told [default: nobody]
    #[arg(long, value_name = "URL", value_parser = parse_collector, help_heading = "Service")]
    otlp: Option<String>,
    /// How the log is written on standard error
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text, help_heading = "Service")]
    pub(super) log: LogFormat,
    #[command(flatten)]
    access: AccessArgs,
    #[command(flatten)]
    review: ReviewArgs,
    #[command(flatten)]
    phi: PhiArgs,
    #[command(flatten)]
    policy: PolicyArgs,
}

/// Where, and how much at once.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Service")]
struct ServiceArgs {
    /// Where to listen; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080", value_parser = parse_address)]
    listen: SocketAddr,
    /// Requests answered at once [default: the number of cores; 16 where a model answers, which does
    /// better with many at once]
    #[arg(long, value_name = "N", value_parser = positive::<NonZeroUsize>)]
    workers: Option<NonZeroUsize>,
    /// Requests that may wait for their turn; more are told to come back later
    #[arg(long, value_name = "N", default_value_t = 64)]
    queue: usize,
    /// Largest request body
    #[arg(long, value_name = "BYTES", default_value_t = 2 * 1024 * 1024)]
    max_body: usize,
    /// Longest that a request may take, in milliseconds, waiting included
    #[arg(long, value_name = "MS", default_value = "60000", value_parser = positive::<NonZeroU64>)]
    timeout_ms: NonZeroU64,
    /// Connections at once; more are refused
    #[arg(long, value_name = "N", default_value = "1024", value_parser = positive::<NonZeroU32>)]
    connections: NonZeroU32,
    /// Longest that a connection may take to send the head of its next request, in milliseconds
    #[arg(long, value_name = "MS", default_value = "30000", value_parser = positive::<NonZeroU64>)]
    idle_ms: NonZeroU64,
    /// Speak TLS, and nothing else: the service's certificate in PEM, then those between it and its authority
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// The private key of that certificate, in PEM and not encrypted
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,
}

/// Who may come, and what is written down of it.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Access")]
struct AccessArgs {
    /// A name that the service is reached by, besides localhost and the address it listens on; may be
    /// given several times
    #[arg(long, value_name = "NAME", value_parser = parse_host)]
    host: Vec<String>,
    /// An origin whose pages may use the service, such as https://page.example.org; may be given several
    /// times [default: none but the service's own]
    #[arg(long, value_name = "ORIGIN", value_parser = parse_origin)]
    cors: Vec<String>,
    /// Address of a reverse proxy that is believed when it names the client (X-Forwarded-For) and says
    /// that it came by TLS (X-Forwarded-Proto); may be given several times
    #[arg(long, value_name = "IP")]
    proxy: Vec<IpAddr>,
    /// Wrong keys that are heard from one address in a minute
    #[arg(long, value_name = "N", default_value = "10", value_parser = positive::<NonZeroU32>)]
    wrong_keys: NonZeroU32,
    /// Bytes of the audit log (audit.jsonl of the home) before a new file is begun
    #[arg(long, value_name = "BYTES", default_value = "16777216", value_parser = positive::<NonZeroU64>)]
    audit_bytes: NonZeroU64,
    /// Files of the audit log that are kept
    #[arg(long, value_name = "N", default_value = "16", value_parser = positive::<NonZeroU32>)]
    audit_files: NonZeroU32,
    /// How long answers are kept as traces: so many days, or `forever`; 0 keeps none
    #[arg(long, value_name = "DAYS", default_value = keeping::USUAL)]
    keep_traces: keeping::Keep,
}

/// Requests at once where threads mostly wait for a model.
const WAITING_WORKERS: usize = 16;

pub(crate) fn run(home: &Home, args: &Args, output: &Output) -> Result<Outcome> {
    if args.print_config {
        Output::raw(config::example().as_bytes())?;
        return Ok(Outcome::Done);
    }
    if args.check {
        return check::run(home, args, output);
    }
    // before anything that takes long
    server::may_listen(home.keys().read()?.as_ref(), args.service.listen, Timestamp::now())?;
    let settings = args.settings()?;
    let scheme = if settings.tls.is_some() { "https" } else { "http" };
    let policy = args.policy.open(home)?;
    let review = args.review.open(home, args.policy.is_model())?;
    home.migrate()?;
    if home.is_empty()? {
        prepare_starter(home, output)?;
    }
    let answering = Answering { policy, review, phi: args.phi.handling, keep: args.access.keep_traces };
    server::serve(home, answering, &settings, |address| {
        let url = format!("{scheme}://{address}");
        let told = format!("listening on {url}");
        let line = match args.log {
            LogFormat::Text => told,
            LogFormat::Json => {
                json!({ "timestamp": Timestamp::now(), "level": "INFO", "message": told, "url": url }).to_string()
            }
        };
        // whoever started it may have closed standard error: the service goes on
        let _ = writeln!(std::io::stderr(), "{line}");
        if output.is_json() { output.json(&json!({ "listening": url })) } else { Ok(()) }
    })?;
    Ok(Outcome::Done)
}

impl Args {
    fn settings(&self) -> Result<Settings> {
        let ServiceArgs { listen, workers, queue, max_body, timeout_ms, connections, idle_ms, .. } = &self.service;
        let AccessArgs { host, cors, proxy, wrong_keys, audit_bytes, audit_files, .. } = &self.access;
        let cores = available_parallelism().map_or(1, NonZeroUsize::get);
        let usual = if self.policy.is_model() { cores.max(WAITING_WORKERS) } else { cores };
        Ok(Settings {
            listen: *listen,
            workers: workers.map_or(usual, NonZeroUsize::get),
            queue: *queue,
            max_body: *max_body,
            timeout: Duration::from_millis(timeout_ms.get()),
            connections: connections.get() as usize,
            idle: Duration::from_millis(idle_ms.get()),
            tls: self.tls()?,
            names: Names { hosts: host.clone(), origins: cors.clone(), proxies: proxy.clone() },
            wrong_keys: wrong_keys.get(),
            audit: Room { bytes: audit_bytes.get(), files: audit_files.get() },
        })
    }

    /// The collector that a service tells of its requests.
    pub(super) fn collector(&self) -> Option<&str> {
        self.otlp.as_deref().filter(|_| !self.check && !self.print_config)
    }

    /// Where certificate and key lie, if anywhere.
    fn tls(&self) -> Result<Option<TlsFiles>> {
        match (&self.service.tls_cert, &self.service.tls_key) {
            (Some(cert), Some(key)) => Ok(Some(TlsFiles { cert: cert.clone(), key: key.clone() })),
            (None, None) => Ok(None),
            (Some(_), None) => bail!("--tls-cert has no key: name its file with --tls-key"),
            (None, Some(_)) => bail!("--tls-key has no certificate: name its file with --tls-cert"),
        }
    }
}

/// An address, or `localhost:PORT`.
fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let numeric = numeric.as_deref().unwrap_or(text);
    numeric.parse().map_err(|_| format!("`{text}` is no address with a port: write 127.0.0.1:8080"))
}

/// A name without scheme and port.
fn parse_host(text: &str) -> Result<String, String> {
    let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    let wrong = || format!("`{text}` is no name: write it without scheme and port, such as evidence.example.org");
    fits.then(|| text.to_owned()).ok_or_else(wrong)
}

/// `http://host[:port]`, perhaps with a path before the one of OTLP.
fn parse_collector(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    let host = rest.split('/').next().unwrap_or_default();
    let fits = !host.is_empty() && !rest.contains(|c: char| c.is_whitespace() || c.is_control() || "@?#".contains(c));
    let wrong = || format!("`{text}` is no collector: write scheme, host and port, such as http://127.0.0.1:4318");
    fits.then(|| text.to_owned()).ok_or_else(wrong)
}

/// `https://host[:port]`, as browsers write it.
fn parse_origin(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    let fits = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte));
    fits.then(|| text.to_owned()).ok_or_else(|| {
        format!("`{text}` is no origin: write scheme and host and nothing after, such as https://page.example.org")
    })
}
