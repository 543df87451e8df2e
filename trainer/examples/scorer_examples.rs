//! Writes what a scorer's run learnt and was judged by as JSON lines, so that another program can be given the same:
//! `scorer_examples RUN FOLDER`, where FOLDER is new.

use std::fs;
use std::path::{Path, PathBuf};

use agent::judge::{self, Pair};
use anyhow::{Context, Result};
use nn::Tokenizer;
use serde_json::json;
use trainer::stages::scorer::{Examples, Row};

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (run, to) = arguments.next().zip(arguments.next()).context("usage: scorer_examples RUN FOLDER")?;
    let plan = trainer::run::plan(&run)?;
    let recipe = plan.recipe();
    let tokenizer = Tokenizer::open(&recipe.model.path)?;
    let examples = Examples::read(&recipe.data, &recipe.scorer, &tokenizer, recipe.run.seed)?;
    fs::create_dir(&to)?;
    let train = examples.train.iter().map(|example| {
        let Row { claim, evidence, label } = &example.row;
        json!({ "claim": claim, "evidence": evidence, "label": label })
    });
    write(&to.join("train.jsonl"), train.collect())?;
    for set in examples.heldout.iter().chain([&examples.calibration]) {
        let rows = set.rows.iter().map(|Row { claim, evidence, label }| {
            let spans = judge::spans(&tokenizer, Pair { claim, evidence }, recipe.scorer.window_tokens)?;
            let windows: Vec<&str> = spans.into_iter().map(|span| &evidence[span]).collect();
            Ok(json!({ "claim": claim, "windows": windows, "label": label }))
        });
        let prefix = if set.name == "calibration" { "" } else { "set." };
        write(&to.join(format!("{prefix}{}.jsonl", set.name)), rows.collect::<Result<_>>()?)?;
    }
    Ok(())
}

fn write(path: &Path, rows: Vec<serde_json::Value>) -> Result<()> {
    let lines: String = rows.into_iter().map(|row| row.to_string() + "\n").collect();
    Ok(fs::write(path, lines)?)
}
