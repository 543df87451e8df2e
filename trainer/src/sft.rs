//! [`sft()`]: supervised fine-tuning: the mean negative log-probability of learnt tokens, made less.
//!
//! The mean is over all learnt tokens of an optimiser step, however many micro-batches it has. What
//! is written by users and by the environment is read and never learnt.

use std::collections::BTreeMap;
use std::path::Path;

use agent::journal::{Entry, Heldout, Start, Step};
use candle_core::Tensor;
use jiff::Timestamp;
use nn::{Decoder, DecoderConfig, LogProbs};

use crate::checkpoint::{Best, Cursor, State};
use crate::data::{Dataset, Rules, Text};
use crate::learner::{Learner, score};
use crate::memory::{self, Forecast, Load};
use crate::order::Order;
use crate::recipe::{Plan, Recipe};
use crate::run::{Clock, Progress, Run};
use crate::{Error, Result, Sample, Schedule};

/// The name of this stage.
const STAGE: &str = "sft";

/// The mean negative log-probability over `learnt` tokens, of which these may be a part.
///
/// # Errors
/// Those of a tensor operation.
pub fn loss(logprobs: &Tensor, learnt: usize) -> Result<Tensor> {
    Ok((logprobs.sum_all()? * (-1.0 / learnt as f64))?)
}

/// What learns.
struct Model {
    decoder: Decoder,
    learner: Learner,
}

/// Everything that is known before the first step.
struct Prepared<'a> {
    recipe: &'a Recipe,
    train: Dataset,
    heldout: Dataset,
    order: Order,
    packs_per_epoch: u64,
    steps: u64,
    schedule: Schedule,
}

/// Trains by `plan` in the folder `dir`; `resume` goes on where the newest checkpoint ends. `told` is called after
/// every step. Gives the last state.
///
/// # Errors
/// Those of a bad data set or model before anything is trained; [`Error::Halted`] when training cannot go on.
pub fn sft(plan: &Plan, dir: &Path, resume: bool, clock: Clock<'_>, told: &mut dyn FnMut(Progress)) -> Result<State> {
    let begun = clock();
    let prepared = Prepared::new(plan)?;
    let (mut run, resumed) = Run::open(dir, plan, resume, clock)?;
    let data = prepared.train.fingerprint();
    let mut state = State { stage: STAGE.to_owned(), data: data.clone(), ..State::default() };
    let mut checkpoint = None;
    if let Some(resumed) = &resumed {
        state = resumed.state.clone();
        checkpoint = Some((resumed.folder.as_path(), state.updates));
        if state.stage != STAGE {
            return Err(Error::Input(format!("{} is no run of sft: name another folder", dir.display())));
        }
        if state.data != data {
            let shown = dir.display();
            return Err(Error::Input(format!(
                "{shown}: the data has changed since the run began: restore it, or begin anew"
            )));
        }
        if state.step >= prepared.steps {
            run.end(state.step, 0.0, clock)?;
            return Ok(state);
        }
    }
    let forecast = prepared.forecast(plan)?;
    forecast.check(memory::available(), plan, "sft")?;
    let (decoder, learner) = Learner::open(plan, checkpoint)?;
    let mut model = Model { decoder, learner };
    let start = prepared.rehearse(&mut model, state.step, forecast, clock)?;
    run.journal.write(&Entry::Start(start), clock())?;
    if state.step == 0 {
        prepared.evaluate(&model.decoder, &mut state, &mut run, "before", clock)?;
    }
    let mut packs = (state.cursor.epoch, prepared.order.epoch(state.cursor.epoch));
    while state.step < prepared.steps {
        if packs.0 != state.cursor.epoch {
            packs = (state.cursor.epoch, prepared.order.epoch(state.cursor.epoch));
        }
        let step = prepared.step(&mut model, &mut state, &mut run, &packs.1, clock)?;
        let loss = step.loss.map_or_else(|| "not finite".to_owned(), |loss| format!("{loss:.4}"));
        told(Progress::after(&step, prepared.steps, format!("loss {loss}")));
        let is_last = state.step == prepared.steps;
        let is_due = |every: u64| is_last || (every > 0 && state.step.is_multiple_of(every));
        let (evaluate, checkpoint) =
            (is_due(prepared.recipe.run.evaluate_every), is_due(prepared.recipe.run.checkpoint_every));
        let phase = if is_last { "after_sft" } else { "during" };
        let is_best = evaluate && prepared.evaluate(&model.decoder, &mut state, &mut run, phase, clock)?;
        if checkpoint || is_best {
            run.checkpoint(&state, |folder| model.learner.save(&model.decoder, folder), clock)?;
        }
    }
    run.end(state.step, clock().duration_since(begun).as_secs_f64(), clock)?;
    Ok(state)
}

