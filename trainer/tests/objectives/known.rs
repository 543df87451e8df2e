//! Problems with known answers: bandits, preferences, and the mean of KL estimates.

use candle_core::{D, Tensor, Var};
use trainer::objective::{
    Aggregation, Denominator, DpoConfig, Estimator, GrpoConfig, Pair, Recorded, Scaling, Surrogate, advantages,
    dpo_loss, policy_loss, preference_loss,
};

use crate::{assert_close, gradient, numbers, variable};

/// The log-probabilities of a softmax policy.
fn log_softmax(logits: &Tensor) -> Tensor {
    logits.broadcast_sub(&logits.exp().unwrap().sum_keepdim(D::Minus1).unwrap().log().unwrap()).unwrap()
}

fn probabilities(logits: &Var) -> Vec<f64> {
    log_softmax(logits).exp().unwrap().to_vec1().unwrap()
}

fn descend(variable: &Var, slopes: &[f64], rate: f64) {
    let step = Tensor::from_slice(slopes, slopes.len(), variable.device()).unwrap();
    variable.set(&(variable.as_tensor() - (step * rate).unwrap()).unwrap()).unwrap();
}

/// The gradient of a step on policy in which a group drew these arms.
fn step(config: &GrpoConfig, logits: &Var, arms: &[u32], rewards: &[f64]) -> Vec<f64> {
    let drawn = Tensor::from_slice(arms, arms.len(), logits.device()).unwrap();
    let logprobs = log_softmax(logits).index_select(&drawn, 0).unwrap();
    let sequences: Vec<_> = (0..arms.len()).map(|at| at..at + 1).collect();
    let advantages = advantages(rewards, &vec![0; arms.len()], config.scaling).unwrap().values;
    let recorded =
        Recorded { old: None, sampler: None, reference: None, advantages: &advantages, sequences: &sequences };
    let loss = policy_loss(config, &logprobs, &recorded, Denominator::of(vec![1; arms.len()])).unwrap();
    gradient(logits, &loss).1
}

#[test]
fn the_expected_gradient_of_a_bandit_is_that_of_its_value() {
    const WORTH: [f64; 3] = [0.0, 1.0, 0.3];
    let logits = variable(&[0.4, -0.5, 0.1]);
    let chances = probabilities(&logits);
    let value: f64 = chances.iter().zip(WORTH).map(|(chance, worth)| chance * worth).sum();
    let exact: Vec<_> = chances.iter().zip(WORTH).map(|(chance, worth)| -chance * (worth - value)).collect();
    // every outcome of a group of three draws, weighted by its chance; the group's own mean as the
    // baseline makes the gradient smaller by a third, that of the others leaves it as it is
    for (scaling, share) in [(Scaling::LeaveOneOut, 1.0), (Scaling::None, 2.0 / 3.0)] {
        for surrogate in [Surrogate::Clip, Surrogate::Reinforce, Surrogate::Cispo { most: 5.0 }] {
            let config = GrpoConfig { scaling, surrogate, ..GrpoConfig::default() };
            let mut expected = vec![0.0; 3];
            for outcome in 0..27_u32 {
                let arms = [outcome / 9, outcome / 3 % 3, outcome % 3];
                let rewards = arms.map(|arm| WORTH[arm as usize]);
                let chance: f64 = arms.iter().map(|arm| chances[*arm as usize]).product();
                let slopes = step(&config, &logits, &arms, &rewards);
                expected.iter_mut().zip(slopes).for_each(|(sum, slope)| *sum += chance * slope);
            }
            let exact: Vec<_> = exact.iter().map(|slope| share * slope).collect();
            assert_close(&format!("{scaling:?} {surrogate:?}"), &expected, &exact, 1e-12);
        }
    }
}

#[test]
fn a_bandit_finds_its_best_arm_and_not_when_rewards_are_another_draw_s() {
    const WORTH: [f64; 4] = [0.1, 0.2, 0.9, 0.5];
    let learnt = |is_shuffled: bool| {
        let logits = variable(&[0.0; 4]);
        let config = GrpoConfig { scaling: Scaling::Group, ..GrpoConfig::default() };
        for at in 0..150 {
            let chances = probabilities(&logits);
            let draw = |x: f64| {
                let mut rest = 0.5 + 0.5 * x;
                let is_over = |chance: &f64| {
                    rest -= chance;
                    rest < 0.0
                };
                chances.iter().position(is_over).unwrap_or(3) as u32
            };
            let arms: Vec<_> = numbers(1000 + at, 16).into_iter().map(draw).collect();
            let noise = numbers(5000 + at, 16);
            let mut rewards: Vec<_> =
                arms.iter().zip(noise).map(|(arm, noise)| WORTH[*arm as usize] + 0.1 * noise).collect();
            if is_shuffled {
                rewards.rotate_left(5);
            }
            descend(&logits, &step(&config, &logits, &arms, &rewards), 0.3);
        }
        probabilities(&logits)[2]
    };
    let (best, shuffled) = (learnt(false), learnt(true));
    assert!(best > 0.95, "{best}");
    assert!(shuffled < 0.7, "{shuffled}");
}

