//! `anamnesis model bench`: how fast a model is on this machine, beside what the machine could do.

use std::num::NonZero;
use std::path::PathBuf;

use agent::model::bench::{Plan, Report, bench};
use agent::model::{self, Model};
use anyhow::Result;

use super::bytes;
use crate::cli::ask::clock;
use crate::cli::device::DeviceArgs;
use crate::cli::{Outcome, positive};
use crate::home::Home;
use crate::output::{FAINT, Output, STRONG};
use crate::progress::Progress;

/// Bytes of a model beside which the program itself does not count.
const PROGRAM: f64 = 100e6;

/// What `model bench` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A model folder, or the name of one in the home's models folder
    #[arg(value_name = "DIR")]
    model: String,
    /// Numbers of sequences at once
    #[arg(long, value_name = "N,N,...", value_delimiter = ',', default_value = "1,4,8,16", value_parser = positive::<NonZero<usize>>)]
    batch: Vec<NonZero<usize>>,
    /// Tokens of each prompt
    #[arg(long, value_name = "N", default_value = "128", value_parser = positive::<NonZero<usize>>)]
    prompt_tokens: NonZero<usize>,
    /// Tokens written after each prompt
    #[arg(long, value_name = "N", default_value = "64", value_parser = positive::<NonZero<usize>>)]
    new_tokens: NonZero<usize>,
    /// A LoRA adapter in PEFT layout
    #[arg(long, value_name = "DIR")]
    adapter: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
}

pub(crate) fn run(home: &Home, args: &Args, output: &Output) -> Result<Outcome> {
    let dir = model::find(&home.models(), &args.model)?;
    let plan = Plan {
        batches: args.batch.iter().copied().map(NonZero::get).collect(),
        prompt_tokens: args.prompt_tokens.get(),
        new_tokens: args.new_tokens.get(),
    };
    let batches = plan.batches.len() as u64;
    let bar = Progress::count("loading", batches);
    let model = Model::open(&dir, args.device.device()?, args.adapter.as_deref())?;
    let mut done = 0;
    let report = bench(model, &plan, clock, &mut |batch| {
        bar.label(format!("batch {batch}"));
        bar.at(done, batches);
        done += 1;
    })?;
    drop(bar);
    if output.is_json() {
        output.json(&report)?;
    } else {
        show(&report, output)?;
    }
    Ok(Outcome::Done)
}

fn show(report: &Report, output: &Output) -> Result<()> {
    let Report { prompt_tokens, new_tokens, device, memory, .. } = report;
    output.line(format!(
        "{STRONG}batch   prefill tok/s  of matmul    decode tok/s  of bandwidth{STRONG:#}  {FAINT}{device}, {prompt_tokens} + {new_tokens} tokens{FAINT:#}"
    ))?;
    for row in &report.rows {
        output.line(format!(
            "{:>5}  {:>14.1}  {:>8.0}%  {:>14.1}  {:>11.0}%",
            row.batch,
            row.prefill_tokens_per_s,
            row.prefill_share_of_matmul * 100.0,
            row.decode_tokens_per_s,
            row.decode_share_of_bandwidth * 100.0,
        ))?;
    }
    let computed = (memory.weights + memory.kv) as f64;
    let taken = |size: u64| {
        let over = format!(" ({:+.0}%)", (size as f64 / computed - 1.0) * 100.0);
        // beside a small model the program itself is most of it
        bytes(size as f64) + if computed < PROGRAM { "" } else { &over }
    };
    output.line(format!("memory: weights {}, cache {}", bytes(memory.weights as f64), bytes(memory.kv as f64)))?;
    if let (Some(resident), Some(peak)) = (memory.resident, memory.peak_resident) {
        output.line(format!("process: {}, at most {} while loading or running", taken(resident), taken(peak)))?;
    }
    output.line(format!(
        "{FAINT}this device multiplies matrices at {:.0} GFLOP/s and reads memory at {:.1} GB/s; a share of bandwidth above 100% means that weights stay in the processor's cache{FAINT:#}",
        report.matmul_flops / 1e9,
        report.read_bytes_per_s / 1e9,
    ))
}
