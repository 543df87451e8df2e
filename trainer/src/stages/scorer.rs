//! [`scorer()`]: trains the classifier of pairs that [`agent::Judge`] serves: does evidence support a claim,
//! contradict it, or neither.
//!
//! The loss is the cross entropy of the label, mean over the examples of an optimiser step however many
//! micro-batches it has; with `scorer.balance` an example of label c counts N / (3 N_c), so that every label weighs
//! the same over all N examples. The best checkpoint is the one with the least loss on claims that were kept for it;
//! on the same claims a temperature is fitted, and what is held out is judged once, at the end, just as a judge
//! reads it: in windows of which one decides. No dropout.

pub mod calibration;
pub mod data;
mod report;
mod section;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use agent::journal::{Entry, Heldout};
use agent::judge::measure::calibration_error;
use agent::judge::{self, Card, Label, Pair};
use nn::{BertConfig, Classifier, Gradients, Packed};

use self::calibration::{likelihood, probabilities, temperature};
pub use self::data::{Example, Examples, Row, Set};
pub use self::report::Report;
pub use self::section::ScorerSection;
use crate::error::{read, write};
use crate::files::{remove_folder, replace, sync_all, sync_folder};
use crate::learner::order::Order;
use crate::learner::packing::pack;
use crate::objective::{Metrics, weighted_class_loss};
use crate::recipe::Plan;
use crate::run::checkpoint::{Cursor, State};
use crate::run::{Clock, Progress};
use crate::stages::fit::{self, Fitted, Learnt, Measured, Task};
use crate::{Error, Result, Sample};

/// The name of this stage, and of the scorer's folder in that of a run.
pub const STAGE: &str = "scorer";
/// In the folder of a run: how the scorer does on each set that is held out.
const RESULTS: &str = "results.json";
/// The labels are the classifier's classes, in their order.
const PLACES: [usize; 3] = [0, 1, 2];

/// Everything that is known before the first step.
struct Prepared<'a> {
    section: &'a ScorerSection,
    examples: Examples,
    /// By label.
    weights: [f64; 3],
    order: Order,
}

/// Trains by `plan` in the folder `dir`; `resume` goes on where the newest checkpoint ends. `told` is called after
/// every step. Leaves the scorer in the folder [`STAGE`] of `dir` and gives the last state.
///
/// # Errors
/// Those of a bad data set or model before anything is trained; [`Error::Halted`] when training cannot go on.
pub fn scorer(
    plan: &Plan,
    dir: &Path,
    resume: bool,
    clock: Clock<'_>,
    told: &mut dyn FnMut(Progress),
) -> Result<State> {
    fit::check_learns_all(plan)?;
    let recipe = plan.recipe();
    let labels = Label::ALL.map(Label::name);
    let mut model = Classifier::new_head(&recipe.model.path, &labels, recipe.run.seed, fit::device(plan))?;
    let prepared = Prepared::new(plan, &model)?;
    let parameters = model.train(fit::recompute(plan))?;
    let config = BertConfig::open(&recipe.model.path)?;
    let (worst, tokens) = prepared.worst();
    let forecast = fit::forecast(&config, &parameters, tokens);
    let steps_per_epoch = prepared.order.epoch(0).len() as u64;
    let whole = steps_per_epoch.saturating_mul(prepared.section.epochs);
    let task = Task {
        stage: STAGE,
        data: prepared.examples.fingerprint(),
        notice: prepared.notice(),
        steps_per_epoch,
        steps: prepared.section.max_steps.unwrap_or(whole).min(whole),
        counts: (prepared.examples.train.len(), prepared.examples.calibration.rows.len()),
        worst,
        forecast: (forecast, "lower scorer.micro_tokens, or set model.recompute to \"on\""),
        learn: &|model, place, gradients| prepared.learn(model, place, gradients),
        samples: &|place| prepared.samples(place),
        measure: &|model| prepared.measure(model),
        refresh: Classifier::refresh,
        save: Classifier::save,
    };
    let fitted = fit::fit(&task, model, parameters, plan, (dir, resume), clock, told)?;
    prepared.finish(fitted, dir, clock)
}

/// The labels' logits on every row of a set, each of the window that decides.
///
/// # Errors
/// Those of the model.
pub fn logits(model: &Classifier, window_tokens: usize, rows: &[Row]) -> Result<Vec<[f32; 3]>> {
    let pairs: Vec<Pair<'_>> = rows.iter().map(|Row { claim, evidence, .. }| Pair { claim, evidence }).collect();
    let read = judge::read(model, PLACES, window_tokens, &pairs)?;
    let decided = read.iter().map(|windows| {
        let logits: Vec<[f32; 3]> = windows.iter().map(|window| window.logits).collect();
        // No row is blank, so one does.
        judge::deciding(&logits).map_or([0.0; 3], |deciding| logits[deciding])
    });
    Ok(decided.collect())
}