#[test]
fn dpo_ends_at_the_reference_tilted_by_the_rewards() {
    const BETA: f64 = 0.5;
    let rewards = [1.0, 0.0, 0.4];
    let logits = variable(&[0.0, 0.0, 0.0]);
    let reference = [0.5_f64, 0.2, 0.3];
    let known = reference.map(|chance| chance.ln() as f32);
    // who is better, who is worse, and how often a judge of Bradley and Terry says otherwise
    for _ in 0..400 {
        let mut slopes = vec![0.0; 3];
        for (better, worse) in [(0, 1), (0, 2), (2, 1)] {
            let label_smoothing = 1.0 / (1.0 + f64::exp(rewards[better] - rewards[worse]));
            let config = DpoConfig { beta: BETA, label_smoothing };
            let pair = Pair { chosen: better..better + 1, rejected: worse..worse + 1 };
            let loss = dpo_loss(&config, &log_softmax(&logits), &known, &[pair], 1).unwrap();
            gradient(&logits, &loss).1.into_iter().zip(&mut slopes).for_each(|(slope, sum)| *sum += slope);
        }
        descend(&logits, &slopes, 3.0);
    }
    let tilted: Vec<_> = reference.iter().zip(rewards).map(|(chance, reward)| chance * (reward / BETA).exp()).collect();
    let total: f64 = tilted.iter().sum();
    let exact: Vec<_> = tilted.into_iter().map(|weight| weight / total).collect();
    assert_close("policy", &probabilities(&logits), &exact, 1e-6);
}

#[test]
fn a_reward_model_recovers_what_made_the_preferences() {
    // strengths 1, 2 and 4: each pair as often as its chances say, out of 15
    let counts = [((1, 0), 10), ((0, 1), 5), ((2, 1), 10), ((1, 2), 5), ((2, 0), 12), ((0, 2), 3)];
    let pairs: Vec<_> = counts.iter().flat_map(|(pair, count)| vec![*pair; *count]).collect();
    let scores = variable(&[0.3, 0.0, -0.5]);
    for _ in 0..300 {
        let loss = preference_loss(&scores, &pairs, 0.01, pairs.len()).unwrap();
        let slopes = gradient(&scores, &loss).1;
        descend(&scores, &slopes, 2.0);
    }
    let found: Vec<f64> = scores.to_vec1().unwrap();
    // centering pulls a little
    assert_close("differences", &[found[1] - found[0], found[2] - found[1]], &[2.0_f64.ln(); 2], 0.03);
    assert!((found[0] + found[1] + found[2]).abs() < 0.1, "{found:?}");
}

#[test]
fn estimates_of_kl_have_its_mean_and_k2_its_gradient() {
    let logits = variable(&[0.3, -0.2, 0.1]);
    let now = log_softmax(&logits).to_vec1::<f64>().unwrap();
    let reference = [0.4_f64, 0.35, 0.25].map(f64::ln);
    let mean = |of: &dyn Fn(usize) -> f64| (0..3).map(|at| now[at].exp() * of(at)).sum::<f64>();
    let kl = mean(&|at| now[at] - reference[at]);
    for estimator in [Estimator::K1, Estimator::K3, Estimator::K3Plus] {
        assert_close("mean", &[mean(&|at| estimator.at(now[at], reference[at]).0)], &[kl], 1e-12);
    }
    let nearly = mean(&|at| Estimator::K2.at(now[at], reference[at]).0);
    assert!((nearly / kl - 1.0).abs() < 0.2, "{nearly} for {kl}");

    // the gradient of a logit b when arms are drawn by the policy and each moves its own log-probability
    let slope = |estimator: Estimator, b: usize| {
        mean(&|at| estimator.at(now[at], reference[at]).1 * (f64::from(u8::from(at == b)) - now[b].exp()))
    };
    for b in 0..3 {
        let exact = now[b].exp() * (now[b] - reference[b] - kl);
        assert_close("k2", &[slope(Estimator::K2, b), slope(Estimator::K3Plus, b)], &[exact; 2], 1e-12);
        assert_close("k1", &[slope(Estimator::K1, b)], &[0.0], 1e-12);
        assert_close("k3", &[slope(Estimator::K3, b)], &[now[b].exp() - reference[b].exp()], 1e-12);
    }
    let config = GrpoConfig { aggregation: Aggregation::SequenceSum, ..GrpoConfig::default() };
    assert_eq!(step(&config, &logits, &[0, 1], &[1.0, 1.0]), [0.0; 3]);
}
