//! y = x W^T + b, with what follows a linear layer fused into its last step; and dx = g W. (dW = g^T x
//! is a product of the same kind, in `weight_gradient`.)
#![expect(clippy::inline_always, reason = "must be compiled with the features of their caller")]

use std::ops::Range;

use super::gelu::gelu;
use super::isa::{Isa, for_each_isa};
use super::panels::{Panels, Values};
use super::split::Split;
use super::team::Team;
use super::tile::{COLUMNS, EMPTY, From, Line, Panel, ROWS, Rows, Tile, multiply, runs, together};

/// Tiles of rows that go through a panel before the next ones do: enough that a weight read from
/// memory is used often, few enough that their inputs and outputs stay in the second-level cache.
const TILES: usize = 8;
/// Inputs of a panel that go through all tiles before the next ones do: its lines then stay in the
/// second-level cache for as long.
const DEPTH: usize = 1024;
/// As [`TILES`] for the backward, whose panels are made on the way: more rows make more use of each.
const BACK_TILES: usize = 32;
/// Outputs whose part of a panel is made at a time.
const BACK_DEPTH: usize = 8 * COLUMNS;
/// Jobs for each thread of a team, so that one that started late takes fewer.
const JOBS: usize = 8;
/// Bytes of weights below which a job is not worth handing out.
const WORTHWHILE: usize = 1 << 14;

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

/// A weight and its bias.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'a> {
    /// (outputs, inputs)
    pub(crate) panels: &'a Panels,
    /// (outputs)
    pub(crate) bias: Option<&'a [f32]>,
}

/// A linear layer that computes on the calling thread.
#[derive(Debug)]
pub(crate) struct Linear {
    panels: Panels,
    bias: Vec<f32>,
}

impl Linear {
    /// A layer from a weight as it is stored, (outputs, inputs), and its bias, (outputs).
    pub(crate) fn new(weight: &[f32], bias: &[f32], inputs: usize) -> Self {
        Self { panels: Panels::pack(Values::F32(weight), bias.len(), inputs), bias: bias.to_vec() }
    }

    /// Width of a result row.
    pub(crate) fn outputs(&self) -> usize {
        self.panels.outputs()
    }

    /// Width of an input row.
    pub(crate) fn inputs(&self) -> usize {
        self.panels.inputs()
    }

    /// The layer as a part of a product.
    pub(crate) fn part(&self) -> Part<'_> {
        Part { panels: &self.panels, bias: Some(&self.bias) }
    }

    /// The weight as it is stored, (outputs, inputs).
    pub(crate) fn weight(&self) -> Vec<f32> {
        let mut weight = vec![0.0; self.outputs() * self.inputs()];
        for (output, row) in weight.chunks_exact_mut(self.inputs()).enumerate() {
            self.panels.row(output, row);
        }
        weight
    }

    /// (outputs)
    pub(crate) fn bias(&self) -> &[f32] {
        &self.bias
    }

    /// Takes another weight of the same shape.
    pub(crate) fn set_weight(&mut self, team: &Team, weight: &[f32]) {
        self.panels.set(team, weight);
    }

    /// Takes another bias.
    pub(crate) fn set_bias(&mut self, bias: &[f32]) {
        self.bias.copy_from_slice(bias);
    }

    /// `y` from `x`: (T, inputs) to (T, outputs).
    pub(crate) fn forward(&self, isa: Isa, x: &[f32], y: &mut [f32], after: After) {
        let (inputs, outputs) = (self.panels.inputs(), self.outputs());
        assert_eq!(x.len() * outputs, y.len() * inputs, "as many rows out as in");
        let part = self.part();
        for (x, y) in x.chunks(TILES * ROWS * inputs).zip(y.chunks_mut(TILES * ROWS * outputs)) {
            let place = Place { start: 0, stride: outputs };
            block(isa, x, part, 0..self.panels.count(), &Split::new(y), place, after);
        }
    }
}

