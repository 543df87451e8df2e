//! [`Scheduler`]: who computes what in the next step. It computes nothing itself.
//!
//! Each step holds one token of every sequence that decodes, and prompt tokens of those that begin,
//! up to a bound. Sequences join in the order of their arrival when their prompt fits beside what
//! runs; one whose beginning is just being computed by another waits for that, while others pass.
//! A sequence that needs a block takes a free one, then one that is only kept for later, then those
//! of the youngest sequence, which goes back to the front of the queue and is computed again, to
//! the same end.

use std::collections::VecDeque;
use std::num::NonZero;
use std::ops::Range;
use std::thread;

use nn::{BLOCK, Batch, BlockId, Sampler, Wanted};

use super::prefix::{Match, Prefix, common};
use super::request::{Finish, Reply};
use super::sequence::{Bounds, Sequence};
use super::stats::Stats;

/// A beginning shorter than this is computed twice rather than waited for.
const WORTH_WAITING: usize = 8;
/// Fewer logits than this are sampled faster than threads start.
const WORTH_THREADS: usize = 1 << 20;

/// Sequences that wait and run, and the blocks they share.
#[derive(Debug)]
pub(super) struct Scheduler {
    prefix: Prefix,
    bounds: Bounds,
    max_batch: usize,
    step_tokens: usize,
    /// Those that came first or were sent back first.
    waiting: VecDeque<Sequence>,
    /// By arrival.
    running: Vec<Sequence>,
    spans: Vec<Span>,
    copies: Vec<(BlockId, BlockId)>,
    /// Those that ended and were not told yet.
    ended: Vec<(Reply, Result<Finish, String>)>,
    /// One for each thread that samples.
    samplers: Vec<Sampler>,
    stats: Stats,
}

/// The part of one running sequence in a step.
#[derive(Debug)]
struct Span {
    running: usize,
    tokens: Range<usize>,
}

impl Scheduler {
    /// A scheduler over so many blocks, with at most `max_batch` sequences and `step_tokens` prompt
    /// tokens in a step, which samples on so many threads where that is worth their start.
    pub(super) fn new(
        blocks: usize,
        max_batch: usize,
        step_tokens: usize,
        threads: NonZero<usize>,
        bounds: Bounds,
    ) -> Self {
        Self {
            prefix: Prefix::new(blocks),
            bounds,
            max_batch: max_batch.max(1),
            step_tokens: step_tokens.max(1),
            waiting: VecDeque::new(),
            running: Vec::new(),
            spans: Vec::new(),
            copies: Vec::new(),
            ended: Vec::new(),
            samplers: (0..threads.get()).map(|_| Sampler::default()).collect(),
            stats: Stats { blocks, ..Stats::default() },
        }
    }

    /// Puts a sequence at the end of the queue.
    pub(super) fn add(&mut self, sequence: Sequence) {
        self.waiting.push_back(sequence);
    }

    /// Whether there is nothing to do.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    /// Drops what is cached for later. Sequences keep what they hold, so there should be none.
    pub(super) fn forget(&mut self) {
        self.prefix.forget();
    }

    /// Counts so far.
    pub(super) fn stats(&self) -> Stats {
        Stats {
            evictions: self.prefix.evictions(),
            peak_blocks: self.prefix.blocks().peak(),
            held_blocks: self.prefix.blocks().held(),
            running: self.running.len(),
            waiting: self.waiting.len(),
            ..self.stats
        }
    }

    /// Fills `batch` with the next step; false when there is nothing to compute. Blocks must then be
    /// copied as [`Scheduler::copies`] says, in order, before the step is computed.
    pub(super) fn plan(&mut self, batch: &mut Batch) -> bool {
        self.copies.clear();
        self.drop_cancelled();
        self.make_room();
        self.admit();
        self.spans.clear();
        batch.clear();
        let mut budget = self.step_tokens;
        for (running, sequence) in self.running.iter().enumerate() {
            let (past, remaining) = (sequence.computed, sequence.remaining());
            let count = if remaining == 1 { 1 } else { remaining.min(budget) };
            if count == 0 {
                continue;
            }
            if remaining > 1 {
                budget -= count;
            }
            let wanted = if count == remaining { Wanted::Last } else { Wanted::Nothing };
            let tokens = past..past + count;
            batch.push(&sequence.ids[tokens.clone()], past, sequence.table.blocks(), wanted);
            self.spans.push(Span { running, tokens });
        }
        !self.spans.is_empty()
    }

