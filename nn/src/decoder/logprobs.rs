//! [`LogProbs`]: what a decoder learns from: the log-probabilities of chosen tokens, and the way back
//! from a loss on them to the gradients of what learns.

use std::sync::{MutexGuard, PoisonError};

use candle_core::{DType, Device as CandleDevice, Tensor, Var};

use super::backward::Backward;
use super::compute::Compute;
use super::graph::Graph;
use super::learning::{Learning, Recompute};
use super::load::Layout;
use super::rows::Rows;
use super::tape::{Plan, Record, Tape, TapeMemory};
use super::tensors::Tensors;
use super::{Decoder, Trainable};
use crate::ops::{Isa, Panels, Question, Team, TokenProb, linear_logprob, linear_logprob_backward, rms_norm};
use crate::{Batch, Error, Gradients, Result};

/// Bytes that a pass may keep before layers are computed again.
pub(super) const KEPT: usize = 1 << 30;

/// Log-probabilities of the next tokens of the N rows that a batch wanted.
#[derive(Debug)]
pub struct LogProbs {
    /// (N), a variable to build a loss on.
    pub logprobs: Tensor,
    /// (N), in nats, without a gradient.
    pub entropies: Tensor,
    /// What [`Decoder::states`] gave.
    states: Option<Tensor>,
    way: Way,
}

/// The way back.
#[derive(Debug)]
enum Way {
    Tape(Box<Kept>),
    Graph(Graph),
}

/// What the backward pass needs on the processor.
#[derive(Debug)]
struct Kept {
    plan: Plan,
    targets: Vec<u32>,
    rate: f32,
    layers: Vec<Record>,
    /// Of the wanted rows after the last layer, (N, D).
    hidden: Rows,
    /// The same normalised, where the head learns; else the slopes of their log-probabilities.
    last: Rows,
    probs: Vec<TokenProb>,
}

/// Log-probabilities and entropies of N rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// (N)
    pub logprobs: Vec<f32>,
    /// (N), in nats.
    pub entropies: Vec<f32>,
}

impl Scores {
    fn new(probs: &[TokenProb]) -> Self {
        let (logprobs, entropies) = probs.iter().map(|prob| (prob.logprob, prob.entropy)).unzip();
        Self { logprobs, entropies }
    }
}

impl LogProbs {
    fn new(scores: Scores, way: Way) -> Result<Self> {
        let count = scores.logprobs.len();
        let logprobs = Tensor::from_vec(scores.logprobs, count, &CandleDevice::Cpu)?;
        let entropies = Tensor::from_vec(scores.entropies, count, &CandleDevice::Cpu)?;
        Ok(Self { logprobs: Var::from_tensor(&logprobs)?.as_tensor().clone(), entropies, states: None, way })
    }
}

impl Decoder {
    /// For the rows that `batch` wants, whose next tokens are `targets`, the log-probability at
    /// `temperature`, and the entropy. Sequences begin at their beginning.
    ///
    /// # Errors
    /// [`Error::Shape`] before [`Decoder::train`], for a batch, a target or a temperature that cannot be.
    pub fn logprobs(&self, batch: &Batch, targets: &[u32], temperature: f32) -> Result<LogProbs> {
        let learning = self.learning()?;
        let rate = self.check_targets(batch, targets, temperature)?;
        let Some(processor) = self.processor() else {
            let graph = Graph::new(self, batch, targets, rate, true)?;
            return LogProbs::new(graph.scores(self)?, Way::Graph(graph));
        };
        let plan = Plan::new(self, batch);
        let mut memory = self.tape_memory();
        let keeps = self.keeps(learning, batch);
        let mut tape = Tape::new(self, processor, &plan, &mut memory, true);
        let mut hidden = tape.embed()?; // (T, D)
        let mut layers = Vec::with_capacity(self.layers.len());
        for number in 0..self.layers.len() {
            let record;
            (hidden, record) = if keeps {
                let (hidden, inside) = tape.inside(number, hidden)?;
                (hidden, Record::Inside(inside))
            } else {
                let input = tape.memory.pool.copy(hidden.get());
                (tape.layer(number, hidden)?, Record::Input(input))
            };
            layers.push(record);
        }
        let mut last = tape.norm(&hidden, &self.norm)?; // (N, D)
        let mut slopes = learning.slots.head.is_none().then(|| tape.memory.pool.take(last.len()));
        let probs = self.ask(processor, tape.memory, &last, targets, rate, slopes.as_mut());
        if let Some(slopes) = slopes {
            tape.memory.pool.give(std::mem::replace(&mut last, slopes));
        }
        drop(tape);
        let scores = Scores::new(&probs);
        let kept = Kept { plan, targets: targets.to_vec(), rate, layers, hidden, last, probs };
        LogProbs::new(scores, Way::Tape(Box::new(kept)))
    }

