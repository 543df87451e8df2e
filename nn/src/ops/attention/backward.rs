//! The gradient of bidirectional attention: scores and shares are computed again, some queries at a time
//! against all keys of their sequence, so that nothing of the forward is kept but its input and output
//! (after arXiv 2205.14135).

use std::ops::Range;

use super::scale;
use crate::ops::isa::Isa;
use crate::ops::math::dot;
use crate::ops::softmax::exponentials;
use crate::ops::split::Split;
use crate::ops::team::Team;
use crate::ops::tile::{COLUMNS, EMPTY, From, Line, Panel, ROWS, Rows, add_product, multiply, tiles};

/// Queries that go through the keys together.
const QUERIES: usize = 8 * ROWS;

/// Memory that the gradient reuses from call to call, for each thread.
#[derive(Debug, Default)]
pub(crate) struct AttentionGradient {
    workers: Vec<Worker>,
}

/// `d` (T, 3 D) is the gradient of what [`super::attention`] was given as `qkv`, from that of its output,
/// `g` (T, D), and the output itself. Rows in no sequence are left as they are.
#[expect(clippy::too_many_arguments, reason = "what the gradient takes, each once")]
pub(crate) fn attention_backward(
    isa: Isa,
    team: &Team,
    memory: &mut AttentionGradient,
    heads: usize,
    width: usize,
    sequences: &[Range<usize>],
    qkv: &[f32],
    out: &[f32],
    g: &[f32],
    d: &mut [f32],
) {
    assert!(qkv.len() == d.len() && qkv.len() == 3 * out.len() && g.len() == out.len(), "a gradient for each value");
    assert!(sequences.iter().all(|rows| rows.end * width <= out.len()), "sequences have rows of this batch");
    memory.workers.resize_with(memory.workers.len().max(team.threads()), Worker::default);
    let workers = Split::new(&mut memory.workers);
    let d = Split::new(d);
    team.run(sequences.len() * heads, &|worker, job| {
        #[expect(unsafe_code, reason = "each thread has memory of its own")]
        // SAFETY: a team gives each of its threads another number.
        let worker = unsafe { &mut workers.part(worker..worker + 1)[0] };
        let rows = sequences[job / heads].clone();
        let step = Step { isa, width, size: width / heads, head: job % heads, rows, qkv, out, g, d };
        worker.descend(&step);
    });
}

/// One head of one sequence.
struct Step<'a> {
    isa: Isa,
    width: usize,
    size: usize,
    head: usize,
    rows: Range<usize>,
    qkv: &'a [f32],
    out: &'a [f32],
    g: &'a [f32],
    d: Split<'a, f32>,
}

impl<'a> Step<'a> {
    /// Where this head of queries (0), keys (1) or values (2) of a token begins.
    fn start(&self, part: usize, token: usize) -> usize {
        ((self.rows.start + token) * 3 + part) * self.width + self.head * self.size
    }

    fn of(&self, part: usize, token: usize) -> &'a [f32] {
        &self.qkv[self.start(part, token)..][..self.size]
    }

    /// This head of an output, or of its gradient.
    fn result(&self, values: &'a [f32], token: usize) -> &'a [f32] {
        &values[(self.rows.start + token) * self.width + self.head * self.size..][..self.size]
    }

    #[expect(clippy::mut_from_ref, reason = "each job takes other heads or other rows")]
    fn gradient(&self, part: usize, token: usize) -> &mut [f32] {
        let start = self.start(part, token);
        #[expect(unsafe_code, reason = "jobs write different heads or different rows")]
        // SAFETY: sequences do not overlap, and a job takes its own head of its own sequence, one row at a time.
        unsafe {
            self.d.part(start..start + self.size)
        }
    }
}

