//! [`grpo()`]: reinforcement learning by groups of episodes on the same question (arXiv 2402.03300).
//!
//! Episodes that did better than their group become likelier, the others less likely
//! ([`objective`](crate::objective)). Groups of equal rewards teach nothing and are left out.

use std::path::Path;

use candle_core::Tensor;

use crate::objective::{Advantages, Denominator, GrpoConfig, Loss, Metrics, policy_loss};
use crate::recipe::{Plan, Recipe};
use crate::rollout::Rollout;
use crate::run::checkpoint::State;
use crate::run::{Clock, Progress};
use crate::stages::rl::{self, Credited, Micro, Objective};
use crate::{Error, Result};

/// Trains by `plan` in the folder `dir`; `resume` goes on where the newest checkpoint ends. `told` is called after
/// every step. Gives the last state.
///
/// # Errors
/// Those of bad questions, a bad index or a bad model before anything is trained; [`Error::Halted`]
/// when training cannot go on, or goes where it should not.
pub fn grpo(plan: &Plan, dir: &Path, resume: bool, clock: Clock<'_>, told: &mut dyn FnMut(Progress)) -> Result<State> {
    check(plan.recipe()).map_err(Error::Input)?;
    rl::run(Objective::Grpo, plan, dir, resume, clock, told)
}

/// Refuses a recipe by which nothing could be learnt.
pub(crate) fn check(recipe: &Recipe) -> Result<(), String> {
    match recipe.rollout.group {
        group @ ..2 => {
            Err(format!("rollout.group is {group}, expected 2 or more: an episode alone has nothing to be better than"))
        }
        _ => Ok(()),
    }
}

/// Which episodes are learnt from, and how much better than their group each was.
pub(crate) fn choose(recipe: &Recipe, done: &[Rollout]) -> Result<Advantages> {
    recipe.reward.normalise.advantages(done, recipe.grpo.scaling)
}

/// Credits tokens: with the advantage of their episode, or, but for those at which the policy was least sure, with
/// nothing (arXiv 2506.01939).
pub(crate) fn credit(config: &GrpoConfig, episodes: &mut [Credited<'_>]) -> Metrics {
    let mut metrics = Metrics::default();
    let Some(share) = config.mask.top_entropy else { return metrics };
    let mut entropies: Vec<f32> = episodes.iter().flat_map(|one| one.before.entropies.iter().copied()).collect();
    entropies.sort_unstable_by(|a, b| b.total_cmp(a));
    let place = (share * entropies.len() as f64).ceil() as usize;
    let Some(least) = entropies.get(place.max(1) - 1) else { return metrics };
    for episode in episodes {
        for (advantage, entropy) in episode.advantages.iter_mut().zip(&episode.before.entropies) {
            metrics.share("entropy_kept", [entropy >= least]);
            if entropy < least {
                *advantage = 0.0;
            }
        }
    }
    metrics
}

/// The loss of a micro-batch.
pub(crate) fn loss(
    config: &GrpoConfig,
    micro: &Micro<'_>,
    logprobs: &Tensor,
    denominator: Denominator,
) -> Result<Loss> {
    policy_loss(config, logprobs, &micro.recorded(), denominator)
}

#[cfg(test)]
mod tests;
