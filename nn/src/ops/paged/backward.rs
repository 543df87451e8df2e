//! The gradient of causal attention over whole sequences: scores and shares are computed again, a few
//! queries at a time against all their keys, so that nothing of the forward is kept but its input and
//! output (after arXiv 2205.14135).
//!
//! Sequences may share their beginnings. Each works out what it owes to keys and values before its own
//! rows, and a beginning adds up what is owed to it in the order of the sequences.

mod debts;

use std::ops::Range;

use self::debts::{Debts, parents};
use super::{BLOCK, HeadNorms, Heads, ROWS, Span, check_parents, run};
use crate::ops::isa::Isa;
use crate::ops::math::dot;
use crate::ops::rms_norm::rows_backward;
use crate::ops::softmax::exponentials;
use crate::ops::split::Split;
use crate::ops::team::Team;
use crate::ops::tile::{COLUMNS, EMPTY, From, Line, Panel, Rows, add_product, multiply, tiles};

/// Queries that go through the keys together, about.
const PAIRS: usize = 4 * ROWS;
/// Products of a query with a key below which one thread is faster.
const FEW_SCORES: usize = 1 << 9;

/// Memory that the gradient reuses from call to call.
#[derive(Debug, Default)]
pub(crate) struct BackwardMemory {
    workers: Vec<Worker>,
    /// For each span and key head, the gradients of keys and values before its rows, (past, 2 size).
    owed: Vec<f32>,
}

/// What the forward had, and the gradient of its output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attended<'a> {
    /// Queries and keys as they were rotated, and values, (T, (H + 2 KV) size).
    pub(crate) qkv: &'a [f32],
    /// Queries and keys before their norms, in rows of the same width; anything without norms.
    pub(crate) raw: &'a [f32],
    /// (T, H size)
    pub(crate) out: &'a [f32],
    /// Of `out`.
    pub(crate) g: &'a [f32],
    /// (T, size / 2)
    pub(crate) cos: &'a [f32],
    pub(crate) sin: &'a [f32],
}

