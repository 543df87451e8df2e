//! Learning from records that are there before a run begins, pass after pass: what SFT, DPO and reward models share.
//!
//! An item is what must stand in one micro-batch: a sample, or the two answers of a pair. A loss is a mean over all
//! items of an optimiser step, or over their tokens, however many micro-batches it has.

use std::collections::BTreeMap;
use std::path::Path;

use agent::journal::{Entry, Heldout, Start, Step};
use candle_core::{Device, Tensor};
use nn::{Decoder, DecoderConfig};

use crate::data::Rules;
use crate::learner::order::Order;
use crate::learner::packing::pack;
use crate::learner::{Learner, Tells};
use crate::memory::{self, Forecast, Load};
use crate::objective::{DpoConfig, Loss, Metrics};
use crate::recipe::{Passes, Plan};
use crate::run::checkpoint::{Best, Cursor, State};
use crate::run::{Clock, Due, Opened, Progress, Run};
use crate::{Error, Result, Sample, Schedule, stages::dpo, stages::reward_model, stages::sft};

/// What is minimised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Objective {
    /// What is learnt less likely.
    Likelihood,
    /// The better answer less likely than the worse, beside the reference.
    Dpo(DpoConfig),
    /// The better answer worth less than the worse.
    BradleyTerry {
        /// Weight of the squared sum of both.
        centering: f64,
    },
}

/// Items to learn from or to measure by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Items<'a> {
    /// The samples of each.
    pub(crate) samples: Vec<Vec<&'a Sample>>,
    /// Of each, the reference's log-probabilities of its learnt tokens, where there is a reference.
    pub(crate) reference: Vec<Vec<f32>>,
}

/// What a stage does, before its run is opened.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    pub(crate) name: &'static str,
    /// Of the recipe.
    pub(crate) section: &'static str,
    pub(crate) plan: &'a Plan,
    pub(crate) passes: Passes,
    pub(crate) objective: Objective,
    pub(crate) train: Items<'a>,
    pub(crate) heldout: Items<'a>,
    /// Hash of the data.
    pub(crate) data: String,
}

/// Some items of an optimiser step that are computed at once.
pub(crate) struct Micro<'a> {
    pub(crate) items: &'a Items<'a>,
    pub(crate) numbers: &'a [usize],
    /// Items of the whole step.
    pub(crate) whole: usize,
    /// Learnt tokens of the whole step.
    pub(crate) tokens: usize,
}

/// What learns.
struct Model {
    decoder: Decoder,
    learner: Learner,
}

/// Everything that is known before the first step.
struct Prepared<'a> {
    stage: Stage<'a>,
    order: Order,
    packs_per_epoch: u64,
    steps: u64,
    schedule: Schedule,
    clock: Clock<'a>,
}

/// How records are let in whose items are of so many samples, by the `micro_tokens` of a section.
pub(crate) fn rules(plan: &Plan, (section, micro_tokens): (&str, usize), samples: usize) -> Result<Rules> {
    let (data, model) = (&plan.recipe().data, &plan.recipe().model);
    let context = DecoderConfig::open(&model.path)?.max_position_embeddings;
    let max_tokens = data.max_tokens.unwrap_or(context.min(micro_tokens / samples));
    let refuse = |reason: String| Err(Error::Input(format!("data.max_tokens is {max_tokens}, but {reason}")));
    if max_tokens > context {
        return refuse(format!("the model sees {context} tokens: lower it"));
    }
    if max_tokens.saturating_mul(samples) > micro_tokens {
        let needed = if samples == 1 { "holds only" } else { "must hold both answers of a pair, and holds only" };
        return refuse(format!("a micro-batch {needed} {micro_tokens}: lower it, or raise {section}.micro_tokens"));
    }
    Ok(Rules { max_tokens, overlong: data.overlong, duplicates: data.duplicates })
}

impl Objective {
    /// What is read off the states beside tokens.
    fn tells(self) -> Option<Tells> {
        matches!(self, Self::BradleyTerry { .. }).then_some(Tells::Reward)
    }

