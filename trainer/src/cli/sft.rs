//! `anamnesis-train sft`: fine-tune by a recipe.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use trainer::recipe::{Plan, Recipe};
use trainer::{State, Summary, run, sft};

use super::show;
use crate::output::Output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to train and how; may be left out with --resume
    #[arg(long, value_name = "FILE", required_unless_present = "resume")]
    recipe: Option<PathBuf>,
    /// Change one field of the recipe, as run.seed=7; may be given often
    #[arg(long, value_name = "SECTION.FIELD=VALUE", requires = "recipe")]
    set: Vec<String>,
    /// The folder of the run
    #[arg(long, value_name = "RUN")]
    pub(super) out: PathBuf,
    /// Go on where the newest checkpoint ends
    #[arg(long)]
    pub(super) resume: bool,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<()> {
    let plan = plan(args)?;
    let bar = bar();
    let state = sft::sft(&plan, &args.out, args.resume, &Timestamp::now, &mut |progress| {
        bar.set_length(progress.steps);
        bar.set_position(progress.step);
        let loss = progress.loss.map_or_else(|| "not finite".to_owned(), |loss| format!("{loss:.4}"));
        bar.set_message(format!("loss {loss}, {:.0} tokens/s", progress.tokens_per_second));
    })?;
    finish(&bar, &state, args, output)
}

/// The plan of the recipe, or of the run that goes on.
pub(super) fn plan(args: &Args) -> Result<Plan> {
    match &args.recipe {
        Some(file) => Ok(Recipe::open(file, &args.set)?.plan(file)?),
        None if args.out.join(run::CONFIG).is_file() => Ok(run::plan(&args.out)?),
        None => bail!("{} holds no run to go on with: begin one with --recipe", args.out.display()),
    }
}

/// Tells what came of a run that has ended, and what can be done with it.
pub(super) fn finish(bar: &ProgressBar, state: &State, args: &Args, output: &Output) -> Result<()> {
    bar.finish_and_clear();
    tracing::info!(step = state.step, "done");
    show::tell(&[Summary::read(&args.out)?], output)?;
    if !output.is_json() {
        output.line(format!("next: anamnesis-train export {} FOLDER", args.out.display()))?;
    }
    Ok(())
}

/// Hidden unless standard error is a terminal.
pub(super) fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(8));
    if let Ok(style) = ProgressStyle::with_template("{pos}/{len} [{bar:32}] {msg} {elapsed} eta {eta}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
