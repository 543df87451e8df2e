//! Bidirectional attention over one packed sequence: softmax(Q K^T) V for every head, in tiles of
//! twelve queries whose scores never leave the first-level cache (after arXiv 2205.14135).

use super::isa::Isa;
use super::softmax::exponentials;
use super::tile::{COLUMNS, EMPTY, From, Line, Panel, ROWS, Rows, multiply};

/// Memory that attention reuses from call to call.
#[derive(Debug, Default)]
pub(crate) struct Attention {
    keys: Vec<Line>,
    values: Vec<Line>,
    scores: Vec<f32>,
}

/// `out` (L, D) from `qkv` (L, 3 D): queries, keys and values side by side, each split in `heads`.
/// Queries come with the factor 1 / sqrt(D / heads) in them.
pub(crate) fn attention(isa: Isa, memory: &mut Attention, heads: usize, width: usize, qkv: &[f32], out: &mut [f32]) {
    assert_eq!(qkv.len(), 3 * out.len(), "a query, a key and a value for each output");
    let length = out.len() / width;
    let size = width / heads;
    for head in 0..heads {
        let row = |part: usize, token: usize| &qkv[(token * 3 + part) * width + head * size..][..size];
        memory.lay_out(length, size, |token| row(1, token), |token| row(2, token));
        for first in (0..length).step_by(ROWS) {
            let count = ROWS.min(length - first);
            let queries = Rows { values: &qkv[first * 3 * width + head * size..], stride: 3 * width, count };
            memory.attend(isa, length, size, queries, |query, column, values, factor| {
                let row = &mut out[(first + query) * width..][head * size + column..(head + 1) * size];
                for (out, value) in row.iter_mut().zip(&values.0) {
                    *out = value * factor;
                }
            });
        }
    }
}

impl Attention {
    /// Lays out one head's keys and values, (L, size) each, as panels: keys with a token a column,
    /// values with a token a line.
    fn lay_out<'a>(
        &mut self,
        length: usize,
        size: usize,
        key: impl Fn(usize) -> &'a [f32],
        value: impl Fn(usize) -> &'a [f32],
    ) {
        self.keys.resize(length.div_ceil(COLUMNS) * size, Line::ZERO);
        self.values.resize(size.div_ceil(COLUMNS) * length, Line::ZERO);
        self.scores.resize(length.next_multiple_of(COLUMNS) * ROWS, 0.0);
        for token in 0..length {
            let lines = &mut self.keys[token / COLUMNS * size..][..size];
            for (line, value) in lines.iter_mut().zip(key(token)) {
                line.0[token % COLUMNS] = *value;
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
mod tests {
    use super::*;
    use crate::ops::testing::{assert_close, numbers};

    fn oracle(heads: usize, width: usize, qkv: &[f32]) -> Vec<f64> {
        let length = qkv.len() / 3 / width;
        let size = width / heads;
        let at = |part: usize, token: usize, column: usize| f64::from(qkv[(token * 3 + part) * width + column]);
        let mut out = vec![0.0; length * width];
        for head in 0..heads {
            for query in 0..length {
                let columns = head * size..(head + 1) * size;
                let score = |key| columns.clone().map(|c| at(0, query, c) * at(1, key, c)).sum::<f64>().exp();
                let scores: Vec<f64> = (0..length).map(score).collect();
                let sum: f64 = scores.iter().sum();
                for column in columns.clone() {
                    let mean = (0..length).map(|key| scores[key] / sum * at(2, key, column)).sum();
                    out[query * width + column] = mean;
                }
            }
        }
        out
    }

    #[test]
    fn agrees_with_its_definition_whatever_was_there_before() {
        for isa in Isa::all() {
            let mut memory = Attention::default();
            for (length, heads, size) in [(70, 2, 32), (1, 1, 8), (12, 3, 16), (33, 2, 64), (5, 2, 48), (13, 4, 1)] {
                let width = heads * size;
                let qkv = numbers(length as u64, length * 3 * width);
                let mut out = vec![f32::NAN; length * width];
                attention(isa, &mut memory, heads, width, &qkv, &mut out);
                assert_close(&out, &oracle(heads, width, &qkv), 2e-6);
            }
            attention(isa, &mut memory, 2, 8, &[], &mut []);
        }
    }
}
