//! `anamnesis-train show`: what came of runs.

use std::path::PathBuf;

use anyhow::{Result, bail};
use trainer::Summary;

use super::evaluation::table;
use crate::output::Output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folders of runs; several are compared
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// Show one episode of a step, by its place from 1: who wrote what, what was found, what it was worth and why
    #[arg(long, value_name = "N")]
    episode: Option<usize>,
    /// The step of the episode; the last one otherwise
    #[arg(long, value_name = "S", requires = "episode")]
    step: Option<u64>,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<()> {
    if let Some(number) = args.episode {
        let [run] = &args.runs[..] else {
            bail!("--episode shows an episode of one run: name one");
        };
        return super::episode::run(run, args.step, number, output);
    }
    let summaries = args.runs.iter().map(|run| Summary::read(run)).collect::<trainer::Result<Vec<_>>>()?;
    tell(&summaries, output)
}

/// Shows summaries: of one run of several stages, a column a stage; else a column a run.
pub(crate) fn tell(summaries: &[Summary], output: &Output) -> Result<()> {
    if output.is_json() {
        return summaries.iter().try_for_each(|summary| output.json(summary));
    }
    match summaries {
        [whole] if !whole.stages.is_empty() => {
            columns(&whole.stages, &Summary::name, output)?;
            asked(whole, output)?;
        }
        _ => columns(summaries, &|summary| summary.run.display().to_string(), output)?,
    }
    for (summary, text) in summaries.iter().flat_map(|summary| summary.notices.iter().map(move |text| (summary, text)))
    {
        output.note(format!("{}: {text}", summary.run.display()));
    }
    Ok(())
}

/// What the questions came to before the first stage and after each.
fn asked(whole: &Summary, output: &Output) -> Result<()> {
    let after = whole.stages.iter().map(|stage| format!("after_{}", stage.name()));
    let phases: Vec<String> = std::iter::once("before".to_owned()).chain(after).collect();
    let phases: Vec<_> = phases.iter().filter_map(|phase| Some((phase, whole.heldout.get(phase)?))).collect();
    let Some((_, values)) = phases.last() else { return Ok(()) };
    let mut lines = vec![(String::new(), phases.iter().map(|(phase, _)| phase.replace('_', " ")).collect::<Vec<_>>())];
    for name in values.keys().filter(|name| !is_end(name)) {
        let cells = phases.iter().map(|(_, values)| number(values.get(name).copied()));
        lines.push((name.replace('_', " "), cells.collect()));
    }
    output.line("")?;
    table(&lines, output)
}

/// Whether it is an end of an interval, which is for machines.
fn is_end(name: &str) -> bool {
    name.ends_with("_low") || name.ends_with("_high")
}

/// One row a field, one column a summary.
fn columns(summaries: &[Summary], head: &dyn Fn(&Summary) -> String, output: &Output) -> Result<()> {
    let names = summaries.iter().map(head);
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
    measures.retain(|(_, name)| !is_end(name));
    measures.sort_unstable();
    measures.dedup();
    for (phase, name) in measures {
        row(&format!("{name} {phase}"), &|summary| {
            number(summary.heldout.get(phase).and_then(|values| values.get(name)).copied())
        });
    }
    table(&rows, output)
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(dash, |value| format!("{value:.4}"))
}

fn dash() -> String {
    "-".to_owned()
}