/// Memory of one thread.
#[derive(Debug, Default)]
struct Worker {
    /// Keys, with the scale of the scores in them, and values: a line of 32 tokens for each column of a block.
    keys: Vec<Line>,
    values: Vec<Line>,
    /// The same keys, a line of 32 columns for each token.
    tokens: Vec<Line>,
    /// Gradients of keys and values, as those are laid out, with room for a whole tile after each block.
    dkeys: Vec<Line>,
    dvalues: Vec<Line>,
    /// Queries and gradients of the output, turned: (size, queries).
    queries: Vec<f32>,
    outputs: Vec<f32>,
    /// Shares, then gradients of scores, (queries, tokens in whole blocks).
    scores: Vec<f32>,
    /// The same, a line of 32 tokens for each query of a block.
    share_lines: Vec<Line>,
    score_lines: Vec<Line>,
}

fn grow<T: Copy>(memory: &mut Vec<T>, length: usize, value: T) {
    if memory.len() < length {
        memory.resize(length, value);
    }
}

impl Worker {
    fn descend(&mut self, step: &Step<'_>) {
        let (length, size) = (step.rows.len(), step.size);
        if length == 0 {
            return;
        }
        self.lay_out(step);
        for first in (0..length).step_by(QUERIES) {
            let queries = first..length.min(first + QUERIES);
            self.turn(step, queries.clone());
            self.shares(step, queries.clone());
            self.score_gradients(step, queries.clone());
            self.query_gradients(step, queries.clone());
            self.key_gradients(step, queries.len());
        }
        let scale = scale(size);
        for token in 0..length {
            let lines = token / COLUMNS * (size + ROWS)..;
            for (part, lines, factor) in
                [(1, &self.dkeys[lines.clone()], scale), (2, &self.dvalues[lines.clone()], 1.0)]
            {
                for (to, line) in step.gradient(part, token).iter_mut().zip(lines) {
                    *to = line.0[token % COLUMNS] * factor;
                }
            }
        }
    }

    fn lay_out(&mut self, step: &Step<'_>) {
        let (length, size, scale) = (step.rows.len(), step.size, scale(step.size));
        let blocks = length.div_ceil(COLUMNS);
        for lines in [&mut self.keys, &mut self.values] {
            grow(lines, blocks * size, Line::ZERO);
            lines[(blocks - 1) * size..blocks * size].fill(Line::ZERO);
        }
        for lines in [&mut self.dkeys, &mut self.dvalues] {
            lines.clear();
            lines.resize(blocks * (size + ROWS), Line::ZERO);
        }
        grow(&mut self.tokens, size.div_ceil(COLUMNS) * length, Line::ZERO);
        for token in 0..length {
            let (block, column) = (token / COLUMNS * size, token % COLUMNS);
            let lines = self.keys[block..block + size].iter_mut().zip(&mut self.values[block..block + size]);
            for ((key_line, value_line), (key, value)) in lines.zip(step.of(1, token).iter().zip(step.of(2, token))) {
                key_line.0[column] = key * scale;
                value_line.0[column] = *value;
            }
            for (panel, part) in step.of(1, token).chunks(COLUMNS).enumerate() {
                let line = &mut self.tokens[panel * length + token].0;
                line[part.len()..].fill(0.0);
                for (to, key) in line.iter_mut().zip(part) {
                    *to = key * scale;
                }
            }
        }
    }

    fn turn(&mut self, step: &Step<'_>, queries: Range<usize>) {
        let count = queries.len();
        grow(&mut self.queries, step.size * count, 0.0);
        grow(&mut self.outputs, step.size * count, 0.0);
        for (number, token) in queries.enumerate() {
            for (column, (query, g)) in step.of(0, token).iter().zip(step.result(step.g, token)).enumerate() {
                self.queries[column * count + number] = *query;
                self.outputs[column * count + number] = *g;
            }
        }
    }

