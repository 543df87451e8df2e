//! One step: episodes, rewards, advantages, and the updates that are made of them.

use std::collections::BTreeMap;
use std::ops::Range;

use agent::journal::{Entry, Step};

use super::alarm::{Outcome, Seen};
use super::{STAGE, Trainer, measure, record};
use crate::checkpoint::State;
use crate::learner::score;
use crate::objective::{Denominator, Metrics, Recorded, policy_loss};
use crate::packing::pack;
use crate::recipe::Learn;
use crate::reward::JudgeChoice;
use crate::rollout::Rollout;
use crate::run::Run;
use crate::{Error, Result, Sample};

/// Sampler and trainer compute one model with one set of weights. A mean difference of log-probabilities
/// beyond this is no rounding.
const MISMATCH: f64 = 0.01;

/// Episodes of one micro-batch, with what is known of their tokens, end to end.
struct Micro<'a> {
    samples: Vec<&'a Sample>,
    sampler: Vec<f32>,
    advantages: Vec<f64>,
    sequences: Vec<Range<usize>>,
    old: Option<Vec<f32>>,
    reference: Option<Vec<f32>>,
}

/// What the updates of a step came to.
#[derive(Default)]
struct Learnt {
    /// Of the first update.
    loss: f64,
    norm: f64,
    entropy: f64,
    metrics: Metrics,
    is_skipped: bool,
}

