//! The command line: what can be typed, and how it ends.

mod answer;
mod ask;
mod corpus;
pub(crate) mod device;
mod encoder;
mod eval;
mod filter;
mod index;
mod key;
mod mcp;
mod model;
mod replay;
mod search;
mod serve;
mod trace;
mod verify;

use std::fmt::Display;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::Result;
use clap::{ArgAction, ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::home::Home;
use crate::output::Output;
use crate::telemetry::{Stages, Telemetry, is_told};

/// Answers medical questions from literature you index yourself, every sentence tied to the passage
/// that supports it, or abstains.
#[derive(Debug, Parser)]
#[command(name = "anamnesis", version, propagate_version = true, max_term_width = 100, after_help = EPILOGUE)]
struct Cli {
    /// Where corpus, indexes and traces live [default: the platform's data directory]
    #[arg(long, value_name = "DIR", env = "ANAMNESIS_HOME", global = true)]
    home: Option<PathBuf>,
    /// Print results as JSON on standard output
    #[arg(long, global = true)]
    json: bool,
    /// When to use colour
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Color::Auto, global = true)]
    color: Color,
    /// Log more on standard error (-v info, -vv debug, which logs a service's questions without identifiers)
    #[arg(short, long, action = ArgAction::Count, global = true)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

const EPILOGUE: &str = "\
Start here:
  anamnesis ask \"Which drug is first-line for type 2 diabetes?\"     from the embedded starter corpus
  anamnesis corpus add pubmed26n0001.xml.gz                         your own literature ...
  anamnesis index build                                             ... indexed ...
  anamnesis ask \"...\"                                               ... and asked

Exit status: 0 answered or found, 1 abstained or nothing found, 2 error.
This informs research and is no medical advice.";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Ask a question; get an answer whose every sentence is cited, or an abstention
    Ask(ask::Args),
    /// Hold any text against the corpus, sentence by sentence
    Verify(verify::Args),
    /// Search the index
    Search(search::Args),
    /// Add, look at and curate documents
    #[command(subcommand)]
    Corpus(corpus::Command),
    /// Build, verify and switch snapshots of the index
    #[command(subcommand)]
    Index(index::Command),
    /// List and fit encoders
    #[command(subcommand)]
    Encoder(encoder::Command),
    /// List, describe, make, try and measure local language models
    #[command(subcommand)]
    Model(model::Command),
    /// Measure retrieval and answers against judgments
    #[command(subcommand)]
    Eval(eval::Command),
    /// Repeat a stored episode and tell whether it came out the same
    Replay(replay::Args),
    /// List, show and erase stored answers
    #[command(subcommand)]
    Trace(trace::Command),
    /// Answer over HTTP, in its own form, that of OpenAI, and as tools of the Model Context Protocol
    Serve(serve::Args),
    /// Lend this home's tools to another program's model: the Model Context Protocol on standard streams
    ///
    /// The tools are `ask`, `search` and `get_document`. A program that speaks the protocol starts this command
    /// itself: name it with its arguments where that program lists its servers. The same over HTTP is `/mcp` of
    /// `anamnesis serve`.
    Mcp(mcp::Args),
    /// Make, list and revoke the keys that the service asks for
    #[command(subcommand)]
    Key(key::Command),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// How a command ended when it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Answered, found, done.
    Done,
    /// Abstained, or nothing found.
    Nothing,
}

/// Parses the arguments of this process, runs the command and reports how it went: 0 done, 1 nothing
/// found or abstained, 2 error.
#[must_use]
pub fn run() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let output = Output::new(cli.json, cli.color.into());
    match configured(cli, &matches).and_then(|cli| dispatch(cli, &output)) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Nothing) => ExitCode::from(1),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output.error(&error);
            ExitCode::from(2)
        }
    }
}

/// The same with what a configuration file says besides. Only `serve` has one.
fn configured(cli: Cli, matches: &ArgMatches) -> Result<Cli> {
    let (Command::Serve(args), Some(given)) = (&cli.command, matches.subcommand_matches("serve")) else {
        return Ok(cli);
    };
    let home = Home::new(cli.home.clone())?;
    let said = serve::config::arguments(args, given, &home)?;
    Ok(Cli::try_parse_from(std::env::args_os().chain(said))?)
}

fn dispatch(cli: Cli, output: &Output) -> Result<Outcome> {
    let (log, collector) = match &cli.command {
        Command::Serve(args) => (args.log, args.collector()),
        _ => (LogFormat::Text, None),
    };
    let (_telemetry, stages) = collector.map(Telemetry::start).transpose()?.unzip();
    start_logging(cli.verbose, log, stages);
    let home = Home::new(cli.home)?;
    match cli.command {
        Command::Ask(args) => ask::run(&home, &args, output),
        Command::Verify(args) => verify::run(&home, &args, output),
        Command::Search(args) => search::run(&home, &args, output),
        Command::Corpus(command) => corpus::run(&home, command, output),
        Command::Index(command) => index::run(&home, command, output),
        Command::Encoder(command) => encoder::run(&home, command, output),
        Command::Model(command) => model::run(&home, command, output),
        Command::Eval(command) => eval::run(&home, command, output),
        Command::Replay(args) => replay::run(&home, &args, output),
        Command::Trace(command) => trace::run(&home, command, output),
        Command::Serve(args) => serve::run(&home, &args, output),
        Command::Mcp(args) => mcp::run(&home, &args, output),
        Command::Key(command) => key::run(&home, command, output),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "anamnesis", &mut script);
            Output::raw(&script)?;
            Ok(Outcome::Done)
        }
    }
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people
    Text,
    /// An object a line, with its time
    Json,
}

fn start_logging(verbose: u8, format: LogFormat, stages: Option<Stages>) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    // tantivy and hyper speak at info of what is only their own business
    let filter = format!(
        "warn,anamnesis={level},api={level},agent={level},retriever={level},indexes={level},corpus={level},nn={level}"
    );
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let log = match format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).without_time().boxed(),
        LogFormat::Json => log.json().flatten_event(true).boxed(),
    };
    let log = log.with_filter(EnvFilter::new(filter));
    let stages = stages.map(|stages| stages.with_filter(filter_fn(is_told).with_max_level_hint(LevelFilter::INFO)));
    // a second call in one process (tests) keeps the first subscriber
    let _ = tracing_subscriber::registry().with(log).with(stages).try_init();
}

/// A number of at least 1. The type's own parser says of 0 what only programmers understand.
fn positive<N: FromStr>(text: &str) -> Result<N, String>
where
    N::Err: Display,
{
    match text.parse::<u64>() {
        Ok(0) => Err("it must be at least 1".to_owned()),
        _ => text.parse().map_err(|error: N::Err| error.to_string()),
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}

impl From<Color> for anstream::ColorChoice {
    fn from(color: Color) -> Self {
        match color {
            Color::Auto => Self::Auto,
            Color::Always => Self::Always,
            Color::Never => Self::Never,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_must_be_positive_says_so() {
        use std::num::NonZeroU32;
        assert_eq!(positive::<NonZeroU32>("7"), Ok(NonZeroU32::new(7).unwrap()));
        assert_eq!(positive::<NonZeroU32>("0"), Err("it must be at least 1".to_owned()));
        for text in ["", "-1", "x", "4294967296"] {
            assert!(positive::<NonZeroU32>(text).is_err(), "{text}");
        }
    }
}
