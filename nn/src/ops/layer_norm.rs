//! Layer normalisation over the last dimension (arXiv 1607.06450).
#![expect(clippy::inline_always, reason = "must be compiled with the features of their caller")]

use super::isa::{Isa, for_each_isa};
use super::math::{LANES, fma, total};
use super::split::Split;
use super::team::Team;

/// Rows that one job takes: fixed, so that sums over rows have the same bits on any number of threads.
const HEIGHT: usize = 32;

for_each_isa! {
    /// Each row of `x`, (T, D), becomes (x - mean) / sqrt(variance + epsilon) * gain + bias, where
    /// `gain` and `bias` are (D) and the variance is the biased one.
    pub(crate) fn layer_norm(x: &mut [f32], gain: &[f32], bias: &[f32], epsilon: f32) = body
}

#[inline(always)]
fn body<const FMA: bool>(x: &mut [f32], gain: &[f32], bias: &[f32], epsilon: f32) {
    let width = gain.len();
    let bias = &bias[..width];
    for row in x.chunks_exact_mut(width) {
        let mean = sum(row) / width as f32;
        let variance = squares::<FMA>(row, mean) / width as f32;
        let scale = 1.0 / (variance + epsilon).sqrt();
        for ((value, gain), bias) in row.iter_mut().zip(gain).zip(bias) {
            *value = fma::<FMA>((*value - mean) * scale, *gain, *bias);
        }
    }
}

/// `out` (T, D) is [`layer_norm`] of `x` (T, D), on all threads of the team.
pub(crate) fn layer_norm_to(
    isa: Isa,
    team: &Team,
    x: &[f32],
    gain: &[f32],
    bias: &[f32],
    epsilon: f32,
    out: &mut [f32],
) {
    assert_eq!(x.len(), out.len(), "as many values out as in");
    let chunk = HEIGHT * gain.len();
    let out = Split::new(out);
    team.run(x.len().div_ceil(chunk.max(1)), &|_, job| {
        let range = job * chunk..x.len().min((job + 1) * chunk);
        #[expect(unsafe_code, reason = "jobs write different rows")]
        // SAFETY: no other job has these rows.
        let out = unsafe { out.part(range.clone()) };
        out.copy_from_slice(&x[range]);
        layer_norm(isa, out, gain, bias, epsilon);
    });
}

/// Replaces `g` (T, D), the gradient of [`layer_norm`]'s output, by that of its input `x` (T, D), and
/// adds those of gain and bias, (D) each, to `dgain` and `dbias`.
#[expect(clippy::too_many_arguments, reason = "what the gradient takes, each once")]
pub(crate) fn layer_norm_backward(
    isa: Isa,
    team: &Team,
    x: &[f32],
    gain: &[f32],
    epsilon: f32,
    g: &mut [f32],
    dgain: &mut [f32],
    dbias: &mut [f32],
) {
    let width = gain.len();
    assert_eq!(x.len(), g.len(), "as many gradients as values");
    assert!(dgain.len() == width && dbias.len() == width, "a sum for each column");
    let chunk = HEIGHT * width;
    let jobs = x.len().div_ceil(chunk.max(1));
    let mut sums = vec![0.0; jobs * 2 * width];
    let (rows, all) = (Split::new(g), Split::new(&mut sums));
    team.run(jobs, &|_, job| {
        let range = job * chunk..x.len().min((job + 1) * chunk);
        #[expect(unsafe_code, reason = "jobs write different rows")]
        // SAFETY: no other job has these rows, nor these sums.
        let (g, sums) = unsafe { (rows.part(range.clone()), all.part(job * 2 * width..(job + 1) * 2 * width)) };
        rows_backward(isa, &x[range], gain, epsilon, g, sums);
    });
    for sums in sums.chunks_exact(2 * width) {
        for (total, sum) in dgain.iter_mut().chain(dbias.iter_mut()).zip(sums) {
            *total += sum;
        }
    }
}

