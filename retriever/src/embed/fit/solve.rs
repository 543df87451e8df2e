//! Ridge regression with many right-hand sides: conjugate gradient on the normal equations.
//!
//! Finds E (V, D) that minimises `|A E - T|^2 + ridge |E|^2` for sparse A (N, V) and T (N, D), that
//! is `(A'A + ridge I) E = A'T`. Neither `A'A` (V, V) nor its factor is ever built. Each column of
//! E is a problem of its own, so blocks of columns go to different threads and never wait.

use rayon::prelude::*;

use super::sparse::{LANES, Row, Sparse};

/// E (V, D), row by row, after `iterations` steps from zero; `target` is T (N, D), row by row.
/// `report` gets each finished share of the work, as `(done, of)` blocks of columns.
pub(super) fn ridge(
    counts: &Sparse,
    target: &[f32],
    dimension: usize,
    ridge: f32,
    iterations: usize,
    report: &(dyn Fn(usize, usize) + Sync),
) -> Vec<f32> {
    let transposed = counts.transposed();
    let blocks = dimension.div_ceil(LANES);
    let done = std::sync::atomic::AtomicUsize::new(0);
    let solve = |block: usize| {
        let solution = solve_block(counts, &transposed, &block_of(target, dimension, block), ridge, iterations);
        report(done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1, blocks);
        solution
    };
    let solutions: Vec<Vec<Row>> = (0..blocks).into_par_iter().map(solve).collect();
    let mut out = vec![0.0; counts.width() * dimension];
    for (block, solution) in solutions.iter().enumerate() {
        for (row, lanes) in out.chunks_exact_mut(dimension).zip(solution) {
            let row = &mut row[block * LANES..];
            let lanes = &lanes[..row.len().min(LANES)];
            row[..lanes.len()].copy_from_slice(lanes);
        }
    }
    out
}

/// Columns `block * LANES ..` of a matrix; columns past the last are zero.
fn block_of(matrix: &[f32], dimension: usize, block: usize) -> Vec<Row> {
    let lanes = |row: &[f32]| {
        let row = &row[block * LANES..];
        let mut lanes = [0.0; LANES];
        let width = row.len().min(LANES);
        lanes[..width].copy_from_slice(&row[..width]);
        lanes
    };
    matrix.chunks_exact(dimension).map(lanes).collect()
}

fn solve_block(counts: &Sparse, transposed: &Sparse, target: &[Row], ridge: f32, iterations: usize) -> Vec<Row> {
    let zero = vec![[0.0; LANES]; counts.width()];
    let mut solution = zero.clone();
    let mut residual = zero.clone();
    transposed.times(target, &mut residual);
    let mut direction = residual.clone();
    let (mut image, mut through) = (vec![[0.0; LANES]; counts.height()], zero);
    let mut norm = dots(&residual, &residual);
    for _ in 0..iterations {
        counts.times(&direction, &mut image);
        transposed.times(&image, &mut through);
        add(&mut through, &[ridge; LANES], &direction);
        let curvature = dots(&direction, &through);
        let step = ratio(&norm, &curvature);
        add(&mut solution, &step, &direction);
        add(&mut residual, &step.map(|x| -x), &through);
        let next = dots(&residual, &residual);
        let keep = ratio(&next, &norm);
        for (direction, residual) in direction.iter_mut().zip(&residual) {
            for lane in 0..LANES {
                direction[lane] = residual[lane] + keep[lane] * direction[lane];
            }
        }
        norm = next;
    }
    solution
}

/// `y += a * x`, with one `a` for each column.
fn add(y: &mut [Row], a: &Row, x: &[Row]) {
    for (y, x) in y.iter_mut().zip(x) {
        for lane in 0..LANES {
            y[lane] += a[lane] * x[lane];
        }
    }
}

/// The inner product of each column of `x` with that of `y`.
fn dots(x: &[Row], y: &[Row]) -> [f64; LANES] {
    let mut sums = [0.0; LANES];
    for (x, y) in x.iter().zip(y) {
        for lane in 0..LANES {
            sums[lane] += f64::from(x[lane]) * f64::from(y[lane]);
        }
    }
    sums
}

/// `a / b`; a column that is solved already (nothing over nothing) stands still.
fn ratio(a: &[f64; LANES], b: &[f64; LANES]) -> Row {
    std::array::from_fn(|lane| if b[lane] > f64::MIN_POSITIVE { (a[lane] / b[lane]) as f32 } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meets_the_normal_equations() {
        let (height, width, dimension, weight) = (40, 12, 70, 0.25_f32);
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        let mut counts = Sparse::new(width);
        for n in 0..height {
            let row: Vec<_> = (0..4).map(|i| (((n + 5 * i) % width) as u32, random())).collect();
            counts.push(row.into_iter());
        }
        let target: Vec<f32> = (0..height * dimension).map(|_| random()).collect();
        let fitted = ridge(&counts, &target, dimension, weight, 60, &|_, _| {});
        // the gradient A'(A E - T) + ridge E vanishes
        for column in 0..dimension {
            let mut gradient: Vec<f32> = (0..width).map(|v| weight * fitted[v * dimension + column]).collect();
            for n in 0..height {
                let sum: f32 = counts.row(n).iter().map(|&(v, a)| a * fitted[v as usize * dimension + column]).sum();
                for &(v, a) in counts.row(n) {
                    gradient[v as usize] += a * (sum - target[n * dimension + column]);
                }
            }
            assert!(gradient.iter().all(|x| x.abs() < 1e-4), "{column}: {gradient:?}");
        }
    }

    #[test]
    fn a_token_that_never_occurs_stays_at_zero() {
        let mut counts = Sparse::new(3);
        counts.push([(0, 1.0)].into_iter());
        let fitted = ridge(&counts, &[2.0, 4.0], 2, 1.0, 5, &|_, _| {});
        assert_eq!(fitted, [1.0, 2.0, 0.0, 0.0, 0.0, 0.0]);
    }
}
