//! The one inner loop of every matrix product: up to 12 rows times panels of 32 columns.
//!
//! A *panel* holds 32 columns of the right-hand matrix, one [`Line`] for each of its K rows, or one
//! [`HalfLine`] where the values are bfloat16. The 24 sums of a full 512-bit tile stay in registers
//! while K runs; rows are read where they lie. Each sum is one accumulator that takes its products
//! in the order of K, so an element has the same bits however many rows or panels go together.

#[cfg(target_arch = "x86_64")]
mod x86;

use std::ops::Range;

use super::isa::{Isa, Level};

/// The most rows of a tile.
pub(super) const ROWS: usize = 12;
/// Columns of a panel.
pub(super) const COLUMNS: usize = 32;

/// One row of a panel, or of a tile, aligned to a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [f32; COLUMNS]);

impl Line {
    /// All zero.
    pub(super) const ZERO: Self = Self([0.0; COLUMNS]);
}

/// One row of a bfloat16 panel: column c in the low half of word c, column c + 16 in the high
/// half, so that a shift and a mask widen 16 columns each.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct HalfLine(pub(super) [u32; COLUMNS / 2]);

impl HalfLine {
    /// All zero.
    pub(super) const ZERO: Self = Self([0; COLUMNS / 2]);

    /// The value of one column.
    pub(super) fn get(&self, column: usize) -> f32 {
        let word = self.0[column % (COLUMNS / 2)];
        f32::from_bits(if column < COLUMNS / 2 { word << 16 } else { word & 0xffff_0000 })
    }

    /// All values, widened exactly.
    pub(super) fn widen(&self) -> Line {
        let mut line = Line::ZERO;
        let (left, right) = line.0.split_at_mut(COLUMNS / 2);
        for ((left, right), word) in left.iter_mut().zip(right).zip(&self.0) {
            *left = f32::from_bits(word << 16);
            *right = f32::from_bits(word & 0xffff_0000);
        }
        line
    }

    /// Sets the value of one column, given by its bits.
    pub(super) fn set(&mut self, column: usize, bits: u16) {
        let word = &mut self.0[column % (COLUMNS / 2)];
        let bits = u32::from(bits);
        *word = if column < COLUMNS / 2 { *word & 0xffff_0000 | bits } else { *word & 0xffff | bits << 16 };
    }
}

/// A panel, or the part of one that some of K make.
#[derive(Clone, Copy, Debug)]
pub(super) struct Panel<'a> {
    lines: Lines<'a>,
    ahead: isize,
}

#[derive(Clone, Copy, Debug)]
enum Lines<'a> {
    Full(&'a [Line]),
    Half(&'a [HalfLine]),
}

impl<'a> Panel<'a> {
    /// A panel as it is.
    pub(super) fn full(lines: &'a [Line]) -> Self {
        Self { lines: Lines::Full(lines), ahead: 0 }
    }

    /// A panel of bfloat16.
    pub(super) fn half(lines: &'a [HalfLine]) -> Self {
        Self { lines: Lines::Half(lines), ahead: 0 }
    }

    /// With each line, the processor is asked for the one so many lines further on, in this panel or
    /// where the next one lies: its own foresight ends with the memory page.
    pub(super) fn ahead(self, lines: isize) -> Self {
        Self { ahead: lines, ..self }
    }

    fn depth(&self) -> usize {
        match self.lines {
            Lines::Full(lines) => lines.len(),
            Lines::Half(lines) => lines.len(),
        }
    }

    fn is_half(&self) -> bool {
        matches!(self.lines, Lines::Half(_))
    }

    fn line(&self, k: usize) -> Line {
        match self.lines {
            Lines::Full(lines) => lines[k],
            Lines::Half(lines) => lines[k].widen(),
        }
    }
}

/// Rows of the left-hand matrix: `count` of them, `stride` values apart, each as deep as the panel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'a> {
    pub(super) values: &'a [f32],
    pub(super) stride: usize,
    pub(super) count: usize,
}