impl<'a> Prepared<'a> {
    fn new(plan: &'a Plan, model: &Classifier) -> Result<Self> {
        let recipe = plan.recipe();
        let section = &recipe.scorer;
        let (wanted, most) = (section.window_tokens, model.max_tokens());
        if wanted > most {
            return Err(Error::Input(format!(
                "scorer.window_tokens is {wanted}, but the encoder reads {most}: lower it"
            )));
        }
        let examples = Examples::read(&recipe.data, section, model.tokenizer(), recipe.run.seed)?;
        let histogram = examples.histogram();
        if let Some(label) = Label::ALL.iter().zip(histogram).find(|(_, count)| *count == 0).map(|(label, _)| label) {
            let name = label.name();
            return Err(Error::Input(format!("nothing to learn from is labelled {name}: add a file to data.train")));
        }
        let all = examples.train.len() as f64;
        let weights = histogram.map(|count| if section.balance { all / (3.0 * count as f64) } else { 1.0 });
        let order = Order::new(vec![1; examples.train.len()], section.pairs, recipe.run.seed);
        Ok(Self { section, examples, weights, order })
    }

    /// What was read, and what of it is not learnt.
    fn notice(&self) -> String {
        let [support, contradict, neutral] = self.examples.histogram();
        let Examples { cut, repeated, leaked, .. } = self.examples;
        format!(
            "{support} examples support, {contradict} contradict and {neutral} do neither; {cut} lost the end of their \
             evidence, {repeated} were left out as repeated and {leaked} since their claims are held out"
        )
    }

    /// The examples of a step.
    fn step(&self, place: Cursor) -> Vec<&Example> {
        let numbers = self.order.epoch(place.epoch).swap_remove(place.pack as usize);
        numbers.into_iter().map(|number| &self.examples.train[number]).collect()
    }

