//! The command line: what can be typed, and how it ends.

mod bench;
mod episode;
mod eval;
mod evaluation;
mod export;
mod init;
mod lookup;
mod pairs;
mod show;
mod train;

use std::io::IsTerminal;
use std::process::ExitCode;

use anstream::ColorChoice;
use anyhow::Result;
use clap::{ArgAction, CommandFactory, Parser, Subcommand, ValueEnum};
use trainer::Kind;

use crate::output::Output;

/// Trains language models for anamnesis, reproducibly, on one machine.
#[derive(Debug, Parser)]
#[command(name = "anamnesis-train", version, propagate_version = true, max_term_width = 100, after_help = EPILOGUE)]
struct Cli {
    /// Print results as JSON on standard output
    #[arg(long, global = true)]
    json: bool,
    /// When to use colour
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Color::Auto, global = true)]
    color: Color,
    /// Log more on standard error (-v info, -vv debug)
    #[arg(short, long, action = ArgAction::Count, global = true)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

const EPILOGUE: &str = "\
Start here:
  anamnesis-train init recipe.toml                              a recipe with a comment on every field
  anamnesis-train sft --recipe recipe.toml --out runs/first     train by it ...
  anamnesis-train sft --out runs/first --resume                 ... go on after a stop ...
  anamnesis-train grpo --recipe other.toml --out runs/second    ... learn from rewards, with retrieval ...
  anamnesis-train show runs/first                               ... see what came of it ...
  anamnesis-train export runs/first adapters/first              ... and take it elsewhere

Exit status: 0 done, 2 error.";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a recipe with a comment on every field
    Init(init::Args),
    /// Fine-tune on conversations, prompts with completions, or texts
    Sft(train::Args),
    /// Make better answers likelier than worse ones, from pairs of them
    Dpo(train::Args),
    /// Train a reward model on pairs of a better and a worse answer
    Reward(train::Args),
    /// Learn from the rewards of one's own episodes, with retrieval in the loop
    Grpo(train::Args),
    /// The same with a value head in place of groups
    Ppo(train::Args),
    /// Train the judge of whether evidence supports a claim
    Scorer(train::Args),
    /// Adapt a retrieval encoder to judged queries
    Encoder(train::Args),
    /// Ask a policy the questions of published sets, with and without retrieval
    Eval(eval::Args),
    /// Sum up a run, or compare several
    Show(show::Args),
    /// Write pairs of a run's own episodes, the better and the worse, for dpo and reward
    Pairs(pairs::Args),
    /// Take an adapter or a model out of a run
    Export(export::Args),
    /// A task that only retrieval answers
    Lookup(lookup::Args),
    /// Measure how fast a model learns on this machine
    Bench(bench::Args),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Parses the arguments of this process, runs the command and reports how it went.
pub(crate) fn run() -> ExitCode {
    let cli = Cli::parse();
    start_logging(cli.verbose);
    let output = Output::new(cli.json, cli.color.into());
    match dispatch(cli.command, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output.error(&error);
            ExitCode::from(2)
        }
    }
}

fn dispatch(command: Command, output: &Output) -> Result<()> {
    match command {
        Command::Init(args) => init::run(&args, output),
        Command::Sft(args) => train::run(Kind::Sft, &args, output),
        Command::Dpo(args) => train::run(Kind::Dpo, &args, output),
        Command::Reward(args) => train::run(Kind::Reward, &args, output),
        Command::Grpo(args) => train::run(Kind::Grpo, &args, output),
        Command::Ppo(args) => train::run(Kind::Ppo, &args, output),
        Command::Scorer(args) => train::run(Kind::Scorer, &args, output),
        Command::Encoder(args) => train::run(Kind::Encoder, &args, output),
        Command::Eval(args) => eval::run(&args, output),
        Command::Show(args) => show::run(&args, output),
        Command::Pairs(args) => pairs::run(&args, output),
        Command::Export(args) => export::run(&args, output),
        Command::Lookup(args) => lookup::run(&args, output),
        Command::Bench(args) => bench::run(&args, output),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "anamnesis-train", &mut script);
            Output::raw(&script)
        }
    }
}

fn start_logging(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let filter = format!("warn,anamnesis_train={level},trainer={level},agent={level},retriever={level},nn={level}");
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time()
        .finish();
    // a second call in one process (tests) keeps the first subscriber
    let _ = tracing::subscriber::set_global_default(subscriber);
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}

impl From<Color> for ColorChoice {
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
}
