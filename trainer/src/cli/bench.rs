//! `anamnesis-train bench`: how fast a model learns on this machine.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use clap::{Subcommand, ValueEnum};
use trainer::bench::{Groups, Lessons, Report, Setting, grpo, sft};
use trainer::recipe::{Learn, Recompute};

use crate::output::{FAINT, Output, STRONG};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Supervised steps: forward, backward and AdamW
    Sft {
        #[command(flatten)]
        model: ModelArgs,
        /// Sequences of a step
        #[arg(long, value_name = "N", default_value_t = 8)]
        sequences: usize,
        /// Tokens of each
        #[arg(long, value_name = "N", default_value_t = 256)]
        tokens: usize,
    },
    /// Steps of GRPO: sampling, log-probabilities, backward and AdamW, without retrieval
    Grpo {
        #[command(flatten)]
        model: ModelArgs,
        /// Prompts of a step
        #[arg(long, value_name = "N", default_value_t = 8)]
        prompts: usize,
        /// Completions of each
        #[arg(long, value_name = "N", default_value_t = 8)]
        group: usize,
        /// Tokens of a prompt
        #[arg(long, value_name = "N", default_value_t = 60)]
        prompt_tokens: usize,
        /// Tokens of a completion
        #[arg(long, value_name = "N", default_value_t = 95)]
        new_tokens: usize,
        /// Tokens of a micro-batch
        #[arg(long, value_name = "N", default_value_t = 4096)]
        micro_tokens: usize,
    },
}

#[derive(Debug, clap::Args)]
struct ModelArgs {
    /// The model's folder
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Train an adapter of this rank instead of all weights
    #[arg(long, value_name = "RANK")]
    lora: Option<usize>,
    /// Whether layers are computed twice to save memory
    #[arg(long, value_enum, default_value_t = Twice::Auto)]
    recompute: Twice,
    /// Steps to time
    #[arg(long, value_name = "N", default_value_t = 5)]
    steps: usize,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Twice {
    Auto,
    On,
    Off,
}

impl ModelArgs {
    fn setting(&self) -> Setting {
        let recompute = match self.recompute {
            Twice::Auto => Recompute::Auto,
            Twice::On => Recompute::On,
            Twice::Off => Recompute::Off,
        };
        let learn = if self.lora.is_some() { Learn::Adapter } else { Learn::All };
        Setting { learn, rank: self.lora.unwrap_or(1), recompute, steps: self.steps }
    }
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<()> {
    let begun = Instant::now();
    let clock = || begun.elapsed().as_secs_f64();
    let report = match &args.command {
        Command::Sft { model, sequences, tokens } => {
            sft(&model.dir, &model.setting(), Lessons { sequences: *sequences, tokens: *tokens }, &clock)?
        }
        Command::Grpo { model, prompts, group, prompt_tokens, new_tokens, micro_tokens } => {
            let groups = Groups {
                prompts: *prompts,
                group: *group,
                prompt_tokens: *prompt_tokens,
                new_tokens: *new_tokens,
                micro_tokens: *micro_tokens,
            };
            grpo(&model.dir, &model.setting(), groups, &clock)?
        }
    };
    if output.is_json() {
        return output.json(&report);
    }
    tell(&report, output)
}

fn tell(report: &Report, output: &Output) -> Result<()> {
    let Report { seconds, sampling, forward, backward, update, tokens, computed, .. } = report;
    output.line(format!(
        "{STRONG}{seconds:.3} s a step, {:.0} tokens/s{STRONG:#}  {FAINT}{tokens} tokens, {computed} of them computed to learn from{FAINT:#}",
        report.tokens_per_second
    ))?;
    output.line(format!(
        "sampling {sampling:.3} s, forward {forward:.3} s, backward {backward:.3} s, update {update:.3} s"
    ))?;
    output.line(format!(
        "products with weights: {:.0}% of the {:.0} GFLOP/s of candle's matrix product",
        report.share_of_matmul * 100.0,
        report.matmul_flops / 1e9
    ))?;
    if let Some(bytes) = report.peak_bytes {
        output.line(format!("memory at its peak: {:.0} MB", bytes as f64 / 1e6))?;
    }
    Ok(())
}
