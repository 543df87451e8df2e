//! Losses of pairs: DPO and Bradley-Terry against differences, at their edges, and cut into micro-batches.

use trainer::objective::{DpoConfig, Pair, dpo_loss, preference_loss};

use crate::{assert_close, differences, gradient, numbers, single, variable};

fn minus_log_sigmoid(x: f64) -> f64 {
    (1.0 + (-x).exp()).ln()
}

fn dpo_oracle(config: &DpoConfig, logprobs: &[f64], reference: &[f32], pairs: &[Pair]) -> f64 {
    let gain =
        |range: &std::ops::Range<usize>| range.clone().map(|at| logprobs[at] - f64::from(reference[at])).sum::<f64>();
    let loss = |pair: &Pair| {
        let margin = config.beta * (gain(&pair.chosen) - gain(&pair.rejected));
        (1.0 - config.label_smoothing) * minus_log_sigmoid(margin) + config.label_smoothing * minus_log_sigmoid(-margin)
    };
    pairs.iter().map(loss).sum::<f64>() / pairs.len() as f64
}

#[test]
fn dpo_has_the_loss_and_the_gradient_of_its_formula() {
    // answers may be shared between pairs, and be empty
    let pairs = [
        Pair { chosen: 0..3, rejected: 3..7 },
        Pair { chosen: 8..9, rejected: 0..3 },
        Pair { chosen: 7..7, rejected: 9..12 },
    ];
    let at = numbers(11, 12);
    let reference: Vec<_> = numbers(12, 12).iter().map(|x| *x as f32).collect();
    for beta in [0.1, 1.0, 4.0] {
        for label_smoothing in [0.0, 0.1, 0.4] {
            let config = DpoConfig { beta, label_smoothing };
            let logprobs = variable(&at);
            let loss = dpo_loss(&config, &logprobs, &reference, &pairs, 3).unwrap();
            let (value, slopes) = gradient(&logprobs, &loss);
            assert_close("loss", &[value], &[dpo_oracle(&config, &at, &reference, &pairs)], 1e-12);
            let expected = differences(&at, |moved| dpo_oracle(&config, moved, &reference, &pairs));
            assert_close("gradient", &slopes, &expected, 1e-8);
            assert_eq!(slopes[7], 0.0, "a token of no answer");

            let (mut sum, mut parts) = (0.0, vec![0.0; 12]);
            for pair in &pairs {
                let loss = dpo_loss(&config, &logprobs, &reference, std::slice::from_ref(pair), 3).unwrap();
                let (value, slopes) = gradient(&logprobs, &loss);
                sum += value;
                parts.iter_mut().zip(slopes).for_each(|(sum, slope)| *sum += slope);
            }
            assert_close("micro-batches", &[sum], &[value], 1e-12);
            assert_close("micro-batches", &parts, &slopes, 1e-12);

            let logprobs = single(&at);
            let (in_single, _) = gradient(&logprobs, &dpo_loss(&config, &logprobs, &reference, &pairs, 3).unwrap());
            assert_close("single", &[in_single], &[value], 1e-5);
        }
    }
}

#[test]
fn dpo_at_the_reference_is_ln_2_and_stays_finite_far_from_it() {
    let pairs = [Pair { chosen: 0..1, rejected: 1..2 }];
    let config = DpoConfig { beta: 1.0, label_smoothing: 0.0 };
    let loss = dpo_loss(&config, &variable(&[-1.0, -2.0]), &[-1.0, -2.0], &pairs, 1).unwrap();
    assert_close("at the reference", &[loss.value], &[2.0_f64.ln()], 1e-15);
    let far = variable(&[-5000.0, 0.0]);
    let (value, slopes) = gradient(&far, &dpo_loss(&config, &far, &[0.0, -5000.0], &pairs, 1).unwrap());
    assert_eq!((value, slopes), (10_000.0, vec![-1.0, 1.0]));
}

#[test]
fn dpo_refuses_what_does_not_belong_together() {
    let of = |config: DpoConfig, reference: &[f32], chosen, pairs| {
        let pair = Pair { chosen, rejected: 1..2 };
        dpo_loss(&config, &variable(&[-1.0, -2.0]), reference, &[pair], pairs).unwrap_err().to_string()
    };
    let base = DpoConfig::default;
    assert!(of(DpoConfig { beta: 0.0, ..base() }, &[0.0; 2], 0..1, 1).contains("beta is 0"));
    assert!(of(DpoConfig { label_smoothing: 0.5, ..base() }, &[0.0; 2], 0..1, 1).contains("label_smoothing is 0.5"));
    assert!(of(base(), &[0.0], 0..1, 1).contains("1 reference log-probs for 2 values"));
    assert!(of(base(), &[0.0; 2], 0..3, 1).contains("0..3"));
    assert!(of(base(), &[0.0; 2], 0..1, 0).contains("1 pairs in this micro-batch"));
}

#[test]
fn bradley_terry_has_the_loss_and_the_gradient_of_its_formula() {
    let pairs = [(0, 1), (2, 1), (3, 0), (0, 3)];
    let at = numbers(13, 5);
    for centering in [0.0, 0.01, 1.0] {
        let oracle = |scores: &[f64]| {
            let loss = |(better, worse): &(usize, usize)| {
                let (better, worse) = (scores[*better], scores[*worse]);
                minus_log_sigmoid(better - worse) + centering * (better + worse).powi(2)
            };
            pairs.iter().map(loss).sum::<f64>() / 4.0
        };
        let scores = variable(&at);
        let (value, slopes) = gradient(&scores, &preference_loss(&scores, &pairs, centering, 4).unwrap());
        assert_close("loss", &[value], &[oracle(&at)], 1e-12);
        assert_close("gradient", &slopes, &differences(&at, oracle), 1e-8);
        assert_eq!(slopes[4], 0.0, "a score in no pair");
    }
    assert!(preference_loss(&variable(&at), &[(0, 5)], 0.0, 1).is_err());
    assert!(preference_loss(&variable(&at), &[(0, 1)], -1.0, 1).is_err());
    assert!(preference_loss(&variable(&at), &pairs, 0.0, 3).is_err());
}