/// Sums of some rows with some panels: line `panel * rows + row`.
pub(super) type Tile = [Line; ROWS];

/// Where the sums of a product begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// At nothing; what the tile held is lost.
    Zero,
    /// At what the tile holds: the same row and panel with smaller k.
    Tile,
}

/// A tile of nothing.
pub(super) const EMPTY: Tile = [Line::ZERO; ROWS];

/// How many of `left` panels make the most of one pass over `rows` rows: enough sums in flight to
/// hide the latency of the additions, few enough to stay in registers.
pub(super) fn together(rows: usize, left: usize) -> usize {
    let most = match rows {
        0..=3 => 4,
        4..=6 => 2,
        _ => 1,
    };
    // Powers of two, so that few kinds of tile do for all.
    1 << most.min(left.max(1)).ilog2()
}

/// Divides `panels` into runs that go together.
pub(super) fn runs(rows: usize, panels: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let mut next = panels.start;
    std::iter::from_fn(move || {
        let first = next;
        next += together(rows, panels.end.saturating_sub(first));
        (first < panels.end).then_some(first..next)
    })
}

/// The sums of the products of `rows`, at most 12, and `panels`: 1, 2 or 4 of one kind and depth, no
/// more than [`together`] says.
pub(super) fn multiply(isa: Isa, rows: Rows<'_>, panels: &[Panel<'_>], from: From, tile: &mut Tile) {
    let (Some(first), true) = (panels.first(), rows.count > 0) else {
        return;
    };
    let depth = first.depth();
    let alike = panels.iter().all(|panel| panel.depth() == depth && panel.is_half() == first.is_half());
    assert!(alike, "panels of one kind and depth");
    assert!(rows.count <= ROWS && panels.len() <= together(rows.count, panels.len()), "no more than a tile holds");
    assert!((rows.count - 1) * rows.stride + depth <= rows.values.len(), "every row is as deep as the panel");
    match isa.level() {
        Level::Portable => portable(rows, panels, from, tile),
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "a function for instructions that not every processor has")]
        // SAFETY: an `Isa` of this level exists only where these instructions were detected; the
        // panels are alike, and every row was found to be as deep as they are.
        Level::Avx2 => unsafe { x86::avx2(rows, panels, depth, from, tile) },
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "a function for instructions that not every processor has")]
        // SAFETY: as above.
        Level::Avx512 => unsafe { x86::avx512(rows, panels, depth, from, tile) },
    }
}

fn portable(rows: Rows<'_>, panels: &[Panel<'_>], from: From, tile: &mut Tile) {
    for (panel, sums) in panels.iter().zip(tile.chunks_exact_mut(rows.count)) {
        if from == From::Zero {
            sums.fill(Line::ZERO);
        }
        for k in 0..panel.depth() {
            let line = panel.line(k);
            for (row, sums) in sums.iter_mut().enumerate() {
                let factor = rows.values[row * rows.stride + k];
                for (sum, value) in sums.0.iter_mut().zip(&line.0) {
                    *sum += factor * value;
                }
            }
        }
    }
}

/// So many rows in tiles of about the same height.
pub(super) fn tiles(rows: usize) -> impl Iterator<Item = Range<usize>> {
    let count = rows.div_ceil(ROWS);
    (0..count).map(move |tile| tile * rows / count..(tile + 1) * rows / count)
}

