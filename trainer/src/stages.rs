//! Stages of training: [`Kind`], what one may be; [`run`], which runs one; [`train`], which runs all of a recipe.
//!
//! The folder of a run of several stages:
//!
//! ```text
//! config.toml                 the recipe, with all that was set
//! task/                       what was generated first
//! stages/01-NAME/             an ordinary run, and in it
//! stages/01-NAME/outcome/     the whole model that it gave: the stage is done
//! journal.jsonl               what the questions of `data.questions` came to, before the first stage and after each
//! ```

pub mod dpo;
pub mod encoder;
mod fit;
pub mod grpo;
mod passes;
pub mod ppo;
pub mod reward_model;
pub mod rl;
pub mod scorer;
mod several;
pub mod sft;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use self::several::train;
use crate::Result;
use crate::recipe::{Plan, Recipe};
use crate::run::checkpoint::State;
use crate::run::export::Which;
use crate::run::{Clock, Progress};

/// In the folder of a run: what was generated.
pub const TASK: &str = "task";
/// In the folder of a stage: the model that it gave.
pub const OUTCOME: &str = "outcome";
const STAGES: &str = "stages";

/// What is done in a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Supervised fine-tuning.
    Sft,
    /// Preference optimisation from pairs of answers.
    Dpo,
    /// A reward model from pairs of answers.
    Reward,
    /// Reinforcement learning by groups of episodes.
    Grpo,
    /// Reinforcement learning by episodes and a value head.
    Ppo,
    /// A classifier of claims against evidence.
    Scorer,
    /// A retrieval encoder.
    Encoder,
}

impl Kind {
    /// As the command and the recipe call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sft => "sft",
            Self::Dpo => "dpo",
            Self::Reward => "reward",
            Self::Grpo => "grpo",
            Self::Ppo => "ppo",
            Self::Scorer => scorer::STAGE,
            Self::Encoder => encoder::STAGE,
        }
    }

    /// Which checkpoint a stage gives when nobody says. Rewards may peak before they fall.
    pub fn outcome(self) -> Which {
        match self {
            Self::Sft | Self::Dpo => Which::Last,
            Self::Reward | Self::Grpo | Self::Ppo | Self::Scorer | Self::Encoder => Which::Best,
        }
    }

    /// Refuses what a recipe says and only this kind cannot do.
    pub(crate) fn check(self, recipe: &Recipe) -> std::result::Result<(), String> {
        match self {
            Self::Grpo => grpo::check(recipe),
            Self::Sft | Self::Dpo | Self::Reward | Self::Ppo | Self::Scorer | Self::Encoder => Ok(()),
        }
    }

    /// Whether it gives a policy, with which the stages after it go on.
    pub fn gives_policy(self) -> bool {
        match self {
            Self::Sft | Self::Dpo | Self::Grpo | Self::Ppo => true,
            Self::Reward | Self::Scorer | Self::Encoder => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Trains by `plan` in the folder `dir`; `resume` goes on where the newest checkpoint ends. `told` is called after every
/// step. Gives the last state.
///
/// # Errors
/// Those of the kind.
pub fn run(
    kind: Kind,
    plan: &Plan,
    dir: &Path,
    resume: bool,
    clock: Clock<'_>,
    told: &mut dyn FnMut(Progress),
) -> Result<State> {
    match kind {
        Kind::Sft => sft::sft(plan, dir, resume, clock, told),
        Kind::Dpo => dpo::dpo(plan, dir, resume, clock, told),
        Kind::Reward => reward_model::reward_model(plan, dir, resume, clock, told),
        Kind::Grpo => grpo::grpo(plan, dir, resume, clock, told),
        Kind::Ppo => ppo::ppo(plan, dir, resume, clock, told),
        Kind::Scorer => scorer::scorer(plan, dir, resume, clock, told),
        Kind::Encoder => encoder::encoder(plan, dir, resume, clock, told),
    }
}

/// The folder of the stage with this number, from 0, and name, in the run in the folder `run`.
pub(crate) fn folder(run: &Path, number: usize, name: &str) -> PathBuf {
    run.join(STAGES).join(format!("{:02}-{name}", number + 1))
}

/// The stages that were begun in the run in the folder `run`, in their order, by their folders; empty for a run of one.
///
/// # Errors
/// [`crate::Error::Io`] when the folder cannot be read.
pub fn begun(run: &Path) -> Result<Vec<PathBuf>> {
    let dir = run.join(STAGES);
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(&dir).map_err(crate::error::read(&dir))? {
        let path = entry.map_err(crate::error::read(&dir))?.path();
        if path.join(crate::run::CONFIG).is_file() {
            folders.push(path);
        }
    }
    folders.sort_unstable();
    Ok(folders)
}

/// The name of a stage, of its folder.
pub(crate) fn name(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    name.split_once('-').map_or_else(|| name.to_string(), |(_, name)| name.to_owned())
}
