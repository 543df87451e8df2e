//! Reinforcement learning of a policy by its own episodes, with retrieval in the loop: what all objectives share.
//!
//! A step draws questions, runs a group of episodes on each, and gives each episode a reward. What an episode's
//! tokens are credited with is the objective's business ([`grpo`](crate::grpo)). Episodes whose time was over
//! are left out. One decoder samples and learns: the engine holds it, and stands still while its weights move.
//!
//! Everything is a function of the seed and of the step, so that a resumed run ends in the bytes it would
//! have ended in. Episodes are told that it is the second of 1970 that has the step's number.

mod alarm;
pub(crate) mod library;
mod measure;
mod record;
mod step;
mod tasks;

use std::num::NonZero;
use std::path::Path;

use agent::Trace;
use agent::journal::{Entry, Heldout, Start};
use agent::policy::{Local, LocalOptions};
use jiff::Timestamp;
use nn::{Decoder, Device, Sampling};
use retriever::{Query, Retrieve};

pub use self::alarm::Alarms;
use self::tasks::Tasks;
use crate::checkpoint::{Best, State};
use crate::learner::Learner;
use crate::memory;
use crate::question::Question;
use crate::recipe::{Learn, Plan, Recipe};
use crate::retrieval::Searched;
use crate::reward::Rewards;
use crate::rollout::{Cached, Place, Rollout, RolloutConfig, Score, Setting, rollouts};
use crate::run::{Clock, Progress, Run};
use crate::{Error, Result, Sample, Schedule};

/// The name of this stage.
const STAGE: &str = "grpo";
/// Queries whose hits are remembered, and chunks whose text is.
const REMEMBERED: usize = 100_000;
/// Tokens that instructions and a question are expected to take at most.
const OPENING: usize = 512;

/// Trains by `plan` in the folder `dir`; `resume` goes on where the newest checkpoint ends. `told` is called after
/// every step. Gives the last state.
///
/// # Errors
/// Those of bad questions, a bad index or a bad model before anything is trained; [`Error::Halted`] when training cannot
/// go on, or goes where it should not.
pub(crate) fn run(
    plan: &Plan,
    dir: &Path,
    resume: bool,
    clock: Clock<'_>,
    told: &mut dyn FnMut(Progress),
) -> Result<State> {
    let rewards = Rewards::open(&plan.recipe().reward, Some(dir))?;
    let score = |episodes: &[(&Question, &Trace)]| rewards.score(episodes);
    train(plan, dir, resume, (&score, clock), told)
}

/// As [`run`], with rewards of any kind.
fn train(
    plan: &Plan,
    dir: &Path,
    resume: bool,
    (score, clock): (&Score<'_>, Clock<'_>),
    told: &mut dyn FnMut(Progress),
) -> Result<State> {
    let (begun, recipe) = (clock(), plan.recipe());
    let tasks = Tasks::read(recipe)?;
    let library = library::open(&recipe.data)?;
    let (mut run, resumed) = Run::open(dir, plan, resume, clock)?;
    let data = tasks.fingerprint(library.identity());
    let mut state = State { stage: STAGE.to_owned(), data: data.clone(), ..State::default() };
    let mut checkpoint = None;
    if let Some(resumed) = &resumed {
        state = resumed.state.clone();
        checkpoint = Some((resumed.folder.as_path(), state.updates));
        let refuse = |what: &str| Err(Error::Input(format!("{}: {what}", dir.display())));
        if state.stage != STAGE {
            return refuse("is no run of grpo: name another folder");
        }
        if state.data != data {
            return refuse("the questions or the index have changed since the run began: restore them, or begin anew");
        }
        if state.step >= recipe.rollout.steps || state.alarms.is_solved() {
            run.end(state.step, 0.0, clock)?;
            return Ok(state);
        }
    }
    let searched = Searched::new(library.retriever(), recipe.rollout.retriever, &tasks.train)?;
    let retriever = Cached::new(&searched, REMEMBERED);
    let mut trainer = Trainer::open(plan, dir, &tasks, &retriever, checkpoint, (score, clock))?;
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
        let is_last = state.step == steps || state.alarms.is_solved();
        let is_due = |every: u64| is_last || (every > 0 && state.step.is_multiple_of(every));
        let (evaluate, checkpoint) = (is_due(recipe.run.evaluate_every), is_due(recipe.run.checkpoint_every));
        let phase = if is_last { "after_grpo" } else { "during" };
        let is_best = evaluate && trainer.evaluate(&mut state, &mut run, phase)?;
        if checkpoint || is_best {
            let Trainer { policy, learner, .. } = &trainer;
            run.checkpoint(&state, |folder| policy.engine().read(|decoder| learner.save(decoder, folder)), clock)?;
        }
    }
    run.end(state.step, clock().duration_since(begun).as_secs_f64(), clock)?;
    Ok(state)
}

