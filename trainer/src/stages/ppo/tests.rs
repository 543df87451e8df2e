//! What tokens are credited with, by hand.

use candle_core::{D, Device, Tensor, Var};

use super::*;
use crate::Sample;
use crate::learner::Scored;
use crate::objective::KlControl;

/// An episode of two tokens, and one of a single token.
fn episodes<'a>(samples: &'a [Sample; 2], sampled: &'a [Vec<f32>; 2]) -> Vec<Credited<'a>> {
    let values = [vec![0.5, 0.25], vec![-0.5]];
    let references = [vec![-1.0, -2.5], vec![-0.5]];
    let worth = [3.0, 1.0];
    (0..2)
        .map(|at| Credited {
            sample: &samples[at],
            sampler: &sampled[at],
            worth: worth[at],
            before: Scored { values: values[at].clone(), ..Scored::default() },
            reference: references[at].clone(),
            advantages: vec![9.0; sampled[at].len()],
            returns: Vec::new(),
        })
        .collect()
}

fn credited(config: &PpoConfig, controllers: &mut Option<Controllers>) -> (Vec<Vec<f64>>, Vec<Vec<f64>>, Metrics) {
    let samples = [Sample::default(), Sample::default()];
    let sampled = [vec![-1.5, -1.5], vec![-0.5]];
    let mut episodes = episodes(&samples, &sampled);
    let metrics = credit(config, controllers, &mut episodes).unwrap();
    let advantages = episodes.iter().map(|episode| episode.advantages.clone()).collect();
    (advantages, episodes.into_iter().map(|episode| episode.returns).collect(), metrics)
}

fn close(found: &[f64], wanted: &[f64]) {
    let is_close = found.len() == wanted.len() && found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-6);
    assert!(is_close, "{found:?}, not {wanted:?}");
}

#[test]
fn a_worked_step() {
    let kl = KlControl { coefficient: 0.2, ..KlControl::default() };
    let config = PpoConfig { gamma: 0.9, lambda: 0.5, scale_rewards: false, kl, ..PpoConfig::default() };
    let (advantages, returns, metrics) = credited(&config, &mut None);
    // Rewards: 0.2 x 0.5, then 3 - 0.2 x 1; and 1. The last surprises: 2.8 - 0.25, and 1 + 0.5.
    let first = 0.1 + 0.9 * 0.25 - 0.5 + 0.9 * 0.5 * 2.55;
    close(&returns.concat(), &[first + 0.5, 2.8, 1.0]);
    let raw = [first, 2.55, 1.5];
    let mean = raw.iter().sum::<f64>() / 3.0;
    let deviation = (raw.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / 2.0 + 1e-8).sqrt();
    close(&advantages.concat(), &raw.map(|one| (one - mean) / deviation));
    close(&[metrics.get("kl").unwrap(), metrics.get("score").unwrap()], &[0.5 / 3.0, 2.0]);
    assert_eq!(metrics.get("kl_coefficient"), Some(0.2));
}

#[test]
fn rewards_and_the_weight_of_the_divergence_follow_the_run() {
    let kl = KlControl { coefficient: 0.2, target: Some(1.0), horizon: 10.0, ..KlControl::default() };
    let config = PpoConfig { kl, ..PpoConfig::default() };
    let mut controllers = None;
    let (_, returns, metrics) = credited(&config, &mut controllers);
    // Mean 2, deviation of 3 and 1 the root of 2.
    close(&returns[1], &[-1.0 / 2_f64.sqrt()]);
    assert_eq!(metrics.get("kl_coefficient"), Some(0.2));
    // Measured a sixth of the target: the greatest error that counts, of two episodes in ten.
    let coefficient = 0.2 * (1.0 - 0.2 * 2.0 / 10.0);
    close(&[controllers.unwrap().kl.coefficient], &[coefficient]);
    let (_, _, metrics) = credited(&config, &mut controllers);
    close(&[metrics.get("kl_coefficient").unwrap()], &[coefficient]);
    // What was seen before counts: four rewards now.
    let mut scale = RewardScale::default();
    scale.update(&[3.0, 1.0, 3.0, 1.0]);
    assert_eq!(controllers.unwrap().scale, scale);
}