    fn loss(self, micro: &Micro<'_>, logprobs: &Tensor, values: Option<&Tensor>) -> Result<Loss> {
        match (self, values) {
            (Self::Likelihood, _) => sft::micro_loss(micro, logprobs),
            (Self::Dpo(config), _) => dpo::loss(&config, micro, logprobs),
            (Self::BradleyTerry { centering }, Some(values)) => reward_model::loss(centering, micro, values),
            (Self::BradleyTerry { .. }, None) => Err(Error::Shape("a reward needs a head".to_owned())),
        }
    }
}

impl<'a> Items<'a> {
    pub(crate) fn of(samples: Vec<Vec<&'a Sample>>) -> Self {
        Self { samples, reference: Vec::new() }
    }

    /// Tokens of each item.
    pub(crate) fn lengths(&self) -> Vec<usize> {
        self.samples.iter().map(|samples| samples.iter().map(|sample| sample.tokens()).sum()).collect()
    }

    /// The samples of some items, end to end.
    pub(crate) fn pick(&self, numbers: &[usize]) -> Vec<&'a Sample> {
        numbers.iter().flat_map(|number| self.samples[*number].iter().copied()).collect()
    }

    fn learnt(&self) -> usize {
        self.samples.iter().flatten().map(|sample| sample.learnt()).sum()
    }
}

/// Trains in the folder `dir`; `resume` goes on where the newest checkpoint ends. `told` is called after every step.
/// Gives the last state.
pub(crate) fn run(
    stage: Stage<'_>,
    dir: &Path,
    resume: bool,
    clock: Clock<'_>,
    told: &mut dyn FnMut(Progress),
) -> Result<State> {
    let begun = clock();
    let (plan, name, data) = (stage.plan, stage.name, stage.data.clone());
    let Opened { mut run, mut state, checkpoint } = Run::begin(dir, plan, resume, (name, &data), clock)?;
    let mut prepared = Prepared::new(stage, clock);
    if state.step >= prepared.steps {
        run.end(state.step, 0.0, clock)?;
        return Ok(state);
    }
    let checkpoint = checkpoint.as_deref().map(|folder| (folder, state.updates));
    let forecast = prepared.forecast()?;
    forecast.check(memory::available(), plan, prepared.stage.section)?;
    let (decoder, learner) = Learner::open_with(plan, checkpoint, prepared.stage.objective.tells())?;
    let mut model = Model { decoder, learner };
    if let Objective::Dpo(_) = prepared.stage.objective {
        let beginning = if checkpoint.is_none() { Some(&model.decoder) } else { None };
        dpo::refer(&mut prepared.stage, beginning, dir)?;
    }
    let start = prepared.rehearse(&mut model, state.step, forecast)?;
    run.journal.write(&Entry::Start(start), clock())?;
    if state.step == 0 {
        prepared.evaluate(&model, &mut state, &mut run, "before")?;
    }
    let mut packs = (state.cursor.epoch, prepared.order.epoch(state.cursor.epoch));
    while state.step < prepared.steps {
        if packs.0 != state.cursor.epoch {
            packs = (state.cursor.epoch, prepared.order.epoch(state.cursor.epoch));
        }
        let step = prepared.step(&mut model, &mut state, &mut run, &packs.1)?;
        told(Progress::after(&step, prepared.steps, note(&step)));
        let due = Due::after(&plan.recipe().run, name, state.step, state.step == prepared.steps);
        let is_best = match &due.measure {
            Some(phase) => prepared.evaluate(&model, &mut state, &mut run, phase)?,
            None => false,
        };
        if due.checkpoint || is_best {
            run.checkpoint(&state, |folder| prepared.save(&model, folder), clock)?;
        }
    }
    run.end(state.step, clock().duration_since(begun).as_secs_f64(), clock)?;
    Ok(state)
}

/// What a step came to, in a few words.
fn note(step: &Step) -> String {
    let loss = step.loss.map_or_else(|| "not finite".to_owned(), |loss| format!("{loss:.4}"));
    match step.values.get("accuracy") {
        Some(accuracy) => format!("loss {loss}, accuracy {accuracy:.3}"),
        None => format!("loss {loss}"),
    }
}

