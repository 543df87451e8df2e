//! Reinforcement learning of a policy by its own episodes, with retrieval in the loop: what all objectives share.
//!
//! A step draws questions, runs a group of episodes on each, and gives each episode a reward. What an episode's
//! tokens are credited with is the objective's business ([`grpo`](crate::stages::grpo), [`ppo`](crate::stages::ppo)). Episodes whose time was over
//! are left out. One decoder samples and learns: the engine holds it, and stands still while its weights move.
//!
//! Everything is a function of the seed and of the step, so that a resumed run ends in the bytes it would
//! have ended in. Episodes are told that it is the second of 1970 that has the step's number.

mod alarm;
mod credited;
pub(crate) mod library;
mod measure;
mod record;
mod step;
mod tasks;
mod unmasked;

use std::num::NonZero;
use std::path::Path;

use agent::Trace;
use agent::journal::{Entry, Heldout, Start};
use agent::policy::{Local, LocalOptions};
use jiff::Timestamp;
use nn::{Decoder, DecoderConfig, Device, Sampling};
use retriever::{Query, Retrieve};

pub use self::alarm::Alarms;
pub(crate) use self::credited::{Credited, Micro};
use self::tasks::Tasks;
use crate::data::question::Question;
use crate::learner::{Learner, Tells};
use crate::memory::{self, Forecast, Load};
use crate::recipe::{Learn, Plan, Recipe};
use crate::retrieval::Searched;
use crate::reward::Rewards;
use crate::rollout::{Cached, Place, Rollout, RolloutConfig, Score, Setting, rollouts};
use crate::run::checkpoint::{Best, State};
use crate::run::{Clock, Due, Opened, Progress, Run};
use crate::{Error, Result, Sample, Schedule};

/// Queries whose hits are remembered, and chunks whose text is.
const REMEMBERED: usize = 100_000;
/// Tokens that instructions and a question are expected to take at most.
const OPENING: usize = 512;

/// What is made of a step's episodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Objective {
    /// Better than their group.
    Grpo,
    /// Better than a value head expected.
    Ppo,
}

impl Objective {
    /// Of its stage.
    fn name(self) -> &'static str {
        match self {
            Self::Grpo => "grpo",
            Self::Ppo => "ppo",
        }
    }

    /// What is read off the states beside tokens.
    fn tells(self) -> Option<Tells> {
        (self == Self::Ppo).then_some(Tells::Value)
    }

    /// Whether the policy is held to a reference.
    fn is_held(self, recipe: &Recipe) -> bool {
        match self {
            Self::Grpo => recipe.grpo.kl.coefficient > 0.0,
            Self::Ppo => recipe.ppo.kl.coefficient > 0.0,
        }
    }

    /// Updates of one pass over the episodes of a step.
    fn minibatches(self, recipe: &Recipe) -> usize {
        match self {
            Self::Grpo => 1,
            Self::Ppo => recipe.ppo.minibatches,
        }
    }

    /// How often further questions may be asked.
    fn rounds(self, recipe: &Recipe) -> u64 {
        match self {
            Self::Grpo => recipe.grpo.resample,
            Self::Ppo => 0,
        }
    }

    /// Whether more is to be known of the episodes than how they were sampled.
    fn wants_scores(self, recipe: &Recipe) -> bool {
        self == Self::Ppo || recipe.grpo.mask.top_entropy.is_some()
    }
}

/// Trains by `plan` in the folder `dir`; `resume` goes on where the newest checkpoint ends. `told` is called after
/// every step. Gives the last state.
///
/// # Errors
/// Those of bad questions, a bad index or a bad model before anything is trained; [`Error::Halted`] when training cannot
/// go on, or goes where it should not.
pub(crate) fn run(
    objective: Objective,
    plan: &Plan,
    dir: &Path,
    resume: bool,
    clock: Clock<'_>,
    told: &mut dyn FnMut(Progress),
) -> Result<State> {
    let rewards = Rewards::open(&plan.recipe().reward, Some(dir))?;
    let score = |episodes: &[(&Question, &Trace)]| rewards.score(episodes);
    train(objective, plan, dir, resume, (&score, clock), told)
}

