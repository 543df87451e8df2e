//! The tile's inner loop in explicit vectors, which no compiler keeps in registers by itself.
#![expect(unsafe_code, reason = "vectors are loaded through pointers")]

use std::arch::x86_64::{
    __m256, __m512, _MM_HINT_T0, _mm_prefetch, _mm256_and_si256, _mm256_broadcast_ss, _mm256_castps_si256,
    _mm256_castsi256_ps, _mm256_fmadd_ps, _mm256_load_ps, _mm256_set1_epi32, _mm256_setzero_ps, _mm256_slli_epi32,
    _mm256_store_ps, _mm512_and_si512, _mm512_castps_si512, _mm512_castsi512_ps, _mm512_fmadd_ps, _mm512_load_ps,
    _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps, _mm512_slli_epi32, _mm512_store_ps,
};

use super::{COLUMNS, From, Line, Lines, Panel, Rows, Tile};

/// The bits of the upper of two bfloat16 values in a word.
const UPPER: i32 = 0xffff_0000_u32.cast_signed();

/// Where a panel's lines begin, of either kind.
fn start(panel: &Panel<'_>) -> *const f32 {
    match panel.lines {
        Lines::Full(lines) => lines.as_ptr().cast(),
        Lines::Half(lines) => lines.as_ptr().cast(),
    }
}

/// Words of a line.
const fn words<const HALF: bool>() -> usize {
    if HALF { COLUMNS / 2 } else { COLUMNS }
}

/// Picks the compiled function for a number of rows and panels.
macro_rules! pick {
    ($rows:expr, $panels:expr, $call:ident $arguments:tt; $(($r:literal, $p:literal))*) => {
        match ($rows, $panels) {
            // SAFETY: as promised to the caller of this macro.
            $(($r, $p) => unsafe { $call::<$r, $p, HALF> $arguments },)*
            other => unreachable!("no tile of {other:?} rows and panels"),
        }
    };
}

/// # Safety
/// Panels are of one kind and `depth`; every row has at least `depth` values.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn avx512(rows: Rows<'_>, panels: &[Panel<'_>], depth: usize, from: From, tile: &mut Tile) {
    // SAFETY: as promised to this function.
    unsafe {
        if panels[0].is_half() {
            wide::<true>(rows, panels, depth, from, tile);
        } else {
            wide::<false>(rows, panels, depth, from, tile);
        }
    }
}

/// # Safety
/// As [`avx512`]; `HALF` tells the kind of the panels.
#[target_feature(enable = "avx512f")]
unsafe fn wide<const HALF: bool>(rows: Rows<'_>, panels: &[Panel<'_>], depth: usize, from: From, tile: &mut Tile) {
    pick!(rows.count, panels.len(), wide_tile(rows, panels, depth, from, tile);
        (1, 1) (1, 2) (1, 4) (2, 1) (2, 2) (2, 4) (3, 1) (3, 2) (3, 4) (4, 1) (4, 2) (5, 1) (5, 2) (6, 1) (6, 2)
        (7, 1) (8, 1) (9, 1) (10, 1) (11, 1) (12, 1));
}

/// # Safety
/// As [`avx512`]; `HALF` tells the kind of the panels.
#[target_feature(enable = "avx512f")]
unsafe fn wide_tile<const R: usize, const P: usize, const HALF: bool>(
    rows: Rows<'_>,
    panels: &[Panel<'_>],
    depth: usize,
    from: From,
    tile: &mut Tile,
) {
    let starts: [*const f32; P] = std::array::from_fn(|panel| start(&panels[panel]));
    let ahead = |panel: usize| panels[panel].ahead * words::<HALF>().cast_signed();
    let next: [*const f32; P] = std::array::from_fn(|panel| starts[panel].wrapping_offset(ahead(panel)));
    let rows: [*const f32; R] = std::array::from_fn(|row| rows.values[row * rows.stride..].as_ptr());
    // SAFETY: tiles are lines of 32 aligned values, and hold R * P of them; `k` is within every
    // panel and every row.
    unsafe {
        let tile = tile.as_mut_ptr().cast::<f32>();
        let mut sums = [[[_mm512_setzero_ps(); 2]; R]; P];
        if from == From::Tile {
            for (number, [left, right]) in sums.as_flattened_mut().iter_mut().enumerate() {
                *left = _mm512_load_ps(tile.add(number * COLUMNS));
                *right = _mm512_load_ps(tile.add(number * COLUMNS + 16));
            }
        }
        for k in 0..depth {
            let factors: [__m512; R] = std::array::from_fn(|row| _mm512_set1_ps(*rows[row].add(k)));
            for panel in 0..P {
                prefetch::<HALF>(next[panel], k);
                let [left, right] = wide_line::<HALF>(starts[panel], k);
                for row in 0..R {
                    sums[panel][row][0] = _mm512_fmadd_ps(factors[row], left, sums[panel][row][0]);
                    sums[panel][row][1] = _mm512_fmadd_ps(factors[row], right, sums[panel][row][1]);
                }
            }
        }
        for (number, [left, right]) in sums.into_iter().flatten().enumerate() {
            _mm512_store_ps(tile.add(number * COLUMNS), left);
            _mm512_store_ps(tile.add(number * COLUMNS + 16), right);
        }
    }
}

/// Asks for line `k` of what begins at `start`, which may be anything.
#[inline]
#[target_feature(enable = "avx512f")]
fn prefetch<const HALF: bool>(start: *const f32, k: usize) {
    let line = start.wrapping_add(k * words::<HALF>());
    _mm_prefetch::<_MM_HINT_T0>(line.cast());
    if !HALF {
        _mm_prefetch::<_MM_HINT_T0>(line.wrapping_add(16).cast());
    }
}

/// The 32 values of line `k`.
///
/// # Safety
/// The panel that begins at `start` is of the kind that `HALF` says and has that line.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn wide_line<const HALF: bool>(start: *const f32, k: usize) -> [__m512; 2] {
    // SAFETY: within the panel; lines of both kinds are aligned to 64 bytes.
    unsafe {
        let values = start.add(k * words::<HALF>());
        if HALF {
            let words = _mm512_castps_si512(_mm512_load_ps(values));
            let upper = _mm512_and_si512(words, _mm512_set1_epi32(UPPER));
            [_mm512_castsi512_ps(_mm512_slli_epi32::<16>(words)), _mm512_castsi512_ps(upper)]
        } else {
            [_mm512_load_ps(values), _mm512_load_ps(values.add(16))]
        }
    }
}

