//! The one inner loop of every matrix product: 12 rows times a panel of 32 columns.
//!
//! A *panel* holds 32 columns of the right-hand matrix, one [`Line`] for each of its K rows. The
//! 24 sums of a 512-bit tile stay in registers while K runs; rows are read where they lie.

use super::isa::{Isa, Level};

/// Rows of a tile.
pub(super) const ROWS: usize = 12;
/// Columns of a tile.
pub(super) const COLUMNS: usize = 32;

/// One row of a panel, or of a tile, aligned to a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [f32; COLUMNS]);

impl Line {
    /// All zero.
    pub(super) const ZERO: Self = Self([0.0; COLUMNS]);
}

/// The product of 12 rows and one panel.
pub(super) type Tile = [Line; ROWS];

/// An empty tile.
pub(super) const EMPTY: Tile = [Line::ZERO; ROWS];

/// `tile[i][j] = sum over k of rows[i][k] * panel[k][j]`; every row is as long as the panel.
pub(super) fn multiply(isa: Isa, rows: &[&[f32]; ROWS], panel: &[Line], tile: &mut Tile) {
    for row in rows {
        assert_eq!(row.len(), panel.len(), "a row is as long as its panel");
    }
    match isa.level() {
        Level::Portable => portable(rows, panel, tile),
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "a function for instructions that not every processor has")]
        // SAFETY: an `Isa` of this level exists only where these instructions were detected, and
        // every row was found to be as long as the panel.
        Level::Avx2 => unsafe { x86::avx2(rows, panel, tile) },
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "a function for instructions that not every processor has")]
        // SAFETY: as above.
        Level::Avx512 => unsafe { x86::avx512(rows, panel, tile) },
    }
}

fn portable(rows: &[&[f32]; ROWS], panel: &[Line], tile: &mut Tile) {
    for (row, sums) in rows.iter().zip(tile) {
        let mut line = Line::ZERO;
        for (factor, values) in row.iter().zip(panel) {
            for (sum, value) in line.0.iter_mut().zip(&values.0) {
                *sum += factor * value;
            }
        }
        *sums = line;
    }
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "explicit vectors, which no compiler keeps in registers by itself")]
mod x86 {
    use std::arch::x86_64::{
        _mm256_broadcast_ss, _mm256_fmadd_ps, _mm256_load_ps, _mm256_setzero_ps, _mm256_store_ps, _mm512_fmadd_ps,
        _mm512_load_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_store_ps,
    };

    use super::{COLUMNS, Line, ROWS, Tile};

    /// # Safety
    /// Every row has at least as many values as `panel` has lines.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn avx512(rows: &[&[f32]; ROWS], panel: &[Line], tile: &mut Tile) {
        let rows = rows.map(<[f32]>::as_ptr);
        let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
        for (k, line) in panel.iter().enumerate() {
            // SAFETY: a line is 32 values, aligned to 64 bytes; `k` is within every row.
            unsafe {
                let left = _mm512_load_ps(line.0.as_ptr());
                let right = _mm512_load_ps(line.0.as_ptr().add(16));
                for row in 0..ROWS {
                    let factor = _mm512_set1_ps(*rows[row].add(k));
                    sums[row][0] = _mm512_fmadd_ps(factor, left, sums[row][0]);
                    sums[row][1] = _mm512_fmadd_ps(factor, right, sums[row][1]);
                }
            }
        }
        for (line, [left, right]) in tile.iter_mut().zip(sums) {
            // SAFETY: a line is 32 values, aligned to 64 bytes.
            unsafe {
                _mm512_store_ps(line.0.as_mut_ptr(), left);
                _mm512_store_ps(line.0.as_mut_ptr().add(16), right);
            }
        }
    }

    /// As [`avx512`] with vectors of half the width, which leave room for 6 rows of 16 columns.
    ///
    /// # Safety
    /// Every row has at least as many values as `panel` has lines.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn avx2(rows: &[&[f32]; ROWS], panel: &[Line], tile: &mut Tile) {
        const HIGH: usize = 6;
        let rows = rows.map(<[f32]>::as_ptr);
        for first in (0..ROWS).step_by(HIGH) {
            for column in (0..COLUMNS).step_by(16) {
                let mut sums = [[_mm256_setzero_ps(); 2]; HIGH];
                for (k, line) in panel.iter().enumerate() {
                    // SAFETY: `column` is 0 or 16 of 32 aligned values; `k` is within every row.
                    unsafe {
                        let values = line.0.as_ptr().add(column);
                        let left = _mm256_load_ps(values);
                        let right = _mm256_load_ps(values.add(8));
                        for row in 0..HIGH {
                            let factor = _mm256_broadcast_ss(&*rows[first + row].add(k));
                            sums[row][0] = _mm256_fmadd_ps(factor, left, sums[row][0]);
                            sums[row][1] = _mm256_fmadd_ps(factor, right, sums[row][1]);
                        }
                    }
                }
                for (line, [left, right]) in tile[first..first + HIGH].iter_mut().zip(sums) {
                    // SAFETY: as above.
                    unsafe {
                        let values = line.0.as_mut_ptr().add(column);
                        _mm256_store_ps(values, left);
                        _mm256_store_ps(values.add(8), right);
                    }
                }
            }
        }
    }
}