impl Trainer<'_> {
    /// Makes one step, and writes down what came of it.
    pub(super) fn step(&mut self, state: &mut State, run: &mut Run) -> Result<Step> {
        let begun = (self.clock)();
        let since = |at: jiff::Timestamp, now: jiff::Timestamp| now.duration_since(at).as_secs_f64();
        let rollout = &self.recipe.rollout;
        let (questions, next) = self.tasks.at(state.cursor);
        let done = self.ask(&self.policy, &rollout.config(rollout.group), &questions, state.step as u32)?;
        let sampled = (self.clock)();

        let advantages = self.recipe.reward.normalise.advantages(&done, self.recipe.grpo.scaling)?;
        record::write_episodes(self.dir, state.step + 1, &questions, &done, &advantages)?;
        let kept: Vec<(&Rollout, f64)> = (done.iter().zip(&advantages.values).zip(&advantages.is_kept))
            .filter_map(|((one, advantage), is_kept)| is_kept.then_some((one, *advantage)))
            .collect();
        let denominator = Denominator::of(kept.iter().map(|(one, _)| one.logprobs.len()));

        let learning_rate = self.schedule.rate(state.step);
        let version = self.learner.updates();
        let micro = self.micro(&kept)?;
        let learnt = self.learn(&micro, denominator, learning_rate, state.step + 1)?;
        let finished = (self.clock)();

        let epoch = self.tasks.epochs(state.cursor);
        (state.step, state.cursor, state.updates) = (state.step + 1, next, self.learner.updates());
        // A step that had nothing to learn from is no sign that its numbers would have been finite.
        if learnt.is_skipped {
            state.skipped += 1;
        } else if denominator.tokens > 0 {
            state.skipped = 0;
            state.tokens += denominator.tokens as u64;
        }
        let mut values = measure::episodes(&done, &advantages);
        let fixed = [
            ("entropy", learnt.entropy / denominator.tokens as f64),
            ("version", version as f64),
            ("samples", kept.len() as f64),
            ("seconds_rollout", since(begun, sampled)),
            ("seconds_training", since(sampled, finished)),
        ];
        values.extend(fixed.into_iter().chain(learnt.metrics.iter()).map(|(name, value)| (name.to_owned(), value)));
        // A merged loss is that of all updates together; the step has its own.
        values.remove("loss");
        let finite = |value: f64| value.is_finite().then_some(value);
        let step = Step {
            step: state.step,
            stage: STAGE.to_owned(),
            epoch,
            loss: finite(learnt.loss),
            gradient_norm: finite(learnt.norm),
            learning_rate,
            skipped: learnt.is_skipped,
            tokens: done.iter().map(|one| one.sample.tokens() as u64).sum(),
            learnt: denominator.tokens as u64,
            seconds: since(begun, finished),
            values: values.into_iter().filter(|(_, value)| value.is_finite()).collect::<BTreeMap<_, _>>(),
        };
        run.journal.write(&Entry::Step(step.clone()), finished)?;
        if learnt.is_skipped {
            let samples: Vec<&Sample> = kept.iter().map(|(one, _)| &one.sample).collect();
            run.skip(state.step, state.skipped, &samples, self.clock)?;
        }
        let is_scored = self.recipe.reward.judge != JudgeChoice::Lexical;
        let seen = Seen::of(&done, advantages.dropped_groups < advantages.groups, is_scored);
        match state.alarms.take(&seen) {
            Outcome::Fine => {}
            Outcome::Note(text) | Outcome::Solved(text) => {
                run.journal.write(&Entry::Notice { step: state.step, text }, finished)?;
            }
            Outcome::Alarm(reason) => {
                run.alarm(state.step, &reason, self.clock)?;
                state.alarms.rest();
            }
        }
        Ok(step)
    }

    /// Cuts what is learnt from into micro-batches, and scores them where the old policy or a reference is asked for.
    fn micro<'b>(&self, kept: &[(&'b Rollout, f64)]) -> Result<Vec<Micro<'b>>> {
        let rollout = &self.recipe.rollout;
        let is_held = self.recipe.grpo.kl.coefficient > 0.0;
        let lengths: Vec<usize> = kept.iter().map(|(one, _)| one.sample.tokens()).collect();
        let packs = pack(&lengths, rollout.micro_tokens).into_iter();
        packs
            .map(|pack| {
                let part: Vec<_> = pack.iter().map(|number| kept[*number]).collect();
                let samples: Vec<&Sample> = part.iter().map(|(one, _)| &one.sample).collect();
                let scored = |adapted: bool| {
                    self.policy.engine().read(|decoder| score(decoder, &samples, rollout.temperature, adapted))
                };
                let reference = match &self.reference {
                    _ if !is_held => None,
                    Some(decoder) => Some(score(decoder, &samples, rollout.temperature, true)?),
                    None => Some(scored(self.recipe.model.learn == Learn::All)?),
                };
                let mut end = 0;
                let sequences = part.iter().map(|(one, _)| {
                    end += one.logprobs.len();
                    end - one.logprobs.len()..end
                });
                Ok(Micro {
                    sequences: sequences.collect(),
                    sampler: part.iter().flat_map(|(one, _)| one.logprobs.iter().copied()).collect(),
                    advantages: part
                        .iter()
                        .flat_map(|(one, advantage)| std::iter::repeat_n(*advantage, one.logprobs.len()))
                        .collect(),
                    // A single update starts from the policy that sampled: its ratio is one.
                    old: if rollout.epochs > 1 { Some(scored(true)?) } else { None },
                    reference,
                    samples,
                })
            })
            .collect()
    }

    /// Updates the policy as often as the recipe says.
    fn learn(&mut self, micro: &[Micro<'_>], denominator: Denominator, rate: f64, step: u64) -> Result<Learnt> {
        let mut learnt = Learnt::default();
        if micro.is_empty() {
            return Ok(learnt);
        }
        let Self { recipe, policy, learner, .. } = self;
        for epoch in 0..recipe.rollout.epochs {
            let mut total = 0.0;
            let mut entropy = 0.0;
            for Micro { samples, sampler, advantages, sequences, old, reference } in micro {
                let recorded = Recorded {
                    old: old.as_deref(),
                    sampler: Some(sampler),
                    reference: reference.as_deref(),
                    advantages,
                    sequences,
                };
                total += policy.engine().read(|decoder| {
                    learner.add(decoder, samples, recipe.rollout.temperature, |pass| {
                        let loss = policy_loss(&recipe.grpo, &pass.logprobs, &recorded, denominator)?;
                        entropy += f64::from(pass.entropies.sum_all()?.to_scalar::<f32>()?);
                        learnt.metrics.merge(&loss.metrics);
                        Ok(loss.loss)
                    })
                })?;
            }
            let norm = learner.norm();
            if epoch == 0 {
                (learnt.loss, learnt.norm, learnt.entropy) = (total, norm, entropy);
            }
            if !(total.is_finite() && norm.is_finite()) {
                learner.forget();
                (learnt.loss, learnt.norm, learnt.is_skipped) = (total, norm, true);
                break;
            }
            if let Some(apart) = learnt.metrics.get("mismatch_mean").filter(|apart| *apart > MISMATCH) {
                let reason = format!(
                    "sampler and trainer differ by {apart:.4} in a token's log-probability: they do not compute the same model"
                );
                return Err(Error::Halted { step, reason });
            }
            policy.engine().update(|decoder| learner.update(decoder, norm, rate))??;
        }
        Ok(learnt)
    }
}
