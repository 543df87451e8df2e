//! From a parsed [`Recipe`] to a [`Plan`].

use std::path::{Path, PathBuf, absolute};

use super::{Learn, Plan, Recipe};
use crate::reward::{self, JudgeChoice};
use crate::run::journal::Mlflow;
use crate::{Error, Result};

impl Recipe {
    /// Checks the recipe as a whole, makes its paths absolute and fills in what depends on other fields.
    /// `file` stands in errors.
    ///
    /// # Errors
    /// [`Error::Recipe`] that names the field and what it may be.
    pub fn plan(mut self, file: &Path) -> Result<Plan> {
        self.resolve().map_err(|reason| Error::Recipe { file: file.to_owned(), reason })?;
        Ok(Plan { recipe: self })
    }

    fn resolve(&mut self) -> Result<(), String> {
        let Self { model, data, sft, dpo, reward_model, rollout, reward, grpo, ppo, scorer, encoder, optimiser, run } =
            self;
        folder("model.path", &mut model.path)?;
        if let Some(adapter) = &mut model.adapter {
            folder("model.adapter", adapter)?;
            if model.learn == Learn::All {
                return Err("model.adapter is of no use when all weights learn: remove it, or set model.learn".into());
            }
        }
        for name in &model.targets {
            if !nn::Target::ALL.iter().any(|target| target.name() == name) {
                let known = nn::Target::ALL.map(nn::Target::name).join(", ");
                return Err(format!("model.targets: `{name}` is none of {known}"));
            }
        }
        within("model.rank", model.rank as f64, 1.0, 4096.0)?;
        within("model.alpha", model.alpha, f64::MIN_POSITIVE, 1e6)?;

        if data.train.is_empty() {
            return Err("data.train names no file".to_owned());
        }
        data.train.iter_mut().try_for_each(|path| plain_file("data.train", path))?;
        data.heldout.iter_mut().try_for_each(|path| plain_file("data.heldout", path))?;
        if let Some(path) = data.heldout.iter().find(|path| data.train.contains(path)) {
            return Err(format!("data.heldout names {}, which is learnt from", path.display()));
        }

        data.questions.iter_mut().try_for_each(|path| plain_file("data.questions", path))?;
        if let Some(path) = data.questions.iter().find(|path| data.train.contains(path)) {
            return Err(format!("data.questions names {}, which is learnt from", path.display()));
        }

        if let Some(home) = &mut data.home {
            folder("data.home", home)?;
            if data.documents.is_some() {
                return Err("data.home and data.documents are two places to search: remove one".to_owned());
            }
        }
        if let Some(documents) = &mut data.documents {
            plain_file("data.documents", documents)?;
        }

        within("sft.epochs", sft.epochs as f64, 1.0, 1e6)?;
        within("sft.micro_tokens", sft.micro_tokens as f64, 2.0, 1e8)?;
        within("sft.accumulate", sft.accumulate as f64, 1.0, 1e6)?;
        if let Some(steps) = sft.max_steps {
            within("sft.max_steps", steps as f64, 1.0, 1e12)?;
        }
        if let Some(most) = data.max_tokens {
            within("data.max_tokens", most as f64, 2.0, 1e8)?;
        }

        dpo.check()?;
        reward_model.check()?;
        rollout.check()?;
        scorer.check()?;
        encoder.check()?;
        if let JudgeChoice::Scorer(folder) = &mut reward.judge {
            resolve("reward.judge", folder)?;
            if !folder.is_dir() {
                let shown = folder.display();
                return Err(format!(
                    "reward.judge: there is no folder {shown}: make one with `anamnesis-train scorer`"
                ));
            }
        }
        for outside in reward.outside.iter_mut().filter(|outside| outside.kind == reward::OutsideKind::Model) {
            let mut folder = PathBuf::from(&outside.at);
            self::folder("reward.outside.at", &mut folder)?;
            outside.at = folder.display().to_string();
        }
        reward.check().map_err(|error| error.to_string())?;
        grpo.check().map_err(|error| format!("grpo: {error}"))?;
        ppo.check().map_err(|error| format!("ppo: {error}"))?;

        let usual = if model.learn == Learn::All { 2e-5 } else { 2e-4 };
        let rate = *optimiser.learning_rate.get_or_insert(usual);
        within("optimiser.learning_rate", rate, f64::MIN_POSITIVE, 10.0)?;
        within("optimiser.floor", optimiser.floor, 0.0, 1.0)?;
        below_one("optimiser.beta1", optimiser.beta1)?;
        below_one("optimiser.beta2", optimiser.beta2)?;
        within("optimiser.epsilon", optimiser.epsilon, 1e-30, 1.0)?;
        within("optimiser.weight_decay", optimiser.weight_decay, 0.0, 10.0)?;
        within("optimiser.clip_norm", optimiser.clip_norm, 0.0, f64::MAX)?;
        if let Some(address) = &run.mlflow {
            Mlflow::check(address).map_err(|error| error.to_string())?;
        }
        within("run.threads", run.threads as f64, 0.0, 1024.0)
    }
}

pub(crate) fn within(field: &str, value: f64, least: f64, most: f64) -> Result<(), String> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(format!("{field} is {value}, expected {least} to {most}"))
}

fn below_one(field: &str, value: f64) -> Result<(), String> {
    if (0.0..1.0).contains(&value) {
        return Ok(());
    }
    Err(format!("{field} is {value}, expected at least 0 and less than 1"))
}

fn folder(field: &str, path: &mut PathBuf) -> Result<(), String> {
    resolve(field, path)?;
    if path.is_dir() {
        return Ok(());
    }
    Err(format!("{field}: there is no folder {}: make one with `anamnesis model init`, or correct it", path.display()))
}

fn plain_file(field: &str, path: &mut PathBuf) -> Result<(), String> {
    resolve(field, path)?;
    if path.is_file() {
        return Ok(());
    }
    Err(format!("{field}: there is no file {}", path.display()))
}

fn resolve(field: &str, path: &mut PathBuf) -> Result<(), String> {
    *path = absolute(&*path).map_err(|error| format!("{field}: {error}"))?;
    Ok(())
}
