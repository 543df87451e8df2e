//! [`Engine`]: many requests on one decoder, continuously batched.
//!
//! One thread owns the decoder and its key-value cache. Between steps, requests join and leave; a
//! step is one forward pass over one token of each sequence that decodes and some prompt tokens of
//! those that begin. What a sequence computed stays in the cache until its place is needed, so the
//! next turn of an episode computes its new tokens alone, a group of samples computes its prompt
//! once, and an episode that waits for retrieval holds no place.
//!
//! On one machine, the tokens and log-probabilities of a request do not depend on what else is in
//! the engine, nor on whether it had to leave and come back: draws are keyed by place
//! ([`nn::Stream`]), and a token's logits by the decoder's arithmetic.
//!
//! Weights may learn while an engine runs on them. [`Engine::update`] changes them between requests,
//! and with the change goes everything that was computed by the old ones. Each change has a number,
//! the version, and each token the version that it was sampled from.

mod blocks;
mod prefix;
mod request;
mod scheduler;
mod sequence;
mod stats;
mod weights;

use std::num::NonZero;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use nn::{BLOCK, Batch, Decoder, DecoderConfig, KvCache, Pass, Pieces};

pub use self::request::{Finish, Generation, Received, Request, Watch};
use self::scheduler::Scheduler;
use self::sequence::{Bounds, Sequence, guard};
pub use self::stats::Stats;
use self::weights::{Halt, Weights, standstill};
use crate::{Error, Result};

/// What an engine may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// Bytes for keys and values. More keeps more sequences running and more beginnings cached.
    pub kv_bytes: usize,
    /// Sequences in one step at most.
    pub max_batch: usize,
    /// Prompt tokens computed in one step at most: fewer let running sequences wait less.
    pub step_tokens: usize,
}

/// A handle on a running engine, cheap to clone. Dropping the last one ends what is under way.
#[derive(Clone, Debug)]
pub struct Engine(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// `None` once the engine is told to stop.
    mail: Option<Sender<Mail>>,
    driver: Option<JoinHandle<()>>,
    weights: Arc<Weights>,
    config: DecoderConfig,
    pieces: Pieces,
    options: EngineOptions,
    blocks: usize,
    bytes_per_block: usize,
    stats: Arc<Mutex<Stats>>,
}

/// What the engine's thread is sent.
#[derive(Debug)]
enum Mail {
    Request(Request, request::Reply),
    Halt(Halt),
}

impl Engine {
    /// Starts an engine on its own thread.
    ///
    /// # Errors
    /// [`Error::Input`] when `kv_bytes` holds no block, [`Error::Model`] when the device lacks room,
    /// [`Error::Engine`] when there can be no thread.
    pub fn start(decoder: Decoder, pieces: Pieces, options: EngineOptions) -> Result<Self> {
        let config = decoder.config().clone();
        let bytes_per_block = decoder.bytes_per_block();
        let blocks = options.kv_bytes / bytes_per_block.max(1);
        if blocks == 0 {
            return Err(Error::Input(format!(
                "{} bytes of key-value memory do not hold the {bytes_per_block} of {BLOCK} tokens: allow more",
                options.kv_bytes
            )));
        }
        let cache = KvCache::new(&decoder, blocks)?;
        let bounds = Bounds { positions: config.max_position_embeddings, end_ids: config.eos_token_ids.clone() };
        let stats = Arc::new(Mutex::new(Stats { blocks, ..Stats::default() }));
        let threads = thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
        let (mail, inbox) = channel();
        let weights = Arc::new(Weights::new(decoder));
        let driver = Driver {
            weights: Arc::clone(&weights),
            cache,
            scheduler: Scheduler::new(blocks, options.max_batch, options.step_tokens, threads, bounds),
            batch: Batch::default(),
            inbox,
            arrivals: 0,
            stats: Arc::clone(&stats),
        };
        let driver = thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || driver.run())
            .map_err(|error| Error::Engine(format!("cannot start its thread: {error}")))?;
        let (mail, driver) = (Some(mail), Some(driver));
        Ok(Self(Arc::new(Shared { mail, driver, weights, config, pieces, options, blocks, bytes_per_block, stats })))
    }

    /// Hands in a request.
    ///
    /// # Errors
    /// [`Error::Input`] for one that can never be met: an empty prompt, ids beyond the vocabulary,
    /// more tokens than the model has positions or the memory has room for, sampling out of range.
    /// [`Error::Engine`] when the engine is no longer there.
    pub fn submit(&self, request: Request) -> Result<Generation> {
        let shared = &self.0;
        shared.check(&request)?;
        let room = request.max_tokens.min(shared.config.max_position_embeddings).min(4096);
        let (reply, generation) = request::pair(room, self.version());
        if request.max_tokens == 0 {
            reply.settle(Ok(Finish::Length));
            return Ok(generation);
        }
        self.send(Mail::Request(request, reply))?;
        Ok(generation)
    }

    /// Looks at the decoder on the caller's thread, beside the requests that run on it.
    pub fn read<T>(&self, work: impl FnOnce(&Decoder) -> T) -> T {
        work(&self.0.weights.read())
    }

    /// Changes the decoder on the caller's thread. It is called once all requests that came before have
    /// ended; those that come meanwhile wait, and begin with nothing in the cache. Must not be called
    /// from a [`Watch`] or inside [`Engine::read`], which would wait for itself.
    ///
    /// # Errors
    /// [`Error::Engine`] when the engine is no longer there; `work` was not called then.
    pub fn update<T>(&self, work: impl FnOnce(&mut Decoder) -> T) -> Result<T> {
        let (halt, standstill) = standstill();
        self.send(Mail::Halt(halt))?;
        if !standstill.begin() {
            return Err(gone());
        }
        Ok(self.0.weights.change(work))
    }

    /// How often the weights were changed.
    pub fn version(&self) -> u64 {
        self.0.weights.version()
    }

    fn send(&self, mail: Mail) -> Result<()> {
        match self.0.mail.as_ref().map(|sender| sender.send(mail)) {
            Some(Ok(())) => Ok(()),
            _ => Err(gone()),
        }
    }

    /// What it has done and is doing, as of the last step.
    pub fn stats(&self) -> Stats {
        *self.0.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The decoder it runs.
    pub fn config(&self) -> &DecoderConfig {
        &self.0.config
    }

    /// The bytes of each token.
    pub fn pieces(&self) -> &Pieces {
        &self.0.pieces
    }

    /// What it may use.
    pub fn options(&self) -> EngineOptions {
        self.0.options
    }
}

