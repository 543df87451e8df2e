//! What sampling does to a row of logits: weights e^((x - max) / temperature), the mass above a
//! floor, and the zeroing of what truncation cut away.
#![expect(clippy::inline_always, reason = "must be compiled with the features of their caller")]

use super::isa::for_each_isa;
use super::math::{LANES, exp, total};

/// Weights are summed in stretches of this many: a draw looks for its stretch first.
pub(crate) const STRETCH: usize = 256;
/// Groups of [`maxima`] in a stretch.
pub(crate) const GROUPS: usize = LANES;

for_each_isa! {
    /// The greatest value of `row`; values that are not numbers are passed over.
    pub(crate) fn greatest(row: &[f32]) -> f32 = greatest_body
}

for_each_isa! {
    /// `weights` becomes e^((x - max) * rate) of each x of `row`; gives their sum, which is not a
    /// number when one of `row` is none.
    pub(crate) fn weigh(row: &[f32], max: f32, rate: f32, weights: &mut [f32]) -> f64 = weigh_body
}

for_each_isa! {
    /// The greatest weight below `end` of each group, or zero: in a stretch, weight `i` belongs to
    /// group `i % GROUPS`, which takes no more than whole vectors.
    pub(crate) fn maxima(weights: &[f32], end: f32, into: &mut [f32]) = maxima_body
}

for_each_isa! {
    /// The sum of the weights that are at least `floor`.
    pub(crate) fn mass_from(weights: &[f32], floor: f32) -> f64 = mass_from_body
}

for_each_isa! {
    /// Zeroes each weight below `cut`, and those of exactly `cut` with an id above `last`; `sums`
    /// becomes the sum of each stretch of what is left.
    pub(crate) fn keep(weights: &mut [f32], cut: f32, last: u32, sums: &mut [f64]) = keep_body
}

/// The sum of a stretch, as [`keep`] takes it.
#[inline(always)]
pub(crate) fn stretch_sum(weights: &[f32]) -> f64 {
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = weights.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, weight) in lanes.iter_mut().zip(chunk) {
            *lane += weight;
        }
    }
    f64::from(total(lanes)) + rest.iter().map(|weight| f64::from(*weight)).sum::<f64>()
}

#[inline(always)]
fn greater(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

#[inline(always)]
fn greatest_body<const FMA: bool>(row: &[f32]) -> f32 {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = greater(*value, *lane);
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |best, value| greater(*value, best))
}

#[inline(always)]
fn weigh_body<const FMA: bool>(row: &[f32], max: f32, rate: f32, weights: &mut [f32]) -> f64 {
    let mut sum = 0.0;
    for (row, weights) in row.chunks(STRETCH).zip(weights.chunks_mut(STRETCH)) {
        let (row, row_rest) = row.as_chunks::<LANES>();
        let (weights, weights_rest) = weights.as_chunks_mut::<LANES>();
        let mut lanes = [0.0; LANES];
        for (row, weights) in row.iter().zip(weights) {
            for lane in 0..LANES {
                weights[lane] = exp::<FMA>((row[lane] - max) * rate);
                lanes[lane] += weights[lane];
            }
        }
        sum += f64::from(total(lanes));
        for (value, weight) in row_rest.iter().zip(weights_rest) {
            *weight = exp::<FMA>((value - max) * rate);
            sum += f64::from(*weight);
        }
    }
    sum
}

#[inline(always)]
fn maxima_body<const FMA: bool>(weights: &[f32], end: f32, into: &mut [f32]) {
    let below = |weight: f32| if weight < end { weight } else { 0.0 };
    for (weights, into) in weights.chunks(STRETCH).zip(into.as_chunks_mut::<GROUPS>().0) {
        let (chunks, rest) = weights.as_chunks::<GROUPS>();
        let mut best = [0.0; GROUPS];
        for chunk in chunks {
            for (best, weight) in best.iter_mut().zip(chunk) {
                *best = greater(below(*weight), *best);
            }
        }
        for (best, weight) in best.iter_mut().zip(rest) {
            *best = greater(below(*weight), *best);
        }
        *into = best;
    }
}

