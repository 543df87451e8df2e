//! [`Run`]: the folder of a run, held by one process: recipe, journal, checkpoints, dumps; and how far it is.

pub mod checkpoint;
pub mod episode;
pub mod export;
pub mod journal;
pub mod pairs;
mod rollback;
pub mod summary;

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use agent::journal::{Entry, Step};
use jiff::Timestamp;

use self::checkpoint::{Checkpoints, State};
use self::journal::{Journal, Mlflow, settings};
pub use self::rollback::OnAlarm;
use self::rollback::Stopped;
use crate::error::write;
use crate::files::replace;
use crate::recipe::{Plan, Recipe, RunSection};
use crate::{Error, Result, Sample};

/// The recipe as resolved, in the folder of a run.
pub const CONFIG: &str = "config.toml";
const CHECKPOINTS: &str = "checkpoints";
const DUMPS: &str = "dumps";
const LOCK: &str = ".lock";
/// Steps that may be skipped in a row before a run gives up.
const SKIPS: u64 = 3;

/// The clock, asked from the threads of episodes too: what is told about time comes from here, and nothing else does.
pub type Clock<'a> = &'a (dyn Fn() -> Timestamp + Sync);

/// How far a run is, told after every step.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// What the last step came to, as `loss 2.3051`.
    pub note: String,
    /// Tokens a second of the last step.
    pub tokens_per_second: f64,
}

impl Progress {
    /// After `step`, of `steps` in all.
    pub fn after(step: &Step, steps: u64, note: String) -> Self {
        let tokens_per_second = if step.seconds > 0.0 { step.tokens as f64 / step.seconds } else { 0.0 };
        Self { step: step.step, steps, note, tokens_per_second }
    }
}

/// The folder of a run, open for writing.
#[derive(Debug)]
pub struct Run {
    dir: PathBuf,
    /// Its lines.
    pub journal: Journal,
    /// Its checkpoints.
    pub checkpoints: Checkpoints,
    /// Its recipe.
    recipe: String,
    on_alarm: OnAlarm,
    /// Held, not read: another process sees by it that this one lives.
    _lock: File,
}

/// Where a run goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct Resumed {
    /// The folder of the checkpoint.
    pub folder: PathBuf,
    /// Its numbers.
    pub state: State,
}

/// What a stage begins or goes on with.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) run: Run,
    pub(crate) state: State,
    /// The folder of the checkpoint that it goes on from.
    pub(crate) checkpoint: Option<PathBuf>,
}

/// What is due after a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// To measure on what is held out, and what to call that.
    pub(crate) measure: Option<String>,
    /// To keep a checkpoint.
    pub(crate) checkpoint: bool,
}

impl Due {
    /// What `settings` want done after `step` of `stage`; everything, where it `is_last`.
    pub(crate) fn after(settings: &RunSection, stage: &str, step: u64, is_last: bool) -> Self {
        let is_due = |every: u64| is_last || (every > 0 && step.is_multiple_of(every));
        let phase = || if is_last { format!("after_{stage}") } else { "during".to_owned() };
        Self { measure: is_due(settings.evaluate_every).then(phase), checkpoint: is_due(settings.checkpoint_every) }
    }
}

/// The plan of the run in the folder `dir`, as it was resolved when it began.
///
/// # Errors
/// [`Error::Io`] when there is no run there.
pub fn plan(dir: &Path) -> Result<Plan> {
    let file = dir.join(CONFIG);
    Recipe::open(&file, &[])?.plan(&file)
}

/// The checkpoints of the run in the folder `dir`.
///
/// # Errors
/// [`Error::Input`] when there is no run there.
pub fn checkpoints(dir: &Path) -> Result<Checkpoints> {
    let folder = dir.join(CHECKPOINTS);
    if !folder.is_dir() {
        return Err(Error::Input(format!("{} is no run: it has no checkpoints", dir.display())));
    }
    Ok(Checkpoints::at(&folder))
}