/// Everything that a step needs.
struct Trainer<'a> {
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
}

impl<'a> Trainer<'a> {
    fn open(
        plan: &'a Plan,
        dir: &'a Path,
        tasks: &'a Tasks,
        retriever: &'a dyn Retrieve,
        checkpoint: Option<(&Path, u64)>,
        (score, clock): (&'a Score<'a>, Clock<'a>),
    ) -> Result<Self> {
        let recipe = plan.recipe();
        let (decoder, learner) = Learner::open(plan, checkpoint)?;
        let device = NonZero::new(recipe.run.threads).map_or_else(Device::cpu, |threads| Device::Cpu { threads });
        let is_apart = recipe.model.learn == Learn::All && recipe.grpo.kl.coefficient > 0.0;
        let reference = if is_apart { Some(Decoder::load(&recipe.model.path, device)?) } else { None };
        let (sampling, max_batch) = (recipe.rollout.sampling(), recipe.rollout.batch());
        let options = LocalOptions { device, sampling, max_batch, ..LocalOptions::default() };
        let policy = Local::start(&recipe.model.path, decoder, &options)?;
        let greedy = policy.with_sampling(Sampling::default())?;
        let schedule = plan.schedule(recipe.rollout.steps);
        let query = Query::new("");
        Ok(Self { recipe, dir, tasks, schedule, retriever, query, score, clock, policy, greedy, learner, reference })
    }

    /// Asks each question as often as `config` says.
    fn ask(&self, policy: &Local, config: &RolloutConfig, questions: &[Question], step: u32) -> Result<Vec<Rollout>> {
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
        rollouts(&setting, questions, Place { seed: self.recipe.run.seed, step })
    }

    /// Runs the largest micro-batch dry: whether it fits, and whether everything learns.
    fn rehearse(&mut self, step: u64) -> Result<Start> {
        let Self { recipe, policy, learner, clock, tasks, .. } = self;
        let (rollout, config) = (&recipe.rollout, policy.engine().config().clone());
        let budget = rollout.budget;
        let episode = OPENING.saturating_add(budget.generated_tokens).saturating_add(budget.evidence_tokens);
        let longest = episode.min(config.max_position_embeddings).max(2);
        let count = (rollout.micro_tokens / longest).max(1);
        let forecast_bytes = memory::forecast(&config, learner.parameters(), count * longest, recipe.model.recompute);
        let setting = "lower rollout.micro_tokens and rollout.budget, or set model.recompute to \"on\"";
        memory::check(forecast_bytes, memory::available(), setting)?;
        let ids = (0..longest).map(|at| (at * 7 % config.vocab_size) as u32).collect();
        let sample = Sample { ids, mask: (0..longest).map(|at| at > 0).collect() };
        let samples = vec![&sample; count];
        let value = policy.engine().read(|decoder| {
            learner.add(decoder, &samples, rollout.temperature, |pass| Ok(pass.logprobs.mean_all()?))
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
            stage: STAGE.to_owned(),
            parameters: learner.parameters() as u64,
            samples: tasks.train.len() as u64,
            // What will be written is not known before.
            tokens: 0,
            heldout: tasks.heldout.len() as u64,
            forecast_bytes,
            peak_bytes: memory::peak(),
        })
    }

    /// Asks what is held out, by the likeliest tokens; tells whether no model before was as accurate.
    fn evaluate(&self, state: &mut State, run: &mut Run, phase: &str) -> Result<bool> {
        let questions = &self.tasks.heldout;
        if questions.is_empty() {
            return Ok(false);
        }
        let done = self.ask(&self.greedy, &self.recipe.rollout.config(1), questions, u32::MAX)?;
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
