//! The softmax of attention: exponentials now, division when the values have been summed.
#![expect(clippy::inline_always, reason = "must be compiled with the features of their caller")]

use super::isa::for_each_isa;
use super::math::{LANES, exp, total};

for_each_isa! {
    /// Each x of `row` becomes e^(x - max); gives one over their sum, the factor that makes the row
    /// a softmax. A row of no values gives infinity.
    pub(super) fn exponentials(row: &mut [f32]) -> f32 = body
}

#[inline(always)]
fn body<const FMA: bool>(row: &mut [f32]) -> f32 {
    let (chunks, rest) = row.as_chunks_mut::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in &*chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = if *value > *lane { *value } else { *lane };
        }
    }
    let mut max = rest.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for lane in lanes {
        max = max.max(lane);
    }
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *value = exp::<FMA>(*value - max);
            *lane += *value;
        }
    }
    let mut sum = total(lanes);
    for value in rest {
        *value = exp::<FMA>(*value - max);
        sum += *value;
    }
    1.0 / sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Isa;
    use crate::ops::testing::{assert_close, numbers};

    fn oracle(row: &[f32]) -> Vec<f64> {
        let max = row.iter().map(|x| f64::from(*x)).fold(f64::NEG_INFINITY, f64::max);
        let powers: Vec<f64> = row.iter().map(|x| (f64::from(*x) - max).exp()).collect();
        let sum: f64 = powers.iter().sum();
        powers.iter().map(|power| power / sum).collect()
    }

    #[test]
    fn agrees_with_its_definition() {
        for isa in Isa::all() {
            for length in [1, 2, 15, 16, 17, 250] {
                for scale in [0.1, 10.0, 1e4] {
                    let mut row: Vec<f32> = numbers(length as u64, length).iter().map(|x| x * scale).collect();
                    let expected = oracle(&row);
                    let factor = exponentials(isa, &mut row);
                    let found: Vec<f32> = row.iter().map(|power| power * factor).collect();
                    assert_close(&found, &expected, 1e-6);
                }
            }
        }
    }
}
