//! Layer normalisation over the last dimension (arXiv 1607.06450), in place.
#![expect(clippy::inline_always, reason = "must be compiled with the features of their caller")]

use super::isa::for_each_isa;
use super::math::{LANES, fma, total};

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
    use super::*;
    use crate::ops::Isa;
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
}