/// `d` (T, (H + 2 KV) size) is the gradient of what [`super::paged_attention`] was given, for spans
/// whose past, where they have one, is that of their parents. The gradients of the norms' gains, (size) each, are added to `dgains`, where wanted.
#[expect(clippy::too_many_arguments, reason = "what the gradient takes, each once")]
pub(crate) fn paged_attention_backward(
    isa: Isa,
    team: &Team,
    memory: &mut BackwardMemory,
    heads: Heads,
    norms: Option<HeadNorms<'_>>,
    spans: &[Span<'_>],
    attended: Attended<'_>,
    d: &mut [f32],
    dgains: Option<(&mut [f32], &mut [f32])>,
) {
    let tokens = attended.out.len() / (heads.query * heads.size);
    assert!(attended.qkv.len() == tokens * heads.width() && d.len() == attended.qkv.len(), "a gradient for each input");
    assert!(attended.g.len() == attended.out.len(), "a gradient for each output");
    assert!(norms.is_none() || attended.raw.len() == d.len(), "what was normalised");
    assert!(attended.cos.len() * 2 == tokens * heads.size, "a rotation for each row");
    let is_whole = |span: &Span<'_>| (span.past == 0 || span.parent.is_some()) && span.rows.end <= tokens;
    assert!(spans.iter().all(is_whole), "whole sequences of this step");
    check_parents(spans);
    let BackwardMemory { workers, owed } = memory;
    workers.resize_with(team.threads(), Worker::default);
    let workers = Split::new(workers);
    let debts = Debts::new(heads, spans);
    grow(owed, debts.total, 0.0);
    let all_owed = Split::new(owed);
    let gains = 2 * heads.size;
    let mut sums = vec![0.0; if norms.is_some() { spans.len() * heads.key * gains } else { 0 }];
    let all_sums = Split::new(&mut sums);
    let step = Step { isa, heads, norms, attended, d: Split::new(d) };
    let work = |worker: usize, job: usize| {
        let (span, head) = (job / heads.key, job % heads.key);
        #[expect(unsafe_code, reason = "each thread has memory of its own, each job its own debts")]
        // SAFETY: a team gives each of its threads another number, and each job once.
        let (worker, owed) = unsafe { (&mut workers.part(worker..worker + 1)[0], all_owed.part(debts.of(span, head))) };
        worker.attend(&step, spans, span, head, owed);
    };
    let scores: usize = spans.iter().map(|span| span.rows.len() * (span.past + span.rows.len())).sum();
    let few = scores * heads.query < FEW_SCORES;
    run(team, spans.len() * heads.key, few, &work);
    let owed = memory.owed.as_slice();
    let settle = |_: usize, job: usize| {
        let own = if norms.is_some() { job * gains..(job + 1) * gains } else { 0..0 };
        let (span, head) = (job / heads.key, job % heads.key);
        #[expect(unsafe_code, reason = "each job has its own sums")]
        // SAFETY: each job runs once.
        let sums = unsafe { all_sums.part(own) };
        step.settle(&spans[span], head, debts.to(spans, span, head).map(|place| &owed[place]));
        step.turn_back(&spans[span], head, sums);
    };
    run(team, spans.len() * heads.key, few, &settle);
    if let Some((queries, keys)) = dgains {
        for sums in sums.chunks_exact(gains) {
            for (total, sum) in queries.iter_mut().chain(keys.iter_mut()).zip(sums) {
                *total += sum;
            }
        }
    }
}

/// What all jobs share: one job is a key head of one sequence, with the query heads that share it.
struct Step<'a> {
    isa: Isa,
    heads: Heads,
    norms: Option<HeadNorms<'a>>,
    attended: Attended<'a>,
    d: Split<'a, f32>,
}

impl<'a> Step<'a> {
    /// One head of one row of queries, keys and values.
    fn head(&self, row: usize, head: usize) -> &'a [f32] {
        &self.attended.qkv[row * self.heads.width() + head * self.heads.size..][..self.heads.size]
    }

    /// The gradient of one head of one row.
    #[expect(clippy::mut_from_ref, reason = "each job takes other heads")]
    fn gradient(&self, row: usize, head: usize) -> &mut [f32] {
        let start = row * self.heads.width() + head * self.heads.size;
        #[expect(unsafe_code, reason = "jobs write different heads or different rows")]
        // SAFETY: a job takes the heads of its own key head in the rows of its own span, one at a time.
        unsafe {
            self.d.part(start..start + self.heads.size)
        }
    }

    /// Adds what is owed to a span's keys and values, each of `debts` (rows, 2 size).
    fn settle<'b>(&self, span: &Span<'_>, head: usize, debts: impl Iterator<Item = &'b [f32]>) {
        let Heads { query, key, size, .. } = self.heads;
        for debt in debts {
            for (row, owed) in span.rows.clone().zip(debt.chunks_exact(2 * size)) {
                for (number, owed) in [(query + head, &owed[..size]), (query + key + head, &owed[size..])] {
                    for (sum, owed) in self.gradient(row, number).iter_mut().zip(owed) {
                        *sum += owed;
                    }
                }
            }
        }
    }

    /// From the gradients of rotated queries and keys to those of what came before their norms.
    fn turn_back(&self, span: &Span<'_>, head: usize, sums: &mut [f32]) {
        let Heads { query, size, .. } = self.heads;
        let group = self.heads.group();
        let factor = 1.0 / (size as f32).sqrt();
        let (of_queries, of_keys) = sums.split_at_mut(sums.len() / 2);
        let mut buffer = vec![0.0; size];
        for row in span.rows.clone() {
            let angles = row * size / 2..(row + 1) * size / 2;
            let (cos, sin) = (&self.attended.cos[angles.clone()], &self.attended.sin[angles]);
            for member in 0..=group {
                let (number, factor) =
                    if member < group { (head * group + member, factor) } else { (query + head, 1.0) };
                let gradient = self.gradient(row, number);
                let (left, right) = gradient.split_at_mut(size / 2);
                for (((left, right), cos), sin) in left.iter_mut().zip(right).zip(cos).zip(sin) {
                    let (x, y) = (*left, *right);
                    *left = (x * cos + y * sin) * factor;
                    *right = (y * cos - x * sin) * factor;
                }
                if let Some(norms) = self.norms {
                    let (gain, sums) =
                        if member < group { (norms.query, &mut *of_queries) } else { (norms.key, &mut *of_keys) };
                    let raw = &self.attended.raw[row * self.heads.width() + number * size..][..size];
                    buffer.fill(0.0);
                    rows_backward(self.isa, raw, gain, norms.epsilon, gradient, &mut buffer, sums);
                    gradient.copy_from_slice(&buffer);
                }
            }
        }
    }
}