    /// Blocks to copy, (from, to), before the planned step.
    pub(super) fn copies(&self) -> &[(BlockId, BlockId)] {
        &self.copies
    }

    /// Takes in the logits of the planned step, (rows, `vocabulary`), and samples.
    pub(super) fn apply(&mut self, logits: &[f32], vocabulary: usize) {
        self.stats.steps += 1;
        self.stats.sequences += self.spans.len() as u64;
        for span in &self.spans {
            let sequence = &mut self.running[span.running];
            let prompt = sequence.remaining() > 1;
            sequence.computed = span.tokens.end;
            if prompt {
                self.stats.prefilled += span.tokens.len() as u64;
            }
            if prompt || sequence.computed.is_multiple_of(BLOCK) {
                self.prefix.commit(&mut sequence.table, &sequence.ids, sequence.computed);
            }
        }
        let ready = self.running.iter_mut().filter(|sequence| sequence.remaining() == 0);
        self.stats.decoded += sample(ready, logits, vocabulary, &mut self.samplers, &self.bounds);
        for place in (0..self.running.len()).rev() {
            if let Some(end) = self.running[place].end.take() {
                let sequence = self.running.remove(place);
                self.leave(sequence, end);
            }
        }
    }

    /// Ends all running sequences with a fault of the step they were in.
    pub(super) fn fail(&mut self, what: &str) {
        for mut sequence in std::mem::take(&mut self.running) {
            // What the step should have put into their blocks may not be there.
            self.prefix.release(std::mem::take(&mut sequence.table));
            self.ended.push((sequence.reply, Err(what.to_owned())));
        }
    }

    /// Tells those that ended.
    pub(super) fn settle(&mut self) {
        for (reply, end) in self.ended.drain(..) {
            reply.settle(end);
        }
    }

    /// Ends a sequence that is in no list any more; its computed tokens stay cached.
    fn leave(&mut self, mut sequence: Sequence, end: Result<Finish, String>) {
        self.vacate(&mut sequence);
        self.ended.push((sequence.reply, end));
    }

    fn vacate(&mut self, sequence: &mut Sequence) {
        let mut table = std::mem::take(&mut sequence.table);
        self.prefix.commit(&mut table, &sequence.ids, sequence.computed);
        self.prefix.release(table);
        sequence.computed = 0;
    }

    fn drop_cancelled(&mut self) {
        for place in (0..self.running.len()).rev() {
            if self.running[place].reply.is_cancelled() {
                let sequence = self.running.remove(place);
                self.leave(sequence, Ok(Finish::Cancelled));
            }
        }
        for place in (0..self.waiting.len()).rev() {
            if self.waiting[place].reply.is_cancelled()
                && let Some(sequence) = self.waiting.remove(place)
            {
                self.leave(sequence, Ok(Finish::Cancelled));
            }
        }
    }

    /// Gives each running sequence a place for its next token, the oldest first.
    fn make_room(&mut self) {
        let mut place = 0;
        while let Some(sequence) = self.running.get_mut(place) {
            if sequence.table.capacity() >= sequence.ids.len() || self.prefix.grow(&mut sequence.table) {
                place += 1;
            } else if self.running.len() == 1 {
                // It has every block there is.
                let sequence = self.running.remove(place);
                self.leave(sequence, Ok(Finish::Length));
            } else if let Some(mut youngest) = self.running.pop() {
                self.vacate(&mut youngest);
                self.stats.preemptions += 1;
                self.waiting.push_front(youngest);
            }
        }
    }

