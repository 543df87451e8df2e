//! [`Panels`]: a weight laid out for the product once, when it is loaded.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use half::{bf16, f16};

use super::isa::{Isa, for_each_isa};
use super::split::Split;
use super::team::Team;
use super::tile::{COLUMNS, HalfLine, Line, Panel};

/// Lines between a use of the weight and what is fetched meanwhile.
const AHEAD: isize = 64;

/// Inputs that are laid out together.
const STRETCH: usize = 16;

/// Values as they are stored: (outputs, inputs), little-endian where they are bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Values<'a> {
    /// Single precision, in memory.
    F32(&'a [f32]),
    /// Single precision, of any alignment.
    F32Bytes(&'a [u8]),
    /// bfloat16, which stays so: half the memory, widened exactly as it is used.
    Bf16Bytes(&'a [u8]),
    /// IEEE half precision, widened to single.
    F16Bytes(&'a [u8]),
}

/// A weight (outputs, inputs) as panels of 32 outputs with a line for each input.
pub(crate) struct Panels {
    lines: Lines,
    /// The first line that is this weight's.
    first: usize,
    outputs: usize,
    inputs: usize,
}

/// Shared by a weight and parts of it.
#[derive(Clone)]
enum Lines {
    Full(Arc<Vec<Line>>),
    Half(Arc<Vec<HalfLine>>),
}

/// Some columns of rows that lie one after another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns<'a> {
    /// (T, stride)
    pub(crate) values: &'a [f32],
    /// Values from one row to the next.
    pub(crate) stride: usize,
    /// The first column.
    pub(crate) start: usize,
    /// How many columns.
    pub(crate) width: usize,
}

impl<'a> Columns<'a> {
    /// All columns of rows of this width.
    pub(crate) fn all(values: &'a [f32], width: usize) -> Self {
        Self { values, stride: width, start: 0, width }
    }

    /// T, the number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.values.len().checked_div(self.stride).unwrap_or(0)
    }

    /// These columns of one row.
    pub(super) fn row(&self, row: usize) -> &'a [f32] {
        &self.values[row * self.stride + self.start..][..self.width]
    }
}

impl Panels {
    /// Lays out a weight. Panics when `values` are not `outputs * inputs` many.
    pub(crate) fn pack(values: Values<'_>, outputs: usize, inputs: usize) -> Self {
        let lines = match values {
            Values::F32(values) => {
                full(pack(values, outputs, inputs, Line::ZERO, |line, column, value| line.0[column] = value))
            }
            Values::F32Bytes(bytes) => {
                full(pack(elements(bytes), outputs, inputs, Line::ZERO, |line, column, value| {
                    line.0[column] = f32::from_le_bytes(value);
                }))
            }
            Values::F16Bytes(bytes) => {
                full(pack(elements(bytes), outputs, inputs, Line::ZERO, |line, column, value| {
                    line.0[column] = f16::from_le_bytes(value).to_f32();
                }))
            }
            Values::Bf16Bytes(bytes) => {
                let set = |line: &mut HalfLine, column, value| line.set(column, bf16::from_le_bytes(value).to_bits());
                Lines::Half(Arc::new(pack(elements(bytes), outputs, inputs, HalfLine::ZERO, set)))
            }
        };
        Self { lines, first: 0, outputs, inputs }
    }

    /// Lays out other values (outputs, inputs) for the same shape, in single precision whatever it
    /// was, in the memory that is there unless a part of the old is still in use.
    pub(crate) fn set(&mut self, team: &Team, values: &[f32]) {
        let (inputs, count) = (self.inputs, self.count());
        assert_eq!(values.len(), self.outputs * inputs, "a weight is as large as its shape says");
        let lines = match &mut self.lines {
            Lines::Full(lines) if self.first == 0 => Arc::get_mut(lines).map(std::mem::take),
            _ => None,
        };
        let mut lines = lines.filter(|lines| lines.len() == count * inputs).unwrap_or_default();
        lines.resize(count * inputs, Line::ZERO);
        let split = Split::new(&mut lines);
        team.run(count, &|_, panel| {
            #[expect(unsafe_code, reason = "jobs write different panels")]
            // SAFETY: no other job has this panel.
            let lines = unsafe { split.part(panel * inputs..(panel + 1) * inputs) };
            let rows = &values[panel * COLUMNS * inputs..values.len().min((panel + 1) * COLUMNS * inputs)];
            pack_panel(rows, inputs, lines, |line, column, value| line.0[column] = value);
        });
        self.lines = full(lines);
        self.first = 0;
    }