impl<'a> Prepared<'a> {
    fn new(plan: &'a Plan) -> Result<Self> {
        let recipe = plan.recipe();
        let (sft, data) = (&recipe.sft, &recipe.data);
        let text = Text::open(&recipe.model.path)?;
        let context = DecoderConfig::open(&recipe.model.path)?.max_position_embeddings;
        let max_tokens = data.max_tokens.unwrap_or(context.min(sft.micro_tokens));
        if max_tokens > context {
            return Err(Error::Input(format!(
                "data.max_tokens is {max_tokens}, but the model sees {context} tokens: lower it"
            )));
        }
        let rules = Rules { max_tokens, overlong: data.overlong, duplicates: data.duplicates };
        let train = Dataset::read(&data.train, &text, rules)?;
        let heldout =
            if data.heldout.is_empty() { Dataset::default() } else { Dataset::read(&data.heldout, &text, rules)? };
        train.check_apart(&heldout)?;
        let lengths = train.samples.iter().map(Sample::tokens).collect();
        let order = Order::new(lengths, sft.micro_tokens, recipe.run.seed);
        let packs_per_epoch = order.epoch(0).len() as u64;
        let whole = packs_per_epoch.div_ceil(sft.accumulate as u64).saturating_mul(sft.epochs);
        let steps = sft.max_steps.unwrap_or(whole).min(whole);
        Ok(Self { recipe, train, heldout, order, packs_per_epoch, steps, schedule: plan.schedule(steps) })
    }

    fn samples(&self, pack: &[usize]) -> Vec<&Sample> {
        pack.iter().map(|number| &self.train.samples[*number]).collect()
    }

    /// The memory that the stage will take.
    fn forecast(&self, plan: &Plan) -> Result<Forecast> {
        let micro_tokens = self.order.tokens(&self.order.worst());
        Forecast::of(plan, Load { micro_tokens, ..Load::default() })
    }

    /// Runs the largest micro-batch dry: whether it fits, and whether everything learns.
    fn rehearse(&self, model: &mut Model, step: u64, forecast: Forecast, clock: Clock<'_>) -> Result<Start> {
        let Model { decoder, learner } = model;
        let samples = self.samples(&self.order.worst());
        let learnt = samples.iter().map(|sample| sample.learnt()).sum();
        let value = learner.add(decoder, &samples, 1.0, |pass: &LogProbs| loss(&pass.logprobs, learnt))?;
        if !value.is_finite() {
            let reason =
                "the loss is not finite before anything was learnt: the model's weights are damaged".to_owned();
            return Err(Error::Halted { step, reason });
        }
        learner.check_coverage()?;
        learner.forget();
        Ok(Start {
            at: clock(),
            step,
            steps: self.steps,
            stage: STAGE.to_owned(),
            parameters: learner.parameters() as u64,
            samples: self.train.samples.len() as u64,
            tokens: self.train.learnt() as u64,
            heldout: self.heldout.samples.len() as u64,
            forecast_bytes: forecast.total(),
            peak_bytes: memory::peak(),
        })
    }

