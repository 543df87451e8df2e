//! [`RewardScale`]: brings PPO's scores to the same size whatever the reward, by what was seen so far.
//!
//! The mean and the variance of all scores of a run (Welford 1962, "Note on a method for calculating
//! corrected sums of squares and products"), so that a value head learns numbers of about one. GRPO
//! needs none: its advantages are relative to a group.

use serde::{Deserialize, Serialize};

/// Added to a standard deviation before it divides.
const EPSILON: f64 = 1e-8;

/// The scores of a run so far. Part of a checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RewardScale {
    count: u64,
    mean: f64,
    squares: f64,
}

impl RewardScale {
    /// Takes in the scores of a step; those that are not finite are nobody's.
    pub fn update(&mut self, scores: &[f64]) {
        for score in scores.iter().filter(|score| score.is_finite()) {
            self.count += 1;
            let apart = score - self.mean;
            self.mean += apart / self.count as f64;
            self.squares += apart * (score - self.mean);
        }
    }

    /// The score less the mean, over the standard deviation; not divided before two scores differ.
    pub fn scale(&self, score: f64) -> f64 {
        let apart = score - self.mean;
        if self.squares > 0.0 { apart / ((self.squares / (self.count - 1) as f64).sqrt() + EPSILON) } else { apart }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_by_all_that_was_seen() {
        let mut scale = RewardScale::default();
        assert_eq!(scale.scale(3.0), 3.0);
        scale.update(&[5.0]);
        assert_eq!(scale.scale(6.0), 1.0);
        scale.update(&[5.0, f64::NAN]);
        assert_eq!(scale.scale(6.0), 1.0);
        scale.update(&[8.0, 2.0]);
        // mean 5, variance 18 / 3
        assert!((scale.scale(5.0 + 6.0_f64.sqrt()) - 1.0).abs() < 1e-7);
        let mut at_once = RewardScale::default();
        at_once.update(&[5.0, 5.0, 8.0, 2.0]);
        assert_eq!(at_once, scale);
    }
}