/// Memory of one thread: one head of one sequence, and a few of its queries.
#[derive(Debug, Default)]
struct Worker {
    /// The row of each token, those before the span's own too.
    path: Vec<usize>,
    /// Keys and values, a line of 32 tokens for each column of a block.
    keys: Vec<Line>,
    values: Vec<Line>,
    /// Keys, a line of 32 columns for each token.
    tokens: Vec<Line>,
    /// Gradients of keys and values, as those are laid out, with room for a whole tile after each block.
    dkeys: Vec<Line>,
    dvalues: Vec<Line>,
    /// (pairs, size) each: queries, gradients of the output; and turned, (size, pairs).
    queries: Vec<f32>,
    outputs: Vec<f32>,
    queries_turned: Vec<f32>,
    outputs_turned: Vec<f32>,
    /// The product of each output with its gradient, (pairs).
    dots: Vec<f32>,
    /// Shares, then gradients of scores, (pairs, keys in whole blocks).
    scores: Vec<f32>,
    /// The same, a line of 32 keys for each pair of a block.
    share_lines: Vec<Line>,
    score_lines: Vec<Line>,
}

fn grow<T: Copy>(memory: &mut Vec<T>, length: usize, value: T) {
    if memory.len() < length {
        memory.resize(length, value);
    }
}