    /// The micro-batches of a step.
    fn micro<'b>(&self, examples: &[&'b Example]) -> Vec<Vec<&'b Example>> {
        let lengths: Vec<usize> = examples.iter().map(|example| example.tokens.ids.len()).collect();
        let packs = pack(&lengths, self.section.micro_tokens);
        packs.into_iter().map(|pack| pack.into_iter().map(|at| examples[at]).collect()).collect()
    }

    /// The step of the first epoch with the largest micro-batch, and how many tokens that has.
    fn worst(&self) -> (Cursor, usize) {
        let steps = self.order.epoch(0).into_iter().enumerate().map(|(pack, numbers)| {
            let examples: Vec<&Example> = numbers.into_iter().map(|number| &self.examples.train[number]).collect();
            let largest = self.micro(&examples).iter().map(|micro| tokens(micro)).max().unwrap_or(0);
            (Cursor { epoch: 0, pack: pack as u64 }, largest)
        });
        steps.max_by_key(|(_, tokens)| *tokens).unwrap_or_default()
    }

    fn learn(&self, model: &Classifier, place: Cursor, gradients: &mut Gradients) -> Result<Learnt> {
        let examples = self.step(place);
        let mut metrics = Metrics::default();
        let mut learnt = Learnt { tokens: tokens(&examples), examples: examples.len(), ..Learnt::default() };
        for micro in self.micro(&examples) {
            let mut batch = Packed::default();
            for Example { tokens, .. } in micro.iter().copied() {
                batch.push_typed(&tokens.ids, &tokens.types);
            }
            let labels: Vec<usize> = micro.iter().map(|example| example.row.label).collect();
            let weights: Vec<f64> = labels.iter().map(|label| self.weights[*label]).collect();
            let pass = model.pass(&batch)?;
            let loss = weighted_class_loss(&pass.logits, &labels, &weights, examples.len())?;
            metrics.merge(&loss.metrics);
            learnt.loss += loss.value;
            if loss.value.is_finite() {
                model.backward(pass, &loss.loss, gradients)?;
            }
        }
        learnt.values = metrics.iter().filter(|(name, _)| *name != "loss").collect();
        Ok(learnt)
    }

    /// What a step that went wrong had learnt from.
    fn samples(&self, place: Cursor) -> Vec<Sample> {
        let sample = |example: &Example| {
            let ids = example.tokens.ids.clone();
            Sample { mask: vec![false; ids.len()], ids }
        };
        self.step(place).into_iter().map(sample).collect()
    }

    /// The loss on the claims that are kept for it.
    fn measure(&self, model: &Classifier) -> Result<Option<Measured>> {
        let set = &self.examples.calibration;
        if set.rows.is_empty() {
            return Ok(None);
        }
        let logits = logits(model, self.section.window_tokens, &set.rows)?;
        let report = Report::new(set, &logits, 1.0);
        let (rows, labels) = numbers(set, &logits);
        let loss = likelihood(&rows, &labels, 1.0);
        let mut values = report.values();
        values.insert("loss".to_owned(), loss);
        Ok(Some(Measured { loss, values, notices: report.collapse().into_iter().collect() }))
    }

    /// Calibrates the best model, judges what is held out, and leaves the scorer in the folder of the run.
    fn finish(&self, fitted: Fitted<Classifier>, dir: &Path, clock: Clock<'_>) -> Result<State> {
        let Fitted { model, state, mut run, begun } = fitted;
        let folder = dir.join(STAGE);
        if !folder.is_dir() {
            let section = self.section;
            let set = &self.examples.calibration;
            let calibration = logits(&model, section.window_tokens, &set.rows)?;
            let (rows, labels) = numbers(set, &calibration);
            let mut card = Card::new(section.window_tokens, self.examples.histogram(), self.examples.fingerprint());
            card.temperature = temperature(&rows, &labels);
            card.calibration_error = [1.0, card.temperature].map(|temperature| {
                let answer = |(row, label): (&Vec<f64>, &usize)| {
                    let row = probabilities(row, temperature);
                    let likeliest = report::likeliest(&row);
                    (row[likeliest], likeliest == *label)
                };
                calibration_error(&rows.iter().zip(&labels).map(answer).collect::<Vec<_>>())
            });
            let mut reports = Vec::new();
            let judging = clock();
            let mut values = BTreeMap::from([("temperature".to_owned(), card.temperature)]);
            for set in &self.examples.heldout {
                let report = Report::new(set, &logits(&model, section.window_tokens, &set.rows)?, card.temperature);
                values.extend(report.values());
                if let Some(text) = report.collapse() {
                    run.journal.write(&Entry::Notice { step: state.step, text }, clock())?;
                }
                reports.push(report);
            }
            let pairs: usize = reports.iter().map(|report: &Report| report.rows).sum();
            let speed = pairs as f64 / clock().duration_since(judging).as_secs_f64();
            values.extend(speed.is_finite().then(|| ("pairs_per_second".to_owned(), speed)));
            let heldout = Heldout { step: state.step, phase: "final".to_owned(), values };
            run.journal.write(&Entry::Heldout(heldout), clock())?;
            let path = dir.join(RESULTS);
            let text = serde_json::to_vec_pretty(&reports).map_err(|error| write(&path)(error.into()))?;
            replace(&path, &text)?;
            publish(&model, &card, &folder)?;
        }
        run.end(state.step, clock().duration_since(begun).as_secs_f64(), clock)?;
        Ok(state)
    }
}

/// How the scorer of the run in the folder `dir` does on each set that is held out.
///
/// # Errors
/// [`Error::Io`] when the run has not come to its end, [`Error::Artefact`] for a damaged file.
pub fn results(dir: &Path) -> Result<Vec<Report>> {
    let path = dir.join(RESULTS);
    let text = fs::read(&path).map_err(read(&path))?;
    serde_json::from_slice(&text).map_err(|error| Error::Artefact { path, reason: error.to_string() })
}

/// Writes a scorer to the new folder `to`, whole or not at all.
fn publish(model: &Classifier, card: &Card, to: &Path) -> Result<()> {
    let aside: PathBuf = to.with_extension("partial");
    remove_folder(&aside)?;
    fs::create_dir(&aside).map_err(write(&aside))?;
    model.save(&aside)?;
    let path = aside.join(judge::FILE);
    fs::write(&path, card.to_json()).map_err(write(&path))?;
    sync_all(&aside)?;
    fs::rename(&aside, to).map_err(write(to))?;
    to.parent().map_or(Ok(()), sync_folder)
}

/// Tokens of some examples.
fn tokens(examples: &[&Example]) -> usize {
    examples.iter().map(|example| example.tokens.ids.len()).sum()
}

/// A set's logits and labels as calibration wants them.
fn numbers(set: &Set, logits: &[[f32; 3]]) -> (Vec<Vec<f64>>, Vec<usize>) {
    let rows = logits.iter().map(|row| row.iter().map(|logit| f64::from(*logit)).collect()).collect();
    (rows, set.rows.iter().map(|row| row.label).collect())
}

#[cfg(test)]
mod tests;
