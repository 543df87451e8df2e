//! `anamnesis mcp`: this home as tools of another program's model, over standard streams.

use std::num::{NonZeroU64, NonZeroUsize};
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::Result;

use super::ask::prepare_starter;
use super::{Outcome, positive};
use crate::home::Home;
use crate::keeping;
use crate::output::Output;
use crate::policies::PolicyArgs;
use crate::privacy::PhiArgs;
use crate::review::ReviewArgs;
use crate::server::{Answering, mcp};

/// What `mcp` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Calls carried out at once [default: the number of cores]
    #[arg(long, value_name = "N", value_parser = positive::<NonZeroUsize>)]
    workers: Option<NonZeroUsize>,
    /// Longest that a call may take, in milliseconds, waiting included
    #[arg(long, value_name = "MS", default_value = "60000", value_parser = positive::<NonZeroU64>)]
    timeout_ms: NonZeroU64,
    /// How long answers are kept as traces: so many days, or `forever`; 0 keeps none
    #[arg(long, value_name = "DAYS", default_value = keeping::USUAL)]
    keep_traces: keeping::Keep,
    #[command(flatten)]
    review: ReviewArgs,
    #[command(flatten)]
    phi: PhiArgs,
    #[command(flatten)]
    policy: PolicyArgs,
}

pub(crate) fn run(home: &Home, args: &Args, output: &Output) -> Result<Outcome> {
    let policy = args.policy.open(home)?;
    let review = args.review.open(home, args.policy.is_model())?;
    home.migrate()?;
    if home.is_empty()? {
        prepare_starter(home, output)?;
    }
    let cores = available_parallelism().map_or(1, NonZeroUsize::get);
    let workers = args.workers.map_or(cores, NonZeroUsize::get);
    let answering = Answering { policy, review, phi: args.phi.handling, keep: args.keep_traces };
    mcp::stdio(home, answering, workers, Duration::from_millis(args.timeout_ms.get()))?;
    Ok(Outcome::Done)
}