fn gone() -> Error {
    Error::Engine("is no longer there: start it again".to_owned())
}

impl Shared {
    fn check(&self, request: &Request) -> Result<()> {
        let tokens = request.ids.len();
        let refuse = |what: String| Err(Error::Input(what));
        request.sampling.check()?;
        if tokens == 0 {
            return refuse("the prompt is empty: give at least one token".to_owned());
        }
        let vocabulary = self.config.vocab_size;
        if let Some(id) = request.ids.iter().find(|id| **id as usize >= vocabulary) {
            return refuse(format!("token {id} is beyond the {vocabulary} of the vocabulary"));
        }
        let positions = self.config.max_position_embeddings;
        if tokens > positions {
            return refuse(format!(
                "{tokens} tokens are more than the {positions} positions of the model: shorten them"
            ));
        }
        let needed = tokens.div_ceil(BLOCK);
        if needed > self.blocks {
            return refuse(format!(
                "{tokens} tokens need {} bytes of key-value memory, but there are {}: raise the key-value memory (`kv_bytes`)",
                needed * self.bytes_per_block,
                self.blocks * self.bytes_per_block
            ));
        }
        Ok(())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        drop(self.mail.take());
        // A watch may hold the last handle, and a thread cannot wait for itself.
        if let Some(driver) = self.driver.take().filter(|driver| driver.thread().id() != thread::current().id())
            && driver.join().is_err()
        {
            tracing::error!("the engine's thread panicked");
        }
    }
}

/// The engine's thread.
struct Driver {
    weights: Arc<Weights>,
    cache: KvCache,
    scheduler: Scheduler,
    batch: Batch,
    inbox: Receiver<Mail>,
    arrivals: u64,
    stats: Arc<Mutex<Stats>>,
}

impl Driver {
    /// Steps until the last handle is gone. What is under way then ends with it: each reply tells
    /// its caller when it is dropped.
    fn run(mut self) {
        loop {
            if self.scheduler.is_idle() {
                match self.inbox.recv() {
                    Ok(mail) => self.take_in(mail),
                    Err(_) => return,
                }
            }
            loop {
                match self.inbox.try_recv() {
                    Ok(mail) => self.take_in(mail),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            self.advance();
        }
    }

    fn advance(&mut self) {
        self.step();
        // Whoever is told of an end finds it counted.
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner) = self.scheduler.stats();
        self.scheduler.settle();
    }

    fn take_in(&mut self, mail: Mail) {
        match mail {
            Mail::Request(request, reply) => {
                // What is sampled before the next change is of this version, all of it.
                reply.stamp(self.weights.version());
                self.scheduler.add(Sequence::new(self.arrivals, request, reply));
                self.arrivals += 1;
            }
            Mail::Halt(halt) => {
                while !self.scheduler.is_idle() {
                    self.advance();
                }
                self.scheduler.forget();
                halt.wait();
            }
        }
    }

    fn step(&mut self) {
        if !self.scheduler.plan(&mut self.batch) {
            return;
        }
        let Self { weights, cache, scheduler, batch, .. } = self;
        let decoder = weights.read();
        let computed = guard(|| {
            for (from, to) in scheduler.copies() {
                cache.copy(*from, *to)?;
            }
            let logits = decoder.forward(batch, Pass::Infer(cache))?;
            let (logits, vocabulary) = (logits.host()?, decoder.config().vocab_size);
            if logits.len() != batch.rows() * vocabulary {
                return Err(nn::Error::Shape(format!("{} logits for {} rows", logits.len(), batch.rows())));
            }
            scheduler.apply(&logits, vocabulary);
            Ok(())
        });
        let fault = match computed {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(panic) => panic,
        };
        tracing::error!(fault, "a forward pass failed");
        scheduler.fail(&fault);
    }
}

#[cfg(test)]
mod tests;
