//! `anamnesis-train show`: what came of runs.

use std::path::PathBuf;

use anyhow::Result;
use trainer::Summary;

use crate::output::{FAINT, Output, STRONG};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folders of runs; several are compared
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<()> {
    let summaries = args.runs.iter().map(|run| Summary::read(run)).collect::<trainer::Result<Vec<_>>>()?;
    tell(&summaries, output)
}

/// Shows summaries: one row a field, one column a run.
pub(crate) fn tell(summaries: &[Summary], output: &Output) -> Result<()> {
    if output.is_json() {
        return summaries.iter().try_for_each(|summary| output.json(summary));
    }
    let names = summaries.iter().map(|summary| summary.run.display().to_string());
    let mut rows: Vec<(String, Vec<String>)> = vec![(String::new(), names.collect())];
    let mut row = |name: &str, of: &dyn Fn(&Summary) -> String| {
        rows.push((name.to_owned(), summaries.iter().map(of).collect()));
    };
    row("stage", &|summary| summary.stage.clone());
    row("steps", &|summary| {
        let state = if summary.is_done { "" } else { ", not done" };
        format!("{} of {}{state}", summary.step, summary.steps)
    });
    row("parameters", &|summary| summary.parameters.to_string());
    row("samples", &|summary| summary.samples.to_string());
    row("first loss", &|summary| number(summary.first_loss));
    row("last loss", &|summary| number(summary.last_loss));
    if summaries.iter().any(|summary| summary.first_reward.is_some()) {
        row("first reward", &|summary| number(summary.first_reward));
        row("last reward", &|summary| number(summary.last_reward));
    }
    row("skipped", &|summary| summary.skipped.to_string());
    row("learnt tokens", &|summary| summary.learnt.to_string());
    row("tokens/s", &|summary| format!("{:.0}", summary.tokens_per_second));
    row("seconds", &|summary| format!("{:.1}", summary.seconds));
    row("best step", &|summary| summary.best_step.map_or_else(dash, |step| step.to_string()));
    let mut measures: Vec<(&String, &String)> = summaries
        .iter()
        .flat_map(|summary| {
            summary.heldout.iter().flat_map(|(phase, values)| values.keys().map(move |name| (phase, name)))
        })
        .collect();
    measures.sort_unstable();
    measures.dedup();
    for (phase, name) in measures {
        row(&format!("{name} {phase}"), &|summary| {
            number(summary.heldout.get(phase).and_then(|values| values.get(name)).copied())
        });
    }
    let widest = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let column = |at: usize| rows.iter().map(|(_, cells)| cells[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..summaries.len()).map(column).collect();
    for (line, (name, cells)) in rows.iter().enumerate() {
        let cells = cells.iter().zip(&widths).map(|(cell, width)| format!("  {cell:<width$}"));
        let cells: String = cells.collect();
        let cells = cells.trim_end();
        if line == 0 {
            output.line(format!("{:<widest$}{STRONG}{cells}{STRONG:#}", ""))?;
        } else {
            output.line(format!("{FAINT}{name:<widest$}{FAINT:#}{cells}"))?;
        }
    }
    for (summary, text) in summaries.iter().flat_map(|summary| summary.notices.iter().map(move |text| (summary, text)))
    {
        output.note(format!("{}: {text}", summary.run.display()));
    }
    Ok(())
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(dash, |value| format!("{value:.4}"))
}

fn dash() -> String {
    "-".to_owned()
}