    /// The normalised states of the rows of a pass, (N, D), a variable: what a head of another kind
    /// reads, as of a value or a reward. A loss may depend on them, on the log-probabilities, or on both.
    ///
    /// # Errors
    /// [`Error::Shape`] for a pass of another decoder.
    pub fn states(&self, pass: &mut LogProbs) -> Result<Tensor> {
        if let Some(states) = &pass.states {
            return Ok(states.clone());
        }
        let width = self.config.hidden_size;
        let states = match (&pass.way, self.processor()) {
            (Way::Tape(kept), Some((isa, team))) if kept.hidden.len() == kept.probs.len() * width => {
                let mut states = vec![0.0; kept.hidden.len()];
                let gain = &self.norm.values;
                rms_norm(isa, team, kept.hidden.get(), gain, self.config.rms_norm_eps, &mut states);
                Tensor::from_vec(states, (kept.probs.len(), width), &CandleDevice::Cpu)?
            }
            (Way::Graph(graph), None) => graph.states()?,
            _ => return Err(Error::Shape("this pass was made by another decoder".to_owned())),
        };
        let states = Var::from_tensor(&states)?.as_tensor().clone();
        pass.states = Some(states.clone());
        Ok(states)
    }

    /// The normalised states of the rows that `batch` wants, (N, D) on the processor, without a way back: the numbers
    /// that [`Decoder::states`] gives.
    ///
    /// # Errors
    /// [`Error::Shape`] for a batch that cannot be, or that wants no row.
    pub fn last_states(&self, batch: &Batch) -> Result<Tensor> {
        batch.check(&self.config, None)?;
        if batch.rows() == 0 {
            return Err(Error::Shape("the batch wants no row".to_owned()));
        }
        let Some(processor) = self.processor() else {
            let mut compute = Tensors::new(self, batch, None)?;
            let hidden = self.body(&mut compute)?;
            let hidden = compute.select(hidden)?;
            return Ok(compute.norm(&hidden, &self.norm)?.to_device(&CandleDevice::Cpu)?.to_dtype(DType::F32)?);
        };
        let plan = Plan::new(self, batch);
        let mut memory = self.tape_memory();
        let mut tape = Tape::new(self, processor, &plan, &mut memory, true);
        let mut hidden = tape.embed()?;
        for number in 0..self.layers.len() {
            hidden = tape.layer(number, hidden)?;
        }
        let normal = tape.norm(&hidden, &self.norm)?;
        let states = Tensor::from_slice(normal.get(), (batch.rows(), self.config.hidden_size), &CandleDevice::Cpu)?;
        tape.memory.pool.give(hidden);
        tape.memory.pool.give(normal);
        Ok(states)
    }

