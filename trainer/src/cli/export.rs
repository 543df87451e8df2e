//! `anamnesis-train export`: what a run learnt, as files that load elsewhere.

use std::path::PathBuf;

use anyhow::Result;
use serde_json::json;
use trainer::run::export::{Which, export};

use crate::output::Output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder of the run
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// The new folder
    #[arg(value_name = "FOLDER")]
    to: PathBuf,
    /// `best` (on what is held out; else the last), `last`, or the number of a step
    #[arg(long, value_name = "STEP", default_value = "best")]
    checkpoint: Which,
    /// Add the adapter to the weights and write a whole model
    #[arg(long)]
    merged: bool,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<()> {
    let step = export(&args.run, &args.to, args.checkpoint, args.merged)?;
    if output.is_json() {
        output.json(&json!({ "written": args.to, "step": step }))?;
    } else {
        output.line(format!("{}: step {step} of {}", args.to.display(), args.run.display()))?;
    }
    Ok(())
}
