//! `anamnesis-train init`: a recipe to begin from.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::json;
use trainer::recipe::TEMPLATE;

use crate::output::Output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The new file
    #[arg(value_name = "FILE", default_value = "recipe.toml")]
    file: PathBuf,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<()> {
    let shown = args.file.display();
    // What is there already is not ours to replace.
    File::create_new(&args.file)
        .and_then(|mut file| file.write_all(TEMPLATE.as_bytes()))
        .with_context(|| format!("cannot write {shown}: remove it, or name another file"))?;
    if output.is_json() {
        output.json(&json!({ "written": args.file }))?;
    } else {
        output.line(format!("{shown}: fill in model.path and data.train"))?;
        output.line(format!("next: anamnesis-train sft --recipe {shown} --out runs/first"))?;
    }
    Ok(())
}