impl<'a> Prepared<'a> {
    fn new(stage: Stage<'a>, clock: Clock<'a>) -> Self {
        let Passes { epochs, max_steps, micro_tokens, accumulate } = stage.passes;
        let order = Order::new(stage.train.lengths(), micro_tokens, stage.plan.recipe().run.seed);
        let packs_per_epoch = order.epoch(0).len() as u64;
        let whole = packs_per_epoch.div_ceil(accumulate as u64).saturating_mul(epochs);
        let steps = max_steps.unwrap_or(whole).min(whole);
        let schedule = stage.plan.schedule(steps);
        Self { stage, order, packs_per_epoch, steps, schedule, clock }
    }

    /// Adds the gradients of a micro-batch.
    fn learn(&self, model: &mut Model, micro: &Micro<'_>, told: &mut Told) -> Result<f64> {
        let Model { decoder, learner } = model;
        let objective = self.stage.objective;
        let samples = micro.items.pick(micro.numbers);
        let mut take = |loss: Loss, entropies: &Tensor| -> Result<Tensor> {
            told.metrics.merge(&loss.metrics);
            told.entropy += f64::from(entropies.sum_all()?.to_scalar::<f32>()?);
            Ok(loss.loss)
        };
        if objective.tells().is_some() {
            learner.add_valued(decoder, &samples, 1.0, |pass, values| {
                take(objective.loss(micro, &pass.logprobs, Some(values))?, &pass.entropies)
            })
        } else {
            learner
                .add(decoder, &samples, 1.0, |pass| take(objective.loss(micro, &pass.logprobs, None)?, &pass.entropies))
        }
    }

    /// The memory that the stage will take.
    fn forecast(&self) -> Result<Forecast> {
        let micro_tokens = self.order.tokens(&self.order.worst());
        Forecast::of(self.stage.plan, Load { micro_tokens, ..Load::default() })
    }

    /// Runs the largest micro-batch dry: whether it fits, and whether everything learns.
    fn rehearse(&self, model: &mut Model, step: u64, forecast: Forecast) -> Result<Start> {
        let Stage { train, heldout, name, .. } = &self.stage;
        let worst = self.order.worst();
        let tokens = train.pick(&worst).iter().map(|sample| sample.learnt()).sum();
        let micro = Micro { items: train, numbers: &worst, whole: worst.len(), tokens };
        let value = self.learn(model, &micro, &mut Told::default())?;
        if !value.is_finite() {
            let reason =
                "the loss is not finite before anything was learnt: the model's weights are damaged".to_owned();
            return Err(Error::Halted { step, reason });
        }
        model.learner.check_coverage()?;
        model.learner.forget();
        Ok(Start {
            at: (self.clock)(),
            step,
            steps: self.steps,
            stage: (*name).to_owned(),
            parameters: model.learner.parameters() as u64,
            samples: train.samples.len() as u64,
            tokens: train.learnt() as u64,
            heldout: heldout.samples.len() as u64,
            forecast_bytes: forecast.total(),
            peak_bytes: memory::peak(),
        })
    }

