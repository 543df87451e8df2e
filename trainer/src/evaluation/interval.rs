//! [`Estimate`]: a mean, and between what it would lie had other questions been drawn.

use nn::Stream;
use serde::Serialize;

/// Resamples of an interval.
const RESAMPLES: u32 = 1_000;
/// The share of the resamples on either side of a 95% interval.
const TAIL: f64 = 0.025;

/// A mean with its 95% interval by the percentile bootstrap (Efron 1979).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The mean.
    pub value: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// Of how many values.
    pub count: usize,
}

impl Estimate {
    /// Of these values; `None` when there are none. The same seed gives the same ends.
    pub fn of(values: &[f64], seed: u64) -> Option<Self> {
        let count = values.len();
        if count == 0 {
            return None;
        }
        let mean = |sum: f64| sum / count as f64;
        let value = mean(values.iter().sum());
        if values.iter().all(|one| *one == values[0]) {
            return Some(Self { value, low: value, high: value, count });
        }
        let mut means: Vec<f64> = (0..RESAMPLES)
            .map(|resample| {
                let stream = Stream { seed, step: 0, prompt: u32::MAX, sample: resample };
                let words = (0..count.div_ceil(4) as u32).flat_map(|at| stream.words(at));
                // The upper bits of a product are a place below `count`, each about as often.
                let places = words.take(count).map(|word| ((u64::from(word) * count as u64) >> 32) as usize);
                mean(places.map(|place| values[place]).sum())
            })
            .collect();
        means.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| means[((means.len() - 1) as f64 * share).round() as usize];
        Some(Self { value, low: at(TAIL), high: at(1.0 - TAIL), count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_share_is_the_known_one() {
        let values: Vec<f64> = (0..400).map(|at| f64::from(u8::from(at % 4 == 0))).collect();
        let estimate = Estimate::of(&values, 1).unwrap();
        // By the normal approximation: 0.25 -+ 1.96 sqrt(0.25 * 0.75 / 400).
        assert_eq!((estimate.value, estimate.count), (0.25, 400));
        assert!((estimate.low - 0.2076).abs() < 0.008 && (estimate.high - 0.2924).abs() < 0.008, "{estimate:?}");
        assert_eq!(Estimate::of(&values, 1), Some(estimate));
        let uneven: Vec<f64> = (0..50).map(|at| f64::from(at).sqrt()).collect();
        assert_ne!(Estimate::of(&uneven, 1), Estimate::of(&uneven, 2));
        assert_eq!(Estimate::of(&[], 1), None);
        assert_eq!(
            Estimate::of(&[0.1; 7], 1).map(|same| (same.low == same.value, same.high == same.value)),
            Some((true, true))
        );
        assert_eq!(Estimate::of(&[3.0], 1), Some(Estimate { value: 3.0, low: 3.0, high: 3.0, count: 1 }));
    }
}
