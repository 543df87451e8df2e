//! Root-mean-square normalisation over the last dimension (arXiv 1910.07467).
#![expect(clippy::inline_always, reason = "must be compiled with the features of their caller")]

use super::isa::{Isa, for_each_isa};
use super::math::{LANES, fma, total};
use super::split::Split;
use super::team::Team;

/// Values that one job takes at least: about as long as handing a job out.
const WORTHWHILE: usize = 1 << 14;

/// `out` (T, D) is each row of `x` (T, D) over its root mean square, times `gain` (D).
pub(crate) fn rms_norm(isa: Isa, team: &Team, x: &[f32], gain: &[f32], epsilon: f32, out: &mut [f32]) {
    let width = gain.len();
    assert!(x.len() == out.len() && (x.is_empty() || x.len().is_multiple_of(width)), "rows as wide as the gain");
    let chunk = (WORTHWHILE / width.max(1)).max(1) * width.max(1);
    let jobs = x.len().div_ceil(chunk);
    let out = Split::new(out);
    team.run(jobs, &|_, job| {
        let range = job * chunk..x.len().min((job + 1) * chunk);
        #[expect(unsafe_code, reason = "jobs write different rows")]
        // SAFETY: no other job has these rows.
        let out = unsafe { out.part(range.clone()) };
        rows(isa, &x[range], gain, epsilon, out);
    });
}

for_each_isa! {
    /// [`rms_norm`] on this thread.
    pub(super) fn rows(x: &[f32], gain: &[f32], epsilon: f32, out: &mut [f32]) = body
}

#[inline(always)]
fn body<const FMA: bool>(x: &[f32], gain: &[f32], epsilon: f32, out: &mut [f32]) {
    let width = gain.len();
    for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        let scale = scale::<FMA>(x, epsilon);
        for ((out, x), gain) in out.iter_mut().zip(x).zip(gain) {
            *out = x * scale * gain;
        }
    }
}

/// Rows whose gain gradients one job sums: fixed, so that sums have the same bits on any number of threads.
const HEIGHT: usize = 32;

/// Adds to `dx` (T, D) the gradient of [`rms_norm`]'s input from that of its output, `g` (T, D), and
/// to `dgain` (D), where it is wanted, that of the gain.
#[expect(clippy::too_many_arguments, reason = "what the gradient takes, each once")]
pub(crate) fn rms_norm_backward(
    isa: Isa,
    team: &Team,
    x: &[f32],
    gain: &[f32],
    epsilon: f32,
    g: &[f32],
    dx: &mut [f32],
    dgain: Option<&mut [f32]>,
) {
    let width = gain.len();
    assert!(x.len() == dx.len() && x.len() == g.len(), "as many gradients as values");
    assert!(x.is_empty() || x.len().is_multiple_of(width), "rows as wide as the gain");
    let chunk = HEIGHT * width;
    let jobs = x.len().div_ceil(chunk.max(1));
    let mut sums = vec![0.0; if dgain.is_some() { jobs * width } else { 0 }];
    let (split, all) = (Split::new(dx), Split::new(&mut sums));
    let wants_gain = dgain.is_some();
    team.run(jobs, &|_, job| {
        let range = job * chunk..x.len().min((job + 1) * chunk);
        let sums = if wants_gain { job * width..(job + 1) * width } else { 0..0 };
        #[expect(unsafe_code, reason = "jobs write different rows")]
        // SAFETY: no other job has these rows, nor these sums.
        let (dx, sums) = unsafe { (split.part(range.clone()), all.part(sums)) };
        rows_backward(isa, &x[range.clone()], gain, epsilon, &g[range], dx, sums);
    });
    if let Some(dgain) = dgain {
        for sums in sums.chunks_exact(width) {
            for (total, sum) in dgain.iter_mut().zip(sums) {
                *total += sum;
            }
        }
    }
}

for_each_isa! {
    /// [`rms_norm_backward`] on this thread; `dgain` is empty where it is not wanted.
    pub(super) fn rows_backward(
        x: &[f32], gain: &[f32], epsilon: f32, g: &[f32], dx: &mut [f32], dgain: &mut [f32],
    ) = body_backward
}

/// With s one over the root mean square, dx = s gain g - x s^3 mean(gain g x), dgain = the sum of s g x.
#[inline(always)]
fn body_backward<const FMA: bool>(x: &[f32], gain: &[f32], epsilon: f32, g: &[f32], dx: &mut [f32], dgain: &mut [f32]) {
    let width = gain.len();
    for ((x, g), dx) in x.chunks_exact(width).zip(g.chunks_exact(width)).zip(dx.chunks_exact_mut(width)) {
        let scale = scale::<FMA>(x, epsilon);
        let (chunks, _) = x.as_chunks::<LANES>();
        let (gains, rest_of_gains) = gain.as_chunks::<LANES>();
        let (gradients, rest_of_g) = g.as_chunks::<LANES>();
        let mut lanes = [0.0; LANES];
        for ((x, gain), g) in chunks.iter().zip(gains).zip(gradients) {
            for (((lane, x), gain), g) in lanes.iter_mut().zip(x).zip(gain).zip(g) {
                *lane = fma::<FMA>(gain * g, *x, *lane);
            }
        }
        let rest = x[chunks.len() * LANES..].iter().zip(rest_of_gains).zip(rest_of_g);
        let dot = total(lanes) + rest.map(|((x, gain), g)| gain * g * x).sum::<f32>();
        let back = dot * scale * scale * scale / width as f32;
        for (((dx, x), gain), g) in dx.iter_mut().zip(x).zip(gain).zip(g) {
            *dx += fma::<FMA>(gain * g, scale, -(x * back));
        }
        for ((sum, x), g) in dgain.iter_mut().zip(x).zip(g) {
            *sum = fma::<FMA>(x * scale, *g, *sum);
        }
    }
}

