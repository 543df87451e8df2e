//! [`Kind`]: what a stage of training may be, and [`run`], which runs one of any kind.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::checkpoint::State;
use crate::recipe::Plan;
use crate::run::{Clock, Progress};
use crate::{Result, grpo, sft};

/// What is done in a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Supervised fine-tuning.
    Sft,
    /// Reinforcement learning by groups of episodes.
    Grpo,
}

impl Kind {
    /// As the command and the recipe call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sft => "sft",
            Self::Grpo => "grpo",
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
        Kind::Grpo => grpo::grpo(plan, dir, resume, clock, told),
    }
}
