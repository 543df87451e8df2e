//! The exact Gaussian error linear unit: x Phi(x) = x/2 (1 + erf(x / sqrt 2)) (arXiv 1606.08415).
#![expect(clippy::inline_always, reason = "must be compiled with the features of their caller")]

use super::isa::{Isa, for_each_isa};
use super::math::{erf, exp, fma};
use super::split::Split;
use super::team::Team;

/// Values that one job takes: about as long as handing a few jobs out.
const CHUNK: usize = 1 << 14;

/// GELU of one value.
#[inline(always)]
pub(super) fn gelu<const FMA: bool>(x: f32) -> f32 {
    let half = 0.5 * x;
    fma::<FMA>(half, erf::<FMA>(x * std::f32::consts::FRAC_1_SQRT_2), half)
}

for_each_isa! {
    /// `out` is the GELU of `x`, with the bits that a fused layer gives it.
    pub(crate) fn gelu_to(x: &[f32], out: &mut [f32]) = body
}

#[inline(always)]
fn body<const FMA: bool>(x: &[f32], out: &mut [f32]) {
    for (out, x) in out.iter_mut().zip(x) {
        *out = gelu::<FMA>(*x);
    }
}

/// From the input `x` and the gradient `g` of the output: `x` becomes the gradient of the input, and `g`
/// the output, which the layer that read it needs again.
pub(crate) fn gelu_backward(isa: Isa, team: &Team, x: &mut [f32], g: &mut [f32]) {
    assert_eq!(x.len(), g.len(), "a gradient for each value");
    let length = x.len();
    let (x, g) = (Split::new(x), Split::new(g));
    team.run(length.div_ceil(CHUNK), &|_, job| {
        let range = job * CHUNK..length.min((job + 1) * CHUNK);
        #[expect(unsafe_code, reason = "jobs write different values")]
        // SAFETY: no other job has these values.
        let (x, g) = unsafe { (x.part(range.clone()), g.part(range)) };
        backward(isa, x, g);
    });
}

for_each_isa! {
    fn backward(x: &mut [f32], g: &mut [f32]) = body_backward
}

/// d/dx x Phi(x) = Phi(x) + x phi(x), where phi(x) = exp(-x^2 / 2) / sqrt(2 pi).
#[inline(always)]
fn body_backward<const FMA: bool>(x: &mut [f32], g: &mut [f32]) {
    /// 1 / sqrt(2 pi)
    const PEAK: f32 = 0.398_942_3;
    for (x, g) in x.iter_mut().zip(g) {
        let value = *x;
        let below = fma::<FMA>(0.5, erf::<FMA>(value * std::f32::consts::FRAC_1_SQRT_2), 0.5);
        let slope = fma::<FMA>(value * PEAK, exp::<FMA>(-0.5 * value * value), below);
        *x = *g * slope;
        *g = gelu::<FMA>(value);
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use super::*;
    use crate::ops::testing::{assert_close, erf, numbers};

    #[test]
    fn agrees_with_its_definition() {
        let values: Vec<f32> = numbers(1, 2000).iter().map(|value| value * 7.0).collect();
        let exact: Vec<f64> = (values.iter().map(|value| f64::from(*value)))
            .map(|x| 0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2)))
            .collect();
        assert_close(&values.iter().map(|x| gelu::<true>(*x)).collect::<Vec<_>>(), &exact, 2e-6);
        assert_close(&values.iter().map(|x| gelu::<false>(*x)).collect::<Vec<_>>(), &exact, 2e-6);
        assert_eq!(gelu::<true>(0.0), 0.0);
    }

    #[test]
    fn the_gradient_is_that_of_the_definition_and_the_output_comes_back() {
        let exact = |x: f64| 0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2));
        for isa in Isa::all() {
            for count in [1, 15, 40_000] {
                let x: Vec<f32> = numbers(3, count).iter().map(|value| value * 5.0).collect();
                let g = numbers(4, count);
                let mut out = vec![f32::NAN; count];
                gelu_to(isa, &x, &mut out);
                let slopes = x.iter().zip(&g).map(|(x, g)| {
                    let (x, step) = (f64::from(*x), 1e-5);
                    f64::from(*g) * (exact(x + step) - exact(x - step)) / (2.0 * step)
                });
                let slopes: Vec<f64> = slopes.collect();
                for threads in [1, 3] {
                    let (mut dx, mut same) = (x.clone(), g.clone());
                    gelu_backward(isa, &Team::new(NonZero::new(threads).unwrap()), &mut dx, &mut same);
                    assert_close(&dx, &slopes, 2e-6);
                    assert_eq!(same, out);
                }
            }
        }
    }

    #[test]
    fn extremes_stay_finite() {
        let (mut x, mut g) = ([-1e30, -60.0, 60.0, 1e30, 0.0], [1.0; 5]);
        gelu_backward(Isa::detect(), &Team::new(NonZero::<usize>::MIN), &mut x, &mut g);
        assert!(x[..2].iter().all(|slope| slope.abs() < 1e-5), "{x:?}");
        assert!(x[2..4].iter().all(|slope| (slope - 1.0).abs() < 1e-5), "{x:?}");
        assert!(g.iter().all(|value| value.is_finite()), "{g:?}");
    }
}