/// Adds the product of `rows` with one panel to `sums`, a line for each row, with room for a tile behind the last.
pub(super) fn add_product(isa: Isa, rows: Rows<'_>, lines: &[Line], sums: &mut [Line]) {
    for tile in tiles(rows.count) {
        let Some(sums) = sums[tile.start..].first_chunk_mut::<ROWS>() else {
            unreachable!("sums end with room for a tile");
        };
        let rows = Rows { values: &rows.values[tile.start * rows.stride..], stride: rows.stride, count: tile.len() };
        multiply(isa, rows, &[Panel::full(lines)], From::Tile, sums);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_close, numbers};

    /// `count` panels of `depth`, and the same as bfloat16 and widened again.
    fn panels(count: usize, depth: usize) -> [(Vec<Line>, Vec<HalfLine>); 4] {
        std::array::from_fn(|panel| {
            let mut lines = Vec::new();
            let mut halves = Vec::new();
            for row in numbers(panel as u64, if panel < count { depth * COLUMNS } else { 0 }).chunks(COLUMNS) {
                let mut half = HalfLine::ZERO;
                for (column, value) in row.iter().enumerate() {
                    half.set(column, (value.to_bits() >> 16) as u16);
                }
                lines.push(Line(std::array::from_fn(|column| half.get(column))));
                halves.push(half);
            }
            (lines, halves)
        })
    }

    #[test]
    fn every_shape_of_tile_is_the_plain_product_with_the_same_bits() {
        for isa in Isa::all() {
            for depth in [1, 2, 33] {
                let panels = panels(4, depth);
                let x = numbers(9, ROWS * (depth + 3));
                // One row with one panel is what all others are held against.
                let alone = |row: usize, panel: usize| {
                    let mut tile = EMPTY;
                    let rows = Rows { values: &x[row * (depth + 3)..], stride: 0, count: 1 };
                    multiply(isa, rows, &[Panel::full(&panels[panel].0)], From::Zero, &mut tile);
                    tile[0].0
                };
                let exact = |row: usize, panel: usize, column: usize| -> f64 {
                    let term = |k: usize| f64::from(x[row * (depth + 3) + k]) * f64::from(panels[panel].0[k].0[column]);
                    (0..depth).map(term).sum()
                };
                for count in 1..=ROWS {
                    for width in [1, 2, 4].into_iter().filter(|width| *width <= together(count, 4)) {
                        let rows = Rows { values: &x, stride: depth + 3, count };
                        let full: Vec<_> = panels[..width].iter().map(|(lines, _)| Panel::full(lines)).collect();
                        let half: Vec<_> = panels[..width].iter().map(|(_, lines)| Panel::half(lines)).collect();
                        let (mut tile, mut same) = (EMPTY, EMPTY);
                        multiply(isa, rows, &full, From::Zero, &mut tile);
                        multiply(isa, rows, &half, From::Zero, &mut same);
                        for panel in 0..width {
                            for row in 0..count {
                                let found = tile[panel * count + row].0;
                                assert_eq!(found, alone(row, panel), "{count} rows, {width} panels");
                                assert_eq!(found, same[panel * count + row].0, "{count} rows, {width} half panels");
                                let exact: Vec<f64> = (0..COLUMNS).map(|column| exact(row, panel, column)).collect();
                                assert_close(&found, &exact, 1e-5);
                            }
                        }
                        assert!(tile[width * count..].iter().all(|line| line.0 == [0.0; COLUMNS]));
                    }
                }
            }
        }
    }

    #[test]
    fn a_product_in_two_parts_has_the_same_bits() {
        for isa in Isa::all() {
            let panels = panels(1, 40);
            let x = numbers(9, 5 * 40);
            let mut whole = [Line([9.0; COLUMNS]); ROWS];
            let mut parts = whole;
            multiply(
                isa,
                Rows { values: &x, stride: 40, count: 5 },
                &[Panel::full(&panels[0].0)],
                From::Zero,
                &mut whole,
            );
            for (first, last, from) in [(0, 7, From::Zero), (7, 40, From::Tile)] {
                let rows = Rows { values: &x[first..], stride: 40, count: 5 };
                multiply(isa, rows, &[Panel::full(&panels[0].0[first..last])], from, &mut parts);
            }
            for (whole, part) in whole.iter().zip(parts) {
                assert_eq!(whole.0, part.0);
            }
        }
    }
}