for_each_isa! {
    /// [`layer_norm_backward`] on this thread; `sums` are those of gain and bias.
    fn rows_backward(x: &[f32], gain: &[f32], epsilon: f32, g: &mut [f32], sums: &mut [f32]) = body_backward
}

/// With n the normalised row, s one over its deviation and h = gain g:
/// dx = s (h - mean(h) - n mean(h n)), dgain = the sum of g n, dbias = the sum of g.
#[inline(always)]
fn body_backward<const FMA: bool>(x: &[f32], gain: &[f32], epsilon: f32, g: &mut [f32], sums: &mut [f32]) {
    let width = gain.len();
    let (dgain, dbias) = sums.split_at_mut(width);
    for (x, g) in x.chunks_exact(width).zip(g.chunks_exact_mut(width)) {
        let mean = sum(x) / width as f32;
        let scale = 1.0 / (squares::<FMA>(x, mean) / width as f32 + epsilon).sqrt();
        let (plain, turned) = means::<FMA>(x, gain, g, mean);
        let (plain, turned) = (plain / width as f32, turned * scale * scale / width as f32);
        for ((((g, x), gain), dgain), dbias) in g.iter_mut().zip(x).zip(gain).zip(&mut *dgain).zip(&mut *dbias) {
            let away = x - mean;
            *dgain = fma::<FMA>(*g, away * scale, *dgain);
            *dbias += *g;
            *g = scale * fma::<FMA>(-away, turned, fma::<FMA>(*gain, *g, -plain));
        }
    }
}

/// Sums of gain g, and of gain g (x - mean).
#[inline(always)]
fn means<const FMA: bool>(x: &[f32], gain: &[f32], g: &[f32], mean: f32) -> (f32, f32) {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let (gains, rest_of_gains) = gain.as_chunks::<LANES>();
    let (gradients, rest_of_g) = g.as_chunks::<LANES>();
    let (mut plain, mut turned) = ([0.0; LANES], [0.0; LANES]);
    for ((x, gain), g) in chunks.iter().zip(gains).zip(gradients) {
        for lane in 0..LANES {
            let h = gain[lane] * g[lane];
            plain[lane] += h;
            turned[lane] = fma::<FMA>(h, x[lane] - mean, turned[lane]);
        }
    }
    let rest = || rest.iter().zip(rest_of_gains).zip(rest_of_g);
    (
        total(plain) + rest().map(|((_, gain), g)| gain * g).sum::<f32>(),
        total(turned) + rest().map(|((x, gain), g)| gain * g * (x - mean)).sum::<f32>(),
    )
}

#[inline(always)]
fn sum(row: &[f32]) -> f32 {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value;
        }
    }
    total(lanes) + rest.iter().sum::<f32>()
}

