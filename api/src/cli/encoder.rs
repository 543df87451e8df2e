//! `anamnesis encoder`: list what can embed, and fit a static encoder to a sentence encoder.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Subcommand;
use retriever::Embed;
use retriever::embed::fit::{FitOptions, FitProgress, fit, sample, vocabulary};
use retriever::embed::{self, Bert, Card};
use serde_json::json;

use super::Outcome;
use crate::home::Home;
use crate::output::{FAINT, LABEL, Output};
use crate::progress::Progress;

/// What can be done with encoders.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the bundled encoder and those in the home's models folder
    List,
    /// Fit a static encoder, a table of token vectors, to the passage vectors of a sentence encoder
    ///
    /// What the sentence encoder has embedded is kept in the home's cache, so that a fit that was
    /// stopped goes on where it was.
    Fit(FitArgs),
}

/// What `encoder fit` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct FitArgs {
    /// The sentence encoder: a folder in the Hugging Face BERT layout
    model: PathBuf,
    /// Texts to fit to: anything that `corpus add` reads
    #[arg(required = true, value_name = "TEXTS")]
    texts: Vec<PathBuf>,
    /// Where to write the encoder
    out: PathBuf,
    /// At most so many passages of each path, drawn evenly, with half as many titles and sentences
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    per_path: usize,
    /// Numbers in a vector
    #[arg(long, value_name = "N", default_value_t = FitOptions::default().dimension)]
    dimension: usize,
    /// Tokens of a text that the sentence encoder reads
    #[arg(long, value_name = "N", default_value_t = FitOptions::default().window)]
    window: usize,
    /// Ridge of the least squares
    #[arg(long, value_name = "X", default_value_t = FitOptions::default().ridge)]
    ridge: f32,
    /// The vector arm's share in min-max fusion that the encoder will carry
    #[arg(long, value_name = "SHARE", default_value_t = FitOptions::default().weight)]
    weight: f64,
}

pub(crate) fn run(home: &Home, command: Command, output: &Output) -> Result<Outcome> {
    match command {
        Command::List => list(home, output),
        Command::Fit(args) => fit_static(home, &args, output),
    }
}

fn list(home: &Home, output: &Output) -> Result<Outcome> {
    show(embed::bundled()?.card(), "bundled", output)?;
    let models = home.models();
    if models.is_dir() {
        let entries = fs::read_dir(&models).with_context(|| format!("cannot read {}", models.display()))?;
        let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.retain(|path| !agent::model::is_language_model(path));
        paths.sort();
        for path in paths {
            let place = path.display().to_string();
            match embed::open(&place) {
                Ok(encoder) => show(encoder.card(), &place, output)?,
                Err(error) => output.note(format!("{place}: {error}")),
            }
        }
    }
    Ok(Outcome::Done)
}

fn show(card: &Card, place: &str, output: &Output) -> Result<()> {
    if output.is_json() {
        return output.json(&json!({
            "name": card.name, "place": place, "fingerprint": card.fingerprint, "dimension": card.dimension,
            "pooling": card.pooling, "weight": card.weight,
        }));
    }
    let print = card.fingerprint.get(..12).unwrap_or(&card.fingerprint);
    output.line(format!(
        "{LABEL}{}{LABEL:#}  {} numbers, {}, fusion weight {} {FAINT}({print}, {place}){FAINT:#}",
        card.name, card.dimension, card.pooling, card.weight,
    ))
}

fn fit_static(home: &Home, args: &FitArgs, output: &Output) -> Result<Outcome> {
    let teacher = Bert::open(&args.model)?.windowed(args.window);
    let vocabulary = vocabulary(&args.model)?;
    let texts = sample(&args.texts, args.per_path)?;
    let options = FitOptions {
        dimension: args.dimension,
        window: args.window,
        ridge: args.ridge,
        weight: args.weight,
        ..FitOptions::default()
    };
    let bar = Progress::count("embedding", texts.len() as u64);
    let encoder = fit(&teacher, &vocabulary, &texts, &options, Some(&home.cache()), &mut |progress| match progress {
        FitProgress::Embedded { done, of } => bar.at(done as u64, of as u64),
        FitProgress::Solved { done, of } => {
            bar.label("solving");
            bar.at(done as u64, of as u64);
        }
    })?;
    drop(bar);
    encoder.save(&args.out)?;
    let origin = encoder.origin();
    if output.is_json() {
        output.json(&json!({ "written": args.out, "texts": origin.texts, "cosine": origin.cosine, "cosine_stored": origin.cosine_stored }))?;
    } else {
        output.line(format!(
            "{LABEL}{}{LABEL:#}: fitted to {} texts; cosine to the teacher on held-out texts {:.4}, as stored {:.4}",
            args.out.display(),
            origin.texts,
            origin.cosine,
            origin.cosine_stored,
        ))?;
        output.line(format!("next: anamnesis index build --encoder {}", args.out.display()))?;
    }
    Ok(Outcome::Done)
}
