//! Learning from what was retrieved as well, to see what the mask is worth.

use crate::Result;
use crate::learner::packing::pack;
use crate::learner::score;
use crate::rollout::Rollout;

use super::Trainer;

impl Trainer<'_> {
    /// Lets every token after the question be learnt, as if the policy had written it. What the policy did not sample has
    /// the log-probability that it gives it now.
    pub(super) fn unmask(&self, done: &mut [Rollout]) -> Result<()> {
        let rollout = &self.recipe.rollout;
        let mut done: Vec<&mut Rollout> = done.iter_mut().filter(|one| !one.is_masked).collect();
        for one in &mut done {
            let mask = &mut one.sample.mask;
            if let Some(first) = mask.iter().position(|own| *own) {
                mask[first..].fill(true);
            }
        }
        let lengths: Vec<usize> = done.iter().map(|one| one.sample.tokens()).collect();
        for pack in pack(&lengths, rollout.micro_tokens) {
            let samples: Vec<_> = pack.iter().map(|number| &done[*number].sample).collect();
            let scored = self.policy.engine().read(|decoder| score(decoder, &samples, rollout.temperature, true))?;
            let mut scored = scored.into_iter();
            for number in pack {
                let count = done[number].sample.learnt();
                done[number].logprobs = scored.by_ref().take(count).collect();
            }
        }
        Ok(())
    }
}
