//! Bidirectional attention over packed sequences: softmax(Q K^T / sqrt(size)) V for every head, in tiles
//! of twelve queries whose scores never leave the first-level cache (after arXiv 2205.14135).

mod backward;

pub(crate) use backward::{AttentionGradient, attention_backward};

use std::ops::Range;

use super::isa::Isa;
use super::softmax::exponentials;
use super::split::Split;
use super::team::Team;
use super::tile::{COLUMNS, EMPTY, From, Line, Panel, ROWS, Rows, multiply};

/// Memory that attention reuses from call to call, for each thread.
#[derive(Debug, Default)]
pub(crate) struct Attention {
    workers: Vec<Worker>,
}

/// One head of one sequence.
#[derive(Debug, Default)]
struct Worker {
    keys: Vec<Line>,
    values: Vec<Line>,
    scores: Vec<f32>,
}

/// `out` (T, D) from `qkv` (T, 3 D): queries, keys and values side by side, each split in `heads`. The
/// rows of `sequences` see those of their own; rows in none are left as they are. A row has the same
/// bits whatever sequences are beside its own, and on any number of threads.
#[expect(clippy::too_many_arguments, reason = "what attention takes, each once")]
pub(crate) fn attention(
    isa: Isa,
    team: &Team,
    memory: &mut Attention,
    heads: usize,
    width: usize,
    sequences: &[Range<usize>],
    qkv: &[f32],
    out: &mut [f32],
) {
    assert_eq!(qkv.len(), 3 * out.len(), "a query, a key and a value for each output");
    assert!(sequences.iter().all(|rows| rows.end * width <= out.len()), "sequences have rows of this batch");
    let size = width / heads;
    memory.workers.resize_with(memory.workers.len().max(team.threads()), Worker::default);
    let workers = Split::new(&mut memory.workers);
    let out = Split::new(out);
    team.run(sequences.len() * heads, &|worker, job| {
        let (rows, head) = (&sequences[job / heads], job % heads);
        #[expect(unsafe_code, reason = "each thread has memory of its own")]
        // SAFETY: a team gives each of its threads another number.
        let worker = unsafe { &mut workers.part(worker..worker + 1)[0] };
        let length = rows.len();
        let row = |part: usize, token: usize| &qkv[((rows.start + token) * 3 + part) * width + head * size..][..size];
        worker.lay_out(length, size, |token| row(1, token), |token| row(2, token));
        for first in (0..length).step_by(ROWS) {
            let count = ROWS.min(length - first);
            let queries =
                Rows { values: &qkv[(rows.start + first) * 3 * width + head * size..], stride: 3 * width, count };
            worker.attend(isa, length, size, queries, |query, column, values, factor| {
                let start = (rows.start + first + query) * width + head * size;
                #[expect(unsafe_code, reason = "jobs write different heads or different rows")]
                // SAFETY: sequences do not overlap, and no other job has this head of this one's rows.
                let row = unsafe { out.part(start + column..start + size.min(column + COLUMNS)) };
                for (out, value) in row.iter_mut().zip(&values.0) {
                    *out = value * factor;
                }
            });
        }
    });
}

/// What scores are multiplied by.
fn scale(size: usize) -> f32 {
    1.0 / (size as f32).sqrt()
}

impl Worker {
    /// Lays out one head's keys and values, (L, size) each, as panels: keys with a token a column and the
    /// scale of the scores in them, values with a token a line.
    fn lay_out<'a>(
        &mut self,
        length: usize,
        size: usize,
        key: impl Fn(usize) -> &'a [f32],
        value: impl Fn(usize) -> &'a [f32],
    ) {
        let scale = scale(size);
        self.keys.resize(length.div_ceil(COLUMNS) * size, Line::ZERO);
        self.values.resize(size.div_ceil(COLUMNS) * length, Line::ZERO);
        self.scores.resize(length.next_multiple_of(COLUMNS) * ROWS, 0.0);
        for token in 0..length {
            let lines = &mut self.keys[token / COLUMNS * size..][..size];
            for (line, value) in lines.iter_mut().zip(key(token)) {
                line.0[token % COLUMNS] = value * scale;
            }
            for (panel, part) in value(token).chunks(COLUMNS).enumerate() {
                self.values[panel * length + token].0[..part.len()].copy_from_slice(part);
            }
        }
    }

    /// Attends with up to twelve queries; hands each one's sums, 32 columns at a time, to `put` with
    /// the query, the first column and the factor that turns the sums into a mean.
    fn attend(
        &mut self,
        isa: Isa,
        length: usize,
        size: usize,
        queries: Rows<'_>,
        mut put: impl FnMut(usize, usize, &Line, f32),
    ) {
        let stride = length.next_multiple_of(COLUMNS);
        let mut tile = EMPTY;
        for (number, panel) in self.keys.chunks_exact(size).enumerate() {
            multiply(isa, queries, &[Panel::full(panel)], From::Zero, &mut tile);
            for (line, scores) in tile.iter().zip(self.scores.chunks_exact_mut(stride)).take(queries.count) {
                scores[number * COLUMNS..][..COLUMNS].copy_from_slice(&line.0);
            }
        }
        let mut factors = [0.0; ROWS];
        for (factor, scores) in factors.iter_mut().zip(self.scores.chunks_exact_mut(stride)).take(queries.count) {
            *factor = exponentials(isa, &mut scores[..length]);
        }
        let weights = Rows { values: &self.scores, stride, count: queries.count };
        for (number, panel) in self.values.chunks_exact(length).enumerate() {
            multiply(isa, weights, &[Panel::full(panel)], From::Zero, &mut tile);
            for (query, (line, factor)) in tile.iter().zip(factors).take(queries.count).enumerate() {
                put(query, number * COLUMNS, line, factor);
            }
        }
    }
}

#[cfg(test)]
mod tests;
