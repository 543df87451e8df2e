//! [`Stages`]: a recipe of several stages, each an ordinary [`Recipe`] over what all have in common.
//!
//! `[task]` says what is generated first; the sections at the top are shared; each `[[stage]]` has a name, a kind, and
//! whatever sections it changes. `task:FILE` is a file of what was generated, `stage:NAME/outcome` the model
//! that a stage gave. The first stage begins with the model at the top, each other one with what the last stage that
//! trained a policy gave, unless it names a model itself.

use std::path::{Path, PathBuf};

use serde::Deserialize as _;
use toml::{Table, Value};

use super::table::{self, Place, STAGE, texts};
use super::{Plan, Recipe, changed, fault};
use crate::error::read;
use crate::run::export::Which;
use crate::stages::{Kind, OUTCOME, folder};
use crate::task::Task;
use crate::{Error, Result};

/// What a recipe asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// A run of one stage.
    One(Box<Plan>),
    /// A run of several.
    Several(Stages),
}

impl Work {
    /// Reads a recipe and changes it by `sets`, as [`Recipe::open`] does.
    ///
    /// # Errors
    /// [`Error::Recipe`] that names the stage and the field.
    pub fn open(file: &Path, sets: &[String]) -> Result<Self> {
        let text = std::fs::read_to_string(file).map_err(read(file))?;
        match Stages::parse(file, &text, sets)? {
            Some(stages) => Ok(Self::Several(stages)),
            None => Ok(Self::One(Box::new(Recipe::parse(file, &text, sets)?.plan(file)?))),
        }
    }
}

/// A recipe of several stages.
#[derive(Clone, Debug, PartialEq)]
pub struct Stages {
    file: PathBuf,
    /// The recipe with all that was set, its paths absolute.
    whole: Table,
    /// What is generated first, and from which seed.
    pub task: Option<(Task, u64)>,
    /// In the order in which they run, at least one.
    pub stages: Vec<Stage>,
}

/// One stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// Its name, once in a recipe.
    pub name: String,
    /// What is done.
    pub kind: Kind,
    /// Which of its checkpoints is what it gives.
    pub outcome: Which,
    /// Its sections over those at the top.
    sections: Table,
}

impl Stages {
    /// Reads a recipe and changes it by `sets`; `None` when it has no stages. `file` stands in errors.
    ///
    /// # Errors
    /// [`Error::Recipe`] that names the stage and the field.
    pub fn parse(file: &Path, text: &str, sets: &[String]) -> Result<Option<Self>> {
        let mut whole = changed(file, text, sets)?;
        if !whole.contains_key(STAGE) {
            return Ok(None);
        }
        table::absolute(&mut whole).map_err(|reason| fault(file, &reason))?;
        let mut base = whole.clone();
        let task = base.remove("task").map(|task| self::task(task, &base)).transpose();
        let task = task.map_err(|reason| fault(file, &format!("task: {reason}")))?;
        let entries = match whole.get_mut(STAGE) {
            Some(Value::Array(entries)) if !entries.is_empty() => entries,
            _ => return Err(fault(file, "stage is no list of stages: begin each with [[stage]]")),
        };
        base.remove(STAGE);
        let mut stages: Vec<Stage> = Vec::new();
        for (number, entry) in entries.iter_mut().enumerate() {
            let said = |reason: String| fault(file, &format!("stage {}: {reason}", number + 1));
            let Value::Table(entry) = entry else { return Err(said("is no table".to_owned())) };
            table::absolute(entry).map_err(said)?;
            let stage = Stage::over(&base, entry, &stages).map_err(said)?;
            if stages.iter().any(|other| other.name == stage.name) {
                return Err(said(format!("the name `{}` is taken", stage.name)));
            }
            stages.push(stage);
        }
        let read = Self { file: file.to_owned(), whole, task, stages };
        // What cannot be known before a task is generated is whether its files are there.
        read.stages.iter().try_for_each(|stage| read.recipe(stage, Path::new("")).map(|_| ()))?;
        Ok(Some(read))
    }

