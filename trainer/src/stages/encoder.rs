//! [`encoder()`]: adapts a retrieval encoder to judged queries by InfoNCE with in-batch and mined negatives.
//!
//! Each query is to be nearer to its passage than to every other passage of its step: those of other queries, and
//! `encoder.negatives` of its own, drawn anew in each epoch from what words alone would have found. A passage of a
//! document that is relevant to a query is no negative of it. The loss looks at all vectors of a step at once; where
//! these take more than one micro-batch, the vectors are computed without a gradient first, and once more for it
//! (arXiv 2101.06983), which changes nothing but time. Measured by exact search before and after.

mod data;
mod section;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use candle_core::{Tensor, Var};
use jiff::Timestamp;
use nn::{BertConfig, Gradients, Packed, SentenceEncoder, Stream};
use retriever::metrics::{Run as Ranking, evaluate};
use retriever::trec::best_per_document;

use self::data::{Judged, Lesson};
pub use self::section::EncoderSection;
use crate::error::write;
use crate::files::{remove_folder, sync_all, sync_folder};
use crate::learner::order::Order;
use crate::learner::packing::pack;
use crate::objective::contrast_loss;
use crate::recipe::Plan;
use crate::run::checkpoint::{Cursor, State};
use crate::run::{Clock, Progress};
use crate::stages::fit::{self, Fitted, Learnt, Measured, Task};
use crate::{Result, Sample};

/// The name of this stage, and of the encoder's folder in that of a run.
pub const STAGE: &str = "encoder";
/// In the folder of a run: the documents of a BEIR folder, indexed by words.
const CORPUS: &str = "corpus";
/// Documents that a ranking keeps.
const DEPTH: usize = 100;
/// What the random numbers of a step are for.
const NEGATIVES: u32 = 7;

/// Everything that is known before the first step.
struct Prepared<'a> {
    section: &'a EncoderSection,
    judged: Judged,
    order: Order,
    seed: u64,
}

/// Texts of a step, as a model reads them.
struct Batch {
    /// Queries first, then their passages, then the negatives.
    ids: Vec<Vec<u32>>,
    /// How many of them are queries.
    queries: usize,
    /// (query, passage): passages that are relevant to a query beside its own.
    excluded: Vec<(usize, usize)>,
}

/// Trains by `plan` in the folder `dir`; `resume` goes on where the newest checkpoint ends. `told` is called after
/// every step. Leaves the encoder in the folder [`STAGE`] of `dir` and gives the last state.
///
/// # Errors
/// Those of bad judgments or a bad model before anything is trained; [`Error::Halted`](crate::Error::Halted) when
/// training cannot go on.
pub fn encoder(
    plan: &Plan,
    dir: &Path,
    resume: bool,
    clock: Clock<'_>,
    told: &mut dyn FnMut(Progress),
) -> Result<State> {
    fit::check_learns_all(plan)?;
    let recipe = plan.recipe();
    let mut model = SentenceEncoder::open(&recipe.model.path, fit::device(plan))?;
    let prepared = Prepared::new(plan, dir, clock())?;
    let parameters = model.train(fit::recompute(plan))?;
    let (worst, tokens) = prepared.worst(&model)?;
    let steps_per_epoch = prepared.order.epoch(0).len() as u64;
    let whole = steps_per_epoch.saturating_mul(prepared.section.epochs);
    let task = Task {
        stage: STAGE,
        data: prepared.judged.fingerprint(),
        notice: format!(
            "{} passages, {} pairs of a query and a relevant one, {} judgments of documents that are not there",
            prepared.judged.passages.len(),
            prepared.judged.lessons.len(),
            prepared.judged.missing
        ),
        steps_per_epoch,
        steps: prepared.section.max_steps.unwrap_or(whole).min(whole),
        counts: (prepared.judged.lessons.len(), prepared.judged.heldout.len()),
        worst,
        forecast: (
            fit::forecast(&BertConfig::open(&recipe.model.path)?, &parameters, tokens),
            "lower encoder.micro_tokens, or set model.recompute to \"on\"",
        ),
        learn: &|model, place, gradients| prepared.learn(model, place, gradients),
        samples: &|place| prepared.samples(place),
        measure: &|model| prepared.measure(model),
        refresh: SentenceEncoder::refresh,
        save: SentenceEncoder::save,
    };
    let Fitted { model, state, mut run, begun } = fit::fit(&task, model, parameters, plan, (dir, resume), clock, told)?;
    publish(&model, &dir.join(STAGE))?;
    run.end(state.step, clock().duration_since(begun).as_secs_f64(), clock)?;
    Ok(state)
}

impl<'a> Prepared<'a> {
    fn new(plan: &'a Plan, dir: &Path, now: Timestamp) -> Result<Self> {
        let recipe = plan.recipe();
        let section = &recipe.encoder;
        let judged = Judged::read(&recipe.data, section, &dir.join(CORPUS), now)?;
        let order = Order::new(vec![1; judged.lessons.len()], section.queries, recipe.run.seed);
        Ok(Self { section, judged, order, seed: recipe.run.seed })
    }

