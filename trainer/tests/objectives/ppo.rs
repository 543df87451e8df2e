//! PPO's parts: advantages across what the environment wrote, the value loss, and KL in the reward.

use proptest::prelude::*;
use trainer::objective::ppo::whiten;
use trainer::objective::{Estimator, KlControl, PpoConfig, gae, value_loss};

use crate::{assert_close, differences, gradient, numbers, variable};

fn discounted(gamma: f64, lambda: f64) -> PpoConfig {
    PpoConfig { gamma, lambda, ..PpoConfig::default() }
}

#[test]
fn a_worked_episode_with_holes() {
    // prompt, two tokens, two of retrieved text, one token, retrieved text that earned the reward
    let is_policy = [false, true, true, false, false, true, false];
    let values = [7.0, 0.5, 0.4, 9.0, -9.0, 0.2, 5.0];
    let rewards = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0];
    let found = gae(&discounted(0.9, 0.5), &rewards, &values, &is_policy).unwrap();
    // 1 - 0.2;  0.9 x 0.2 - 0.4 + 0.45 x 0.8;  0.9 x 0.4 - 0.5 + 0.45 x 0.14
    assert_close("advantages", &found.advantages, &[0.0, -0.077, 0.14, 0.0, 0.0, 0.8, 0.0], 1e-12);
    assert_close("returns", &found.returns, &[0.0, 0.423, 0.54, 0.0, 0.0, 1.0, 0.0], 1e-12);
}

#[test]
fn right_values_leave_no_advantage() {
    // a chain of ten steps to a reward of one
    let values: Vec<_> = (0..10).map(|at| 0.9_f64.powi(9 - at)).collect();
    let mut rewards = [0.0; 10];
    rewards[9] = 1.0;
    for lambda in [0.0, 0.5, 1.0] {
        let found = gae(&discounted(0.9, lambda), &rewards, &values, &[true; 10]).unwrap();
        assert_close("advantages", &found.advantages, &[0.0; 10], 1e-12);
    }
}

#[test]
fn refuses_what_nobody_earned() {
    let config = PpoConfig::default();
    let refused = gae(&config, &[0.5, 0.0], &[0.0; 2], &[false, true]).unwrap_err().to_string();
    assert!(refused.contains("before the policy's first token"), "{refused}");
    assert!(gae(&config, &[0.0], &[0.0; 2], &[true; 2]).is_err());
    assert!(gae(&config, &[0.0; 2], &[0.0], &[true; 2]).is_err());
    assert!(gae(&config, &[0.0; 2], &[3.0; 2], &[false; 2]).unwrap().returns.iter().all(|value| *value == 0.0));
}

proptest! {
    #[test]
    fn what_the_environment_wrote_never_matters(
        steps in prop::collection::vec((any::<bool>(), -4..4_i8, -4..4_i8), 1..20),
        (gamma, lambda) in (0..=4_u8, 0..=4_u8), noise in -100..100_i8,
    ) {
        let config = discounted(f64::from(gamma) / 4.0, f64::from(lambda) / 4.0);
        let is_policy: Vec<_> = steps.iter().map(|step| step.0).collect();
        let rewards: Vec<_> = steps.iter().map(|step| if step.0 { f64::from(step.1) } else { 0.0 }).collect();
        let values: Vec<_> = steps.iter().map(|step| f64::from(step.2)).collect();
        let found = gae(&config, &rewards, &values, &is_policy).unwrap();
        let noisy: Vec<_> =
            values.iter().zip(&is_policy).map(|(value, mine)| if *mine { *value } else { f64::from(noise) }).collect();
        prop_assert_eq!(&found, &gae(&config, &rewards, &noisy, &is_policy).unwrap());

        // the sum that the recursion stands for, over the policy's tokens alone
        let mine = |numbers: &[f64]| {
            numbers.iter().zip(&is_policy).filter(|(_, mine)| **mine).map(|(x, _)| *x).collect::<Vec<_>>()
        };
        let (rewards, values, advantages) = (mine(&rewards), mine(&values), mine(&found.advantages));
        for (at, found) in advantages.iter().enumerate() {
            let mut sum = 0.0;
            for later in at..values.len() {
                let next = values.get(later + 1).copied().unwrap_or(0.0);
                let surprise = rewards[later] + config.gamma * next - values[later];
                sum += (config.gamma * config.lambda).powi((later - at) as i32) * surprise;
            }
            prop_assert!((found - sum).abs() < 1e-9);
        }
    }
}

