//! The exact Gaussian error linear unit: x Phi(x) = x/2 (1 + erf(x / sqrt 2)) (arXiv 1606.08415).
#![expect(clippy::inline_always, reason = "must be compiled with the features of their caller")]

use super::math::{erf, fma};

/// GELU of one value.
#[inline(always)]
pub(super) fn gelu<const FMA: bool>(x: f32) -> f32 {
    let half = 0.5 * x;
    fma::<FMA>(half, erf::<FMA>(x * std::f32::consts::FRAC_1_SQRT_2), half)
}

#[cfg(test)]
mod tests {
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
}