/// Keeps other processes out of the folder `dir` for as long as the file is held.
///
/// # Errors
/// [`Error::Input`] when one has it.
pub(crate) fn hold(dir: &Path) -> Result<File> {
    let path = dir.join(LOCK);
    let lock = File::create(&path).map_err(write(&path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            Err(Error::Input(format!("{}: is being trained by another process", dir.display())))
        }
        Err(TryLockError::Error(source)) => Err(write(&path)(source)),
    }
}

/// Whether the run in the folder `dir` was put back after an alarm, so that it goes on with other settings alone.
pub fn is_put_back(dir: &Path) -> bool {
    dir.join(rollback::FILE).is_file()
}

impl Run {
    /// Begins a run of `plan` in the folder `dir`, or, with `resume`, goes on where its newest checkpoint ends.
    ///
    /// # Errors
    /// [`Error::Input`] when there is a run already and it is not to be resumed, when it is one of another recipe, when
    /// it was put back after an alarm and nothing was changed, or when another process has it.
    pub fn open(dir: &Path, plan: &Plan, resume: bool, clock: Clock<'_>) -> Result<(Self, Option<Resumed>)> {
        let refuse = |reason: String| Err(Error::Input(format!("{}: {reason}", dir.display())));
        let (config, stopped) = (dir.join(CONFIG), Stopped::read(dir)?);
        if config.is_file() {
            if !resume {
                return refuse("holds a run already: go on with --resume, or name another folder".to_owned());
            }
            let own = self::plan(dir)?;
            if let Some(stopped) = &stopped {
                if let Err(reason) = stopped.allows(&own, plan) {
                    return refuse(reason);
                }
            } else if own != *plan {
                let config = config.display();
                return refuse(format!("was begun with another recipe: leave --recipe and --set out, or see {config}"));
            }
        }
        fs::create_dir_all(dir).map_err(write(dir))?;
        let lock = hold(dir)?;
        let checkpoints = Checkpoints::open(&dir.join(CHECKPOINTS))?;
        if let Some(stopped) = &stopped {
            stopped.prune(&checkpoints)?;
        }
        let resumed = checkpoints.newest()?.map(|(folder, state)| Resumed { folder, state });
        if let Some(Resumed { state, .. }) = &resumed {
            checkpoints.prune(&[best_step(state), state.step])?;
        }
        let recipe = plan.recipe().to_toml();
        if stopped.is_some() || !config.is_file() {
            replace(&config, recipe.as_bytes())?;
        }
        let step = resumed.as_ref().map_or(0, |resumed| resumed.state.step);
        let mut journal = Journal::open(dir, step, clock())?;
        if let Some(address) = &plan.recipe().run.mlflow {
            journal.tell(Mlflow::start(address, dir, settings(&recipe), clock()));
        }
        if let Some(Stopped { step: at, reason, .. }) = stopped {
            let text = format!("went back from step {at} to step {step}, with other settings, since {reason}");
            journal.write(&Entry::Notice { step, text }, clock())?;
            journal.sync()?;
            Stopped::lift(dir)?;
        }
        let on_alarm = plan.recipe().run.on_alarm;
        Ok((Self { dir: dir.to_owned(), journal, checkpoints, recipe, on_alarm, _lock: lock }, resumed))
    }

    /// As [`Run::open`], for the stage of this name that learns from what has the hash `data`.
    ///
    /// # Errors
    /// Those of [`Run::open`]; [`Error::Input`] when it is the run of another stage, or learnt from something else.
    pub(crate) fn begin(
        dir: &Path,
        plan: &Plan,
        resume: bool,
        (stage, data): (&str, &str),
        clock: Clock<'_>,
    ) -> Result<Opened> {
        let (run, resumed) = Self::open(dir, plan, resume, clock)?;
        let Some(Resumed { folder, state }) = resumed else {
            let state = State { stage: stage.to_owned(), data: data.to_owned(), ..State::default() };
            return Ok(Opened { run, state, checkpoint: None });
        };
        let refuse = |what: &str| Err(Error::Input(format!("{}: {what}", dir.display())));
        if state.stage != stage {
            return refuse(&format!("is no run of {stage}: name another folder"));
        }
        if state.data != data {
            return refuse(
                "its data, questions or index have changed since the run began: restore them, or begin anew",
            );
        }
        Ok(Opened { run, state, checkpoint: Some(folder) })
    }

