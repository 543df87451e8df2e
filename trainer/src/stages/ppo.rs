//! [`ppo()`]: proximal policy optimisation (arXiv 1707.06347) of the agent's episodes, with a value head on the policy.
//!
//! The head says before each token what is still to come. A token's advantage is what came beyond that
//! ([`gae`], which hops over what the environment wrote); the reward stands on the last token, brought to the size of the
//! run's rewards so far, less on every token the divergence from the reference (arXiv 2203.02155). Advantages are
//! whitened over the tokens of the step. Needs no groups: one episode a question will do.

use std::path::Path;

use candle_core::Tensor;

use crate::Result;
use crate::objective::ppo::whiten;
use crate::objective::{
    Advantages, Denominator, Gae, Metrics, PpoConfig, RewardScale, Scaling, advantages, gae, policy_loss, value_loss,
};
use crate::recipe::Plan;
use crate::rollout::Rollout;
use crate::run::checkpoint::{Controllers, State};
use crate::run::{Clock, Progress};
use crate::stages::rl::{self, Credited, Micro, Objective};

/// Trains by `plan` in the folder `dir`; `resume` goes on where the newest checkpoint ends. `told` is called after
/// every step. Gives the last state.
///
/// # Errors
/// Those of bad questions, a bad index or a bad model before anything is trained; [`Error::Halted`](crate::Error::Halted)
/// when training cannot go on, or goes where it should not.
pub fn ppo(plan: &Plan, dir: &Path, resume: bool, clock: Clock<'_>, told: &mut dyn FnMut(Progress)) -> Result<State> {
    rl::run(Objective::Ppo, plan, dir, resume, clock, told)
}

/// Every episode that has a reward is learnt from; all of a step are one group, whose spread is looked at.
pub(crate) fn choose(done: &[Rollout]) -> Result<Advantages> {
    let worth: Vec<f64> = done.iter().map(|one| if one.is_masked { f64::NAN } else { one.reward.total }).collect();
    let chosen = advantages(&worth, &vec![0; worth.len()], Scaling::None)?;
    Ok(Advantages { is_kept: worth.iter().map(|worth| !worth.is_nan()).collect(), ..chosen })
}

/// Credits tokens by what came of them and what was expected, and lets the controllers see the step.
///
/// Metrics: `score` (the scaled reward), `kl` (from the reference, a token), `kl_coefficient`.
pub(crate) fn credit(
    config: &PpoConfig,
    controllers: &mut Option<Controllers>,
    episodes: &mut [Credited<'_>],
) -> Result<Metrics> {
    let Controllers { kl, scale } =
        controllers.get_or_insert(Controllers { kl: config.kl, scale: RewardScale::default() });
    if config.scale_rewards {
        scale.update(&episodes.iter().map(|episode| episode.worth).collect::<Vec<_>>());
    }
    let mut metrics = Metrics::default();
    let mut apart = (0.0, 0_usize);
    for episode in &mut *episodes {
        let total = episode.worth;
        let score = if config.scale_rewards { scale.scale(total) } else { total };
        metrics.mean("score", [score]);
        let own = episode.sampler;
        for (own, reference) in own.iter().zip(&episode.reference) {
            let divergence = kl.estimator.at(f64::from(*own), f64::from(*reference)).0;
            apart = (apart.0 + divergence, apart.1 + 1);
            metrics.mean("kl", [divergence]);
        }
        // Without a reference nothing diverges.
        let reference = if episode.reference.is_empty() { own } else { episode.reference.as_slice() };
        let rewards = kl.rewards(score, own, reference)?;
        let values: Vec<f64> = episode.before.values.iter().copied().map(f64::from).collect();
        // What the environment wrote is not among these tokens: the next one is the policy's next.
        let Gae { advantages, returns } = gae(config, &rewards, &values, &vec![true; values.len()])?;
        (episode.advantages, episode.returns) = (advantages, returns);
    }
    metrics.mean("kl_coefficient", [kl.coefficient]);
    if apart.1 > 0 {
        kl.update(apart.0 / apart.1 as f64, episodes.len());
    }
    let mut all: Vec<f64> = episodes.iter().flat_map(|episode| episode.advantages.iter().copied()).collect();
    whiten(&mut all);
    let mut all = all.into_iter();
    for advantage in episodes.iter_mut().flat_map(|episode| episode.advantages.iter_mut()) {
        *advantage = all.next().expect("as many as were taken");
    }
    Ok(metrics)
}

/// The loss of a micro-batch, of its tokens' log-probabilities and values.
pub(crate) fn loss(
    config: &PpoConfig,
    micro: &Micro<'_>,
    (logprobs, values): (&Tensor, &Tensor),
    denominator: Denominator,
) -> Result<(Tensor, Metrics)> {
    let policy = policy_loss(&config.policy(), logprobs, &micro.recorded(), denominator)?;
    let value = value_loss(config, values, &micro.before.values, &micro.returns, denominator.tokens)?;
    let mut metrics = value.metrics.renamed("loss", "value_loss");
    metrics.merge(&policy.metrics);
    Ok(((policy.loss + (value.loss * config.value_weight)?)?, metrics))
}

#[cfg(test)]
mod tests;
