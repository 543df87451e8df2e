//! [`fit`]: the loop that everything which trains an encoder shares: steps, measures, checkpoints, the best of them.
//!
//! What is learnt is lent as functions of a model `M`; gradients, the optimiser, the schedule, the journal and what a
//! killed run goes on from are here.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZero;
use std::path::Path;

use agent::journal::{Entry, Heldout, Start, Step};
use candle_core::Tensor;
use jiff::Timestamp;
use nn::{BertConfig, Device, Gradients, Parameter, Weights};

use crate::error::write;
use crate::learner::coverage;
use crate::recipe::{Learn, Plan, Recompute};
use crate::run::checkpoint::{Best, Cursor, State};
use crate::run::{Clock, Due, Opened, Progress, Run};
use crate::{Error, Optimiser, Result, Sample, memory};

/// In a checkpoint: the folder of the model.
const MODEL: &str = "model";
/// In a checkpoint: the moments.
const MOMENTS: &str = "optimiser.safetensors";

/// What is trained, and how.
pub(crate) struct Task<'a, M> {
    /// As `scorer`.
    pub(crate) stage: &'static str,
    /// Hash of the data, by which a changed file is noticed.
    pub(crate) data: String,
    /// Steps of one pass over the data.
    pub(crate) steps_per_epoch: u64,
    /// Steps in all.
    pub(crate) steps: u64,
    /// What a person should know of the data.
    pub(crate) notice: String,
    /// Examples to learn from, and those that are held out.
    pub(crate) counts: (usize, usize),
    /// The step that takes most memory.
    pub(crate) worst: Cursor,
    /// Bytes that the largest micro-batch is expected to take, and the setting to change where they are not there.
    pub(crate) forecast: (u64, &'static str),
    /// Adds the gradients of a step, and tells what it came to. A loss that is not finite adds none.
    pub(crate) learn: &'a dyn Fn(&M, Cursor, &mut Gradients) -> Result<Learnt>,
    /// The samples of a step, to be kept when it went wrong.
    pub(crate) samples: &'a dyn Fn(Cursor) -> Vec<Sample>,
    /// Measures on what is held out: what is to be least, and everything by name; `None` where nothing is held out.
    pub(crate) measure: &'a dyn Fn(&M) -> Result<Option<Measured>>,
    /// Takes over what the parameters have come to.
    pub(crate) refresh: fn(&mut M) -> nn::Result<()>,
    /// Writes the model to a folder.
    pub(crate) save: fn(&M, &Path) -> nn::Result<()>,
}

/// What a step came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Learnt {
    /// What is minimised.
    pub(crate) loss: f64,
    /// Tokens that went through the model.
    pub(crate) tokens: usize,
    /// Examples.
    pub(crate) examples: usize,
    /// Everything else by its name.
    pub(crate) values: Vec<(&'static str, f64)>,
}

/// What was measured on what is held out.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// The checkpoint at which this is least is the best.
    pub(crate) loss: f64,
    /// By name.
    pub(crate) values: BTreeMap<String, f64>,
    /// What a person should know.
    pub(crate) notices: Vec<String>,
}

/// A run whose steps are done.
pub(crate) struct Fitted<M> {
    /// With the weights of the best checkpoint.
    pub(crate) model: M,
    /// After the last step.
    pub(crate) state: State,
    /// Still open.
    pub(crate) run: Run,
    /// When it began or went on.
    pub(crate) begun: Timestamp,
}

/// What makes a model learn.
struct Learner {
    parameters: Vec<Parameter>,
    gradients: Gradients,
    optimiser: Optimiser,
}

/// Refuses a plan whose model would learn by an adapter, which encoders have none of.
pub(crate) fn check_learns_all(plan: &Plan) -> Result<()> {
    match plan.recipe().model.learn {
        Learn::All => Ok(()),
        Learn::Adapter => {
            Err(Error::Input("an encoder learns with all of its weights: set model.learn to \"all\"".to_owned()))
        }
    }
}

/// The threads of a plan.
pub(crate) fn device(plan: &Plan) -> Device {
    NonZero::new(plan.recipe().run.threads).map_or_else(Device::cpu, |threads| Device::Cpu { threads })
}

/// Whether layers are computed again.
pub(crate) fn recompute(plan: &Plan) -> nn::Recompute {
    match plan.recipe().model.recompute {
        Recompute::Auto => nn::Recompute::Auto,
        Recompute::On => nn::Recompute::On,
        Recompute::Off => nn::Recompute::Off,
    }
}

