//! One step: episodes, rewards, advantages, and the updates that are made of them.

use std::collections::BTreeMap;

use agent::journal::{Entry, Step};
use nn::Stream;

use super::alarm::{Outcome, Seen};
use super::credited::{Credited, Micro};
use super::{Objective, Trainer, measure, record};
use crate::data::question::Question;
use crate::learner::sharing::micro_batches;
use crate::learner::{Scored, score};
use crate::objective::{Advantages, Denominator, Metrics};
use crate::recipe::{Learn, LearntTokens};
use crate::reward::JudgeChoice;
use crate::rollout::Rollout;
use crate::run::Run;
use crate::run::checkpoint::{Cursor, State};
use crate::{Error, Result, Sample, stages::grpo, stages::ppo};

/// Sampler and trainer compute one model with one set of weights. A mean difference of log-probabilities
/// beyond this is no rounding.
const MISMATCH: f64 = 0.01;

/// The episodes of a step.
struct Asked {
    questions: Vec<Question>,
    done: Vec<Rollout>,
    advantages: Advantages,
    /// Where the last of them stood, and where the next step begins.
    last: Cursor,
    next: Cursor,
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
        let Asked { questions, mut done, mut advantages, last, next } = self.ask_step(state)?;
        let sampled = (self.clock)();
        if self.recipe.rollout.learn == LearntTokens::All {
            self.unmask(&mut done)?;
        }

        let kept = (0..done.len()).filter(|number| advantages.is_kept[*number]);
        let mut episodes: Vec<Credited<'_>> =
            kept.clone().map(|number| Credited::new(&done[number], advantages.values[number])).collect();
        self.score(&mut episodes)?;
        let credited = match self.objective {
            Objective::Grpo => grpo::credit(&self.recipe.grpo, &mut episodes),
            Objective::Ppo => ppo::credit(&self.recipe.ppo, &mut state.controllers, &mut episodes)?,
        };
        for (number, episode) in kept.zip(&episodes) {
            advantages.values[number] = episode.advantages.iter().sum::<f64>() / episode.advantages.len() as f64;
        }
        record::write_episodes(self.dir, state.step + 1, &questions, &done, &advantages)?;
        let tokens: usize = episodes.iter().map(|episode| episode.advantages.len()).sum();

        let learning_rate = self.schedule.rate(state.step);
        let version = self.learner.updates();
        let learnt = self.learn(&episodes, learning_rate, state.step)?;
        let finished = (self.clock)();

