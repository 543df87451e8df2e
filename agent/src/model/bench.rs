//! [`bench()`]: how fast the engine reads prompts and writes tokens, by how many sequences it has at once.
//!
//! For each batch, distinct random prompts are read (prefill), then continued greedily with the end of
//! a sequence forbidden. Writing is timed from when the last sequence has its first token until the
//! first has its last: the batch is full all that time.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nn::{Ceiling, DecoderConfig, Sampled, Sampling, Stream};
use serde::Serialize;

use super::{Memory, Model};
use crate::engine::{Engine, Request, Watch};
use crate::{Error, Result};

/// What to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Numbers of sequences at once.
    pub batches: Vec<usize>,
    /// Tokens of each prompt.
    pub prompt_tokens: usize,
    /// Tokens written after each.
    pub new_tokens: usize,
}

/// Speeds with one number of sequences at once.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Sequences at once.
    pub batch: usize,
    /// Prompt tokens read in a second, of all sequences together.
    pub prefill_tokens_per_s: f64,
    /// Tokens written in a second, of all sequences together.
    pub decode_tokens_per_s: f64,
    /// Reading's share of the rate of a large matrix product.
    pub prefill_share_of_matmul: f64,
    /// Writing's share of the memory bandwidth: what the weights and the cache must be read for, against
    /// what can be read. Above 1 when the weights stay in the processor's cache.
    pub decode_share_of_bandwidth: f64,
}

/// All that was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// One entry a batch.
    pub rows: Vec<Row>,
    /// Tokens of each prompt.
    pub prompt_tokens: usize,
    /// Tokens written after each.
    pub new_tokens: usize,
    /// Where it ran.
    pub device: String,
    /// What the model took.
    pub memory: Memory,
    /// Bytes of memory that can be read in a second.
    pub read_bytes_per_s: f64,
    /// Floating-point operations in a second of a large matrix product.
    pub matmul_flops: f64,
}

/// Measures `model` as `plan` says, by `clock`. `on_batch` is told each batch before it runs.
///
/// # Errors
/// [`Error::Input`] for a plan that the model's positions do not hold, [`Error::Engine`] when it fails.
pub fn bench(model: Model, plan: &Plan, clock: fn() -> Duration, on_batch: &mut dyn FnMut(usize)) -> Result<Report> {
    let Plan { batches, prompt_tokens, new_tokens } = plan;
    let (prompt_tokens, new_tokens) = (*prompt_tokens, *new_tokens);
    let most = batches.iter().copied().max().unwrap_or(0);
    if batches.contains(&0) || most == 0 || prompt_tokens == 0 || new_tokens == 0 {
        return Err(Error::Input("batches, prompts and new tokens must be at least one".to_owned()));
    }
    let length = prompt_tokens.saturating_add(new_tokens).saturating_add(1);
    model.check_length(length)?;
    let (device, config) = (model.device, model.config().clone());
    let work = Work::of(&config, model.decoder.bytes(), model.decoder.bytes_per_block() / nn::BLOCK);
    let kv = Model::blocks(most, length).saturating_mul(model.decoder.bytes_per_block());
    let weights = model.decoder.bytes();
    let engine = model.start(most, length)?;

    let trial = Trial { engine: &engine, config: &config, prompt_tokens, clock };
    // The first pass through fresh memory is slower than any after it.
    trial.run(1, u64::MAX, 2)?;
    let mut speeds = Vec::new();
    for (seed, batch) in (0..).zip(batches.iter().copied()) {
        on_batch(batch);
        let read = trial.run(batch, seed, 1)?;
        let written = trial.run(batch, seed, new_tokens + 1)?;
        speeds.push((batch, read.prefill_rate(batch * prompt_tokens), written.decode_rate()));
    }
    let memory = Memory::measure(weights, kv);
    drop(engine);

    let Ceiling { read_bytes_per_s, matmul_flops } = Ceiling::measure(device)?;
    let row = |(batch, prefill_tokens_per_s, decode_tokens_per_s): (usize, f64, f64)| {
        let steps = decode_tokens_per_s / batch as f64;
        Row {
            batch,
            prefill_tokens_per_s,
            decode_tokens_per_s,
            prefill_share_of_matmul: prefill_tokens_per_s * work.flops(prompt_tokens) / matmul_flops,
            decode_share_of_bandwidth: steps * work.bytes(batch, prompt_tokens + new_tokens / 2) / read_bytes_per_s,
        }
    };
    Ok(Report {
        rows: speeds.into_iter().map(row).collect(),
        prompt_tokens,
        new_tokens,
        device: super::describe(device),
        memory,
        read_bytes_per_s,
        matmul_flops,
    })
}

/// What a token costs at least.
struct Work {
    /// Weights that every token is multiplied with.
    weights: f64,
    /// Weights of the head, for the last token of a prompt.
    head: f64,
    /// Operations of attention for one token that sees one token.
    attention: f64,
    /// Bytes of the weights that a step of writing reads.
    step_bytes: f64,
    /// Bytes of keys and values of one token.
    token_bytes: f64,
}