/// Bytes that training an encoder is expected to take beside its weights.
///
/// Gradients and two moments for each of `parameters` values; of each of `tokens` tokens what every layer keeps for its
/// backward pass, and one layer's gradients.
pub(crate) fn forecast(config: &BertConfig, parameters: &[Parameter], tokens: usize) -> u64 {
    let values: usize = parameters.iter().map(|parameter| parameter.var.elem_count()).sum();
    // Input, queries, keys, values, attention's output, both sums and both norms; the wide layer before and after.
    let inside = 9 * config.hidden_size + 2 * config.intermediate_size;
    ((3 * values + inside * tokens * (config.num_hidden_layers + 1)) * size_of::<f32>()) as u64
}

/// Trains `model`, whose parameters these are, in the folder `dir`, or goes on where the newest checkpoint ends.
///
/// # Errors
/// Those of the task; [`Error::Halted`] when training cannot go on.
pub(crate) fn fit<M>(
    task: &Task<'_, M>,
    mut model: M,
    parameters: Vec<Parameter>,
    plan: &Plan,
    (dir, resume): (&Path, bool),
    clock: Clock<'_>,
    told: &mut dyn FnMut(Progress),
) -> Result<Fitted<M>> {
    let begun = clock();
    let Opened { mut run, mut state, checkpoint } = Run::begin(dir, plan, resume, (task.stage, &task.data), clock)?;
    let mut learner = Learner::new(plan, parameters)?;
    if let Some(folder) = &checkpoint {
        learner.restore(folder)?;
        learner.optimiser.load(&folder.join(MOMENTS), state.updates)?;
        (task.refresh)(&mut model)?;
    }
    if state.step < task.steps {
        let start = rehearse(task, &model, &mut learner, state.step, clock)?;
        run.journal.write(&Entry::Start(start), clock())?;
        if state.step == 0 {
            run.journal.write(&Entry::Notice { step: 0, text: task.notice.clone() }, clock())?;
            measure(task, &model, &mut state, &mut run, "before", clock)?;
        }
    }
    let schedule = plan.schedule(task.steps);
    while state.step < task.steps {
        let rate = schedule.rate(state.step);
        let step = advance(task, &mut model, &mut learner, &mut state, rate, &mut run, clock)?;
        let note = step.loss.map_or_else(|| "loss not finite".to_owned(), |loss| format!("loss {loss:.4}"));
        told(Progress::after(&step, task.steps, note));
        let due = Due::after(&plan.recipe().run, task.stage, state.step, state.step == task.steps);
        let is_best = match &due.measure {
            Some(phase) => measure(task, &model, &mut state, &mut run, phase, clock)?,
            None => false,
        };
        if due.checkpoint || is_best {
            let fill = |folder: &Path| {
                let weights = folder.join(MODEL);
                fs::create_dir_all(&weights).map_err(write(&weights))?;
                (task.save)(&model, &weights)?;
                learner.optimiser.save(&folder.join(MOMENTS))
            };
            run.checkpoint(&state, fill, clock)?;
        }
    }
    if let Some(best) = state.best.filter(|best| best.step != state.step) {
        learner.restore(&run.checkpoints.load(best.step)?.0)?;
        (task.refresh)(&mut model)?;
    }
    Ok(Fitted { model, state, run, begun })
}

impl Learner {
    fn new(plan: &Plan, parameters: Vec<Parameter>) -> Result<Self> {
        let named = parameters.iter().map(|parameter| (parameter.name.as_str(), &parameter.var));
        let optimiser = Optimiser::new(plan.adamw(), named)?;
        Ok(Self { gradients: Gradients::new(&parameters), parameters, optimiser })
    }

    /// Takes the weights of a checkpoint.
    fn restore(&self, checkpoint: &Path) -> Result<()> {
        let weights = Weights::open(&checkpoint.join(MODEL))?;
        for Parameter { name, var } in &self.parameters {
            let values = weights.floats(name, var.dims())?;
            var.set(&Tensor::from_vec(values, var.dims(), var.device())?)?;
        }
        Ok(())
    }
}

