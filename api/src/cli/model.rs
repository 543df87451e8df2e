//! `anamnesis model`: list, describe, make, try and measure local language models.

mod bench;
mod generate;

use agent::model::{self, Card, Shape};
use anyhow::Result;
use clap::Subcommand;
use serde_json::json;

use super::Outcome;
use crate::home::Home;
use crate::output::{FAINT, LABEL, Output, STRONG};
use crate::progress::Progress;

/// What can be done with local models. A model is named by its path, or by its name in the home's models
/// folder.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the language models in the home's models folder
    List,
    /// Describe a model: family, size, context, memory per token, chat template, adapters
    Show {
        /// A model folder, or the name of one in the home's models folder
        #[arg(value_name = "DIR")]
        model: String,
    },
    /// Make a model of a real shape with random weights, to measure and test without a download
    ///
    /// It has a byte-level tokenizer and a chat template, loads in other software too, and knows nothing:
    /// what it writes is noise. The same shape and seed give the same files on every machine.
    Init {
        /// The new folder: a path, or a name for the home's models folder
        #[arg(value_name = "DIR")]
        model: String,
        /// tiny (0.2M, f32), small (5M, f32), 0.5b (Qwen2.5, bf16), 1b (Llama 3.2, bf16) or 8b (Llama 3.1,
        /// bf16); on disk 0.7 MB, 20 MB, 1 GB, 2.5 GB and 16 GB
        #[arg(long, value_name = "SHAPE", default_value_t = Shape::Tiny)]
        shape: Shape,
        /// Seed of the weights
        #[arg(long, value_name = "N", default_value_t = 0)]
        seed: u64,
    },
    /// Measure prompt tokens read and tokens written in a second, by the number of sequences at once
    Bench(bench::Args),
    /// Continue a prompt, and print ids, text and log-probabilities
    Generate(generate::Args),
}

pub(crate) fn run(home: &Home, command: Command, output: &Output) -> Result<Outcome> {
    match command {
        Command::List => list(home, output),
        Command::Show { model } => show(&Card::read(&model::find(&home.models(), &model)?)?, output),
        Command::Init { model, shape, seed } => init(home, &model, shape, seed, output),
        Command::Bench(args) => bench::run(home, &args, output),
        Command::Generate(args) => generate::run(home, &args, output),
    }
}

fn list(home: &Home, output: &Output) -> Result<Outcome> {
    let models = home.models();
    let mut outcome = Outcome::Nothing;
    for (name, card) in model::list(&models)? {
        let card = match card {
            Ok(card) => card,
            Err(error) => {
                output.note(format!("{name}: {error}"));
                continue;
            }
        };
        outcome = Outcome::Done;
        if output.is_json() {
            output.json(&card)?;
        } else {
            output.line(format!(
                "{LABEL}{}{LABEL:#}  {}, {} parameters, {} {FAINT}({}, {} tokens of context){FAINT:#}",
                card.name,
                card.family,
                count(card.parameters as f64),
                card.dtype,
                bytes(card.bytes as f64),
                card.context,
            ))?;
        }
    }
    if outcome == Outcome::Nothing && !output.is_json() {
        let place = models.display();
        output.note(format!("no language model in {place}: make one with `anamnesis model init NAME --shape tiny`"));
    }
    Ok(outcome)
}

fn show(card: &Card, output: &Output) -> Result<Outcome> {
    if output.is_json() {
        output.json(card)?;
        return Ok(Outcome::Done);
    }
    let chat = if card.chat_template { "yes" } else { "no, so prompts are written plainly" };
    let adapters = card
        .adapters
        .iter()
        .map(|adapter| format!("{} (rank {}, alpha {})", adapter.path.display(), adapter.rank, adapter.alpha));
    let adapters: Vec<_> = adapters.collect();
    output.line(format!("{STRONG}{}{STRONG:#}  {FAINT}{}{FAINT:#}", card.name, card.path.display()))?;
    for (field, value) in [
        ("family", card.family.to_owned()),
        ("parameters", count(card.parameters as f64)),
        ("weights", format!("{}, {}", card.dtype, bytes(card.bytes as f64))),
        ("context", format!("{} tokens", card.context)),
        ("cache", format!("{} a token", bytes(card.kv_bytes_per_token as f64))),
        ("vocabulary", format!("{} rows, {} tokens", card.vocabulary, card.tokens)),
        ("chat template", chat.to_owned()),
        ("adapters", if adapters.is_empty() { "none".to_owned() } else { adapters.join(", ") }),
    ] {
        output.line(format!("  {FAINT}{field:<14}{FAINT:#}{value}"))?;
    }
    Ok(Outcome::Done)
}

fn init(home: &Home, name: &str, shape: Shape, seed: u64, output: &Output) -> Result<Outcome> {
    let dir = model::place(&home.models(), name);
    let bar = Progress::bytes("writing", 0);
    model::init(shape, seed, &dir, &mut |done, total| bar.at(done, total))?;
    drop(bar);
    if output.is_json() {
        output.json(&json!({ "written": dir, "shape": shape.name(), "seed": seed }))?;
    } else {
        output.line(format!("{LABEL}{}{LABEL:#}: {shape}, random weights of seed {seed}", dir.display()))?;
        output.line(format!("next: anamnesis model bench {name}"))?;
    }
    Ok(Outcome::Done)
}

/// A number of things in three digits.
fn count(number: f64) -> String {
    scaled(number, &["", "k", "M", "B", "T"])
}

/// A number of bytes in three digits.
fn bytes(number: f64) -> String {
    scaled(number, &[" B", " kB", " MB", " GB", " TB"])
}

fn scaled(mut number: f64, units: &[&str]) -> String {
    let mut unit = 0;
    while number >= 999.5 && unit + 1 < units.len() {
        number /= 1000.0;
        unit += 1;
    }
    let digits = if unit == 0 || number >= 99.95 { 0 } else { 2 - usize::from(number >= 9.995) };
    format!("{number:.digits$}{}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_in_three_digits() {
        for (number, text) in [
            (0.0, "0"),
            (512.0, "512"),
            (5_048_576.0, "5.05M"),
            (164_160.0, "164k"),
            (999_700.0, "1.00M"),
            (494_032_768.0, "494M"),
            (8_030_261_248.0, "8.03B"),
            (2e15, "2000T"),
        ] {
            assert_eq!(count(number), text);
        }
        assert_eq!(bytes(1024.0), "1.02 kB");
        assert_eq!(bytes(20_200_000.0), "20.2 MB");
    }
}