    fn lessons(&self, place: Cursor) -> Vec<(usize, &Lesson)> {
        let numbers = self.order.epoch(place.epoch).swap_remove(place.pack as usize);
        numbers.into_iter().map(|number| (number, &self.judged.lessons[number])).collect()
    }

    /// The texts of a step.
    fn batch(&self, model: &SentenceEncoder, place: Cursor) -> Result<Batch> {
        let lessons = self.lessons(place);
        let mut passages: Vec<usize> = lessons.iter().map(|(_, lesson)| lesson.passage).collect();
        for (number, lesson) in &lessons {
            let mined = &self.judged.queries[lesson.query].negatives;
            let stream =
                Stream { seed: self.seed, step: place.epoch as u32, prompt: *number as u32, sample: NEGATIVES };
            let mut drawn: Vec<usize> = (0..mined.len()).collect();
            drawn.sort_by_cached_key(|at| (stream.words(*at as u32), *at));
            passages.extend(drawn.into_iter().take(self.section.negatives).map(|at| mined[at]));
        }
        let mut excluded = Vec::new();
        for (query, (_, lesson)) in lessons.iter().enumerate() {
            let relevant = &self.judged.queries[lesson.query].relevant;
            let is_relevant = |number: &usize| relevant.contains(&self.judged.passages[*number].document);
            let others = passages.iter().enumerate().filter(|(at, number)| *at != query && is_relevant(number));
            excluded.extend(others.map(|(at, _)| (query, at)));
        }
        let prompts = model.prompts();
        let read = |prefix: &str, text: &str, most: usize| {
            model.tokenizer().encode(&format!("{prefix}{text}"), most.min(model.max_tokens()))
        };
        let queries = lessons.iter().map(|(_, lesson)| &self.judged.queries[lesson.query].text);
        let queries = queries.map(|text| read(&prompts.query, text, self.section.query_tokens));
        let texts = passages.iter().map(|number| &self.judged.passages[*number].text);
        let texts = texts.map(|text| read(&prompts.passage, text, self.section.passage_tokens));
        let ids = queries.chain(texts).collect::<nn::Result<Vec<_>>>()?;
        Ok(Batch { ids, queries: lessons.len(), excluded })
    }

    /// The step of the first epoch with the largest micro-batch, and how many tokens that has.
    fn worst(&self, model: &SentenceEncoder) -> Result<(Cursor, usize)> {
        let mut worst = (Cursor::default(), 0);
        for step in 0..self.order.epoch(0).len() {
            let place = Cursor { epoch: 0, pack: step as u64 };
            let batch = self.batch(model, place)?;
            let tokens = self.micro(&batch).iter().map(|micro| batch.tokens(micro)).max().unwrap_or(0);
            if tokens > worst.1 {
                worst = (place, tokens);
            }
        }
        Ok(worst)
    }

    /// The micro-batches of a step, as numbers of its texts.
    fn micro(&self, batch: &Batch) -> Vec<Vec<usize>> {
        let lengths: Vec<usize> = batch.ids.iter().map(Vec::len).collect();
        pack(&lengths, self.section.micro_tokens)
    }

    fn learn(&self, model: &SentenceEncoder, place: Cursor, gradients: &mut Gradients) -> Result<Learnt> {
        let batch = self.batch(model, place)?;
        let micro = self.micro(&batch);
        let mut kept = None;
        let mut vectors: Vec<Vec<f32>> = vec![Vec::new(); batch.ids.len()];
        for numbers in &micro {
            let (pass, of_micro) = model.pass(&batch.packed(numbers))?; // (n, D)
            for (number, vector) in numbers.iter().zip(of_micro.to_vec2::<f32>()?) {
                vectors[*number] = vector;
            }
            if micro.len() == 1 {
                kept = Some((pass, of_micro));
            }
        }
        let passages = vectors.split_off(batch.queries);
        let (queries, passages) = (matrix(&vectors)?, matrix(&passages)?); // (B, D), (P, D)
        let positives: Vec<usize> = (0..batch.queries).collect();
        let loss = contrast_loss(&queries, &passages, &positives, &batch.excluded, self.section.temperature)?;
        let tokens = batch.ids.iter().map(Vec::len).sum();
        let values = loss.metrics.iter().filter(|(name, _)| *name != "loss").collect();
        let learnt = Learnt { loss: loss.value, tokens, examples: batch.queries, values };
        if !learnt.loss.is_finite() {
            return Ok(learnt);
        }
        let of_loss = loss.loss.backward()?;
        let slope = |var: &Var| -> Result<Vec<Vec<f32>>> {
            Ok(of_loss.get(var).map_or_else(|| var.zeros_like(), |slope| Ok(slope.clone()))?.to_vec2()?)
        };
        let slopes = [slope(&queries)?, slope(&passages)?].concat();
        for numbers in &micro {
            let (pass, of_micro) = match kept.take() {
                Some(kept) => kept,
                None => model.pass(&batch.packed(numbers))?,
            };
            let slopes: Vec<Vec<f32>> = numbers.iter().map(|number| slopes[*number].clone()).collect();
            let tied = (of_micro * matrix(&slopes)?.as_tensor())?.sum_all()?;
            model.backward(pass, &tied, gradients)?;
        }
        Ok(learnt)
    }