/// As [`run`], with rewards of any kind.
fn train(
    objective: Objective,
    plan: &Plan,
    dir: &Path,
    resume: bool,
    (score, clock): (&Score<'_>, Clock<'_>),
    told: &mut dyn FnMut(Progress),
) -> Result<State> {
    let (begun, recipe, name) = (clock(), plan.recipe(), objective.name());
    let tasks = Tasks::read(recipe)?;
    let library = library::open(&recipe.data)?;
    let data = tasks.fingerprint(library.identity());
    let Opened { mut run, mut state, checkpoint } = Run::begin(dir, plan, resume, (name, &data), clock)?;
    if state.step >= recipe.rollout.steps || state.alarms.is_solved() {
        run.end(state.step, 0.0, clock)?;
        return Ok(state);
    }
    let checkpoint = checkpoint.as_deref().map(|folder| (folder, state.updates));
    let searched = Searched::new(library.retriever(), recipe.rollout.retriever, &tasks.train)?;
    let retriever = Cached::new(&searched, REMEMBERED);
    let mut trainer = Trainer::open((objective, plan), dir, &tasks, &retriever, checkpoint, (score, clock))?;
    let start = trainer.rehearse(state.step)?;
    run.journal.write(&Entry::Start(start), clock())?;
    if state.step == 0 {
        trainer.evaluate(&mut state, &mut run, "before")?;
    }
    let steps = recipe.rollout.steps;
    while state.step < steps && !state.alarms.is_solved() {
        let done = trainer.step(&mut state, &mut run)?;
        let reward = done.values.get("reward").copied().unwrap_or_default();
        told(Progress::after(&done, steps, format!("reward {reward:.4}")));
        let due = Due::after(&recipe.run, name, state.step, state.step == steps || state.alarms.is_solved());
        let is_best = match &due.measure {
            Some(phase) => trainer.evaluate(&mut state, &mut run, phase)?,
            None => false,
        };
        if due.checkpoint || is_best {
            let Trainer { policy, learner, .. } = &trainer;
            run.checkpoint(&state, |folder| policy.engine().read(|decoder| learner.save(decoder, folder)), clock)?;
        }
    }
    run.end(state.step, clock().duration_since(begun).as_secs_f64(), clock)?;
    Ok(state)
}

/// Everything that a step needs.
struct Trainer<'a> {
    objective: Objective,
    recipe: &'a Recipe,
    dir: &'a Path,
    tasks: &'a Tasks,
    schedule: Schedule,
    retriever: &'a dyn Retrieve,
    query: Query,
    score: &'a Score<'a>,
    clock: Clock<'a>,
    /// Draws its tokens.
    policy: Local,
    /// The same model, which takes the likeliest ones.
    greedy: Local,
    learner: Learner,
    /// The model as it was at first, where all of it learns and it is to be held to.
    reference: Option<Decoder>,
    /// What it asks of the machine, and what that was expected to come to.
    load: Load,
    forecast: Forecast,
}

/// What a run of this recipe asks of the machine at most.
fn load(recipe: &Recipe, objective: Objective, config: &DecoderConfig) -> Load {
    let rollout = &recipe.rollout;
    let written = rollout.budget.generated_tokens.saturating_add(rollout.budget.evidence_tokens);
    let longest = OPENING.saturating_add(written).min(config.max_position_embeddings).max(2);
    Load {
        micro_tokens: rollout.micro_tokens.max(longest),
        at_once: rollout.batch(),
        longest,
        has_reference: recipe.model.learn == Learn::All && objective.is_held(recipe),
    }
}