impl Work {
    fn of(config: &DecoderConfig, bytes: usize, token_bytes: usize) -> Self {
        let head = (config.vocab_size * config.hidden_size) as f64;
        let all = config.parameters() as f64;
        // A table that is no head is only looked up.
        let tables = if config.tie_word_embeddings { 1.0 } else { 2.0 };
        let read = all - head * (tables - 1.0);
        Self {
            weights: all - head * tables,
            head,
            attention: (4 * config.num_hidden_layers * config.num_attention_heads * config.head_dim) as f64,
            step_bytes: bytes as f64 * read / all,
            token_bytes: token_bytes as f64,
        }
    }

    /// Operations for each token of a prompt of so many.
    fn flops(&self, tokens: usize) -> f64 {
        let tokens = tokens as f64;
        2.0 * self.weights + 2.0 * self.head / tokens + self.attention * (tokens + 1.0) / 2.0
    }

    /// Bytes read to write one token of each of `batch` sequences that are so long.
    fn bytes(&self, batch: usize, tokens: usize) -> f64 {
        self.step_bytes + (batch * tokens) as f64 * self.token_bytes
    }
}

struct Trial<'a> {
    engine: &'a Engine,
    config: &'a DecoderConfig,
    prompt_tokens: usize,
    clock: fn() -> Duration,
}

impl Trial<'_> {
    /// Continues `batch` random prompts by `tokens` each. The same seed gives the same prompts.
    fn run(&self, batch: usize, seed: u64, tokens: usize) -> Result<Times> {
        let start = (self.clock)();
        let mut notes = Vec::new();
        let mut generations = Vec::new();
        for sample in 0..batch as u32 {
            let stream = Stream { seed, sample, ..Stream::default() };
            let ids = (0..self.prompt_tokens as u32)
                .map(|position| (stream.uniform(position) * self.config.vocab_size as f64) as u32)
                .collect();
            let times = Arc::new(Mutex::new(Vec::with_capacity(tokens)));
            notes.push(Arc::clone(&times));
            let watch = Box::new(Notes { clock: self.clock, times, ends: self.config.eos_token_ids.clone() });
            let sampling = Sampling::default();
            generations.push(self.engine.submit(Request { ids, max_tokens: tokens, sampling, stream, watch })?);
        }
        for generation in generations {
            let (written, finish) = generation.wait()?;
            if written.len() != tokens {
                let what = format!("wrote {} of {tokens} tokens ({finish:?})", written.len());
                return Err(Error::Engine(what));
            }
        }
        let taken = |times: &Arc<Mutex<Vec<Duration>>>| {
            std::mem::take(&mut *times.lock().unwrap_or_else(PoisonError::into_inner))
        };
        Ok(Times { start, tokens: notes.iter().map(taken).collect() })
    }
}

/// Notes when each token came, and keeps the sequence from ending.
struct Notes {
    clock: fn() -> Duration,
    times: Arc<Mutex<Vec<Duration>>>,
    ends: Vec<u32>,
}

impl Watch for Notes {
    fn forbids(&mut self, id: u32) -> bool {
        self.ends.contains(&id)
    }

    fn push(&mut self, _: Sampled) -> ControlFlow<()> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner).push((self.clock)());
        ControlFlow::Continue(())
    }
}

/// When the requests were made, and when each token of each sequence came.
struct Times {
    start: Duration,
    tokens: Vec<Vec<Duration>>,
}

impl Times {
    /// Prompt tokens in a second, of `tokens` that were read before the last sequence had its first.
    fn prefill_rate(&self, tokens: usize) -> f64 {
        let end = self.tokens.iter().filter_map(|times| times.first()).max();
        end.map_or(0.0, |end| tokens as f64 / end.saturating_sub(self.start).as_secs_f64())
    }

    /// Tokens in a second while every sequence was being written.
    fn decode_rate(&self) -> f64 {
        let from = self.tokens.iter().filter_map(|times| times.first()).max();
        let to = self.tokens.iter().filter_map(|times| times.last()).min();
        let (Some(from), Some(to)) = (from, to) else { return 0.0 };
        let count = self.tokens.iter().flatten().filter(|time| (from < *time) && (*time <= to)).count();
        count as f64 / to.saturating_sub(*from).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_time_when_all_take_part() {
        let start = Duration::from_secs(10);
        let at = |seconds: &[u64]| seconds.iter().map(|s| start + Duration::from_secs(*s)).collect::<Vec<_>>();
        let times = Times { start, tokens: vec![at(&[1, 2, 3, 4, 5]), at(&[3, 4, 5, 6, 7])] };
        assert_eq!(times.prefill_rate(30), 10.0);
        // Of (3, 5]: two tokens of each.
        assert_eq!(times.decode_rate(), 2.0);
        assert_eq!(Times { start, tokens: Vec::new() }.decode_rate(), 0.0);
    }
}
