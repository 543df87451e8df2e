//! [`grpo()`]: reinforcement learning by groups of episodes on the same question (arXiv 2402.03300).
//!
//! Episodes that did better than their group become likelier, the others less likely
//! ([`objective`](crate::objective)). Groups of equal rewards teach nothing and are left out.

use std::path::Path;

use crate::checkpoint::State;
use crate::recipe::Plan;
use crate::run::{Clock, Progress};
use crate::{Result, rl};

/// Trains by `plan` in the folder `dir`; `resume` goes on where the newest checkpoint ends. `told` is called after
/// every step. Gives the last state.
///
/// # Errors
/// Those of bad questions, a bad index or a bad model before anything is trained; [`Error::Halted`](crate::Error::Halted)
/// when training cannot go on, or goes where it should not.
pub fn grpo(plan: &Plan, dir: &Path, resume: bool, clock: Clock<'_>, told: &mut dyn FnMut(Progress)) -> Result<State> {
    rl::run(plan, dir, resume, clock, told)
}