#[test]
fn whitened_values_have_no_mean_and_one_variance() {
    let mut values = numbers(21, 50);
    whiten(&mut values);
    let square: f64 = values.iter().map(|value| value * value).sum();
    assert_close("moments", &[values.iter().sum(), square / 49.0], &[0.0, 1.0], 1e-6);
    let mut one = [3.0];
    whiten(&mut one);
    assert_eq!(one, [0.0]);
    let mut equal = [2.0; 3];
    whiten(&mut equal);
    assert_eq!(equal, [0.0; 3]);
    whiten(&mut []);
}

#[test]
fn the_value_loss_has_the_gradient_of_its_formula() {
    let at = numbers(22, 30);
    let old: Vec<_> = numbers(23, 30).iter().map(|x| *x as f32).collect();
    let returns = numbers(24, 30);
    for value_clip in [None, Some(0.2), Some(0.7)] {
        let config = PpoConfig { value_clip, ..PpoConfig::default() };
        let oracle = |values: &[f64]| {
            let mut sum = 0.0;
            for ((value, old), wanted) in values.iter().zip(&old).zip(&returns) {
                let clip = value_clip.unwrap_or(f64::MAX);
                let held = f64::from(*old) + (value - f64::from(*old)).clamp(-clip, clip);
                sum += 0.5 * (value - wanted).powi(2).max((held - wanted).powi(2));
            }
            sum / 40.0
        };
        let values = variable(&at);
        let loss = value_loss(&config, &values, &old, &returns, 40).unwrap();
        let (value, slopes) = gradient(&values, &loss);
        assert_close("loss", &[value], &[oracle(&at)], 1e-12);
        assert_close("gradient", &slopes, &differences(&at, oracle), 1e-8);
        assert_eq!(loss.metrics.get("value_clipped") == Some(0.0), value_clip.is_none());
    }
    let config = PpoConfig::default();
    assert!(value_loss(&config, &variable(&at), &old, &returns, 29).is_err());
    assert!(value_loss(&config, &variable(&at), &old[1..], &returns, 30).is_err());
    assert!(value_loss(&config, &variable(&at), &old, &returns[1..], 30).is_err());
}

#[test]
fn kl_is_taken_from_each_reward_and_the_score_put_on_the_last() {
    let control = KlControl { coefficient: 0.5, ..KlControl::default() };
    let rewards = control.rewards(2.0, &[-1.0, -0.5, -3.0], &[-1.5, -0.5, -2.0]).unwrap();
    assert_close("rewards", &rewards, &[-0.25, 0.0, 2.5], 1e-7);
    let k3 = KlControl { estimator: Estimator::K3, ..control };
    assert_close("k3", &k3.rewards(0.0, &[-1.0], &[-2.0]).unwrap(), &[-0.5 * (-1.0_f64).exp()], 1e-7);
    assert!(control.rewards(2.0, &[], &[]).unwrap().is_empty());
    assert!(control.rewards(2.0, &[0.0], &[]).is_err());
}

#[test]
fn the_weight_of_kl_follows_its_target() {
    let mut control = KlControl { coefficient: 0.1, target: Some(0.1), horizon: 1000.0, ..KlControl::default() };
    control.update(0.11, 100);
    assert_close("a little above", &[control.coefficient], &[0.1 * 1.01], 1e-12);
    control.update(5.0, 100);
    assert_close("far above", &[control.coefficient], &[0.1 * 1.01 * 1.02], 1e-12);
    control.update(0.0, 100_000);
    assert_eq!(control.coefficient, 0.0, "never negative");
    let mut fixed = KlControl::default();
    fixed.update(9.0, 100);
    assert_eq!(fixed, KlControl::default());
    let mut steady = control;
    steady.update(f64::NAN, 100);
    assert_eq!(steady, control);
}

#[test]
fn refuses_settings_out_of_their_range() {
    let base = PpoConfig::default;
    base().check().unwrap();
    let expectations = [
        (PpoConfig { gamma: 1.1, ..base() }, "gamma"),
        (PpoConfig { lambda: -0.1, ..base() }, "lambda"),
        (PpoConfig { value_clip: Some(0.0), ..base() }, "value_clip"),
        (PpoConfig { value_weight: f64::NAN, ..base() }, "value_weight"),
        (PpoConfig { kl: KlControl { horizon: 0.0, ..KlControl::default() }, ..base() }, "kl.horizon"),
        (PpoConfig { kl: KlControl { target: Some(0.0), ..KlControl::default() }, ..base() }, "kl.target"),
        (PpoConfig { kl: KlControl { coefficient: -1.0, ..KlControl::default() }, ..base() }, "kl.coefficient"),
    ];
    for (config, name) in expectations {
        let found = config.check().unwrap_err().to_string();
        assert!(found.starts_with(name), "{found}");
    }
}
