//! [`train`]: all stages of a recipe, one after another, and what the policy can do before and after each.
//!
//! What is done is told by what is there: a task, a stage's outcome and a line of the journal are each there whole
//! or not at all, so that a killed run goes on with what was under way.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use agent::journal::{self, Entry, Heldout};

use super::{Kind, OUTCOME, TASK, begun, folder, run};
use crate::data::question::{Question, questions};
use crate::error::write;
use crate::evaluation;
use crate::files::replace;
use crate::recipe::{Plan, Recipe, Stages};
use crate::run::checkpoint::State;
use crate::run::export::{Which, export};
use crate::run::journal::Journal;
use crate::run::{CONFIG, Clock, Progress, checkpoints, hold, is_put_back};
use crate::{Error, Result, memory};

/// Runs the stages of a recipe in the folder `dir`; `resume` goes on with the one that was under way. `told` is
/// called after every step. Gives the last state of the last stage.
///
/// # Errors
/// Those of a bad recipe before anything is trained, and those of every stage.
pub fn train(
    stages: &Stages,
    dir: &Path,
    resume: bool,
    clock: Clock<'_>,
    told: &mut dyn FnMut(Progress),
) -> Result<State> {
    let begun = clock();
    // Before anything is made: forecasts count from here.
    memory::held();
    let _held = begin(stages, dir, resume)?;
    if let Some((task, seed)) = &stages.task {
        let folder = dir.join(TASK);
        if !folder.is_dir() {
            task.make(&folder, *seed)?;
        }
    }
    stages.check(dir)?;
    let terms = stages.recipe(stages.last(), dir)?;
    check_apart(stages, &terms, dir)?;
    let mut told_before = Told::open(dir, stages.stages.len() as u64, &terms, clock)?;
    for (number, stage) in stages.stages.iter().enumerate() {
        let (plan, folder) = (stages.plan(stage, dir)?, folder(dir, number, &stage.name));
        if number == 0 {
            let model = &plan.recipe().model;
            told_before.ask(0, "before".to_owned(), &model.path, model.adapter.as_deref())?;
        }
        let mut named = |progress: Progress| {
            told(Progress { note: format!("{}: {}", stage.name, progress.note), ..progress });
        };
        one(stage.kind, &plan, &folder, stage.outcome, clock, &mut named)?;
        if stage.kind.gives_policy() {
            told_before.ask(number as u64 + 1, format!("after_{}", stage.name), &folder.join(OUTCOME), None)?;
        }
    }
    told_before.end(stages.stages.len() as u64, clock().duration_since(begun).as_secs_f64())?;
    let last = folder(dir, stages.stages.len() - 1, &stages.last().name);
    let newest = checkpoints(&last)?.newest()?;
    newest.map(|(_, state)| state).ok_or_else(|| Error::Input(format!("{} has no checkpoint", last.display())))
}

/// Takes the folder, and puts the recipe there, unless this very recipe was begun there and is to go on.
fn begin(stages: &Stages, dir: &Path, resume: bool) -> Result<File> {
    let refuse = |reason: String| Err(Error::Input(format!("{}: {reason}", dir.display())));
    let config = dir.join(CONFIG);
    let text = stages.to_toml();
    let mut is_other = false;
    if config.is_file() {
        if !resume {
            return refuse("holds a run already: go on with --resume, or name another folder".to_owned());
        }
        is_other = fs::read_to_string(&config).map_err(crate::error::read(&config))? != text;
        // One that was put back after an alarm goes on with a change alone; the stage sees to it.
        if is_other && !begun(dir)?.iter().any(|stage| is_put_back(stage)) {
            let config = config.display();
            return refuse(format!("was begun with another recipe: leave --recipe and --set out, or see {config}"));
        }
    }
    fs::create_dir_all(dir).map_err(write(dir))?;
    let held = hold(dir)?;
    if is_other || !config.is_file() {
        replace(&config, text.as_bytes())?;
    }
    Ok(held)
}

/// Refuses questions that a stage learns from and that are asked to see what was learnt.
fn check_apart(stages: &Stages, terms: &Recipe, dir: &Path) -> Result<()> {
    let read = |files: &[PathBuf]| -> Result<Vec<Question>> {
        Ok(files.iter().map(|path| questions(path)).collect::<Result<Vec<_>>>()?.concat())
    };
    let asked = read(&terms.data.questions)?;
    let asked: BTreeSet<&str> = asked.iter().map(|question| question.question.trim()).collect();
    for stage in stages.stages.iter().filter(|stage| matches!(stage.kind, Kind::Grpo | Kind::Ppo)) {
        let learnt = read(&stages.recipe(stage, dir)?.data.train)?;
        if let Some(both) = learnt.iter().find(|question| asked.contains(question.question.trim())) {
            let Question { id, .. } = both;
            return Err(Error::Input(format!(
                "question `{id}` that stage `{}` learns from is in data.questions",
                stage.name
            )));
        }
    }
    Ok(())
}

/// Runs one stage to its outcome, if that is not there yet.
fn one(
    kind: Kind,
    plan: &Plan,
    folder: &Path,
    which: Which,
    clock: Clock<'_>,
    told: &mut dyn FnMut(Progress),
) -> Result<()> {
    let outcome = folder.join(OUTCOME);
    if outcome.is_dir() {
        return Ok(());
    }
    run(kind, plan, folder, folder.join(CONFIG).is_file(), clock, told)?;
    if kind.gives_policy() {
        export(folder, &outcome, which, true)?;
    }
    Ok(())
}

/// What the run has told of its questions, and what it asks them with.
struct Told<'a> {
    journal: Journal,
    terms: &'a Recipe,
    phases: BTreeSet<String>,
    is_ended: bool,
    clock: Clock<'a>,
}

impl<'a> Told<'a> {
    fn open(dir: &Path, stages: u64, terms: &'a Recipe, clock: Clock<'a>) -> Result<Self> {
        let journal = Journal::open(dir, stages, clock())?;
        let (mut phases, mut is_ended) = (BTreeSet::new(), false);
        for entry in journal::read(dir)? {
            match entry {
                Entry::Heldout(Heldout { phase, .. }) => drop(phases.insert(phase)),
                Entry::End { .. } => is_ended = true,
                _ => {}
            }
        }
        Ok(Self { journal, terms, phases, is_ended, clock })
    }

    /// Asks a model the questions, if that was not told yet.
    fn ask(&mut self, step: u64, phase: String, model: &Path, adapter: Option<&Path>) -> Result<()> {
        let recipe = self.terms;
        if recipe.data.questions.is_empty() || !self.phases.insert(phase.clone()) {
            return Ok(());
        }
        let values = evaluation::of_recipe(recipe, model, adapter, self.clock)?.values();
        self.journal.write(&Entry::Heldout(Heldout { step, phase, values }), (self.clock)())?;
        self.journal.sync()
    }

    fn end(&mut self, step: u64, seconds: f64) -> Result<()> {
        if !self.is_ended {
            self.journal.write(&Entry::End { step, seconds }, (self.clock)())?;
        }
        self.journal.sync()
    }
}
