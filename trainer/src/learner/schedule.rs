//! [`Schedule`]: the learning rate of each step, as a share of its peak.

use serde::{Deserialize, Serialize};

/// How the learning rate falls after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decay {
    /// Not at all.
    Constant,
    /// In a line.
    Linear,
    /// In half a cosine.
    #[default]
    Cosine,
}

/// The learning rate over the steps of a run: up in a line, then along a [`Decay`] to a floor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// The highest learning rate.
    pub peak: f64,
    /// Steps over which it rises; the first of them learns at `peak / warmup_steps`.
    pub warmup_steps: u64,
    /// Steps of the whole run.
    pub steps: u64,
    /// How it falls.
    pub decay: Decay,
    /// The share of the peak that is left after the last step.
    pub floor: f64,
}

impl Schedule {
    /// The learning rate of `step`, from 0.
    pub fn rate(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            return self.peak * (step + 1) as f64 / self.warmup_steps as f64;
        }
        let falling = self.steps.saturating_sub(self.warmup_steps).max(1);
        let done = ((step - self.warmup_steps) as f64 / falling as f64).min(1.0);
        let share = match self.decay {
            Decay::Constant => return self.peak,
            Decay::Linear => 1.0 - done,
            Decay::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
        };
        self.peak * (self.floor + (1.0 - self.floor) * share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(decay: Decay, warmup_steps: u64, floor: f64, at: &[u64]) -> Vec<f64> {
        let schedule = Schedule { peak: 2.0, warmup_steps, steps: 14, decay, floor };
        at.iter().map(|step| schedule.rate(*step)).collect()
    }

    #[test]
    fn it_rises_in_a_line_and_falls_as_told() {
        let close = |left: Vec<f64>, right: &[f64]| {
            assert!(left.iter().zip(right).all(|(left, right)| (left - right).abs() < 1e-12), "{left:?} {right:?}");
        };
        close(rates(Decay::Constant, 4, 0.0, &[0, 1, 3, 4, 13, 99]), &[0.5, 1.0, 2.0, 2.0, 2.0, 2.0]);
        close(rates(Decay::Linear, 4, 0.0, &[3, 4, 9, 13, 14, 99]), &[2.0, 2.0, 1.0, 0.2, 0.0, 0.0]);
        close(rates(Decay::Linear, 4, 0.5, &[4, 9, 14]), &[2.0, 1.5, 1.0]);
        close(rates(Decay::Cosine, 4, 0.0, &[4, 9, 14]), &[2.0, 1.0, 0.0]);
        close(rates(Decay::Cosine, 0, 0.1, &[0, 7, 14]), &[2.0, 1.1, 0.2]);
    }

    #[test]
    fn a_warm_up_as_long_as_the_run_is_no_division_by_zero() {
        for decay in [Decay::Constant, Decay::Linear, Decay::Cosine] {
            let schedule = Schedule { peak: 1.0, warmup_steps: 5, steps: 5, decay, floor: 0.0 };
            assert!((0..20).all(|step| schedule.rate(step).is_finite()));
        }
    }
}