    /// The transposed of `x`, (T, width), as a weight (width, T): a line is a part of a row, so that
    /// it needs no turning. Uses `memory`, which [`Panels::into_memory`] gives back.
    pub(super) fn transposed(team: &Team, x: Columns<'_>, memory: Vec<Line>) -> Self {
        let (rows, count) = (x.rows(), x.width.div_ceil(COLUMNS));
        let mut lines = memory;
        lines.resize(count * rows, Line::ZERO);
        let split = Split::new(&mut lines);
        let jobs = rows.div_ceil(STRETCH * STRETCH);
        team.run(jobs, &|_, job| {
            for row in job * STRETCH * STRETCH..rows.min((job + 1) * STRETCH * STRETCH) {
                for (panel, values) in x.row(row).chunks(COLUMNS).enumerate() {
                    #[expect(unsafe_code, reason = "jobs write different rows")]
                    // SAFETY: no other job has this row's lines.
                    let line = unsafe { &mut split.part(panel * rows + row..panel * rows + row + 1)[0] };
                    // A known length is a few moves instead of a call.
                    if let Some(values) = values.as_array() {
                        line.0 = *values;
                    } else {
                        line.0[values.len()..].fill(0.0);
                        line.0[..values.len()].copy_from_slice(values);
                    }
                }
            }
        });
        Self { lines: full(lines), first: 0, outputs: x.width, inputs: rows }
    }

    /// The memory of a weight that is no longer used.
    pub(super) fn into_memory(self) -> Vec<Line> {
        match self.lines {
            Lines::Full(lines) => Arc::into_inner(lines).unwrap_or_default(),
            Lines::Half(_) => Vec::new(),
        }
    }

    /// The outputs `range` alone, in the same memory. Panics unless it begins with a panel.
    pub(crate) fn slice(&self, range: Range<usize>) -> Self {
        assert!(range.start.is_multiple_of(COLUMNS) && range.end <= self.outputs, "whole panels of the weight");
        let first = self.first + range.start / COLUMNS * self.inputs;
        Self { lines: self.lines.clone(), first, outputs: range.len(), inputs: self.inputs }
    }

    /// Width of a result row.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Width of an input row.
    pub(crate) fn inputs(&self) -> usize {
        self.inputs
    }

    /// Memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        let line = match &self.lines {
            Lines::Full(_) => size_of::<Line>(),
            Lines::Half(_) => size_of::<HalfLine>(),
        };
        self.count() * self.inputs * line
    }

    /// How many panels there are.
    pub(super) fn count(&self) -> usize {
        self.outputs.div_ceil(COLUMNS)
    }

    /// The lines of panel `number` for the inputs `depth`.
    pub(super) fn panel(&self, number: usize, depth: Range<usize>) -> Panel<'_> {
        let start = self.first + number * self.inputs;
        let place = start + depth.start..start + depth.end;
        match &self.lines {
            Lines::Full(lines) => Panel::full(&lines[place]).ahead(AHEAD),
            Lines::Half(lines) => Panel::half(&lines[place]).ahead(AHEAD),
        }
    }

    /// The lines of panel `number` turned: for each of its outputs a line of the inputs `columns`, at
    /// most 32 of them, and zeros after them.
    pub(super) fn turn(&self, isa: Isa, number: usize, columns: Range<usize>, into: &mut [Line]) {
        let mut lines = [Line::ZERO; COLUMNS];
        let start = self.first + number * self.inputs;
        let place = start + columns.start..start + columns.end;
        match &self.lines {
            Lines::Full(all) => lines[..columns.len()].copy_from_slice(&all[place]),
            Lines::Half(all) => {
                for (line, half) in lines.iter_mut().zip(&all[place]) {
                    *line = half.widen();
                }
            }
        }
        turn(isa, &lines, into);
    }

    /// One row of the weight, (inputs): what an embedding that shares it looks up.
    pub(crate) fn row(&self, output: usize, into: &mut [f32]) {
        assert!(output < self.outputs && into.len() == self.inputs, "a row of the weight");
        let (first, column) = (self.first + output / COLUMNS * self.inputs, output % COLUMNS);
        match &self.lines {
            Lines::Full(lines) => {
                for (value, line) in into.iter_mut().zip(&lines[first..]) {
                    *value = line.0[column];
                }
            }
            Lines::Half(lines) => {
                for (value, line) in into.iter_mut().zip(&lines[first..]) {
                    *value = line.get(column);
                }
            }
        }
    }
}

fn full(lines: Vec<Line>) -> Lines {
    Lines::Full(Arc::new(lines))
}

fn elements<const SIZE: usize>(bytes: &[u8]) -> &[[u8; SIZE]] {
    let (elements, rest) = bytes.as_chunks::<SIZE>();
    assert!(rest.is_empty(), "a weight has whole values");
    elements
}

/// Fills a line for each (panel, input) through `set(line, column, value)`.
fn pack<V: Copy, L: Copy>(
    values: &[V],
    outputs: usize,
    inputs: usize,
    zero: L,
    set: impl Fn(&mut L, usize, V),
) -> Vec<L> {
    assert_eq!(values.len(), outputs * inputs, "a weight is as large as its shape says");
    let mut lines = vec![zero; outputs.div_ceil(COLUMNS) * inputs];
    if inputs == 0 {
        return lines;
    }
    for (panel, rows) in lines.chunks_exact_mut(inputs).zip(values.chunks(COLUMNS * inputs)) {
        pack_panel(rows, inputs, panel, &set);
    }
    lines
}