/// Sum of the squared distances from `mean`.
#[inline(always)]
fn squares<const FMA: bool>(row: &[f32], mean: f32) -> f32 {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = fma::<FMA>(value - mean, value - mean, *lane);
        }
    }
    total(lanes) + rest.iter().map(|value| (value - mean) * (value - mean)).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use super::*;
    use crate::ops::testing::{assert_close, numbers};

    fn oracle(x: &[f32], gain: &[f32], bias: &[f32], epsilon: f64) -> Vec<f64> {
        let width = gain.len();
        let mut y = Vec::new();
        for row in x.chunks_exact(width) {
            let mean = row.iter().map(|x| f64::from(*x)).sum::<f64>() / width as f64;
            let variance = row.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / width as f64;
            let scale = (variance + epsilon).sqrt();
            y.extend((0..width).map(|i| (f64::from(row[i]) - mean) / scale * f64::from(gain[i]) + f64::from(bias[i])));
        }
        y
    }

    #[test]
    fn agrees_with_its_definition() {
        for isa in Isa::all() {
            for width in [1, 5, 16, 33, 384] {
                // A mean far from zero is what a one-pass variance would stumble over.
                let mut x: Vec<f32> = numbers(1, 7 * width).iter().map(|value| value + 20.0).collect();
                let (gain, bias) = (numbers(2, width), numbers(3, width));
                let expected = oracle(&x, &gain, &bias, 1e-5);
                layer_norm(isa, &mut x, &gain, &bias, 1e-5);
                assert_close(&x, &expected, 3e-5);
            }
        }
    }

    #[test]
    fn a_constant_row_becomes_the_bias() {
        let mut x = [3.0; 40];
        let bias = numbers(1, 40);
        layer_norm(Isa::detect(), &mut x, &[1.0; 40], &bias, 1e-12);
        assert_eq!(x.as_slice(), bias);
    }

    #[test]
    fn the_gradients_are_those_of_the_definition() {
        for isa in Isa::all() {
            for (tokens, width) in [(1, 1), (7, 5), (33, 16), (3, 33), (100, 64), (5, 384)] {
                let x: Vec<f32> = numbers(1, tokens * width).iter().map(|value| 2.0 * value + 0.7).collect();
                let (gain, g) = (numbers(2, width), numbers(3, tokens * width));
                let loss = |x: &[f32], gain: &[f32], bias: &[f32], wide: &[f64]| -> f64 {
                    // The oracle reads `f32`; what is moved is moved by `wide`, in `f64`.
                    let row: Vec<f64> = x.iter().zip(wide).map(|(x, by)| f64::from(*x) + by).collect();
                    let mean = row.iter().sum::<f64>() / width as f64;
                    let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
                    let scale = 1.0 / (variance + 1e-5).sqrt();
                    (0..width).map(|c| f64::from(bias[c]) * ((row[c] - mean) * scale * f64::from(gain[c]))).sum()
                };
                let (mut exact, mut gains, mut biases) = (Vec::new(), vec![0.5; width], vec![0.25; width]);
                for (x, g) in x.chunks_exact(width).zip(g.chunks_exact(width)) {
                    for column in 0..width {
                        let moved = |by: f64| {
                            let mut wide = vec![0.0; width];
                            wide[column] = by;
                            loss(x, &gain, g, &wide)
                        };
                        exact.push((moved(1e-5) - moved(-1e-5)) / 2e-5);
                        let unit: Vec<f32> = (0..width).map(|c| f32::from(u8::from(c == column))).collect();
                        gains[column] += loss(x, &unit, g, &vec![0.0; width]);
                        biases[column] += f64::from(g[column]);
                    }
                }
                let mut first: Option<[Vec<f32>; 3]> = None;
                for threads in [1, 3] {
                    let team = Team::new(NonZero::new(threads).unwrap());
                    let (mut dx, mut dgain, mut dbias) = (g.clone(), vec![0.5; width], vec![0.25; width]);
                    layer_norm_backward(isa, &team, &x, &gain, 1e-5, &mut dx, &mut dgain, &mut dbias);
                    assert_close(&dx, &exact, 2e-5);
                    assert_close(&dgain, &gains, 2e-5);
                    assert_close(&dbias, &biases, 2e-5);
                    let found = [dx, dgain, dbias];
                    assert_eq!(first.get_or_insert_with(|| found.clone()), &found);
                }
            }
        }
    }

    #[test]
    fn out_of_place_has_the_same_bits_on_any_number_of_threads() {
        let (x, gain, bias) = (numbers(1, 77 * 12), numbers(2, 12), numbers(3, 12));
        let isa = Isa::detect();
        let mut expected = x.clone();
        layer_norm(isa, &mut expected, &gain, &bias, 1e-5);
        for threads in [1, 3] {
            let mut out = vec![f32::NAN; x.len()];
            layer_norm_to(isa, &Team::new(NonZero::new(threads).unwrap()), &x, &gain, &bias, 1e-5, &mut out);
            assert_eq!(out, expected);
        }
    }
}
