//! `anamnesis-train init`: a recipe to begin from.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::builder::{PossibleValue, PossibleValuesParser};
use serde_json::json;
use trainer::recipe::PRESETS;

use crate::output::Output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The new file
    #[arg(value_name = "FILE", default_value = "recipe.toml")]
    file: PathBuf,
    /// Which recipe
    #[arg(long, value_name = "NAME", default_value = PRESETS[0].name, value_parser = presets())]
    preset: String,
}

fn presets() -> PossibleValuesParser {
    PossibleValuesParser::new(PRESETS.map(|preset| PossibleValue::new(preset.name).help(preset.about)))
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<()> {
    let shown = args.file.display();
    let preset = PRESETS.iter().find(|preset| preset.name == args.preset).unwrap_or(&PRESETS[0]);
    // What is there already is not ours to replace.
    File::create_new(&args.file)
        .and_then(|mut file| file.write_all(preset.text.as_bytes()))
        .with_context(|| format!("cannot write {shown}: remove it, or name another file"))?;
    if output.is_json() {
        return output.json(&json!({ "written": args.file, "preset": preset.name }));
    }
    if !preset.text.contains("[task]") {
        output.line(format!("{shown}: fill in model.path and data.train"))?;
    }
    output.line(format!("next: anamnesis-train {} --recipe {shown} --out runs/first", preset.kind))
}
