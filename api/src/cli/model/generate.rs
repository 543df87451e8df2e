//! `anamnesis model generate`: one continuation, with the ids and log-probabilities that made it.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use agent::model::generate::{Prompt, Settings, generate};
use agent::model::{self, Model, Sampling};
use anyhow::{Context, Result};
use serde::Deserialize;

use crate::cli::Outcome;
use crate::cli::ask::clock;
use crate::cli::device::DeviceArgs;
use crate::home::Home;
use crate::output::{FAINT, Output};

/// What `model generate` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A model folder, or the name of one in the home's models folder
    #[arg(value_name = "DIR")]
    model: String,
    /// The text to continue; special tokens in it count, and a beginning that the model wants is added
    #[arg(long, value_name = "TEXT", required_unless_present = "ids", conflicts_with = "ids")]
    prompt: Option<String>,
    /// The ids to continue: a JSON array, or an object whose `ids` is one
    #[arg(long, value_name = "FILE.json")]
    ids: Option<PathBuf>,
    /// Tokens to write at most
    #[arg(long, value_name = "N", default_value_t = 128)]
    max_tokens: usize,
    /// 0 takes the likeliest token each time, 1 draws by the model's own probabilities
    #[arg(long, value_name = "T", default_value_t = 0.0)]
    temperature: f32,
    /// Seed of the draws
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// A LoRA adapter in PEFT layout
    #[arg(long, value_name = "DIR")]
    adapter: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
}

pub(crate) fn run(home: &Home, args: &Args, output: &Output) -> Result<Outcome> {
    let prompt = match (&args.prompt, &args.ids) {
        (_, Some(file)) => Prompt::Ids(read_ids(file)?),
        (prompt, None) => Prompt::Text(prompt.clone().unwrap_or_default()),
    };
    let dir = model::find(&home.models(), &args.model)?;
    let model = Model::open(&dir, args.device.device()?, args.adapter.as_deref())?;
    let settings = Settings {
        max_tokens: args.max_tokens,
        sampling: Sampling { temperature: args.temperature, ..Sampling::default() },
        seed: args.seed,
    };
    let mut shown = Ok(());
    let mut show = |text: &str| {
        if !output.is_json() {
            shown = Output::raw(text.as_bytes());
        }
        if shown.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let generated = generate(model, &prompt, &settings, clock, &mut show)?;
    shown?;
    if output.is_json() {
        output.json(&generated)?;
    } else {
        let rate = generated.ids.len() as f64 / generated.total_s;
        output.line(format!(
            "\n{FAINT}{} tokens ({}), the first after {:.1} ms, {rate:.1} in a second{FAINT:#}",
            generated.ids.len(),
            generated.finish.replace('_', " "),
            generated.first_token_s * 1e3,
        ))?;
    }
    Ok(Outcome::Done)
}

fn read_ids(file: &Path) -> Result<Vec<u32>> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Ids {
        Bare(Vec<u32>),
        Named { ids: Vec<u32> },
    }
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    match serde_json::from_slice(&bytes) {
        Ok(Ids::Bare(ids) | Ids::Named { ids }) => Ok(ids),
        Err(_) => anyhow::bail!("{} holds no ids: write a JSON array such as [1, 2, 3]", file.display()),
    }
}