/// Runs the largest step dry: whether it fits, and whether everything learns.
fn rehearse<M>(task: &Task<'_, M>, model: &M, learner: &mut Learner, step: u64, clock: Clock<'_>) -> Result<Start> {
    let (forecast_bytes, setting) = task.forecast;
    memory::check(forecast_bytes, memory::available(), setting)?;
    let learnt = (task.learn)(model, task.worst, &mut learner.gradients)?;
    if !learnt.loss.is_finite() {
        let reason = "the loss is not finite before anything was learnt: the model's weights are damaged".to_owned();
        return Err(Error::Halted { step, reason });
    }
    let parameters = learner.parameters.iter().zip(learner.gradients.iter());
    coverage::check(parameters.map(|(parameter, gradient)| (parameter.name.as_str(), gradient, false)))?;
    learner.gradients.clear();
    let parameters: usize = learner.parameters.iter().map(|parameter| parameter.var.elem_count()).sum();
    Ok(Start {
        at: clock(),
        step,
        steps: task.steps,
        stage: task.stage.to_owned(),
        parameters: parameters as u64,
        samples: task.counts.0 as u64,
        tokens: 0,
        heldout: task.counts.1 as u64,
        forecast_bytes,
        peak_bytes: memory::peak(),
    })
}

/// One step of the optimiser.
fn advance<M>(
    task: &Task<'_, M>,
    model: &mut M,
    learner: &mut Learner,
    state: &mut State,
    learning_rate: f64,
    run: &mut Run,
    clock: Clock<'_>,
) -> Result<Step> {
    let begun = clock();
    let place = state.cursor;
    let learnt = (task.learn)(model, place, &mut learner.gradients)?;
    let norm = learner.gradients.norm();
    let differentiated = clock();
    let skipped = !(learnt.loss.is_finite() && norm.is_finite());
    state.step += 1;
    let pack = place.pack + 1;
    let Cursor { epoch, .. } = place;
    state.cursor =
        if pack == task.steps_per_epoch { Cursor { epoch: epoch + 1, pack: 0 } } else { Cursor { epoch, pack } };
    if skipped {
        state.skipped += 1;
    } else {
        learner.optimiser.step(learner.gradients.iter(), norm, learning_rate)?;
        (task.refresh)(model)?;
        state.skipped = 0;
        state.tokens += learnt.tokens as u64;
    }
    learner.gradients.clear();
    state.updates = learner.optimiser.updates();
    let ended = clock();
    let seconds = |since: Timestamp, until: Timestamp| until.duration_since(since).as_secs_f64();
    let finite = |value: f64| value.is_finite().then_some(value);
    let timed = [
        ("examples", learnt.examples as f64),
        ("seconds_gradients", seconds(begun, differentiated)),
        ("seconds_update", seconds(differentiated, ended)),
    ];
    let values = learnt.values.iter().copied().chain(timed).filter(|(_, value)| value.is_finite());
    let step = Step {
        step: state.step,
        stage: task.stage.to_owned(),
        epoch: epoch as f64 + pack as f64 / task.steps_per_epoch as f64,
        loss: finite(learnt.loss),
        gradient_norm: finite(norm),
        learning_rate,
        skipped,
        tokens: learnt.tokens as u64,
        learnt: learnt.tokens as u64,
        seconds: seconds(begun, ended),
        values: values.map(|(name, value)| (name.to_owned(), value)).collect(),
    };
    run.journal.write(&Entry::Step(step.clone()), clock())?;
    if skipped {
        let samples = (task.samples)(place);
        run.skip(state.step, state.skipped, &samples.iter().collect::<Vec<_>>(), clock)?;
    }
    Ok(step)
}

/// Measures on what is held out; tells whether it is the best so far.
fn measure<M>(
    task: &Task<'_, M>,
    model: &M,
    state: &mut State,
    run: &mut Run,
    phase: &str,
    clock: Clock<'_>,
) -> Result<bool> {
    let Some(Measured { loss, values, notices }) = (task.measure)(model)? else { return Ok(false) };
    // What was not trained has no checkpoint that could be the best.
    let is_best = state.step > 0 && loss.is_finite() && state.best.is_none_or(|best| -loss > best.score);
    if is_best {
        state.best = Some(Best { step: state.step, score: -loss });
    }
    let values = values.into_iter().filter(|(_, value)| value.is_finite()).collect();
    run.journal.write(&Entry::Heldout(Heldout { step: state.step, phase: phase.to_owned(), values }), clock())?;
    for text in notices {
        run.journal.write(&Entry::Notice { step: state.step, text }, clock())?;
    }
    Ok(is_best)
}