fn pack_panel<V: Copy, L>(rows: &[V], inputs: usize, panel: &mut [L], set: impl Fn(&mut L, usize, V)) {
    // A cache line of each row at a time: rows a power of two apart share their places there.
    for (number, lines) in panel.chunks_mut(STRETCH).enumerate() {
        for (column, row) in rows.chunks_exact(inputs).enumerate() {
            for (line, value) in lines.iter_mut().zip(&row[number * STRETCH..]) {
                set(line, column, *value);
            }
        }
    }
}

for_each_isa! {
    /// The transposed of 32 lines, of which the first so many are wanted as `into` has room for.
    pub(super) fn turn(lines: &[Line; COLUMNS], into: &mut [Line]) = turn_body
}

/// Eight by eight, by interleaving: three rounds of pairs instead of 64 single moves.
#[inline(always)]
fn turn_body<const FMA: bool>(lines: &[Line; COLUMNS], into: &mut [Line]) {
    const SIDE: usize = 8;
    for left in (0..COLUMNS).step_by(SIDE) {
        for top in (0..COLUMNS).step_by(SIDE) {
            let mut square: [[f32; SIDE]; SIDE] =
                std::array::from_fn(|row| std::array::from_fn(|column| lines[top + row].0[left + column]));
            for _ in 0..SIDE.ilog2() {
                square = std::array::from_fn(|row| {
                    let (pair, part) = (row / 2, row % 2 * SIDE / 2);
                    std::array::from_fn(|column| square[pair + column % 2 * SIDE / 2][part + column / 2])
                });
            }
            for (row, line) in square.iter().zip(into.iter_mut().skip(left)) {
                line.0[top..top + SIDE].copy_from_slice(row);
            }
        }
    }
}

impl fmt::Debug for Panels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { outputs, inputs, .. } = self;
        f.debug_struct("Panels")
            .field("outputs", outputs)
            .field("inputs", inputs)
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use super::*;
    use crate::ops::testing::numbers;

    #[test]
    fn every_row_is_as_it_was_packed() {
        for (outputs, inputs) in [(1, 1), (31, 3), (32, 5), (33, 32), (70, 1)] {
            let count = outputs * inputs;
            let exact = numbers(1, count);
            let bytes: Vec<u8> = exact.iter().flat_map(|value| value.to_le_bytes()).collect();
            let brief: Vec<bf16> = exact.iter().map(|value| bf16::from_f32(*value)).collect();
            let halves: Vec<f16> = exact.iter().map(|value| f16::from_f32(*value)).collect();
            let brief_bytes: Vec<u8> = brief.iter().flat_map(|value| value.to_le_bytes()).collect();
            let half_bytes: Vec<u8> = halves.iter().flat_map(|value| value.to_le_bytes()).collect();
            let brief: Vec<f32> = brief.iter().map(|value| value.to_f32()).collect();
            let halves: Vec<f32> = halves.iter().map(|value| value.to_f32()).collect();
            let cases = [
                (Values::F32(&exact), &exact, 4),
                (Values::F32Bytes(&bytes), &exact, 4),
                (Values::Bf16Bytes(&brief_bytes), &brief, 2),
                (Values::F16Bytes(&half_bytes), &halves, 4),
            ];
            for (values, expected, size) in cases {
                let panels = Panels::pack(values, outputs, inputs);
                assert_eq!((panels.outputs(), panels.inputs()), (outputs, inputs));
                assert_eq!(panels.bytes(), outputs.next_multiple_of(COLUMNS) * inputs * size);
                let mut row = vec![0.0; inputs];
                for (output, expected) in expected.chunks_exact(inputs).enumerate() {
                    panels.row(output, &mut row);
                    assert_eq!(row, expected);
                }
                let team = Team::new(NonZero::new(2).unwrap());
                let mut other = panels;
                other.set(&team, &exact);
                let part = (outputs > COLUMNS).then(|| other.slice(COLUMNS..outputs));
                for (output, expected) in exact.chunks_exact(inputs).enumerate() {
                    other.row(output, &mut row);
                    assert_eq!(row, expected);
                    if let Some(part) = part.as_ref().filter(|_| output >= COLUMNS) {
                        part.row(output - COLUMNS, &mut row);
                        assert_eq!(row, expected);
                    }
                }
            }
            let turned = Panels::transposed(&Team::new(NonZero::new(2).unwrap()), Columns::all(&exact, inputs), vec![]);
            assert_eq!((turned.outputs(), turned.inputs()), (inputs, outputs));
            let mut column = vec![0.0; outputs];
            for input in 0..inputs {
                turned.row(input, &mut column);
                assert!(column.iter().eq(exact.iter().skip(input).step_by(inputs)));
            }
        }
    }
}