    fn step(
        &self,
        model: &mut Model,
        state: &mut State,
        run: &mut Run,
        packs: &[Vec<usize>],
        clock: Clock<'_>,
    ) -> Result<Step> {
        let Model { decoder, learner } = model;
        let begun = clock();
        let Cursor { epoch, pack } = state.cursor;
        let end = (pack + self.recipe.sft.accumulate as u64).min(self.packs_per_epoch);
        let micro: Vec<Vec<&Sample>> =
            packs[pack as usize..end as usize].iter().map(|pack| self.samples(pack)).collect();
        let all: Vec<&Sample> = micro.iter().flatten().copied().collect();
        let learnt: usize = all.iter().map(|sample| sample.learnt()).sum();
        let mut total = 0.0;
        let mut entropy = 0.0;
        for samples in &micro {
            total += learner.add(decoder, samples, 1.0, |pass: &LogProbs| {
                entropy += f64::from(pass.entropies.sum_all()?.to_scalar::<f32>()?);
                loss(&pass.logprobs, learnt)
            })?;
        }
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
        let finite = |value: f64| value.is_finite().then_some(value);
        let seconds = |since: Timestamp, until: Timestamp| until.duration_since(since).as_secs_f64();
        let ended = clock();
        let values = [
            ("entropy", entropy / learnt as f64),
            ("samples", all.len() as f64),
            ("seconds_gradients", seconds(begun, differentiated)),
            ("seconds_update", seconds(differentiated, ended)),
        ];
        let values = values.into_iter().filter(|(_, value)| value.is_finite());
        let step = Step {
            step: state.step,
            stage: STAGE.to_owned(),
            epoch: epoch as f64 + end as f64 / self.packs_per_epoch as f64,
            loss: finite(total),
            gradient_norm: finite(norm),
            learning_rate,
            skipped,
            tokens: all.iter().map(|sample| sample.tokens() as u64).sum(),
            learnt: learnt as u64,
            seconds: seconds(begun, ended),
            values: values.map(|(name, value)| (name.to_owned(), value)).collect(),
        };
        run.journal.write(&Entry::Step(step.clone()), clock())?;
        if skipped {
            run.skip(state.step, state.skipped, &all, clock)?;
        }
        Ok(step)
    }

    /// Measures the loss on what is held out; tells whether it is the least so far.
    fn evaluate(
        &self,
        decoder: &Decoder,
        state: &mut State,
        run: &mut Run,
        phase: &str,
        clock: Clock<'_>,
    ) -> Result<bool> {
        if self.heldout.samples.is_empty() {
            return Ok(false);
        }
        let samples = &self.heldout.samples;
        let lengths: Vec<usize> = samples.iter().map(Sample::tokens).collect();
        let mut sum = 0.0;
        for pack in crate::packing::pack(&lengths, self.recipe.sft.micro_tokens) {
            let samples: Vec<&Sample> = pack.iter().map(|number| &samples[*number]).collect();
            sum -= score(decoder, &samples, 1.0, true)?.into_iter().map(f64::from).sum::<f64>();
        }
        let loss = sum / self.heldout.learnt() as f64;
        // What was not trained has no checkpoint that could be the best.
        let is_best = state.step > 0 && loss.is_finite() && state.best.is_none_or(|best| -loss > best.score);
        if is_best {
            state.best = Some(Best { step: state.step, score: -loss });
        }
        let values = [("loss", loss), ("perplexity", loss.exp())].into_iter().filter(|(_, value)| value.is_finite());
        let values: BTreeMap<String, f64> = values.map(|(name, value)| (name.to_owned(), value)).collect();
        run.journal.write(&Entry::Heldout(Heldout { step: state.step, phase: phase.to_owned(), values }), clock())?;
        Ok(is_best)
    }
}

#[cfg(test)]
mod tests;