impl Worker {
    /// The gradients of one key head and its query heads, as if nothing had been rotated; those of keys
    /// and values before the span's own rows go to `owed`.
    fn attend(&mut self, step: &Step<'_>, spans: &[Span<'_>], number: usize, head: usize, owed: &mut [f32]) {
        let Heads { query, key, size, window } = step.heads;
        let span = &spans[number];
        let (past, length, group) = (span.past, span.rows.len(), step.heads.group());
        if length == 0 {
            owed.fill(0.0);
            return;
        }
        self.path.clear();
        self.path.extend(span.rows.clone().rev());
        for parent in parents(spans, number) {
            self.path.extend(spans[parent].rows.clone().rev());
        }
        self.path.reverse();
        self.lay_out(step, head);
        let together = (PAIRS / group).max(1);
        for first in (0..length).step_by(together) {
            let last = length.min(first + together);
            self.gather(step, span, head, first..last);
            let begin = window.map_or(0, |window| (past + first + 1).saturating_sub(window)) / BLOCK;
            let blocks = begin..(past + last - 1) / BLOCK + 1;
            self.shares(step, blocks.clone(), past + first, (last - first) * group, window);
            self.scores(step, blocks.clone(), (last - first) * group);
            self.query_gradients(step, span, head, blocks.clone(), first..last);
            self.key_gradients(step, blocks, (last - first) * group);
        }
        for (token, row) in self.path.iter().enumerate() {
            let (start, column) = (token / BLOCK * (size + ROWS), token % BLOCK);
            let (keys, values) = if token < past {
                owed[token * 2 * size..(token + 1) * 2 * size].split_at_mut(size)
            } else {
                (step.gradient(*row, query + head), step.gradient(*row, query + key + head))
            };
            for (to, lines) in [(keys, &self.dkeys), (values, &self.dvalues)] {
                for (to, line) in to.iter_mut().zip(&lines[start..start + size]) {
                    *to = line.0[column];
                }
            }
        }
    }

    fn lay_out(&mut self, step: &Step<'_>, head: usize) {
        let Heads { query, key, size, .. } = step.heads;
        let length = self.path.len();
        let blocks = length.div_ceil(BLOCK);
        for lines in [&mut self.keys, &mut self.values] {
            grow(lines, blocks * size, Line::ZERO);
            lines[(blocks - 1) * size..blocks * size].fill(Line::ZERO);
        }
        for lines in [&mut self.dkeys, &mut self.dvalues] {
            lines.clear();
            lines.resize(blocks * (size + ROWS), Line::ZERO);
        }
        grow(&mut self.tokens, size.div_ceil(COLUMNS) * length, Line::ZERO);
        for (token, row) in self.path.iter().enumerate() {
            let (block, column) = (token / BLOCK * size, token % BLOCK);
            for (lines, number) in [(&mut self.keys, query + head), (&mut self.values, query + key + head)] {
                for (line, value) in lines[block..block + size].iter_mut().zip(step.head(*row, number)) {
                    line.0[column] = *value;
                }
            }
            for (panel, part) in step.head(*row, query + head).chunks(COLUMNS).enumerate() {
                let line = &mut self.tokens[panel * length + token].0;
                line[..part.len()].copy_from_slice(part);
                line[part.len()..].fill(0.0);
            }
        }
    }

    /// Queries, gradients of outputs and their products with the outputs, of the pairs of some tokens.
    fn gather(&mut self, step: &Step<'_>, span: &Span<'_>, head: usize, tokens: Range<usize>) {
        let size = step.heads.size;
        let group = step.heads.group();
        let pairs = tokens.len() * group;
        self.queries.clear();
        self.outputs.clear();
        self.dots.clear();
        for row in tokens.start + span.rows.start..tokens.end + span.rows.start {
            for number in head * group..(head + 1) * group {
                self.queries.extend_from_slice(step.head(row, number));
                let start = (row * step.heads.query + number) * size;
                let (g, out) = (&step.attended.g[start..start + size], &step.attended.out[start..start + size]);
                self.outputs.extend_from_slice(g);
                self.dots.push(dot(g, out));
            }
        }
        for (turned, rows) in [(&mut self.queries_turned, &self.queries), (&mut self.outputs_turned, &self.outputs)] {
            grow(turned, size * pairs, 0.0);
            for (pair, row) in rows.chunks_exact(size).enumerate() {
                for (column, value) in row.iter().enumerate() {
                    turned[column * pairs + pair] = *value;
                }
            }
        }
    }

    /// What share of each key a pair took: (pairs, keys of `blocks`).
    fn shares(&mut self, step: &Step<'_>, blocks: Range<usize>, first: usize, pairs: usize, window: Option<usize>) {
        let (size, group, stride) = (step.heads.size, step.heads.group(), blocks.len() * BLOCK);
        grow(&mut self.scores, pairs * stride, 0.0);
        let mut sums = EMPTY;
        for tile in tiles(pairs) {
            let queries = Rows { values: &self.queries[tile.start * size..], stride: size, count: tile.len() };
            for block in blocks.clone() {
                let keys = Panel::full(&self.keys[block * size..(block + 1) * size]);
                multiply(step.isa, queries, &[keys], From::Zero, &mut sums);
                for (pair, line) in tile.clone().zip(&sums) {
                    self.scores[pair * stride + (block - blocks.start) * BLOCK..][..BLOCK].copy_from_slice(&line.0);
                }
            }
        }
        for (pair, scores) in self.scores[..pairs * stride].chunks_exact_mut(stride).enumerate() {
            let (position, begin) = (first + pair / group, blocks.start * BLOCK);
            let earliest = window.map_or(0, |window| (position + 1).saturating_sub(window)).max(begin) - begin;
            scores[..earliest].fill(f32::NEG_INFINITY);
            scores[position + 1 - begin..].fill(f32::NEG_INFINITY);
            let factor = exponentials(step.isa, scores);
            for score in scores {
                *score *= factor;
            }
        }
    }

    /// From shares to the gradients of scores, and both as lines.
    fn scores(&mut self, step: &Step<'_>, blocks: Range<usize>, pairs: usize) {
        let (size, stride) = (step.heads.size, blocks.len() * BLOCK);
        grow(&mut self.share_lines, blocks.len() * pairs, Line::ZERO);
        grow(&mut self.score_lines, blocks.len() * pairs, Line::ZERO);
        let mut sums = EMPTY;
        for tile in tiles(pairs) {
            let outputs = Rows { values: &self.outputs[tile.start * size..], stride: size, count: tile.len() };
            for (number, block) in blocks.clone().enumerate() {
                let values = Panel::full(&self.values[block * size..(block + 1) * size]);
                multiply(step.isa, outputs, &[values], From::Zero, &mut sums);
                for (pair, line) in tile.clone().zip(&sums) {
                    let scores = &mut self.scores[pair * stride + number * BLOCK..][..BLOCK];
                    let shares = &mut self.share_lines[number * pairs + pair].0;
                    shares.copy_from_slice(scores);
                    let gradients = &mut self.score_lines[number * pairs + pair].0;
                    for (((gradient, share), product), score) in
                        gradients.iter_mut().zip(shares).zip(&line.0).zip(scores)
                    {
                        *gradient = *share * (product - self.dots[pair]);
                        *score = *gradient;
                    }
                }
            }
        }
    }

    fn query_gradients(
        &mut self,
        step: &Step<'_>,
        span: &Span<'_>,
        head: usize,
        blocks: Range<usize>,
        tokens: Range<usize>,
    ) {
        let (size, group, stride) = (step.heads.size, step.heads.group(), blocks.len() * BLOCK);
        let length = self.path.len();
        let keys = blocks.start * BLOCK..length.min(blocks.end * BLOCK);
        let mut sums = EMPTY;
        for tile in tiles(tokens.len() * group) {
            let scores = Rows { values: &self.scores[tile.start * stride..], stride, count: tile.len() };
            for panel in 0..size.div_ceil(COLUMNS) {
                let lines = &self.tokens[panel * length + keys.start..panel * length + keys.end];
                multiply(step.isa, scores, &[Panel::full(lines)], From::Zero, &mut sums);
                for (pair, line) in tile.clone().zip(&sums) {
                    let row = span.rows.start + tokens.start + pair / group;
                    let to = &mut step.gradient(row, head * group + pair % group)[panel * COLUMNS..];
                    for (to, value) in to.iter_mut().zip(&line.0) {
                        *to = *value;
                    }
                }
            }
        }
    }

    fn key_gradients(&mut self, step: &Step<'_>, blocks: Range<usize>, pairs: usize) {
        let size = step.heads.size;
        for (number, block) in blocks.enumerate() {
            let lines = number * pairs..(number + 1) * pairs;
            for (rows, lines, sums) in [
                (&self.queries_turned, &self.score_lines[lines.clone()], &mut self.dkeys),
                (&self.outputs_turned, &self.share_lines[lines], &mut self.dvalues),
            ] {
                let sums = &mut sums[block * (size + ROWS)..(block + 1) * (size + ROWS)];
                add_product(step.isa, Rows { values: rows, stride: pairs, count: size }, lines, sums);
            }
        }
    }
}

#[cfg(test)]
mod tests;