    fn step(&self, model: &mut Model, state: &mut State, run: &mut Run, packs: &[Vec<usize>]) -> Result<Step> {
        let clock = self.clock;
        let (begun, items) = (clock(), &self.stage.train);
        let Cursor { epoch, pack } = state.cursor;
        let end = (pack + self.stage.passes.accumulate as u64).min(self.packs_per_epoch);
        let packs = &packs[pack as usize..end as usize];
        let numbers = packs.concat();
        let samples = items.pick(&numbers);
        let learnt: usize = samples.iter().map(|sample| sample.learnt()).sum();
        let (mut told, mut total) = (Told::default(), 0.0);
        for pack in packs {
            total +=
                self.learn(model, &Micro { items, numbers: pack, whole: numbers.len(), tokens: learnt }, &mut told)?;
        }
        let Model { decoder, learner } = model;
        let norm = learner.norm();
        let differentiated = clock();
        let learning_rate = self.schedule.rate(state.step);
        let skipped = !(total.is_finite() && norm.is_finite());
        state.step += 1;
        state.cursor = if end == self.packs_per_epoch {
            Cursor { epoch: epoch + 1, pack: 0 }
        } else {
            Cursor { epoch, pack: end }
        };
        if skipped {
            learner.forget();
            state.skipped += 1;
        } else {
            learner.update(decoder, norm, learning_rate)?;
            state.skipped = 0;
            state.tokens += learnt as u64;
        }
        state.updates = learner.updates();
        let ended = clock();
        let seconds = |since: jiff::Timestamp, until: jiff::Timestamp| until.duration_since(since).as_secs_f64();
        let fixed = [
            ("entropy", told.entropy / learnt as f64),
            ("samples", samples.len() as f64),
            ("seconds_gradients", seconds(begun, differentiated)),
            ("seconds_update", seconds(differentiated, ended)),
        ];
        let finite = |value: f64| value.is_finite().then_some(value);
        let step = Step {
            step: state.step,
            stage: self.stage.name.to_owned(),
            epoch: epoch as f64 + end as f64 / self.packs_per_epoch as f64,
            loss: finite(total),
            gradient_norm: finite(norm),
            learning_rate,
            skipped,
            tokens: samples.iter().map(|sample| sample.tokens() as u64).sum(),
            learnt: learnt as u64,
            seconds: seconds(begun, ended),
            values: named(told.metrics.iter().filter(|(name, _)| *name != "loss").chain(fixed)),
        };
        run.journal.write(&Entry::Step(step.clone()), clock())?;
        if skipped {
            run.skip(state.step, state.skipped, &samples, clock)?;
        }
        Ok(step)
    }

    /// Measures the loss on what is held out; tells whether it is the least so far.
    fn evaluate(&self, model: &Model, state: &mut State, run: &mut Run, phase: &str) -> Result<bool> {
        let items = &self.stage.heldout;
        let whole = items.samples.len();
        if whole == 0 {
            return Ok(false);
        }
        let mut metrics = Metrics::default();
        for numbers in pack(&items.lengths(), self.stage.passes.micro_tokens) {
            let scored = model.learner.score(&model.decoder, &items.pick(&numbers), 1.0)?;
            let tensor = |values: Vec<f32>| Tensor::from_vec(values.clone(), values.len(), &Device::Cpu);
            let values = if scored.values.is_empty() { None } else { Some(tensor(scored.values)?) };
            let micro = Micro { items, numbers: &numbers, whole, tokens: items.learnt() };
            metrics.merge(&self.stage.objective.loss(&micro, &tensor(scored.logprobs)?, values.as_ref())?.metrics);
        }
        let loss = metrics.get("loss").unwrap_or(f64::NAN);
        // What was not trained has no checkpoint that could be the best.
        let is_best = state.step > 0 && loss.is_finite() && state.best.is_none_or(|best| -loss > best.score);
        if is_best {
            state.best = Some(Best { step: state.step, score: -loss });
        }
        let perplexity = (self.stage.objective == Objective::Likelihood).then_some(("perplexity", loss.exp()));
        let values = named(metrics.iter().chain(perplexity));
        let heldout = Heldout { step: state.step, phase: phase.to_owned(), values };
        run.journal.write(&Entry::Heldout(heldout), (self.clock)())?;
        Ok(is_best)
    }

    fn save(&self, model: &Model, folder: &Path) -> Result<()> {
        model.learner.save(&model.decoder, folder)?;
        match self.stage.objective {
            Objective::Likelihood | Objective::Dpo(_) => Ok(()),
            Objective::BradleyTerry { .. } => reward_model::describe(&self.stage.plan.recipe().model, folder),
        }
    }
}

/// What the micro-batches of a step told.
#[derive(Default)]
struct Told {
    metrics: Metrics,
    entropy: f64,
}

/// The figures that are numbers.
fn named(values: impl Iterator<Item = (&'static str, f64)>) -> BTreeMap<String, f64> {
    values.filter(|(_, value)| value.is_finite()).map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests;