    /// The numbers of [`Decoder::logprobs`] without a way back; without the adapter, where one is on
    /// and not merged, unless `adapted`: the reference of a policy that trains one.
    ///
    /// # Errors
    /// [`Error::Shape`] for a batch, a target or a temperature that cannot be.
    pub fn score(&self, batch: &Batch, targets: &[u32], temperature: f32, adapted: bool) -> Result<Scores> {
        let rate = self.check_targets(batch, targets, temperature)?;
        if !adapted && self.is_merged {
            return Err(Error::Shape("the adapter is merged, so it cannot be left out: unmerge it first".to_owned()));
        }
        let Some(processor) = self.processor() else {
            return Graph::new(self, batch, targets, rate, adapted)?.scores(self);
        };
        let plan = Plan::new(self, batch);
        let mut memory = self.tape_memory();
        let mut tape = Tape::new(self, processor, &plan, &mut memory, adapted);
        let mut hidden = tape.embed()?;
        for number in 0..self.layers.len() {
            hidden = tape.layer(number, hidden)?;
        }
        let normal = tape.norm(&hidden, &self.norm)?;
        tape.memory.pool.give(hidden);
        let probs = self.ask(processor, tape.memory, &normal, targets, rate, None);
        tape.memory.pool.give(normal);
        Ok(Scores::new(&probs))
    }

    /// Adds the gradients of `loss`, a scalar made of `pass.logprobs` or of its states, to `gradients`.
    ///
    /// # Errors
    /// [`Error::Shape`] when the loss depends on neither, or the gradients are made for other parameters.
    pub fn backward(&self, pass: LogProbs, loss: &Tensor, gradients: &mut Gradients) -> Result<()> {
        let store = loss.backward()?;
        let values = |tensor: &Tensor| -> Result<Vec<f32>> { Ok(tensor.flatten_all()?.to_vec1()?) };
        let slopes = store.get(&pass.logprobs).map(values).transpose()?;
        let states = pass.states.as_ref().and_then(|states| store.get(states)).map(values).transpose()?;
        if slopes.is_none() && states.is_none() {
            let reason = "the loss does not depend on the log-probabilities or the states of this pass";
            return Err(Error::Shape(reason.to_owned()));
        }
        let slopes = slopes.unwrap_or_else(|| vec![0.0; pass.logprobs.elem_count()]);
        self.descend(pass, &slopes, states.as_deref(), gradients)
    }

    /// As [`Decoder::backward`], from the slope of the loss along each log-probability, (N).
    ///
    /// # Errors
    /// [`Error::Shape`] for other than N slopes, or gradients that are made for other parameters.
    pub fn backward_from(&self, pass: LogProbs, slopes: &[f32], gradients: &mut Gradients) -> Result<()> {
        self.descend(pass, slopes, None, gradients)
    }

    /// From slopes along log-probabilities, (N), and along states, (N, D).
    fn descend(&self, pass: LogProbs, slopes: &[f32], states: Option<&[f32]>, gradients: &mut Gradients) -> Result<()> {
        let learning = self.learning()?;
        learning.check(gradients)?;
        let count = pass.logprobs.elem_count();
        if slopes.len() != count {
            return Err(Error::Shape(format!("{} slopes for {count} log-probabilities", slopes.len())));
        }
        let (kept, processor) = match (pass.way, self.processor()) {
            (Way::Tape(kept), Some(processor)) if kept.layers.len() == self.layers.len() => (*kept, processor),
            (Way::Graph(graph), None) => return graph.backward(self, slopes, states, &learning.parameters, gradients),
            _ => return Err(Error::Shape("this pass was made by another decoder".to_owned())),
        };
        let Kept { plan, targets, rate, layers, hidden, last, probs } = kept;
        let (isa, team) = processor;
        let slots = &learning.slots;
        let mut memory = self.tape_memory();
        let mut dnormal = memory.pool.take(last.len());
        if let Some(slot) = slots.head {
            dnormal.get_mut().fill(0.0);
            let question = Question { head: self.head_panels(), targets: &targets, rate };
            let (x, dx, dw) = (last.get(), dnormal.get_mut(), gradients.get_mut(slot));
            linear_logprob_backward(isa, team, &mut memory.logprob, x, question, &probs, slopes, dx, dw);
        } else {
            let width = self.config.hidden_size;
            let rows = dnormal.get_mut().chunks_exact_mut(width).zip(last.get().chunks_exact(width));
            for ((to, from), slope) in rows.zip(slopes) {
                to.iter_mut().zip(from).for_each(|(to, from)| *to = from * slope);
            }
        }
        for (to, from) in dnormal.get_mut().iter_mut().zip(states.unwrap_or_default()) {
            *to += from;
        }
        memory.pool.give(last);
        let mut d = memory.pool.take(hidden.len());
        d.get_mut().fill(0.0);
        let mut backward = Backward::new(self, processor, &plan, &mut memory, slots, gradients);
        backward.norm(&hidden, &self.norm, slots.norm, &dnormal, &mut d);
        for rows in [dnormal, hidden] {
            backward.memory.pool.give(rows);
        }
        for (number, record) in layers.into_iter().enumerate().rev() {
            let inside = match record {
                Record::Inside(inside) => inside,
                Record::Input(input) => {
                    let mut tape = Tape::new(self, processor, &plan, backward.memory, true);
                    let (out, inside) = tape.inside(number, input)?;
                    tape.memory.pool.give(out);
                    inside
                }
            };
            d = backward.layer(number, inside, d);
        }
        if let Some(slot) = slots.embedding {
            let width = self.config.hidden_size;
            let table = backward.gradients.get_mut(slot);
            for (id, row) in plan.batch.ids().iter().zip(d.get().chunks_exact(width)) {
                for (sum, value) in table[*id as usize * width..][..width].iter_mut().zip(row) {
                    *sum += value;
                }
            }
        }
        backward.memory.pool.give(d);
        Ok(())
    }

