//! [`Panels`]: a weight laid out for the product once, when it is loaded.

use std::fmt;
use std::ops::Range;

use half::{bf16, f16};

use super::isa::{Isa, for_each_isa};
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
    outputs: usize,
    inputs: usize,
}

enum Lines {
    Full(Vec<Line>),
    Half(Vec<HalfLine>),
}

impl Panels {
    /// Lays out a weight. Panics when `values` are not `outputs * inputs` many.
    pub(crate) fn pack(values: Values<'_>, outputs: usize, inputs: usize) -> Self {
        let lines = match values {
            Values::F32(values) => {
                Lines::Full(pack(values, outputs, inputs, Line::ZERO, |line, column, value| line.0[column] = value))
            }
            Values::F32Bytes(bytes) => {
                Lines::Full(pack(elements(bytes), outputs, inputs, Line::ZERO, |line, column, value| {
                    line.0[column] = f32::from_le_bytes(value);
                }))
            }
            Values::F16Bytes(bytes) => {
                Lines::Full(pack(elements(bytes), outputs, inputs, Line::ZERO, |line, column, value| {
                    line.0[column] = f16::from_le_bytes(value).to_f32();
                }))
            }
            Values::Bf16Bytes(bytes) => {
                Lines::Half(pack(elements(bytes), outputs, inputs, HalfLine::ZERO, |line, column, value| {
                    line.set(column, bf16::from_le_bytes(value).to_bits());
                }))
            }
        };
        Self { lines, outputs, inputs }
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
        match &self.lines {
            Lines::Full(lines) => size_of_val(lines.as_slice()),
            Lines::Half(lines) => size_of_val(lines.as_slice()),
        }
    }

    /// How many panels there are.
    pub(super) fn count(&self) -> usize {
        self.outputs.div_ceil(COLUMNS)
    }

    /// The lines of panel `number` for the inputs `depth`.
    pub(super) fn panel(&self, number: usize, depth: Range<usize>) -> Panel<'_> {
        let place = number * self.inputs + depth.start..number * self.inputs + depth.end;
        match &self.lines {
            Lines::Full(lines) => Panel::full(&lines[place]).ahead(AHEAD),
            Lines::Half(lines) => Panel::half(&lines[place]).ahead(AHEAD),
        }
    }

    /// The lines of panel `number` turned: for each of its outputs a line of the inputs `columns`, at
    /// most 32 of them, and zeros after them.
    pub(super) fn turn(&self, isa: Isa, number: usize, columns: Range<usize>, into: &mut [Line]) {
        let mut lines = [Line::ZERO; COLUMNS];
        let place = number * self.inputs + columns.start..number * self.inputs + columns.end;
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
        let (first, column) = (output / COLUMNS * self.inputs, output % COLUMNS);
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
        // A cache line of each row at a time: rows a power of two apart share their places there.
        for (number, lines) in panel.chunks_mut(STRETCH).enumerate() {
            for (column, row) in rows.chunks_exact(inputs).enumerate() {
                for (line, value) in lines.iter_mut().zip(&row[number * STRETCH..]) {
                    set(line, column, *value);
                }
            }
        }
    }
    lines
}

for_each_isa! {
    fn turn(lines: &[Line; COLUMNS], into: &mut [Line]) = turn_body
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
            }
        }
    }
}