#[inline(always)]
fn mass_from_body<const FMA: bool>(weights: &[f32], floor: f32) -> f64 {
    /// Enough for the additions of several vectors to overlap.
    const WIDE: usize = 4 * LANES;
    let mut sum = 0.0;
    for weights in weights.chunks(4 * STRETCH) {
        let (chunks, rest) = weights.as_chunks::<WIDE>();
        let mut lanes = [0.0; WIDE];
        for chunk in chunks {
            for (lane, weight) in lanes.iter_mut().zip(chunk) {
                *lane += if *weight >= floor { *weight } else { 0.0 };
            }
        }
        for lanes in lanes.as_chunks::<LANES>().0 {
            sum += f64::from(total(*lanes));
        }
        for weight in rest {
            sum += if *weight >= floor { f64::from(*weight) } else { 0.0 };
        }
    }
    sum
}

#[inline(always)]
fn keep_body<const FMA: bool>(weights: &mut [f32], cut: f32, last: u32, sums: &mut [f64]) {
    for (stretch, (weights, sum)) in weights.chunks_mut(STRETCH).zip(sums).enumerate() {
        let first = (stretch * STRETCH) as u32;
        for (offset, weight) in weights.iter_mut().enumerate() {
            let id = first + offset as u32;
            let keep = *weight > cut || (*weight == cut && id <= last);
            *weight = if keep { *weight } else { 0.0 };
        }
        *sum = stretch_sum(weights);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Isa;
    use crate::ops::testing::numbers;

    #[test]
    fn weights_and_masses_agree_with_their_definitions() {
        for isa in Isa::all() {
            for length in [1, 15, 16, 255, 256, 257, 1000] {
                let row: Vec<f32> = numbers(length as u64, length).iter().map(|x| x * 10.0).collect();
                let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                assert_eq!(greatest(isa, &row), max);

                let mut weights = vec![0.0; length];
                let sum = weigh(isa, &row, max, 0.5, &mut weights);
                let exact: Vec<f64> = row.iter().map(|x| (0.5 * (f64::from(*x) - f64::from(max))).exp()).collect();
                for (weight, exact) in weights.iter().zip(&exact) {
                    assert!((f64::from(*weight) - exact).abs() < 3e-6, "{weight} is not {exact}");
                }
                let exact: f64 = exact.iter().sum();
                assert!((sum / exact - 1.0).abs() < 1e-5, "{sum} is not {exact}");

                let mass: f64 = weights.iter().filter(|weight| **weight >= 0.25).map(|weight| f64::from(*weight)).sum();
                assert!((mass_from(isa, &weights, 0.25) - mass).abs() < 1e-5 * mass);

                let mut best = vec![0.0; length.div_ceil(STRETCH) * GROUPS];
                for end in [f32::INFINITY, 0.5] {
                    maxima(isa, &weights, end, &mut best);
                    let mut exact = vec![0.0_f32; best.len()];
                    for (id, weight) in weights.iter().enumerate().filter(|(_, weight)| **weight < end) {
                        let group = id / STRETCH * GROUPS + id % STRETCH % GROUPS;
                        exact[group] = exact[group].max(*weight);
                    }
                    assert_eq!(best, exact);
                }
            }
        }
    }

    #[test]
    fn a_cut_keeps_ties_up_to_the_last_id() {
        for isa in Isa::all() {
            let mut weights: Vec<f32> = (0..600).map(|id| [0.25, 0.5, 1.0][id % 3]).collect();
            let mut sums = vec![0.0; 600_usize.div_ceil(STRETCH)];
            keep(isa, &mut weights, 0.5, 300, &mut sums);
            for (id, weight) in weights.iter().enumerate() {
                let expected = match id % 3 {
                    1 if id <= 300 => 0.5,
                    2 => 1.0,
                    _ => 0.0,
                };
                assert_eq!(*weight, expected, "id {id}");
            }
            assert_eq!(sums.iter().sum::<f64>(), 200.0 + 0.5 * 100.0);
        }
    }

    #[test]
    fn what_is_not_a_number_shows_in_the_sum() {
        for isa in Isa::all() {
            for bad in [f32::NAN, f32::INFINITY] {
                let mut row = vec![1.0; 40];
                row[33] = bad;
                let max = greatest(isa, &row);
                assert!(weigh(isa, &row, max, 1.0, &mut [0.0; 40]).is_nan());
            }
            let row = [f32::NEG_INFINITY; 20];
            assert!(weigh(isa, &row, greatest(isa, &row), 1.0, &mut [0.0; 20]).is_nan());
        }
    }
}