/// As [`avx512`] with vectors of half the width, which leave room for 6 rows of 16 columns.
///
/// # Safety
/// As [`avx512`].
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn avx2(rows: Rows<'_>, panels: &[Panel<'_>], depth: usize, from: From, tile: &mut Tile) {
    const HIGH: usize = 6;
    for (panel, sums) in panels.iter().zip(tile.chunks_exact_mut(rows.count)) {
        for first in (0..rows.count).step_by(HIGH) {
            let count = HIGH.min(rows.count - first);
            let rows = Rows { values: &rows.values[first * rows.stride..], count, ..rows };
            let sums = &mut sums[first..first + count];
            // SAFETY: as promised to this function.
            unsafe {
                if panel.is_half() {
                    narrow::<true>(rows, panel, depth, from, sums);
                } else {
                    narrow::<false>(rows, panel, depth, from, sums);
                }
            }
        }
    }
}

/// # Safety
/// As [`avx512`]; `HALF` tells the kind of the panel, and `sums` has a line for each row.
#[target_feature(enable = "avx2,fma")]
unsafe fn narrow<const HALF: bool>(rows: Rows<'_>, panel: &Panel<'_>, depth: usize, from: From, sums: &mut [Line]) {
    for part in 0..2 {
        pick!(rows.count, part, narrow_tile(rows, panel, depth, from, sums);
            (1, 0) (1, 1) (2, 0) (2, 1) (3, 0) (3, 1) (4, 0) (4, 1) (5, 0) (5, 1) (6, 0) (6, 1));
    }
}

/// Half `PART` of the columns.
///
/// # Safety
/// As [`narrow`].
#[target_feature(enable = "avx2,fma")]
unsafe fn narrow_tile<const R: usize, const PART: usize, const HALF: bool>(
    rows: Rows<'_>,
    panel: &Panel<'_>,
    depth: usize,
    from: From,
    sums: &mut [Line],
) {
    let start = start(panel);
    let rows: [*const f32; R] = std::array::from_fn(|row| rows.values[row * rows.stride..].as_ptr());
    let lines: [*mut f32; R] = std::array::from_fn(|row| sums[row].0[PART * 16..].as_mut_ptr());
    // SAFETY: half a line is 16 aligned values; `k` is within the panel and every row.
    unsafe {
        let mut sums = [[_mm256_setzero_ps(); 2]; R];
        if from == From::Tile {
            for ([left, right], line) in sums.iter_mut().zip(lines) {
                *left = _mm256_load_ps(line);
                *right = _mm256_load_ps(line.add(8));
            }
        }
        for k in 0..depth {
            let [left, right] = narrow_line::<PART, HALF>(start, k);
            for row in 0..R {
                let factor = _mm256_broadcast_ss(&*rows[row].add(k));
                sums[row][0] = _mm256_fmadd_ps(factor, left, sums[row][0]);
                sums[row][1] = _mm256_fmadd_ps(factor, right, sums[row][1]);
            }
        }
        for (line, [left, right]) in lines.into_iter().zip(sums) {
            _mm256_store_ps(line, left);
            _mm256_store_ps(line.add(8), right);
        }
    }
}

/// The 16 values of half `PART` of line `k`.
///
/// # Safety
/// As [`wide_line`].
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn narrow_line<const PART: usize, const HALF: bool>(start: *const f32, k: usize) -> [__m256; 2] {
    // SAFETY: within the panel; lines of both kinds are aligned to 64 bytes.
    unsafe {
        let values = start.add(k * words::<HALF>());
        if HALF {
            std::array::from_fn(|part| {
                let words = _mm256_castps_si256(_mm256_load_ps(values.add(part * 8)));
                let low = _mm256_slli_epi32::<16>(words);
                _mm256_castsi256_ps(if PART == 0 { low } else { _mm256_and_si256(words, _mm256_set1_epi32(UPPER)) })
            })
        } else {
            [_mm256_load_ps(values.add(PART * 16)), _mm256_load_ps(values.add(PART * 16 + 8))]
        }
    }
}
