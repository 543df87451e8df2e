//! The gated unit of a decoder's feed-forward net: silu(gate) * up (arXiv 2002.05202).
#![expect(clippy::inline_always, reason = "must be compiled with the features of their caller")]

use super::isa::{Isa, for_each_isa};
use super::math::exp;
use super::split::Split;
use super::team::Team;

/// Values that one job takes at least: about as long as handing a job out.
const WORTHWHILE: usize = 1 << 12;

/// `out` (T, `width`) from `gate_up` (T, 2 `width`), gate and up side by side.
pub(crate) fn swiglu(isa: Isa, team: &Team, width: usize, gate_up: &[f32], out: &mut [f32]) {
    assert_eq!(gate_up.len(), 2 * out.len(), "a gate and a value for each output");
    if out.is_empty() {
        return;
    }
    let height = (WORTHWHILE / width).max(1);
    let jobs = (out.len() / width).div_ceil(height);
    let length = out.len();
    let out = Split::new(out);
    team.run(jobs, &|_, job| {
        let range = job * height * width..length.min((job + 1) * height * width);
        let gate_up = &gate_up[range.start * 2..range.end * 2];
        #[expect(unsafe_code, reason = "jobs write different rows")]
        // SAFETY: no other job has these rows.
        let out = unsafe { out.part(range) };
        rows(isa, width, gate_up, out);
    });
}

for_each_isa! {
    fn rows(width: usize, gate_up: &[f32], out: &mut [f32]) = body
}

#[inline(always)]
fn body<const FMA: bool>(width: usize, gate_up: &[f32], out: &mut [f32]) {
    for (gate_up, out) in gate_up.chunks_exact(2 * width).zip(out.chunks_exact_mut(width)) {
        let (gate, up) = gate_up.split_at(width);
        for ((out, gate), up) in out.iter_mut().zip(gate).zip(up) {
            *out = gate / (1.0 + exp::<FMA>(-gate)) * up;
        }
    }
}

/// Replaces `gate_up` (T, 2 `width`) by its gradient, from that of [`swiglu`]'s output, `g` (T, `width`).
pub(crate) fn swiglu_backward(isa: Isa, team: &Team, width: usize, g: &[f32], gate_up: &mut [f32]) {
    assert_eq!(gate_up.len(), 2 * g.len(), "a gate and a value for each gradient");
    if g.is_empty() {
        return;
    }
    let height = (WORTHWHILE / width).max(1);
    let jobs = (g.len() / width).div_ceil(height);
    let split = Split::new(gate_up);
    team.run(jobs, &|_, job| {
        let range = job * height * width..g.len().min((job + 1) * height * width);
        #[expect(unsafe_code, reason = "jobs write different rows")]
        // SAFETY: no other job has these rows.
        let gate_up = unsafe { split.part(range.start * 2..range.end * 2) };
        rows_backward(isa, width, &g[range], gate_up);
    });
}

for_each_isa! {
    fn rows_backward(width: usize, g: &[f32], gate_up: &mut [f32]) = body_backward
}

#[inline(always)]
fn body_backward<const FMA: bool>(width: usize, g: &[f32], gate_up: &mut [f32]) {
    for (gate_up, g) in gate_up.chunks_exact_mut(2 * width).zip(g.chunks_exact(width)) {
        let (gate, up) = gate_up.split_at_mut(width);
        for ((gate, up), g) in gate.iter_mut().zip(up).zip(g) {
            let share = 1.0 / (1.0 + exp::<FMA>(-*gate));
            let silu = *gate * share;
            *gate = g * *up * (share + silu * (1.0 - share));
            *up = g * silu;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use super::*;
    use crate::ops::testing::{assert_close, numbers};

    #[test]
    fn agrees_with_its_definition_on_any_number_of_threads() {
        for isa in Isa::all() {
            for (tokens, width) in [(1, 1), (3, 5), (13, 33), (40, 704)] {
                let gate_up: Vec<f32> = numbers(1, tokens * 2 * width).iter().map(|value| value * 5.0).collect();
                let mut exact = Vec::new();
                for row in gate_up.chunks_exact(2 * width) {
                    let pairs = row[..width].iter().zip(&row[width..]);
                    exact.extend(pairs.map(|(gate, up)| {
                        let (gate, up) = (f64::from(*gate), f64::from(*up));
                        gate / (1.0 + (-gate).exp()) * up
                    }));
                }
                for threads in [1, 3] {
                    let mut out = vec![f32::NAN; tokens * width];
                    swiglu(isa, &Team::new(NonZero::new(threads).unwrap()), width, &gate_up, &mut out);
                    assert_close(&out, &exact, 5e-6);
                }
            }
        }
    }

    #[test]
    fn the_gradient_is_that_of_the_definition() {
        let output = |gate: f64, up: f64| gate / (1.0 + (-gate).exp()) * up;
        for isa in Isa::all() {
            for (tokens, width) in [(1, 1), (3, 5), (13, 33), (40, 704)] {
                let gate_up: Vec<f32> = numbers(1, tokens * 2 * width).iter().map(|value| value * 5.0).collect();
                let g = numbers(2, tokens * width);
                let mut exact = vec![0.0; gate_up.len()];
                for ((row, exact), g) in
                    gate_up.chunks_exact(2 * width).zip(exact.chunks_exact_mut(2 * width)).zip(g.chunks_exact(width))
                {
                    for (column, g) in g.iter().enumerate() {
                        let (gate, up) = (f64::from(row[column]), f64::from(row[width + column]));
                        let slope = (output(gate + 1e-5, up) - output(gate - 1e-5, up)) / 2e-5;
                        exact[column] = f64::from(*g) * slope;
                        exact[width + column] = f64::from(*g) * output(gate, 1.0);
                    }
                }
                for threads in [1, 3] {
                    let mut found = gate_up.clone();
                    swiglu_backward(isa, &Team::new(NonZero::new(threads).unwrap()), width, &g, &mut found);
                    assert_close(&found, &exact, 5e-6);
                }
            }
        }
    }

    #[test]
    fn extremes_stay_finite() {
        let mut out = [f32::NAN; 4];
        let gate_up = [-1e30, -200.0, 200.0, 0.0, 1.0, 1.0, 1.0, 1.0];
        swiglu(Isa::detect(), &Team::new(NonZero::<usize>::MIN), 4, &gate_up, &mut out);
        assert!(out[0].is_finite() && out[1].abs() < 1e-30, "{out:?}");
        assert_eq!(out[2..], [200.0, 0.0]);
        let mut back = gate_up;
        swiglu_backward(Isa::detect(), &Team::new(NonZero::<usize>::MIN), 4, &[1.0; 4], &mut back);
        assert!(back.iter().all(|value| value.is_finite()), "{back:?}");
    }
}
