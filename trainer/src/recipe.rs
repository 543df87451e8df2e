//! [`Recipe`]: everything a run depends on, in one TOML file; [`Plan`]: a recipe that was found sound.
//!
//! A recipe is parsed, changed by `--set`, checked as a whole, and written as it was resolved into the
//! run, from where a resumed run reads it again. Paths are relative to where the command is typed.

mod check;
mod preference;
mod presets;
mod rollout;
mod staged;
mod table;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub(crate) use self::check::within;
pub use self::preference::{DpoSection, Passes, RewardModelSection};
pub use self::presets::{PRESETS, Preset};
pub use self::rollout::{LearntTokens, Retriever, RolloutSection};
pub use self::staged::{Stage, Stages, Work};
use crate::error::read;
use crate::learner::schedule::{Decay, Schedule};
use crate::objective::{GrpoConfig, PpoConfig};
use crate::reward::RewardConfig;
use crate::run::OnAlarm;
use crate::stages::encoder::EncoderSection;
use crate::stages::scorer::ScorerSection;
use crate::{AdamW, Error, Result};

/// A recipe with a comment on every field, as `anamnesis-train init` writes it.
pub const TEMPLATE: &str = include_str!("recipe/template.toml");

/// Everything a run depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What learns.
    pub model: ModelSection,
    /// What it learns from.
    pub data: DataSection,
    /// Supervised fine-tuning.
    #[serde(default)]
    pub sft: SftSection,
    /// Direct preference optimisation.
    #[serde(default)]
    pub dpo: DpoSection,
    /// What a reward model learns from pairs of answers.
    #[serde(default)]
    pub reward_model: RewardModelSection,
    /// The episodes of GRPO and PPO, and how many steps are made of them.
    #[serde(default)]
    pub rollout: RolloutSection,
    /// What episodes are worth.
    #[serde(default)]
    pub reward: RewardConfig,
    /// The objective of GRPO.
    #[serde(default)]
    pub grpo: GrpoConfig,
    /// The objective of PPO.
    #[serde(default)]
    pub ppo: PpoConfig,
    /// A scorer of claims against evidence.
    #[serde(default)]
    pub scorer: ScorerSection,
    /// A retrieval encoder.
    #[serde(default)]
    pub encoder: EncoderSection,
    /// How gradients become updates.
    #[serde(default)]
    pub optimiser: OptimiserSection,
    /// What belongs to the run as a whole.
    #[serde(default)]
    pub run: RunSection,
}

/// What of a model learns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Learn {
    /// Every weight.
    All,
    /// An adapter over frozen weights.
    #[default]
    Adapter,
}

/// Whether the inside of a layer is computed again in the backward pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recompute {
    /// Where that is what lets a micro-batch fit.
    #[default]
    Auto,
    /// Always: less memory, a third more time.
    On,
    /// Never.
    Off,
}

/// `[model]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSection {
    /// The model's folder, in Hugging Face layout.
    pub path: PathBuf,
    /// What learns.
    #[serde(default)]
    pub learn: Learn,
    /// An adapter in PEFT layout to go on from; a new one otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<PathBuf>,
    /// Rank of a new adapter.
    #[serde(default = "defaults::rank")]
    pub rank: usize,
    /// Alpha of a new adapter: what it adds is multiplied by alpha / rank.
    #[serde(default = "defaults::alpha")]
    pub alpha: f64,
    /// The linear layers that a new adapter changes, as `q_proj`; all when empty.
    #[serde(default)]
    pub targets: Vec<String>,
    /// Whether layers are computed twice to save memory.
    #[serde(default)]
    pub recompute: Recompute,
}

/// What is done with a sample that is longer than `max_tokens`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overlong {
    /// It is left out, and counted.
    #[default]
    Drop,
    /// Its end is cut off, and it is counted.
    Cut,
    /// The run does not start.
    Refuse,
}

/// What is done with a sample that occurs twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Duplicates {
    /// The run does not start.
    #[default]
    Refuse,
    /// The first is kept, the others are left out and counted.
    Drop,
    /// All are learnt from.
    Keep,
}

/// `[data]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSection {
    /// JSONL files to learn from: records, or, for GRPO, questions.
    pub train: Vec<PathBuf>,
    /// JSONL files that are measured by and never learnt from.
    #[serde(default)]
    pub heldout: Vec<PathBuf>,
    /// In a recipe of stages: JSONL files of questions that are asked before the first stage and after each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<PathBuf>,
    /// For GRPO: a home of `anamnesis`, whose current index is searched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<PathBuf>,
    /// For GRPO, in place of a home: a JSONL file of few documents, each with `id`, `title` and `text`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents: Option<PathBuf>,
    /// The most tokens of a sample; when not given, the model's context or `sft.micro_tokens`, whichever is less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<usize>,
    /// What is done with longer ones.
    #[serde(default)]
    pub overlong: Overlong,
    /// What is done with samples that occur twice.
    #[serde(default)]
    pub duplicates: Duplicates,
}