    /// What share of each token a query took.
    fn shares(&mut self, step: &Step<'_>, queries: Range<usize>) {
        let (length, size) = (step.rows.len(), step.size);
        let stride = length.next_multiple_of(COLUMNS);
        grow(&mut self.scores, queries.len() * stride, 0.0);
        let mut sums = EMPTY;
        for tile in tiles(queries.len()) {
            let rows = Rows {
                values: &step.qkv[step.start(0, queries.start + tile.start)..],
                stride: 3 * step.width,
                count: tile.len(),
            };
            for (block, keys) in self.keys[..stride / COLUMNS * size].chunks_exact(size).enumerate() {
                multiply(step.isa, rows, &[Panel::full(keys)], From::Zero, &mut sums);
                for (query, line) in tile.clone().zip(&sums) {
                    self.scores[query * stride + block * COLUMNS..][..COLUMNS].copy_from_slice(&line.0);
                }
            }
        }
        for scores in self.scores[..queries.len() * stride].chunks_exact_mut(stride) {
            let factor = exponentials(step.isa, &mut scores[..length]);
            scores[..length].iter_mut().for_each(|score| *score *= factor);
            scores[length..].fill(0.0);
        }
    }

    /// From shares to the gradients of scores, and both as lines.
    fn score_gradients(&mut self, step: &Step<'_>, queries: Range<usize>) {
        let (size, count, stride) = (step.size, queries.len(), step.rows.len().next_multiple_of(COLUMNS));
        let blocks = stride / COLUMNS;
        grow(&mut self.share_lines, blocks * count, Line::ZERO);
        grow(&mut self.score_lines, blocks * count, Line::ZERO);
        let mut sums = EMPTY;
        for tile in tiles(count) {
            let first = queries.start + tile.start;
            let start = (step.rows.start + first) * step.width + step.head * size;
            let rows = Rows { values: &step.g[start..], stride: step.width, count: tile.len() };
            let mut dots = [0.0; ROWS];
            for (number, value) in dots[..tile.len()].iter_mut().enumerate() {
                *value = dot(step.result(step.g, first + number), step.result(step.out, first + number));
            }
            for (block, values) in self.values[..blocks * size].chunks_exact(size).enumerate() {
                multiply(step.isa, rows, &[Panel::full(values)], From::Zero, &mut sums);
                for ((query, line), product) in tile.clone().zip(&sums).zip(dots) {
                    let scores = &mut self.scores[query * stride + block * COLUMNS..][..COLUMNS];
                    let shares = &mut self.share_lines[block * count + query].0;
                    shares.copy_from_slice(scores);
                    let gradients = &mut self.score_lines[block * count + query].0;
                    for ((gradient, share), along) in gradients.iter_mut().zip(shares).zip(&line.0) {
                        *gradient = *share * (along - product);
                    }
                    scores.copy_from_slice(gradients);
                }
            }
        }
    }

    fn query_gradients(&mut self, step: &Step<'_>, queries: Range<usize>) {
        let length = step.rows.len();
        let stride = length.next_multiple_of(COLUMNS);
        let mut sums = EMPTY;
        for tile in tiles(queries.len()) {
            let rows = Rows { values: &self.scores[tile.start * stride..], stride, count: tile.len() };
            for panel in 0..step.size.div_ceil(COLUMNS) {
                let lines = &self.tokens[panel * length..(panel + 1) * length];
                multiply(step.isa, rows, &[Panel::full(lines)], From::Zero, &mut sums);
                for (query, line) in tile.clone().zip(&sums) {
                    let to = &mut step.gradient(0, queries.start + query)[panel * COLUMNS..];
                    to.iter_mut().zip(&line.0).for_each(|(to, value)| *to = *value);
                }
            }
        }
    }

    /// Adds what these queries give to the gradients of keys and values.
    fn key_gradients(&mut self, step: &Step<'_>, count: usize) {
        let size = step.size;
        for block in 0..step.rows.len().div_ceil(COLUMNS) {
            let lines = block * count..(block + 1) * count;
            for (rows, lines, sums) in [
                (&self.queries, &self.score_lines[lines.clone()], &mut self.dkeys),
                (&self.outputs, &self.share_lines[lines.clone()], &mut self.dvalues),
            ] {
                let sums = &mut sums[block * (size + ROWS)..(block + 1) * (size + ROWS)];
                add_product(step.isa, Rows { values: rows, stride: count, count: size }, lines, sums);
            }
        }
    }
}