    /// Lets waiting sequences join while there is room and prompt left to compute in this step.
    fn admit(&mut self) {
        let prompts = self.running.iter().map(Sequence::remaining).filter(|remaining| *remaining > 1);
        let mut pending: usize = prompts.sum();
        let mut place = 0;
        while self.running.len() < self.max_batch && pending < self.step_tokens {
            let Some(sequence) = self.waiting.get_mut(place) else {
                break;
            };
            if sequence.follows.is_some_and(|(leader, until)| is_computing(&self.running, leader, until)) {
                place += 1;
                continue;
            }
            let prompt = &sequence.ids[..sequence.ids.len() - 1];
            let found = self.prefix.find(prompt);
            sequence.follows = leader(&self.running, prompt, found.tokens());
            if sequence.follows.is_some() {
                place += 1;
                continue;
            }
            let blocks = sequence.ids.len().div_ceil(BLOCK);
            if blocks > self.prefix.blocks().count() {
                // It was sent back when it had all there is, and got one token more.
                if let Some(sequence) = self.waiting.remove(place) {
                    self.leave(sequence, Ok(Finish::Length));
                }
                continue;
            }
            if !self.fits(&found, blocks) {
                break;
            }
            let Some(mut sequence) = self.waiting.remove(place) else {
                break;
            };
            if self.seat(&mut sequence, &found) {
                pending += if sequence.remaining() > 1 { sequence.remaining() } else { 0 };
                let place = self.running.partition_point(|other| other.arrival < sequence.arrival);
                self.running.insert(place, sequence);
            } else {
                self.waiting.insert(place, sequence);
                break;
            }
        }
    }

    /// Whether a table of so many blocks that begins with `found` leaves those that run room to grow.
    fn fits(&self, found: &Match, blocks: usize) -> bool {
        let needed = blocks - found.blocks.len() + self.prefix.idle_among(found);
        let reserve = if self.running.is_empty() { 0 } else { self.running.len() + self.prefix.blocks().count() / 32 };
        needed + reserve <= self.prefix.available()
    }

    /// Gives a sequence the blocks of its prompt; false, with nothing changed, when there are too few.
    fn seat(&mut self, sequence: &mut Sequence, found: &Match) -> bool {
        let Some((mut table, copy)) = self.prefix.hold(found) else {
            return false;
        };
        while table.capacity() < sequence.ids.len() {
            if !self.prefix.grow(&mut table) {
                self.prefix.release(table);
                return false;
            }
        }
        self.copies.extend(copy);
        sequence.table = table;
        sequence.computed = found.tokens();
        self.stats.reused += found.tokens() as u64;
        true
    }
}

/// Samples the next token of each sequence from its row of `logits`; gives how many were sampled.
/// Many logits are spread over the threads of `samplers`.
fn sample<'a>(
    ready: impl Iterator<Item = &'a mut Sequence>,
    logits: &[f32],
    vocabulary: usize,
    samplers: &mut [Sampler],
    bounds: &Bounds,
) -> u64 {
    let rows = logits.len() / vocabulary;
    let ready = ready.zip(logits.chunks_exact(vocabulary));
    if logits.len() < WORTH_THREADS || samplers.len() == 1 {
        ready.for_each(|(sequence, row)| sequence.advance(row, &mut samplers[0], bounds));
    } else {
        let mut ready: Vec<_> = ready.collect();
        let share = rows.div_ceil(samplers.len());
        thread::scope(|scope| {
            for (part, sampler) in ready.chunks_mut(share).zip(samplers) {
                scope.spawn(move || part.iter_mut().for_each(|(sequence, row)| sequence.advance(row, sampler, bounds)));
            }
        });
    }
    rows as u64
}

/// Whether the sequence that arrived as `leader` still has to compute some of its first `until` tokens.
fn is_computing(running: &[Sequence], leader: u64, until: usize) -> bool {
    let place = running.binary_search_by_key(&leader, |sequence| sequence.arrival);
    place.is_ok_and(|place| running[place].computed < until)
}

/// The running sequence that will have computed the most of `prompt`, and how much, where that is
/// worth waiting for beside the `known` tokens.
fn leader(running: &[Sequence], prompt: &[u32], known: usize) -> Option<(u64, usize)> {
    let computing = running.iter().filter(|sequence| sequence.remaining() > 1);
    let shared = computing.map(|sequence| (sequence, common(&sequence.ids, prompt)));
    let worthy = shared.filter(|(sequence, shared)| *shared >= known + WORTH_WAITING && *shared > sequence.computed);
    worthy.max_by_key(|(_, shared)| *shared).map(|(sequence, shared)| (sequence.arrival, shared))
}

#[cfg(test)]
mod tests;
