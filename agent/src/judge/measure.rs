//! How good labels and confidences are: macro F1 and the expected calibration error.

/// Confidences are compared in so many bins of equal width.
pub const BINS: usize = 15;

/// The expected calibration error (arXiv 1706.04599): how far confidences and their accuracy are apart in [`BINS`] bins, weighted
/// by how many fall in each; 0 of none. Each is a confidence in \[0, 1\] and whether it was right.
pub fn calibration_error(answers: &[(f64, bool)]) -> f64 {
    let mut bins = [(0.0, 0.0); BINS];
    for (confidence, is_right) in answers {
        // The upper bound of a bin belongs to it.
        let bin = ((confidence * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
        bins[bin].0 += confidence;
        bins[bin].1 += f64::from(*is_right);
    }
    bins.iter().map(|(confidence, right)| (confidence - right).abs()).sum::<f64>() / answers.len().max(1) as f64
}

/// The mean F1 of all labels; that of a label that neither occurs nor is predicted is 0. `confusion` has rows by their label and,
/// inside, by the predicted one.
pub fn macro_f1<Row: AsRef<[usize]>>(confusion: &[Row]) -> f64 {
    let f1 = |label: usize| {
        let right = confusion[label].as_ref()[label];
        let there: usize = confusion[label].as_ref().iter().sum();
        let predicted: usize = confusion.iter().map(|row| row.as_ref()[label]).sum();
        2.0 * right as f64 / (there + predicted).max(1) as f64
    };
    (0..confusion.len()).map(f1).sum::<f64>() / confusion.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_that_by_hand() {
        assert_eq!(calibration_error(&[]), 0.0);
        // One bin each: 0.9 and right half of the time, 0.6 and always right.
        let answers = [(0.9, true), (0.9, false), (0.6, true), (0.6, true)];
        assert!((calibration_error(&answers) - f64::midpoint(0.4, 0.4)).abs() < 1e-12);
        // 0.61 and 0.66 share a bin, in which their errors cancel; 0.6 is the upper bound of the one below.
        assert!((calibration_error(&[(0.61, true), (0.66, false)]) - 0.5 * (1.27 - 1.0)).abs() < 1e-12);
        assert!((calibration_error(&[(0.6, true), (0.66, false)]) - 0.5 * (0.4 + 0.66)).abs() < 1e-12);
        assert_eq!(calibration_error(&[(1.0, true), (0.0, false)]), 0.0);
    }

    #[test]
    fn f1_is_that_by_hand() {
        assert!((macro_f1(&[[1, 0, 0], [1, 0, 0], [0, 0, 2]]) - (2.0 / 3.0 + 0.0 + 1.0) / 3.0).abs() < 1e-12);
        assert_eq!(macro_f1::<[usize; 0]>(&[]), 0.0);
    }
}