/// `[sft]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SftSection {
    /// How often every sample is learnt from.
    pub epochs: u64,
    /// Steps after which the run ends even within an epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u64>,
    /// Tokens of a micro-batch, which decide about memory.
    pub micro_tokens: usize,
    /// Micro-batches of one optimiser step.
    pub accumulate: usize,
}

impl Default for SftSection {
    fn default() -> Self {
        Self { epochs: 3, max_steps: None, micro_tokens: 2048, accumulate: 1 }
    }
}

/// `[optimiser]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimiserSection {
    /// The highest learning rate; when not given, 2e-5 for all weights and 2e-4 for an adapter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// How it falls.
    pub decay: Decay,
    /// Steps over which it rises at first.
    pub warmup_steps: u64,
    /// The share of it that is left at the end.
    pub floor: f64,
    /// Share of the first moment that stays.
    pub beta1: f64,
    /// Share of the second moment that stays.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay of matrices.
    pub weight_decay: f64,
    /// The greatest norm of a gradient; 0 leaves it alone.
    pub clip_norm: f64,
}

impl Default for OptimiserSection {
    fn default() -> Self {
        let AdamW { beta1, beta2, epsilon, weight_decay, clip_norm } = AdamW::default();
        Self {
            learning_rate: None,
            decay: Decay::Cosine,
            warmup_steps: 10,
            floor: 0.0,
            beta1,
            beta2,
            epsilon,
            weight_decay,
            clip_norm,
        }
    }
}

/// `[run]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunSection {
    /// Decides the order of samples and the values of a new adapter.
    pub seed: u64,
    /// Steps between two measures on what is held out; 0 for the beginning and the end alone.
    pub evaluate_every: u64,
    /// Steps between two checkpoints; 0 for the end alone.
    pub checkpoint_every: u64,
    /// Threads of the processor; 0 for all.
    pub threads: usize,
    /// What is done when a run no longer learns, or goes where it should not.
    pub on_alarm: OnAlarm,
    /// An MLflow server that is told all numbers as well: its address, and after a `#` the experiment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mlflow: Option<String>,
}

impl Default for RunSection {
    fn default() -> Self {
        Self {
            seed: 0,
            evaluate_every: 50,
            checkpoint_every: 50,
            threads: 0,
            on_alarm: OnAlarm::Rollback,
            mlflow: None,
        }
    }
}

mod defaults {
    //! Of fields in sections that have fields without one.

    pub(super) fn rank() -> usize {
        16
    }

    pub(super) fn alpha() -> f64 {
        32.0
    }
}

impl Recipe {
    /// Reads a recipe and changes it by `sets`, each `section.field=value` in TOML, of any depth; what is no TOML is text.
    ///
    /// # Errors
    /// [`Error::Recipe`] that names the line or the field.
    pub fn open(file: &Path, sets: &[String]) -> Result<Self> {
        let text = std::fs::read_to_string(file).map_err(read(file))?;
        Self::parse(file, &text, sets)
    }

    /// As [`Recipe::open`], of a text; `file` stands in errors.
    ///
    /// # Errors
    /// As [`Recipe::open`].
    pub fn parse(file: &Path, text: &str, sets: &[String]) -> Result<Self> {
        if sets.is_empty() {
            return toml::from_str(text).map_err(|error| fault(file, &error.to_string()));
        }
        Self::of(file, &changed(file, text, sets)?)
    }

    /// The recipe in a table; `file` stands in errors.
    fn of(file: &Path, table: &toml::Table) -> Result<Self> {
        // Once more through text, so that an error shows the line it is about.
        let text = toml::to_string(table).map_err(|error| fault(file, &error.to_string()))?;
        toml::from_str(&text).map_err(|error| fault(file, &error.to_string()))
    }

    /// The recipe as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).expect("sections of numbers, texts and lists are TOML")
    }
}

/// The text of a recipe as a table, with what `sets` say.
fn changed(file: &Path, text: &str, sets: &[String]) -> Result<toml::Table> {
    let mut table: toml::Table = text.parse().map_err(|error: toml::de::Error| fault(file, &error.to_string()))?;
    sets.iter().try_for_each(|set| table::set(&mut table, set)).map_err(|reason| fault(file, &reason))?;
    Ok(table)
}

fn fault(file: &Path, reason: &str) -> Error {
    Error::Recipe { file: file.to_owned(), reason: reason.trim_end().to_owned() }
}

/// A recipe that was checked as a whole, with every path absolute and every default filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    recipe: Recipe,
}

impl Plan {
    /// The recipe as resolved.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The learning rate over a run of so many steps.
    pub fn schedule(&self, steps: u64) -> Schedule {
        let OptimiserSection { learning_rate, decay, warmup_steps, floor, .. } = self.recipe.optimiser;
        Schedule { peak: learning_rate.unwrap_or_default(), warmup_steps, steps, decay, floor }
    }

    /// The optimiser's constants.
    pub fn adamw(&self) -> AdamW {
        let OptimiserSection { beta1, beta2, epsilon, weight_decay, clip_norm, .. } = self.recipe.optimiser;
        AdamW { beta1, beta2, epsilon, weight_decay, clip_norm }
    }
}

#[cfg(test)]
mod tests;
