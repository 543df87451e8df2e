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
    fn a_row_of_zeros_stays_finite() {
        let mut out = [f32::NAN; 20];
        let team = Team::new(NonZero::<usize>::MIN);
        rms_norm(Isa::detect(), &team, &[0.0; 20], &[1.0; 20], 1e-6, &mut out);
        assert_eq!(out, [0.0; 20]);
    }
}
