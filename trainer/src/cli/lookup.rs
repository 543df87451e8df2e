//! `anamnesis-train lookup`: a task that only retrieval answers, made from a seed.

use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;
use serde_json::json;
use trainer::recipe::Retriever;
use trainer::task::lookup::{Size, evaluate, init};

use super::evaluation;
use crate::output::Output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write documents, questions, lessons and a small random model to a new folder
    Init(Init),
    /// Ask a model the held-out questions and tell how many it answers
    Eval(Eval),
}

#[derive(Debug, clap::Args)]
struct Init {
    /// The new folder
    #[arg(value_name = "FOLDER")]
    dir: PathBuf,
    /// Decides every name, fact, question and weight
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Drugs in the formulary
    #[arg(long, value_name = "COUNT", default_value_t = Size::default().drugs)]
    drugs: usize,
    /// Questions to train on, at most
    #[arg(long, value_name = "COUNT", default_value_t = Size::default().train)]
    train: usize,
    /// Questions to measure by, at most
    #[arg(long, value_name = "COUNT", default_value_t = Size::default().heldout)]
    heldout: usize,
    /// Demonstrations on other formularies
    #[arg(long, value_name = "COUNT", default_value_t = Size::default().demonstrations)]
    demonstrations: usize,
    /// How many of them search twice
    #[arg(long, value_name = "COUNT", default_value_t = Size::default().two_hop)]
    two_hop: usize,
}

#[derive(Debug, clap::Args)]
struct Eval {
    /// The folder of the task
    #[arg(value_name = "FOLDER")]
    dir: PathBuf,
    /// The folder of the model; the task's own random one when not given
    #[arg(long, value_name = "FOLDER")]
    model: Option<PathBuf>,
    /// Ask the questions to train on instead
    #[arg(long)]
    train: bool,
    /// Let each search find another document: what is left is chance
    #[arg(long)]
    shuffled: bool,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<()> {
    match &args.command {
        Command::Init(args) => make(args, output),
        Command::Eval(args) => measure(args, output),
    }
}

fn measure(Eval { dir, model, train, shuffled }: &Eval, output: &Output) -> Result<()> {
    let model = model.clone().unwrap_or_else(|| dir.join("model"));
    let file = dir.join(if *train { "questions-train.jsonl" } else { "questions-heldout.jsonl" });
    let retriever = if *shuffled { Retriever::Shuffled } else { Retriever::True };
    evaluation::tell(&evaluate(dir, &file, &model, retriever)?, output)
}

fn make(args: &Init, output: &Output) -> Result<()> {
    let Init { dir, seed, drugs, train, heldout, demonstrations, two_hop } = args;
    let size = Size {
        drugs: *drugs,
        train: *train,
        heldout: *heldout,
        demonstrations: *demonstrations,
        two_hop: *two_hop,
        ..Size::default()
    };
    let written = init(dir, *seed, size)?;
    let shown = dir.display();
    if output.is_json() {
        output.json(&json!({ "written": dir, "counts": written }))?;
    } else {
        output.line(format!(
            "{shown}: {} documents, {} questions to train on and {} to measure by, {} demonstrations, a model of {} parameters",
            written.documents, written.train, written.heldout, written.demonstrations, written.parameters
        ))?;
        output.line(format!(
            "next: set model.path to {shown}/model and data.train to {shown}/warm/copying.jsonl in a recipe, and run anamnesis-train sft"
        ))?;
    }
    Ok(())
}