    /// Writes a checkpoint, tells of it, and removes all older ones but the best.
    ///
    /// # Errors
    /// Those of the disk and of `fill`.
    pub fn checkpoint(
        &mut self,
        state: &State,
        fill: impl FnOnce(&Path) -> Result<()>,
        clock: Clock<'_>,
    ) -> Result<()> {
        // Told first: a line about a checkpoint that never was is taken back when the run goes on.
        let best = best_step(state);
        self.journal.write(&Entry::Checkpoint { step: state.step, best: best == state.step }, clock())?;
        self.journal.sync()?;
        self.checkpoints.save(state, fill)?;
        self.checkpoints.prune(&[best, state.step])
    }

    /// Tells that the run reached its end, `seconds` after its last start, unless that was told already.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn end(&mut self, step: u64, seconds: f64, clock: Clock<'_>) -> Result<()> {
        let is_told = agent::journal::read(&self.dir)?.iter().any(|entry| matches!(entry, Entry::End { .. }));
        if !is_told {
            self.journal.write(&Entry::End { step, seconds }, clock())?;
        }
        self.journal.sync()
    }

    /// Does what the recipe says about an alarm at `step`.
    ///
    /// # Errors
    /// [`Error::Halted`] with the checkpoint to go on from, unless alarms are only told; those of the disk.
    pub fn alarm(&mut self, step: u64, reason: &str, clock: Clock<'_>) -> Result<()> {
        self.journal.write(&Entry::Notice { step, text: reason.to_owned() }, clock())?;
        self.journal.sync()?;
        let shown = |step: Option<u64>| match step {
            Some(step) => self.checkpoints.folder(step).display().to_string(),
            None => "its beginning".to_owned(),
        };
        let reason = match self.on_alarm {
            OnAlarm::Warn => return Ok(()),
            OnAlarm::Halt => match self.checkpoints.newest()? {
                Some((folder, state)) => {
                    let best = shown(Some(best_step(&state)));
                    format!("{reason}; the best checkpoint is {best}, the last is {}", folder.display())
                }
                None => format!("{reason}; there is no checkpoint yet"),
            },
            OnAlarm::Rollback => {
                let stopped = Stopped::put_back(&self.dir, &self.checkpoints, &self.recipe, step, reason)?;
                let back_to = shown(stopped.back_to);
                format!("{reason}; the run was put back to {back_to}: go on with --resume and a change by --set")
            }
        };
        Err(Error::Halted { step, reason })
    }

    /// Keeps the samples of a step whose loss or gradient was not finite, and gives up after too many in a row.
    ///
    /// # Errors
    /// [`Error::Halted`] when `skipped` steps in a row are too many, and those of the disk.
    pub fn skip(&mut self, step: u64, skipped: u64, samples: &[&Sample], clock: Clock<'_>) -> Result<()> {
        let folder = self.dir.join(DUMPS);
        fs::create_dir_all(&folder).map_err(write(&folder))?;
        let path = folder.join(format!("step-{step:08}.json"));
        let text = serde_json::to_vec(&samples).map_err(|error| write(&path)(error.into()))?;
        replace(&path, &text)?;
        let shown = path.display();
        let text = format!("loss or gradient was not finite: the step was skipped, its samples are in {shown}");
        self.journal.write(&Entry::Notice { step, text }, clock())?;
        if skipped < SKIPS {
            return Ok(());
        }
        let reason = format!(
            "loss or gradient was not finite {skipped} times in a row: lower optimiser.learning_rate, and look at {shown}"
        );
        self.alarm(step, &reason, clock)
    }
}

/// The step of the best checkpoint, which is this one where nothing was measured.
fn best_step(state: &State) -> u64 {
    state.best.map_or(state.step, |best| best.step)
}