/// `y` (T, outputs of all parts side by side) from `x` (T, inputs), on all threads of the team. A
/// row of `y` has the same bits whatever rows are beside it.
pub(crate) fn linear(isa: Isa, team: &Team, x: &[f32], parts: &[Part<'_>], y: &mut [f32], after: After) {
    let Some(first) = parts.first() else {
        return;
    };
    let inputs = first.panels.inputs();
    let stride: usize = parts.iter().map(|part| part.panels.outputs()).sum();
    assert!(parts.iter().all(|part| part.panels.inputs() == inputs), "parts share their input");
    let rows = y.len().checked_div(stride).unwrap_or(0);
    assert!(rows * stride == y.len() && rows * inputs == x.len(), "as many rows out as in");
    let panels: usize = parts.iter().map(|part| part.panels.count()).sum();
    if rows == 0 {
        return;
    }
    let blocks = rows.div_ceil(TILES * ROWS);
    let height = rows.div_ceil(blocks).next_multiple_of(ROWS);
    let blocks = rows.div_ceil(height);
    let run = run_of_panels(panels, blocks, rows, inputs, team.threads());
    let runs = panels.div_ceil(run);
    let y = Split::new(y);
    team.run(blocks * runs, &|_, job| {
        let first = job / runs * height;
        let last = rows.min(first + height);
        let wanted = job % runs * run..panels.min((job % runs + 1) * run);
        let (mut before, mut start) = (0, 0);
        for part in parts {
            let count = part.panels.count();
            let own = wanted.start.clamp(before, before + count)..wanted.end.clamp(before, before + count);
            let own = own.start - before..own.end - before;
            let place = Place { start: first * stride + start, stride };
            block(isa, &x[first * inputs..last * inputs], *part, own, &y, place, after);
            before += count;
            start += part.panels.outputs();
        }
    });
}

/// How many panels a job takes.
fn run_of_panels(panels: usize, blocks: usize, rows: usize, inputs: usize, threads: usize) -> usize {
    if threads == 1 {
        return panels;
    }
    let least = (WORTHWHILE / (inputs * COLUMNS * size_of::<f32>()).max(1)).div_ceil(rows.min(ROWS)).max(1);
    let run = panels.div_ceil((JOBS * threads).div_ceil(blocks)).max(least);
    // A few rows take several panels at a time.
    run.next_multiple_of(together(rows, panels)).min(panels.div_ceil(threads).max(1))
}

/// `dx` (T, inputs) from `g` (T, outputs of all parts side by side): the gradient of [`linear`]'s
/// input, which it becomes or is added to.
pub(crate) fn linear_backward(isa: Isa, team: &Team, g: &[f32], parts: &[Part<'_>], dx: &mut [f32], after: After) {
    let Some(first) = parts.first() else {
        return;
    };
    let inputs = first.panels.inputs();
    let outputs: usize = parts.iter().map(|part| part.panels.outputs()).sum();
    assert!(parts.iter().all(|part| part.panels.inputs() == inputs), "parts share their input");
    let rows = dx.len().checked_div(inputs).unwrap_or(0);
    assert!(rows * inputs == dx.len() && rows * outputs == g.len(), "as many rows out as in");
    if rows == 0 {
        return;
    }
    let height = rows.div_ceil(rows.div_ceil(BACK_TILES * ROWS)).next_multiple_of(ROWS);
    let (blocks, runs) = (rows.div_ceil(height), inputs.div_ceil(COLUMNS));
    let dx = Split::new(dx);
    team.run(blocks * runs, &|_, job| {
        let first = job / runs * height;
        let g = &g[first * outputs..rows.min(first + height) * outputs];
        let column = job % runs * COLUMNS;
        let place = Place { start: first * inputs + column, stride: inputs };
        block_backward(isa, g, outputs, parts, column, &dx, place, after);
    });
}

/// 32 inputs from `column` for the rows of `g`.
#[expect(clippy::large_stack_arrays, reason = "what a job needs, without an allocation for each")]
#[expect(clippy::too_many_arguments, reason = "what a job is, each once")]
fn block_backward(
    isa: Isa,
    g: &[f32],
    stride: usize,
    parts: &[Part<'_>],
    column: usize,
    dx: &Split<'_, f32>,
    place: Place,
    after: After,
) {
    let rows = g.len() / stride;
    let tiles = rows.div_ceil(ROWS);
    let edge = |tile: usize| tile * rows / tiles;
    let width = COLUMNS.min(parts[0].panels.inputs() - column);
    let mut sums = [EMPTY; BACK_TILES];
    let mut turned = [Line::ZERO; BACK_DEPTH];
    let mut from = From::Zero;
    let mut start = 0;
    for part in parts {
        let outputs = part.panels.outputs();
        for first in (0..outputs).step_by(BACK_DEPTH) {
            let depth = BACK_DEPTH.min(outputs - first);
            for (number, turned) in turned[..depth].chunks_mut(COLUMNS).enumerate() {
                part.panels.turn(isa, first / COLUMNS + number, column..column + width, turned);
            }
            for (tile, sums) in sums[..tiles].iter_mut().enumerate() {
                let values = &g[edge(tile) * stride + start + first..];
                let rows = Rows { values, stride, count: edge(tile + 1) - edge(tile) };
                multiply(isa, rows, &[Panel::full(&turned[..depth])], from, sums);
            }
            from = From::Tile;
        }
        start += outputs;
    }
    for (tile, sums) in sums[..tiles].iter().enumerate() {
        let place = Place { start: place.start + edge(tile) * place.stride, ..place };
        finish(isa, &sums[..edge(tile + 1) - edge(tile)], None, after, dx, place, width);
    }
}

/// Where the first row's first output goes, and how far apart rows are.
#[derive(Clone, Copy)]
struct Place {
    start: usize,
    stride: usize,
}

/// The panels `numbers` of one part for the rows of `x`, at most a block of them.
fn block(isa: Isa, x: &[f32], part: Part<'_>, numbers: Range<usize>, y: &Split<'_, f32>, place: Place, after: After) {
    let (inputs, outputs) = (part.panels.inputs(), part.panels.outputs());
    let rows = x.len().checked_div(inputs).unwrap_or(0);
    let tiles = rows.div_ceil(ROWS);
    let edge = |tile: usize| tile * rows / tiles;
    let rows_of = |tile: usize, first: usize| Rows {
        values: &x[edge(tile) * inputs + first..],
        stride: inputs,
        count: edge(tile + 1) - edge(tile),
    };
    let panels_of = |run: &Range<usize>, depth: Range<usize>| -> [Panel<'_>; 4] {
        std::array::from_fn(|next| part.panels.panel((run.start + next).min(run.end - 1), depth.clone()))
    };
    let put = |tile: usize, run: &Range<usize>, sums: &Tile| {
        for (panel, lines) in run.clone().zip(sums.chunks_exact(edge(tile + 1) - edge(tile))) {
            let column = panel * COLUMNS;
            let width = COLUMNS.min(outputs - column);
            let bias = part.bias.map(|bias| &bias[column..column + width]);
            let place = Place { start: place.start + edge(tile) * place.stride + column, ..place };
            finish(isa, lines, bias, after, y, place, width);
        }
    };
    // With more than one tile of rows, a tile is full enough with one panel.
    let runs = runs(if tiles == 1 { rows } else { ROWS }, numbers);
    if tiles == 1 || inputs <= DEPTH {
        let mut sums = EMPTY;
        for run in runs {
            let panels = panels_of(&run, 0..inputs);
            for tile in 0..tiles {
                multiply(isa, rows_of(tile, 0), &panels[..run.len()], From::Zero, &mut sums);
                put(tile, &run, &sums);
            }
        }
        return;
    }
    let mut sums = [EMPTY; TILES];
    for run in runs {
        for first in (0..inputs).step_by(DEPTH) {
            let last = inputs.min(first + DEPTH);
            let panels = panels_of(&run, first..last);
            let from = if first == 0 { From::Zero } else { From::Tile };
            for (tile, sums) in sums[..tiles].iter_mut().enumerate() {
                multiply(isa, rows_of(tile, first), &panels[..run.len()], from, sums);
                if last == inputs {
                    put(tile, &run, sums);
                }
            }
        }
    }
}

for_each_isa! {
    /// Writes `width` sums of each line, with what comes after them, to the rows at `place`.
    fn finish(
        lines: &[Line], bias: Option<&[f32]>, after: After, y: &Split<'_, f32>, place: Place, width: usize,
    ) = finish_body
}

#[inline(always)]
fn finish_body<const FMA: bool>(
    lines: &[Line],
    bias: Option<&[f32]>,
    after: After,
    y: &Split<'_, f32>,
    place: Place,
    width: usize,
) {
    let mut offset = [0.0; COLUMNS];
    if let Some(bias) = bias {
        offset[..width].copy_from_slice(bias);
    }
    for (number, line) in lines.iter().enumerate() {
        let start = place.start + number * place.stride;
        #[expect(unsafe_code, reason = "jobs write different columns of the same rows")]
        // SAFETY: no other job writes these columns of these rows, and this one has no other part.
        let out = unsafe { y.part(start..start + width) };
        let mut row = line.0;
        for (sum, bias) in row.iter_mut().zip(&offset) {
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
            (_, None) => out.copy_from_slice(&row[..width]),
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
mod tests;