impl<'a> Trainer<'a> {
    fn open(
        (objective, plan): (Objective, &'a Plan),
        dir: &'a Path,
        tasks: &'a Tasks,
        retriever: &'a dyn Retrieve,
        checkpoint: Option<(&Path, u64)>,
        (score, clock): (&'a Score<'a>, Clock<'a>),
    ) -> Result<Self> {
        let recipe = plan.recipe();
        let load = load(recipe, objective, &DecoderConfig::open(&recipe.model.path)?);
        let forecast = Forecast::of(plan, load)?;
        forecast.check(memory::available(), plan, "rollout")?;
        let (decoder, learner) = Learner::open_with(plan, checkpoint, objective.tells())?;
        let device = NonZero::new(recipe.run.threads).map_or_else(Device::cpu, |threads| Device::Cpu { threads });
        let reference = if load.has_reference { Some(Decoder::load(&recipe.model.path, device)?) } else { None };
        let (sampling, max_batch) = (recipe.rollout.sampling(), recipe.rollout.batch());
        let kv_bytes = Some(memory::cache(decoder.config(), load));
        let step_tokens = memory::STEP_TOKENS;
        let options = LocalOptions { device, sampling, max_batch, kv_bytes, step_tokens, adapter: None };
        let policy = Local::start(&recipe.model.path, decoder, &options)?;
        let greedy = policy.with_sampling(Sampling::default())?;
        let schedule = plan.schedule(recipe.rollout.steps);
        let query = Query::new("");
        Ok(Self {
            objective,
            recipe,
            dir,
            tasks,
            schedule,
            retriever,
            query,
            score,
            clock,
            policy,
            greedy,
            learner,
            reference,
            load,
            forecast,
        })
    }

    /// Asks each question as often as `config` says, in a round of a step.
    fn ask(
        &self,
        policy: &Local,
        config: &RolloutConfig,
        questions: &[Question],
        (step, round): (u32, u64),
    ) -> Result<Vec<Rollout>> {
        let begun = (self.clock)();
        let setting = Setting {
            policy,
            retriever: self.retriever,
            query: &self.query,
            config,
            score: self.score,
            clock: &|| (self.clock)().duration_since(begun).unsigned_abs(),
            started: Timestamp::from_second(i64::from(step)).unwrap_or_default(),
        };
        // Rounds draw other numbers: their questions are counted from the first again.
        let seed = self.recipe.run.seed.wrapping_add(round << 32);
        rollouts(&setting, questions, Place { seed, step })
    }

    /// Runs the largest micro-batch dry: whether it fits, and whether everything learns.
    fn rehearse(&mut self, step: u64) -> Result<Start> {
        let Self { objective, recipe, policy, learner, clock, tasks, load, forecast, .. } = self;
        let (rollout, config, longest) = (&recipe.rollout, policy.engine().config(), load.longest);
        // No two begin alike, so that nothing is shared; the last fills the micro-batch.
        let samples = (0..load.micro_tokens.div_ceil(longest)).map(|number| {
            let length = longest.min(load.micro_tokens - number * longest).max(2);
            Sample {
                ids: (number..number + length).map(|at| (at * 7 % config.vocab_size) as u32).collect(),
                mask: (0..length).map(|at| at > 0).collect(),
            }
        });
        let samples: Vec<Sample> = samples.collect();
        let samples: Vec<&Sample> = samples.iter().collect();
        let value = policy.engine().read(|decoder| match objective.tells() {
            None => learner.add(decoder, &samples, rollout.temperature, |pass| Ok(pass.logprobs.mean_all()?)),
            Some(_) => learner.add_valued(decoder, &samples, rollout.temperature, |pass, values| {
                Ok((pass.logprobs.mean_all()? + values.mean_all()?)?)
            }),
        })?;
        if !value.is_finite() {
            let reason = "a log-probability is not finite before anything was learnt: the model's weights are damaged"
                .to_owned();
            return Err(Error::Halted { step, reason });
        }
        learner.check_coverage()?;
        learner.forget();
        Ok(Start {
            at: clock(),
            step,
            steps: rollout.steps,
            stage: objective.name().to_owned(),
            parameters: learner.parameters() as u64,
            samples: tasks.train.len() as u64,
            // What will be written is not known before.
            tokens: 0,
            heldout: tasks.heldout.len() as u64,
            forecast_bytes: forecast.total(),
            peak_bytes: memory::peak(),
        })
    }

    /// Asks what is held out, by the likeliest tokens; tells whether no model before was as accurate.
    fn evaluate(&self, state: &mut State, run: &mut Run, phase: &str) -> Result<bool> {
        let questions = &self.tasks.heldout;
        if questions.is_empty() {
            return Ok(false);
        }
        let done = self.ask(&self.greedy, &self.recipe.rollout.config(1), questions, (u32::MAX, 0))?;
        let values = measure::heldout(&done);
        let score = values.get("accuracy").copied().unwrap_or_default();
        // What was not trained has no checkpoint that could be the best.
        let is_best = state.step > 0 && state.best.is_none_or(|best| score > best.score);
        if is_best {
            state.best = Some(Best { step: state.step, score });
        }
        let heldout = Heldout { step: state.step, phase: phase.to_owned(), values };
        run.journal.write(&Entry::Heldout(heldout), (self.clock)())?;
        Ok(is_best)
    }
}

#[cfg(test)]
mod tests;