    /// What a step that went wrong had learnt from: the texts' numbers stand in for them, since no tokenizer is at hand.
    fn samples(&self, place: Cursor) -> Vec<Sample> {
        let sample = |(_, lesson): (usize, &Lesson)| Sample {
            ids: vec![lesson.query as u32, lesson.passage as u32],
            mask: vec![false; 2],
        };
        self.lessons(place).into_iter().map(sample).collect()
    }

    /// How well queries that are held out find what is relevant to them, by exact search.
    fn measure(&self, model: &SentenceEncoder) -> Result<Option<Measured>> {
        if self.judged.heldout.is_empty() {
            return Ok(None);
        }
        let pool = self.pool();
        let prompts = model.prompts();
        let encode = |prefix: &str, texts: Vec<&str>, most: usize| {
            let texts: Vec<String> = texts.into_iter().map(|text| format!("{prefix}{text}")).collect();
            model.encode_windowed(&texts, most.min(model.max_tokens()))
        };
        let texts = pool.iter().map(|number| self.judged.passages[*number].text.as_str()).collect();
        let passages = encode(&prompts.passage, texts, self.section.passage_tokens)?;
        let queries = self.judged.heldout_queries.values().map(String::as_str).collect();
        let queries = encode(&prompts.query, queries, self.section.query_tokens)?;
        let mut ranking = Ranking::new();
        for (name, query) in self.judged.heldout_queries.keys().zip(queries) {
            let near = |passage: &Vec<f32>| f64::from(query.iter().zip(passage).map(|(a, b)| a * b).sum::<f32>());
            let mut scored: Vec<(usize, f64)> = passages.iter().map(near).enumerate().collect();
            scored.sort_by(|left, right| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0)));
            let named = scored.into_iter().map(|(at, score)| (self.judged.passages[pool[at]].document.clone(), score));
            let documents = best_per_document(named).into_iter().take(DEPTH).map(|(document, _)| document);
            ranking.insert(name.clone(), documents.collect());
        }
        let found = evaluate(&self.judged.heldout, &ranking);
        let values = [("ndcg@10", found.ndcg_at_10), ("recall@100", found.recall_at_100), ("mrr", found.mrr)];
        let values: BTreeMap<String, f64> = values.map(|(name, value)| (name.to_owned(), value)).into();
        Ok(Some(Measured { loss: 1.0 - found.ndcg_at_10, values, notices: Vec::new() }))
    }

    /// The passages that are searched: all, or as many as are allowed, relevant ones first.
    fn pool(&self) -> Vec<usize> {
        let mut pool: Vec<usize> = (0..self.judged.passages.len()).collect();
        if self.section.pool > 0 {
            let stream = Stream { seed: self.seed, step: 0, prompt: u32::MAX, sample: NEGATIVES };
            let mut is_relevant: HashMap<&str, bool> = HashMap::new();
            for judgments in self.judged.heldout.values() {
                is_relevant.extend(
                    judgments.iter().filter(|(_, grade)| **grade > 0).map(|(document, _)| (document.as_str(), true)),
                );
            }
            let last = |number: &usize| !is_relevant.contains_key(self.judged.passages[*number].document.as_str());
            pool.sort_by_cached_key(|number| (last(number), stream.words(*number as u32), *number));
            pool.truncate(self.section.pool);
            pool.sort_unstable();
        }
        pool
    }
}

impl Batch {
    fn packed(&self, numbers: &[usize]) -> Packed {
        let mut packed = Packed::default();
        for number in numbers {
            packed.push(&self.ids[*number]);
        }
        packed
    }

    fn tokens(&self, numbers: &[usize]) -> usize {
        numbers.iter().map(|number| self.ids[*number].len()).sum()
    }
}

/// Rows as a variable.
fn matrix(rows: &[Vec<f32>]) -> Result<Var> {
    let width = rows.first().map_or(0, Vec::len);
    let tensor = Tensor::from_vec(rows.concat(), (rows.len(), width), &candle_core::Device::Cpu)?;
    Ok(Var::from_tensor(&tensor)?)
}

/// Writes an encoder to the new folder `to`, whole or not at all, unless it is there.
fn publish(model: &SentenceEncoder, to: &Path) -> Result<()> {
    if to.is_dir() {
        return Ok(());
    }
    let aside = to.with_extension("partial");
    remove_folder(&aside)?;
    fs::create_dir(&aside).map_err(write(&aside))?;
    model.save(&aside)?;
    sync_all(&aside)?;
    fs::rename(&aside, to).map_err(write(to))?;
    to.parent().map_or(Ok(()), sync_folder)
}

#[cfg(test)]
mod tests;
