//! y = x W^T + b, with what follows a linear layer fused into its last step.
#![expect(clippy::inline_always, reason = "must be compiled with the features of their caller")]

use super::gelu::gelu;
use super::isa::{Isa, for_each_isa};
use super::tile::{COLUMNS, EMPTY, Line, ROWS, Tile, multiply};

/// Rows that go through all panels before the next rows do: enough that a weight read from memory
/// is used often, few enough that their inputs and outputs stay in the second-level cache.
const BLOCK: usize = 8 * ROWS;

/// A linear layer whose weight is laid out for [`multiply`] once, when it is loaded.
#[derive(Debug)]
pub(crate) struct Linear {
    /// For each 32 outputs, one line for each input.
    panels: Vec<Line>,
    /// One line for each 32 outputs.
    bias: Vec<Line>,
    inputs: usize,
    outputs: usize,
}

/// What becomes of a linear layer's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// It is the output.
    Nothing,
    /// It is added to what the output holds: a residual connection.
    Add,
    /// Its GELU is the output.
    Gelu,
}

impl Linear {
    /// A layer from a weight as it is stored, (outputs, inputs), and its bias, (outputs).
    pub(crate) fn new(weight: &[f32], bias: &[f32], inputs: usize) -> Self {
        let outputs = bias.len();
        assert_eq!(weight.len(), outputs * inputs, "a weight is as large as its bias and inputs say");
        let lines = outputs.div_ceil(COLUMNS);
        let mut panels = vec![Line::ZERO; lines * inputs];
        for (output, row) in weight.chunks_exact(inputs).enumerate() {
            let panel = &mut panels[output / COLUMNS * inputs..][..inputs];
            for (line, value) in panel.iter_mut().zip(row) {
                line.0[output % COLUMNS] = *value;
            }
        }
        let mut padded = vec![Line::ZERO; lines];
        for (output, value) in bias.iter().enumerate() {
            padded[output / COLUMNS].0[output % COLUMNS] = *value;
        }
        Self { panels, bias: padded, inputs, outputs }
    }

    /// Width of a result row.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// `y` from `x`: (T, inputs) to (T, outputs).
    pub(crate) fn forward(&self, isa: Isa, x: &[f32], y: &mut [f32], after: After) {
        assert_eq!(x.len() * self.outputs, y.len() * self.inputs, "as many rows out as in");
        for (x, y) in x.chunks(BLOCK * self.inputs).zip(y.chunks_mut(BLOCK * self.outputs)) {
            self.block(isa, x, y, after);
        }
    }

    fn block(&self, isa: Isa, x: &[f32], y: &mut [f32], after: After) {
        let mut tile = EMPTY;
        for (number, (panel, bias)) in self.panels.chunks_exact(self.inputs).zip(&self.bias).enumerate() {
            for (x, y) in x.chunks(ROWS * self.inputs).zip(y.chunks_mut(ROWS * self.outputs)) {
                multiply(isa, &rows(x, self.inputs), panel, &mut tile);
                let start = number * COLUMNS;
                let place = Place { stride: self.outputs, width: COLUMNS.min(self.outputs - start) };
                finish(isa, &tile, bias, after, &mut y[start..], place);
            }
        }
    }
}

/// Where a tile goes: rows start `stride` apart, `width` columns of each are written.
#[derive(Clone, Copy)]
struct Place {
    stride: usize,
    width: usize,
}

/// The rows of `x`, the last one repeated where there are fewer than a tile has.
fn rows(x: &[f32], width: usize) -> [&[f32]; ROWS] {
    let last = x.len() / width - 1;
    std::array::from_fn(|row| &x[row.min(last) * width..][..width])
}

for_each_isa! {
    /// Writes the sums of `tile`, with what comes after them, to the rows of `out`.
    fn finish(tile: &Tile, bias: &Line, after: After, out: &mut [f32], place: Place) = finish_body
}

#[inline(always)]
fn finish_body<const FMA: bool>(tile: &Tile, bias: &Line, after: After, out: &mut [f32], place: Place) {
    for (sums, out) in tile.iter().zip(out.chunks_mut(place.stride)) {
        let out = &mut out[..place.width];
        let mut row = sums.0;
        for (sum, bias) in row.iter_mut().zip(&bias.0) {
            *sum += bias;
        }
        if after == After::Gelu {
            for value in &mut row {
                *value = gelu::<FMA>(*value);
            }
        }
        // The known width of a whole tile is what the compiler makes vectors of.
        match (after, out.first_chunk_mut::<COLUMNS>()) {
            (After::Add, Some(out)) => add(out, &row),
            (After::Add, None) => add(out, &row),
            (_, Some(out)) => *out = row,
            (_, None) => out.copy_from_slice(&row[..out.len()]),
        }
    }
}

#[inline(always)]
fn add(out: &mut [f32], row: &[f32]) {
    for (out, value) in out.iter_mut().zip(row) {
        *out += value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_close, erf, numbers};

    fn oracle(x: &[f32], weight: &[f32], bias: &[f32], before: &[f32], after: After) -> Vec<f64> {
        let inputs = weight.len() / bias.len();
        let dot = |row: &[f32], weights: &[f32]| -> f64 {
            row.iter().zip(weights).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        let mut y = Vec::new();
        for row in x.chunks_exact(inputs) {
            for (weights, bias) in weight.chunks_exact(inputs).zip(bias) {
                let sum = dot(row, weights) + f64::from(*bias);
                y.push(match after {
                    After::Nothing => sum,
                    After::Add => sum + f64::from(before[y.len()]),
                    After::Gelu => 0.5 * sum * (1.0 + erf(sum / std::f64::consts::SQRT_2)),
                });
            }
        }
        y
    }

    #[test]
    fn agrees_with_the_plain_product_at_every_edge() {
        for isa in Isa::all() {
            for (tokens, inputs, outputs) in [(1, 1, 1), (11, 7, 31), (12, 32, 32), (13, 33, 70), (200, 48, 96)] {
                let x = numbers(1, tokens * inputs);
                let weight = numbers(2, outputs * inputs);
                let bias = numbers(3, outputs);
                let before = numbers(4, tokens * outputs);
                let linear = Linear::new(&weight, &bias, inputs);
                for after in [After::Nothing, After::Add, After::Gelu] {
                    let mut y = before.clone();
                    linear.forward(isa, &x, &mut y, after);
                    assert_close(&y, &oracle(&x, &weight, &bias, &before, after), 1e-5);
                }
            }
        }
    }

    #[test]
    fn nothing_in_nothing_out() {
        let linear = Linear::new(&[1.0, 2.0], &[0.0], 2);
        linear.forward(Isa::detect(), &[], &mut [], After::Nothing);
    }
}