    /// The recipe as TOML, with all that was set.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(&self.whole).expect("what was read from TOML is TOML")
    }

    /// The last stage.
    ///
    /// # Panics
    /// Never: there is at least one.
    pub fn last(&self) -> &Stage {
        self.stages.last().expect("a recipe without stages is not read as one of stages")
    }

    /// The plan of a stage of the run in the folder `run`.
    ///
    /// # Errors
    /// [`Error::Recipe`] that names the stage and the field.
    pub fn plan(&self, stage: &Stage, run: &Path) -> Result<Plan> {
        self.recipe(stage, run)?.plan(&self.file).map_err(|error| stage.named(error))
    }

    /// Finds out whether every stage could be run once those before it were, with the model that all began with in the
    /// place of what each will give.
    ///
    /// # Errors
    /// As [`Stages::plan`].
    pub fn check(&self, run: &Path) -> Result<()> {
        let mut models: Vec<(&str, PathBuf)> = Vec::new();
        for stage in &self.stages {
            let mut recipe = self.recipe(stage, run)?;
            stage.kind.check(&recipe).map_err(|reason| stage.named(fault(&self.file, &reason)))?;
            let named = texts(&stage.sections).into_iter().filter(|text| text.starts_with("stage:")).count();
            let path = &recipe.model.path;
            let begun = models.iter().rev().find(|(name, _)| Some(path) == self.outcome(name, run).as_ref());
            let begun = begun.map(|(_, model)| model.clone());
            // It may need more of the stages before it than can be known yet.
            let is_known = named <= usize::from(begun.is_some());
            recipe.model.path = begun.unwrap_or(recipe.model.path);
            models.push((&stage.name, recipe.model.path.clone()));
            if is_known {
                recipe.plan(&self.file).map_err(|error| stage.named(error))?;
            }
        }
        Ok(())
    }

    /// The folder of a stage of the run in the folder `run`; `None` for a name that no stage has.
    pub fn folder(&self, name: &str, run: &Path) -> Option<PathBuf> {
        let number = self.stages.iter().position(|stage| stage.name == name)?;
        Some(folder(run, number, name))
    }

    fn outcome(&self, name: &str, run: &Path) -> Option<PathBuf> {
        Some(self.folder(name, run)?.join(OUTCOME))
    }

    /// The recipe of a stage of the run in the folder `run`, as far as it can be known before those before it were run.
    ///
    /// # Errors
    /// As [`Stages::plan`], but for files that are not there.
    pub fn recipe(&self, stage: &Stage, run: &Path) -> Result<Recipe> {
        let mut sections = stage.sections.clone();
        let mut to = |place: Place<'_>| {
            let path = match place {
                Place::Task(_) if self.task.is_none() => {
                    return Err("there is no [task] that `task:` could mean".into());
                }
                Place::Task(rest) => run.join(crate::stages::TASK).join(rest),
                Place::Stage(name, rest) => {
                    let is_earlier = self.stages.iter().take_while(|other| *other != stage).any(|it| it.name == name);
                    let folder = self.folder(name, run).filter(|_| is_earlier);
                    folder.ok_or_else(|| format!("`stage:{name}` is none of the stages before"))?.join(rest)
                }
            };
            path.to_str().map(str::to_owned).ok_or_else(|| format!("{} is no Unicode", path.display()))
        };
        table::resolve(&mut sections, &mut to).map_err(|reason| stage.named(fault(&self.file, &reason)))?;
        Recipe::of(&self.file, &sections).map_err(|error| stage.named(error))
    }
}

impl Stage {
    /// Says of an error that it is about this stage.
    fn named(&self, error: Error) -> Error {
        match error {
            Error::Recipe { file, reason } => {
                Error::Recipe { file, reason: format!("stage `{}`: {reason}", self.name) }
            }
            error => error,
        }
    }

    /// The stage in `entry` over the sections that all have in common; `before` are those before it.
    fn over(base: &Table, entry: &Table, before: &[Self]) -> Result<Self, String> {
        let mut own = entry.clone();
        let mut text = |field: &str| match own.remove(field) {
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("{field} is no text")),
            None => Ok(None),
        };
        let name = text("name")?.ok_or("has no name")?;
        let is_plain = |part: char| part.is_ascii_lowercase() || part.is_ascii_digit() || part == '-';
        if name.is_empty() || name.len() > 40 || !name.chars().all(is_plain) {
            return Err(format!("the name `{name}` is not of small letters, digits and hyphens"));
        }
        let kind = text("kind")?.ok_or_else(|| format!("`{name}` has no kind"))?;
        let kind = Kind::deserialize(Value::String(kind)).map_err(|error| format!("`{name}`: kind: {error}"))?;
        let outcome = match text("outcome")?.as_deref() {
            None => kind.outcome(),
            Some("best") => Which::Best,
            Some("last") => Which::Last,
            Some(other) => return Err(format!("`{name}`: outcome is `{other}`, it may be best or last")),
        };
        let mut sections = base.clone();
        if let Some(last) = before.iter().rev().find(|stage| stage.kind.gives_policy()) {
            let model = sections.entry("model").or_insert_with(|| Value::Table(Table::new()));
            if let Some(model) = model.as_table_mut() {
                model.insert("path".to_owned(), Value::String(format!("stage:{}/{OUTCOME}", last.name)));
                model.remove("adapter");
            }
        }
        table::merge(&mut sections, &own);
        Ok(Self { name, kind, outcome, sections })
    }
}

/// What is generated, and its seed: its own, or that of the run.
fn task(task: Value, base: &Table) -> Result<(Task, u64), String> {
    let Value::Table(mut task) = task else { return Err("is no table".to_owned()) };
    let seed = task.remove("seed").or_else(|| base.get("run")?.get("seed").cloned());
    let seed = match seed {
        None => 0,
        Some(seed) => u64::deserialize(seed).map_err(|error| format!("seed: {error}"))?,
    };
    Ok((Task::deserialize(task).map_err(|error| error.to_string())?, seed))
}

#[cfg(test)]
mod tests;
