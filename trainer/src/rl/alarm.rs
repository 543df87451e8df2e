//! [`Alarms`]: what a run watches for, so that it stops where it no longer learns, or unlearns to write.

use serde::{Deserialize, Serialize};

/// Steps in a row without a reward that differs within its group.
const QUIET: u64 = 20;
/// Steps in a row with less than half of the best form.
const ILL: u64 = 10;
/// The part of a step in the running mean of the form.
const SHARE: f64 = 0.2;
/// A form below this was never good, so that it cannot be lost.
const LEAST: f64 = 0.2;

/// What was watched so far. Part of a checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Alarms {
    /// Steps in a row in which no group had spread.
    pub quiet: u64,
    /// Running mean of the form's reward.
    pub form: Option<f64>,
    /// The most that it was.
    pub best_form: f64,
    /// Steps in a row in which it was less than half of that.
    pub ill: u64,
}

impl Alarms {
    /// Takes in a step: whether any group had spread, and the mean of the form's reward where there is one.
    /// Gives a reason to stop.
    pub(super) fn take(&mut self, has_spread: bool, form: Option<f64>) -> Option<String> {
        self.quiet = if has_spread { 0 } else { self.quiet + 1 };
        if let Some(form) = form {
            let mean = self.form.map_or(form, |mean| mean + SHARE * (form - mean));
            self.form = Some(mean);
            self.best_form = self.best_form.max(mean);
            let is_ill = self.best_form >= LEAST && mean < self.best_form / 2.0;
            self.ill = if is_ill { self.ill + 1 } else { 0 };
        }
        if self.quiet >= QUIET {
            return Some(format!(
                "no group's episodes differed in reward for {QUIET} steps, so nothing is learnt: take questions that the policy answers sometimes, or raise rollout.group or rollout.temperature"
            ));
        }
        if self.ill >= ILL {
            return Some(format!(
                "episodes keep to the protocol less than half as well as they did, for {ILL} steps: lower optimiser.learning_rate, or raise reward.weights.format or grpo.kl.coefficient"
            ));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_where_nothing_differs_and_not_before() {
        let mut alarms = Alarms::default();
        assert!((1..QUIET).all(|_| alarms.take(false, None).is_none()));
        let mut broken = alarms;
        assert!(alarms.take(false, None).unwrap().contains("rollout.group"));
        assert_eq!((broken.take(true, None), broken.take(false, None), broken.quiet), (None, None, 1));
    }

    #[test]
    fn stops_where_the_form_was_lost_and_not_where_it_never_was() {
        let mut alarms = Alarms::default();
        assert_eq!(alarms.take(true, Some(0.9)), None);
        let stopped = (0..40).position(|_| alarms.take(true, Some(0.1)).is_some());
        assert_eq!(stopped, Some(ILL as usize + 2), "the fourth step halves the mean and is the first of ten");
        let mut never = Alarms::default();
        assert_eq!(never.take(true, Some(0.15)), None);
        assert!((0..40).all(|_| never.take(true, Some(0.0)).is_none()));
    }
}
