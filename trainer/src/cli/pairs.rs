//! `anamnesis-train pairs`: pairs of a run's own episodes.

use std::path::PathBuf;

use anyhow::Result;
use trainer::run::pairs::{Choice, pairs};

use crate::output::Output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder of the run
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// The new file of pairs to learn from
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The new file of pairs of questions that are held out
    #[arg(long, value_name = "FILE")]
    heldout: Option<PathBuf>,
    /// The share of questions that are held out
    #[arg(long, value_name = "SHARE", default_value_t = 0.1, requires = "heldout")]
    share: f64,
    /// The least difference of the rewards of two episodes
    #[arg(long, value_name = "REWARD", default_value_t = 0.5)]
    margin: f64,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<()> {
    let choice = Choice { margin: args.margin, share: args.share };
    let written = pairs(&args.run, &args.out, args.heldout.as_deref(), choice)?;
    if output.is_json() {
        return output.json(&written);
    }
    output.line(format!(
        "{}: {} pairs of {} groups of episodes, {} more held out",
        args.out.display(),
        written.train,
        written.groups,
        written.heldout
    ))
}
