//! `anamnesis-train sft`, `grpo` and their like: train by a recipe.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use trainer::recipe::Work;
use trainer::{Kind, Progress, State, Summary, run, stages};

use super::show;
use crate::output::Output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to train and how; may be left out with --resume
    #[arg(long, value_name = "FILE", required_unless_present = "resume")]
    recipe: Option<PathBuf>,
    /// Change one field of the recipe, as run.seed=7 or stage.NAME.sft.epochs=2; may be given often. With --resume
    /// for a run that was put back after an alarm
    #[arg(long, value_name = "FIELD=VALUE")]
    set: Vec<String>,
    /// The folder of the run
    #[arg(long, value_name = "RUN")]
    out: PathBuf,
    /// Go on where the newest checkpoint ends
    #[arg(long)]
    resume: bool,
}

pub(crate) fn run(kind: Kind, args: &Args, output: &Output) -> Result<()> {
    let work = work(args)?;
    let bar = bar();
    let told = &mut |progress: Progress| {
        bar.set_length(progress.steps);
        bar.set_position(progress.step);
        bar.set_message(format!("{}, {:.0} tokens/s", progress.note, progress.tokens_per_second));
    };
    let state = match &work {
        Work::One(plan) => {
            if !plan.recipe().data.questions.is_empty() {
                bail!(
                    "data.questions is asked before and after stages: begin the recipe's sections of {kind} with [[stage]]"
                );
            }
            stages::run(kind, plan, &args.out, args.resume, &Timestamp::now, told)?
        }
        Work::Several(several) => {
            let last = several.last();
            if last.kind != kind {
                bail!("the recipe ends with {}: run `anamnesis-train {}`", last.kind, last.kind);
            }
            stages::train(several, &args.out, args.resume, &Timestamp::now, told)?
        }
    };
    finish(&bar, &state, args, output)
}

/// The work of the recipe, or of the run that goes on.
fn work(args: &Args) -> Result<Work> {
    let config = args.out.join(run::CONFIG);
    match &args.recipe {
        Some(file) => Ok(Work::open(file, &args.set)?),
        None if config.is_file() => Ok(Work::open(&config, &args.set)?),
        None => bail!("{} holds no run to go on with: begin one with --recipe", args.out.display()),
    }
}

/// Tells what came of a run that has ended, and what can be done with it.
fn finish(bar: &ProgressBar, state: &State, args: &Args, output: &Output) -> Result<()> {
    bar.finish_and_clear();
    tracing::info!(step = state.step, "done");
    show::tell(&[Summary::read(&args.out)?], output)?;
    if !output.is_json() {
        output.line(format!("next: anamnesis-train export {} FOLDER", args.out.display()))?;
    }
    Ok(())
}

/// Hidden unless standard error is a terminal.
fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(8));
    if let Ok(style) = ProgressStyle::with_template("{pos}/{len} [{bar:32}] {msg} {elapsed} eta {eta}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
