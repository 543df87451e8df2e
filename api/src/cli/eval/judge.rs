//! `anamnesis eval judge`: verdicts against those that people gave.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use agent::Cancel;
use agent::judge::Label;
use agent::review::{Agreement, Judged, agreement};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::super::Outcome;
use crate::home::Home;
use crate::output::{Output, STRONG};
use crate::progress::Progress;
use crate::review::JudgeArgs;

/// What `eval judge` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// JSONL files, perhaps .gz, of records with claim, evidence, label (supports, refutes, neutral, or their relatives) and
    /// perhaps split
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Only records of this split; may be given again
    #[arg(long = "split", value_name = "NAME")]
    splits: Vec<String>,
    #[command(flatten)]
    judge: JudgeArgs,
}

#[derive(Deserialize)]
struct Record {
    claim: String,
    evidence: String,
    label: String,
    #[serde(default)]
    split: String,
}

#[derive(Serialize)]
struct Report<'a> {
    file: String,
    judge: &'a str,
    #[serde(flatten)]
    agreement: Agreement,
    ms_per_pair: f64,
}

pub(crate) fn run(home: &Home, args: &Args, output: &Output) -> Result<Outcome> {
    let judge = args.judge.open(home)?;
    let name = judge.as_ref().map_or("rules", |judge| &judge.fingerprint()[..12]);
    for file in &args.files {
        let pairs = read(file, &args.splits)?;
        if pairs.is_empty() {
            bail!("{} holds no record of the splits that were asked for", file.display());
        }
        let bar = Progress::count("judging", pairs.len() as u64);
        let start = std::time::Instant::now();
        let mut tell = |done: usize| bar.at(done as u64, pairs.len() as u64);
        let agreement = agreement(&pairs, judge.as_deref(), &Cancel::new(), &mut tell)?;
        let ms_per_pair = start.elapsed().as_secs_f64() * 1e3 / pairs.len() as f64;
        drop(bar);
        show(&Report { file: file.display().to_string(), judge: name, agreement, ms_per_pair }, output)?;
    }
    Ok(Outcome::Done)
}

fn read(file: &Path, splits: &[String]) -> Result<Vec<Judged>> {
    let mut pairs = Vec::new();
    for (number, line) in corpus::reader::open_text(file)?.lines().enumerate() {
        let at = || format!("{}:{}", file.display(), number + 1);
        let line = line.with_context(at)?;
        if line.trim().is_empty() {
            continue;
        }
        let record: Record = serde_json::from_str(&line).with_context(at)?;
        let label = Label::from_name(&record.label)
            .with_context(|| format!("{}: `{}` is no label: supports, refutes or neutral", at(), record.label))?;
        if splits.is_empty() || splits.contains(&record.split) {
            pairs.push(Judged { claim: record.claim, evidence: record.evidence, label });
        }
    }
    Ok(pairs)
}

fn show(report: &Report<'_>, output: &Output) -> Result<()> {
    if output.is_json() {
        return output.json(report);
    }
    let Report { file, judge, agreement, ms_per_pair } = report;
    output.line(format!("{STRONG}{file}{STRONG:#} by {judge}: {} pairs, {ms_per_pair:.2} ms each", agreement.rows))?;
    let calibration =
        agreement.calibration_error.map(|error| format!("  calibration error {error:.3}")).unwrap_or_default();
    output.line(format!(
        "  accuracy {:.3}  macro F1 {:.3}  support: precision {:.3} recall {:.3}{calibration}",
        agreement.accuracy, agreement.macro_f1, agreement.support_precision, agreement.support_recall
    ))?;
    for (label, row) in Label::ALL.iter().zip(&agreement.confusion) {
        let [support, contradict, neutral] = row;
        output.line(format!(
            "  {:<10} judged support {support}, contradict {contradict}, neutral {neutral}",
            label.name()
        ))?;
    }
    Ok(())
}
