//! Losses of likelihoods and of rows of logits: SFT, the scorer's labels and the encoder's pairs.

use candle_core::{Device, Tensor, Var};
use trainer::objective::{class_loss, contrast_loss, likelihood_loss};

use crate::{assert_close, differences, gradient, numbers, variable};

#[test]
fn likelihood_is_a_mean_over_the_batch() {
    let logprobs = variable(&[-1.0, -3.0]);
    let loss = likelihood_loss(&logprobs, 8).unwrap();
    assert_eq!(gradient(&logprobs, &loss), (0.5, vec![-0.125; 2]));
    assert_eq!(loss.metrics.get("likelihood"), Some(-2.0));
    assert!(likelihood_loss(&logprobs, 1).is_err());
    assert_eq!(likelihood_loss(&variable(&[]), 0).unwrap().value, 0.0);
    assert!(likelihood_loss(&variable(&[f64::NAN]), 1).unwrap().value.is_nan());
}

fn matrix(numbers: &[f64], width: usize) -> Var {
    Var::from_slice(numbers, (numbers.len() / width, width), &Device::Cpu).unwrap()
}

/// -ln of the share of `right` among the exponentials of `row`.
fn cross_entropy(row: &[f64], right: usize) -> f64 {
    row.iter().map(|logit| (logit - row[right]).exp()).sum::<f64>().ln()
}

#[test]
fn classes_have_the_loss_and_the_gradient_of_their_formula() {
    let at: Vec<_> = numbers(31, 12).iter().map(|x| 4.0 * x).collect();
    let labels = [0, 2, 1, 1];
    let oracle =
        |logits: &[f64]| logits.chunks(3).zip(labels).map(|(row, label)| cross_entropy(row, label)).sum::<f64>() / 6.0;
    let logits = matrix(&at, 3);
    let loss = class_loss(&logits, &labels, 6).unwrap();
    let (value, slopes) = gradient(&logits, &loss);
    assert_close("loss", &[value], &[oracle(&at)], 1e-12);
    assert_close("gradient", &slopes, &differences(&at, oracle), 1e-8);
    let right = at.chunks(3).zip(labels).filter(|(row, label)| row.iter().all(|logit| *logit <= row[*label])).count();
    assert_close("accuracy", &[loss.metrics.get("accuracy").unwrap()], &[right as f64 / 4.0], 1e-12);

    assert!(class_loss(&logits, &[0, 1, 2, 3], 6).unwrap_err().to_string().contains("label 3 of 3"));
    assert!(class_loss(&logits, &labels[1..], 6).is_err());
    assert!(class_loss(&logits, &labels, 3).is_err());
    // a row of equal logits has guessed nothing
    assert_eq!(class_loss(&matrix(&[1.0; 3], 3), &[0], 1).unwrap().metrics.get("accuracy"), Some(0.0));
    let far = class_loss(&matrix(&[1e4, -1e4, 0.0], 3), &[1], 1).unwrap();
    assert_eq!(far.value, 2e4);
}

#[test]
fn contrast_has_the_loss_and_the_gradients_of_its_formula() {
    const WIDTH: usize = 4;
    let (queries_at, passages_at) = (numbers(32, 3 * WIDTH), numbers(33, 5 * WIDTH));
    let positives = [1, 0, 4];
    let excluded = [(0, 2), (2, 1), (2, 0)];
    let oracle = |queries: &[f64], passages: &[f64]| {
        let mut sum = 0.0;
        for (query, positive) in positives.into_iter().enumerate() {
            let mut right = 0;
            let mut row = Vec::new();
            for passage in (0..5).filter(|passage| !excluded.contains(&(query, *passage))) {
                right = if passage == positive { row.len() } else { right };
                let pairs = queries[query * WIDTH..].iter().zip(&passages[passage * WIDTH..]).take(WIDTH);
                row.push(pairs.map(|(a, b)| a * b).sum::<f64>() / 0.2);
            }
            sum += cross_entropy(&row, right);
        }
        sum / 3.0
    };
    let (queries, passages) = (matrix(&queries_at, WIDTH), matrix(&passages_at, WIDTH));
    let loss = contrast_loss(&queries, &passages, &positives, &excluded, 0.2).unwrap();
    let (value, of_queries) = gradient(&queries, &loss);
    let (_, of_passages) = gradient(&passages, &loss);
    assert_close("loss", &[value], &[oracle(&queries_at, &passages_at)], 1e-12);
    assert_close("queries", &of_queries, &differences(&queries_at, |moved| oracle(moved, &passages_at)), 1e-8);
    assert_close("passages", &of_passages, &differences(&passages_at, |moved| oracle(&queries_at, moved)), 1e-8);

    let refused = |positives: &[usize], excluded: &[(usize, usize)], temperature| {
        contrast_loss(&queries, &passages, positives, excluded, temperature).is_err()
    };
    assert!(refused(&positives, &[], 0.0) && refused(&[0, 1, 5], &[], 1.0) && refused(&[0, 1], &[], 1.0));
    assert!(refused(&positives, &[(0, 1)], 1.0) && refused(&positives, &[(3, 0)], 1.0));
    let narrow = Tensor::zeros((5, 3), candle_core::DType::F64, &Device::Cpu).unwrap();
    assert!(contrast_loss(&queries, &narrow, &positives, &[], 1.0).is_err());
}