    fn learning(&self) -> Result<&Learning> {
        let learning = self.learning.as_ref();
        let learning = learning.ok_or_else(|| Error::Shape("nothing learns yet: call `train` first".to_owned()))?;
        if learning.what == Trainable::Adapter && self.is_merged {
            return Err(Error::Shape("a merged adapter does not learn: unmerge it first".to_owned()));
        }
        Ok(learning)
    }

    fn processor(&self) -> Option<(Isa, &Team)> {
        match &self.layout {
            Layout::Panels { isa, team } => Some((*isa, team)),
            Layout::Dense => None,
        }
    }

    fn tape_memory(&self) -> MutexGuard<'_, TapeMemory> {
        self.tape_memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn head_panels(&self) -> &Panels {
        &self.head.packed()[0].panels
    }

    /// Whether the insides of all layers are kept.
    fn keeps(&self, learning: &Learning, batch: &Batch) -> bool {
        match learning.recompute {
            Recompute::On => false,
            Recompute::Off => true,
            Recompute::Auto => {
                let bytes = self.config.kept_by_layer() * self.layers.len() * size_of::<f32>();
                bytes.saturating_mul(batch.tokens()) <= KEPT
            }
        }
    }

    /// Refuses what cannot be asked; gives one over the temperature.
    fn check_targets(&self, batch: &Batch, targets: &[u32], temperature: f32) -> Result<f32> {
        batch.check(&self.config, None)?;
        let vocabulary = self.config.vocab_size;
        if targets.len() != batch.rows() {
            return Err(Error::Shape(format!("{} targets for {} rows", targets.len(), batch.rows())));
        }
        if batch.rows() == 0 {
            return Err(Error::Shape("the batch wants no row".to_owned()));
        }
        if let Some(target) = targets.iter().find(|target| **target as usize >= vocabulary) {
            return Err(Error::Shape(format!("target {target} is beyond the {vocabulary} of the vocabulary")));
        }
        if !(1e-3..=1e3).contains(&temperature) {
            return Err(Error::Shape(format!("temperature is {temperature}, not from 0.001 to 1000")));
        }
        Ok(1.0 / temperature)
    }

    fn ask(
        &self,
        (isa, team): (Isa, &Team),
        memory: &mut TapeMemory,
        normal: &Rows,
        targets: &[u32],
        rate: f32,
        slopes: Option<&mut Rows>,
    ) -> Vec<TokenProb> {
        let mut probs = vec![TokenProb::default(); targets.len()];
        let question = Question { head: self.head_panels(), targets, rate };
        linear_logprob(
            isa,
            team,
            &mut memory.logprob.chunk,
            normal.get(),
            question,
            &mut probs,
            slopes.map(Rows::get_mut),
        );
        probs
    }
}