        let epoch = self.tasks.epochs(last);
        (state.step, state.cursor, state.updates) = (state.step + 1, next, self.learner.updates());
        // A step that had nothing to learn from is no sign that its numbers would have been finite.
        if learnt.is_skipped {
            state.skipped += 1;
        } else if tokens > 0 {
            state.skipped = 0;
            state.tokens += tokens as u64;
        }
        let mut values = measure::episodes(&done, &advantages);
        let fixed = [
            ("entropy", learnt.entropy),
            ("version", version as f64),
            ("samples", episodes.len() as f64),
            ("seconds_rollout", since(begun, sampled)),
            ("seconds_training", since(sampled, finished)),
        ];
        let told = credited.iter().chain(learnt.metrics.iter()).chain(fixed);
        values.extend(told.map(|(name, value)| (name.to_owned(), value)));
        // A merged loss is that of all updates together; the step has its own.
        values.remove("loss");
        let finite = |value: f64| value.is_finite().then_some(value);
        let step = Step {
            step: state.step,
            stage: self.objective.name().to_owned(),
            epoch,
            loss: finite(learnt.loss),
            gradient_norm: finite(learnt.norm),
            learning_rate,
            skipped: learnt.is_skipped,
            tokens: done.iter().map(|one| one.sample.tokens() as u64).sum(),
            learnt: tokens as u64,
            seconds: since(begun, finished),
            values: values.into_iter().filter(|(_, value)| value.is_finite()).collect::<BTreeMap<_, _>>(),
        };
        run.journal.write(&Entry::Step(step.clone()), finished)?;
        if learnt.is_skipped {
            let samples: Vec<&Sample> = episodes.iter().map(|episode| episode.sample).collect();
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

    /// Asks the questions of a step, and further ones while too few groups differ in reward (dynamic sampling,
    /// arXiv 2503.14476), as often as the recipe allows.
    fn ask_step(&self, state: &State) -> Result<Asked> {
        let rollout = &self.recipe.rollout;
        let config = rollout.config(rollout.group);
        let (mut questions, mut done) = (Vec::new(), Vec::<Rollout>::new());
        let mut next = state.cursor;
        let mut round = 0;
        loop {
            let (last, (more, after)) = (next, self.tasks.at(next));
            next = after;
            for one in self.ask(&self.policy, &config, &more, (state.step as u32, round))? {
                done.push(Rollout { prompt: one.prompt + questions.len(), ..one });
            }
            questions.extend(more);
            let advantages = match self.objective {
                Objective::Grpo => grpo::choose(self.recipe, &done)?,
                Objective::Ppo => ppo::choose(&done)?,
            };
            let is_enough = advantages.groups - advantages.dropped_groups >= rollout.questions;
            if is_enough || round == self.objective.rounds(self.recipe) {
                return Ok(Asked { questions, done, advantages, last, next });
            }
            round += 1;
        }
    }

    /// Asks of the model before the step's first update, and of the reference, what the objective wants to know.
    fn score(&self, episodes: &mut [Credited<'_>]) -> Result<()> {
        let (rollout, model) = (&self.recipe.rollout, &self.recipe.model);
        let is_held = self.objective.is_held(self.recipe);
        let is_scored = self.is_repeated() || self.objective.wants_scores(self.recipe);
        if !is_held && !is_scored {
            return Ok(());
        }
        let samples: Vec<&Sample> = episodes.iter().map(|episode| episode.sample).collect();
        for numbers in micro_batches(&samples, rollout.micro_tokens) {
            let samples: Vec<&Sample> = numbers.iter().map(|number| episodes[*number].sample).collect();
            if is_scored {
                let scored = (self.policy.engine())
                    .read(|decoder| self.learner.score(decoder, &samples, rollout.temperature))?;
                let mut start = 0;
                for number in &numbers {
                    let end = start + episodes[*number].sampler.len();
                    let part = |values: &[f32]| values.get(start..end).unwrap_or_default().to_vec();
                    let Scored { logprobs, entropies, values } = &scored;
                    episodes[*number].before =
                        Scored { logprobs: part(logprobs), entropies: part(entropies), values: part(values) };
                    start = end;
                }
            }
            if is_held {
                let reference = match &self.reference {
                    Some(decoder) => score(decoder, &samples, rollout.temperature, true)?,
                    None => (self.policy.engine())
                        .read(|decoder| score(decoder, &samples, rollout.temperature, model.learn == Learn::All))?,
                };
                let mut reference = reference.into_iter();
                for number in numbers {
                    let count = episodes[number].sampler.len();
                    episodes[number].reference = reference.by_ref().take(count).collect();
                }
            }
        }
        Ok(())
    }

    /// Whether a step makes more than one update, so that the policy moves away from what sampled.
    fn is_repeated(&self) -> bool {
        self.recipe.rollout.epochs > 1 || self.objective.minibatches(self.recipe) > 1
    }

    /// The episodes of each update of one pass over `count` of them.
    fn minibatches(&self, count: usize, step: u64, epoch: u64) -> Vec<Vec<usize>> {
        let mut numbers: Vec<usize> = (0..count).collect();
        let parts = self.objective.minibatches(self.recipe);
        if parts > 1 {
            let (seed, step) = (self.recipe.run.seed, step as u32);
            let stream = Stream { seed, step, prompt: u32::MAX, sample: epoch as u32 };
            numbers.sort_by_cached_key(|number| (stream.words(*number as u32), *number));
        }
        numbers.chunks(count.div_ceil(parts).max(1)).map(<[usize]>::to_vec).collect()
    }

    /// Updates the policy as often as the recipe says.
    fn learn(&mut self, episodes: &[Credited<'_>], rate: f64, step: u64) -> Result<Learnt> {
        let mut learnt = Learnt::default();
        let is_old = self.is_repeated();
        let mut is_first = true;
        for epoch in 0..self.recipe.rollout.epochs {
            for numbers in self.minibatches(episodes.len(), step, epoch) {
                let samples: Vec<&Sample> = numbers.iter().map(|number| episodes[*number].sample).collect();
                let written = numbers.iter().map(|number| episodes[*number].sampler.len());
                let denominator = Denominator::of(written);
                let (mut total, mut entropy) = (0.0, 0.0);
                for part in micro_batches(&samples, self.recipe.rollout.micro_tokens) {
                    let part: Vec<&Credited<'_>> = part.iter().map(|at| &episodes[numbers[*at]]).collect();
                    let micro = Micro::of(&part, is_old);
                    let (value, entropies) = self.add(&micro, denominator, &mut learnt.metrics)?;
                    (total, entropy) = (total + value, entropy + entropies);
                }
                let norm = self.learner.norm();
                if is_first {
                    (learnt.loss, learnt.norm) = (total, norm);
                    learnt.entropy = entropy / denominator.tokens as f64;
                    is_first = false;
                }
                if !(total.is_finite() && norm.is_finite()) {
                    self.learner.forget();
                    (learnt.loss, learnt.norm, learnt.is_skipped) = (total, norm, true);
                    return Ok(learnt);
                }
                if let Some(apart) = learnt.metrics.get("mismatch_mean").filter(|apart| *apart > MISMATCH) {
                    let reason = format!(
                        "sampler and trainer differ by {apart:.4} in a token's log-probability: they do not compute the same model"
                    );
                    return Err(Error::Halted { step: step + 1, reason });
                }
                let Self { policy, learner, .. } = self;
                policy.engine().update(|decoder| learner.update(decoder, norm, rate))??;
            }
        }
        Ok(learnt)
    }

    /// Adds the gradients of a micro-batch; gives its loss and the sum of its entropies.
    fn add(&mut self, micro: &Micro<'_>, denominator: Denominator, metrics: &mut Metrics) -> Result<(f64, f64)> {
        let Self { recipe, policy, learner, objective, .. } = self;
        let temperature = recipe.rollout.temperature;
        let mut entropy = 0.0;
        let value = policy.engine().read(|decoder| match objective {
            Objective::Grpo => learner.add(decoder, &micro.samples, temperature, |pass| {
                entropy = f64::from(pass.entropies.sum_all()?.to_scalar::<f32>()?);
                let loss = grpo::loss(&recipe.grpo, micro, &pass.logprobs, denominator)?;
                metrics.merge(&loss.metrics);
                Ok(loss.loss)
            }),
            Objective::Ppo => learner.add_valued(decoder, &micro.samples, temperature, |pass, values| {
                entropy = f64::from(pass.entropies.sum_all()?.to_scalar::<f32>()?);
                let (loss, told) = ppo::loss(&recipe.ppo, micro, (&pass.logprobs, values), denominator)?;
                metrics.merge(&told);
                Ok(loss)
            }),
        })?;
        Ok((value, entropy))
    }
}