/// One over the root mean square of `row`.
#[inline(always)]
pub(super) fn scale<const FMA: bool>(row: &[f32], epsilon: f32) -> f32 {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = fma::<FMA>(*value, *value, *lane);
        }
    }
    let sum = total(lanes) + rest.iter().map(|value| value * value).sum::<f32>();
    1.0 / (sum / row.len() as f32 + epsilon).sqrt()
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use super::*;
    use crate::ops::testing::{assert_close, numbers};

    #[test]
    fn agrees_with_its_definition_on_any_number_of_threads() {
        let teams = [1, 3].map(|threads| Team::new(NonZero::new(threads).unwrap()));
        for isa in Isa::all() {
            for (tokens, width) in [(1, 1), (7, 5), (33, 16), (3, 33), (60, 896)] {
                let (x, gain) = (numbers(1, tokens * width), numbers(2, width));
                let mut exact = Vec::new();
                for row in x.chunks_exact(width) {
                    let mean = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / width as f64;
                    let scale = 1.0 / (mean + 1e-5).sqrt();
                    exact.extend(row.iter().zip(&gain).map(|(x, gain)| f64::from(*x) * scale * f64::from(*gain)));
                }
                for team in &teams {
                    let mut out = vec![f32::NAN; x.len()];
                    rms_norm(isa, team, &x, &gain, 1e-5, &mut out);
                    assert_close(&out, &exact, 2e-6);
                    let mut alone = vec![f32::NAN; width];
                    rms_norm(isa, &teams[0], &x[x.len() - width..], &gain, 1e-5, &mut alone);
                    assert_eq!(alone, out[x.len() - width..]);
                }
            }
            rms_norm(isa, &teams[1], &[], &[], 1e-5, &mut []);
        }
    }

    #[test]
    fn the_gradients_are_those_of_the_definition() {
        for isa in Isa::all() {
            for (tokens, width) in [(1, 1), (7, 5), (33, 16), (3, 33), (100, 64)] {
                let (x, gain, g) = (numbers(1, tokens * width), numbers(2, width), numbers(3, tokens * width));
                let start = numbers(4, tokens * width);
                let mut exact: Vec<f64> = start.iter().map(|value| f64::from(*value)).collect();
                let mut gains = vec![0.5; width];
                for (row, (x, g)) in x.chunks_exact(width).zip(g.chunks_exact(width)).enumerate() {
                    let x: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
                    let output = |x: &[f64]| -> f64 {
                        let scale = 1.0 / (x.iter().map(|x| x * x).sum::<f64>() / width as f64 + 1e-5).sqrt();
                        (0..width).map(|c| f64::from(g[c]) * x[c] * scale * f64::from(gain[c])).sum()
                    };
                    let scale = 1.0 / (x.iter().map(|x| x * x).sum::<f64>() / width as f64 + 1e-5).sqrt();
                    for column in 0..width {
                        let moved = |by: f64| {
                            let mut x = x.clone();
                            x[column] += by;
                            output(&x)
                        };
                        exact[row * width + column] += (moved(1e-5) - moved(-1e-5)) / 2e-5;
                        gains[column] += f64::from(g[column]) * x[column] * scale;
                    }
                }
                let mut first: Option<Vec<f32>> = None;
                for team in [1, 3].map(|threads| Team::new(NonZero::new(threads).unwrap())) {
                    let (mut dx, mut dgain) = (start.clone(), vec![0.5; width]);
                    rms_norm_backward(isa, &team, &x, &gain, 1e-5, &g, &mut dx, Some(&mut dgain));
                    // A single value near zero has a steep slope.
                    assert_close(&dx, &exact, if width == 1 { 1e-3 } else { 2e-5 });
                    assert_close(&dgain, &gains, 2e-5);
                    assert_eq!(first.get_or_insert_with(|| dgain.clone()), &dgain);
                    let mut alone = start.clone();
                    rms_norm_backward(isa, &team, &x, &gain, 1e-5, &g, &mut alone, None);
                    assert_eq!(alone, dx);
                }
            }
        }
    }

    #[test]
    fn a_row_of_zeros_stays_finite() {
        let mut out = [f32::NAN; 20];
        let team = Team::new(NonZero::<usize>::MIN);
        rms_norm(Isa::detect(), &team, &[0.0; 20], &[1.0; 20], 1e-6, &mut out);
        assert_eq!(out, [0.0; 20]);
    }
}
