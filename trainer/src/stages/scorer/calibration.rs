//! Calibration: a temperature that makes probabilities mean what they say.
//!
//! Temperature scaling as in "On Calibration of Modern Neural Networks" (arXiv 1706.04599): logits are divided by one number,
//! which moves no argmax. How far confidences are from how often they are right is measured in [`agent::judge::measure`].

use crate::objective::classes::softmax;

/// The least and the greatest temperature that is looked for.
const RANGE: (f64, f64) = (0.05, 20.0);
/// Golden sections of the range, after which less than a millionth of it is left.
const SECTIONS: usize = 40;

/// The probabilities of `logits` at a temperature.
pub fn probabilities(logits: &[f64], temperature: f64) -> Vec<f64> {
    let mut row: Vec<f64> = logits.iter().map(|logit| logit / temperature).collect();
    softmax(&mut row);
    row
}

/// The mean negative log-probability of the right class of each row of logits at a temperature; 0 of no rows.
pub fn likelihood(rows: &[Vec<f64>], labels: &[usize], temperature: f64) -> f64 {
    let loss = |(row, label): (&Vec<f64>, &usize)| {
        let mut scaled: Vec<f64> = row.iter().map(|logit| logit / temperature).collect();
        let right = scaled[*label];
        softmax(&mut scaled) - right
    };
    rows.iter().zip(labels).map(loss).sum::<f64>() / rows.len().max(1) as f64
}

/// The temperature at which rows of logits make the labels likeliest; 1 of no rows. The likelihood has one optimum
/// in 1/T, and so in ln T, where it is looked for.
pub fn temperature(rows: &[Vec<f64>], labels: &[usize]) -> f64 {
    if rows.is_empty() {
        return 1.0;
    }
    let golden = 0.5 * (5.0_f64.sqrt() - 1.0);
    let loss = |place: f64| likelihood(rows, labels, place.exp());
    let (mut low, mut high) = (RANGE.0.ln(), RANGE.1.ln());
    let (mut left, mut right) = (high - golden * (high - low), low + golden * (high - low));
    let (mut at_left, mut at_right) = (loss(left), loss(right));
    for _ in 0..SECTIONS {
        if at_left <= at_right {
            (high, right, at_right) = (right, left, at_left);
            left = high - golden * (high - low);
            at_left = loss(left);
        } else {
            (low, left, at_left) = (left, right, at_right);
            right = low + golden * (high - low);
            at_right = loss(right);
        }
    }
    f64::midpoint(low, high).exp()
}

#[cfg(test)]
mod tests {
    use agent::judge::measure::calibration_error;

    use super::*;

    #[test]
    fn a_known_temperature_is_found() {
        // Three of four rows with a margin m are right: the likeliest confidence is 3/4, so m / T = ln 3.
        for (margin, temperature) in [(5.0, 5.0 / 3.0_f64.ln()), (0.5, 0.5 / 3.0_f64.ln())] {
            let rows = vec![vec![margin, 0.0]; 4];
            let found = super::temperature(&rows, &[0, 0, 1, 0]);
            assert!((found - temperature).abs() < 1e-5 * temperature, "{found} {temperature}");
            let error = |temperature| {
                let answer = |label: &usize| (probabilities(&rows[0], temperature)[0], *label == 0);
                calibration_error(&[0, 0, 1, 0].iter().map(answer).collect::<Vec<_>>())
            };
            assert!(error(found) < 1e-5 && error(1.0) > 0.1);
            assert!(likelihood(&rows, &[0, 0, 1, 0], found) < likelihood(&rows, &[0, 0, 1, 0], 1.0));
        }
    }

    #[test]
    fn extremes_stay_in_the_range() {
        assert_eq!(super::temperature(&[], &[]), 1.0);
        let always = super::temperature(&[vec![1.0, 0.0]], &[0]);
        assert!((RANGE.0..0.051).contains(&always), "{always}");
        let never = super::temperature(&[vec![1.0, 0.0]], &[1]);
        assert!((19.9..=RANGE.1).contains(&never), "{never}");
    }
}