#[test]
fn without_a_reference_nothing_diverges() {
    let kl = KlControl { coefficient: 0.0, ..KlControl::default() };
    let config = PpoConfig { scale_rewards: false, kl, lambda: 1.0, ..PpoConfig::default() };
    let samples = [Sample::default(), Sample::default()];
    let sampled = [vec![-1.5, -1.5], vec![-0.5]];
    let mut episodes = episodes(&samples, &sampled);
    for episode in &mut episodes {
        episode.reference.clear();
    }
    let metrics = credit(&config, &mut None, &mut episodes).unwrap();
    assert_eq!(metrics.get("kl"), None);
    close(&episodes[0].returns, &[3.0, 3.0]);
    let mut none: Vec<Credited<'_>> = Vec::new();
    credit(&config, &mut None, &mut none).unwrap();
}

/// With the divergence in the reward, the best policy is ref · e^(reward / coefficient).
#[test]
fn a_bandit_goes_where_the_closed_form_says() {
    const DRAWS: usize = 128;
    let worth = [0.0_f64, 1.0, 0.3, -0.5];
    let kl = KlControl { coefficient: 0.5, ..KlControl::default() };
    let config = PpoConfig { kl, scale_rewards: false, value_clip: None, value_weight: 1.0, ..PpoConfig::default() };
    let begun = [0.5_f64, 0.0, -0.5, 0.2];
    let logits = Var::new(&begun, &Device::Cpu).unwrap();
    let value = Var::new(&[0.0_f64], &Device::Cpu).unwrap();
    let log_softmax = |logits: &Tensor| {
        let total = logits.exp().unwrap().sum_keepdim(D::Minus1).unwrap().log().unwrap();
        logits.broadcast_sub(&total).unwrap()
    };
    let chances = |logits: &Tensor| log_softmax(logits).exp().unwrap().to_vec1::<f64>().unwrap();
    let reference: Vec<f64> = log_softmax(&Tensor::new(&begun, &Device::Cpu).unwrap()).to_vec1().unwrap();
    let sample = Sample::default();
    for step in 0..400 {
        let own: Vec<f64> = log_softmax(&logits).to_vec1().unwrap();
        // Each arm as often as it is likely, to one draw.
        let shift = (f64::from(step) * 0.618).fract();
        let arm = |draw: usize| {
            let mut rest = (draw as f64 + shift) / DRAWS as f64;
            let is_it = |logprob: &f64| {
                rest -= logprob.exp();
                rest < 0.0
            };
            own.iter().position(is_it).unwrap_or(3)
        };
        let arms: Vec<usize> = (0..DRAWS).map(arm).collect();
        let sampled: Vec<[f32; 1]> = arms.iter().map(|arm| [own[*arm] as f32]).collect();
        let expected = value.to_vec1::<f64>().unwrap()[0] as f32;
        let mut episodes: Vec<Credited<'_>> = (arms.iter().zip(&sampled))
            .map(|(arm, sampled)| Credited {
                sample: &sample,
                sampler: sampled,
                worth: worth[*arm],
                before: Scored { values: vec![expected], ..Scored::default() },
                reference: vec![reference[*arm] as f32],
                advantages: vec![0.0],
                returns: Vec::new(),
            })
            .collect();
        credit(&config, &mut None, &mut episodes).unwrap();
        let micro = Micro::of(&episodes.iter().collect::<Vec<_>>(), false);
        let drawn = Tensor::from_vec(arms.iter().map(|arm| *arm as u32).collect(), DRAWS, &Device::Cpu).unwrap();
        let logprobs = log_softmax(&logits).index_select(&drawn, 0).unwrap();
        let values = value.broadcast_as(DRAWS).unwrap();
        let all = Denominator::of(vec![1; DRAWS]);
        let (loss, _) = loss(&config, &micro, (&logprobs, &values), all).unwrap();
        let slopes = loss.backward().unwrap();
        let rate = 0.3 / (1.0 + f64::from(step) / 40.0);
        for var in [&logits, &value] {
            var.set(&(var.as_tensor() - (slopes.get(var).unwrap() * rate).unwrap()).unwrap()).unwrap();
        }
    }
    let weights: Vec<f64> = reference.iter().zip(worth).map(|(logprob, worth)| (logprob + worth / 0.5).exp()).collect();
    let total: f64 = weights.iter().sum();
    let wanted: Vec<f64> = weights.iter().map(|weight| weight / total).collect();
    let found = chances(&logits);
    let apart = found.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(apart < 0.02, "{found:?}, not {wanted:?}");
    // The head knows what is left when the divergence is paid: the logarithm of the sum, times the coefficient.
    let expected = value.to_vec1::<f64>().unwrap()[0];
    assert!((expected - 0.5 * total.ln()).abs() < 0.05, "{expected}, not {}", 0.5 * total.ln());
}
