//! [`Report`]: how a scorer does on sets it never saw.

use std::collections::BTreeMap;

use agent::judge::Label;
use agent::judge::measure::{calibration_error, macro_f1};
use serde::{Deserialize, Serialize};

use super::data::Set;
use crate::stages::scorer::calibration::probabilities;

/// Predictions of one label over this share, where the set itself is not so, are told: a scorer that has collapsed
/// rewards everything alike.
const COLLAPSE: f64 = 0.9;

/// How a scorer does on one set. A set may lack labels: predictions and confidences are then among those it has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The set.
    pub set: String,
    /// Its rows.
    pub rows: usize,
    /// The labels it has.
    pub labels: Vec<Label>,
    /// Share of rows whose likeliest label is right.
    pub accuracy: f64,
    /// Mean of the labels' F1.
    pub macro_f1: f64,
    /// Expected calibration error at temperature 1.
    pub calibration_error_before: f64,
    /// Expected calibration error at the scorer's temperature.
    pub calibration_error: f64,
    /// Rows by their label and, inside, by the likeliest one, both in the order of `labels`.
    pub confusion: Vec<Vec<usize>>,
}

impl Report {
    /// How rows of logits, in the order of [`Label::ALL`], do on a set.
    pub fn new(set: &Set, logits: &[[f32; 3]], temperature: f64) -> Self {
        let labels = set.labels();
        let mut confusion = vec![vec![0; labels.len()]; labels.len()];
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for (row, logits) in set.rows.iter().zip(logits) {
            let among: Vec<f64> = labels.iter().map(|label| f64::from(logits[*label])).collect();
            let likeliest = likeliest(&among);
            let right = labels.iter().position(|label| *label == row.label).unwrap_or_default();
            confusion[right][likeliest] += 1;
            before.push((probabilities(&among, 1.0)[likeliest], likeliest == right));
            after.push((probabilities(&among, temperature)[likeliest], likeliest == right));
        }
        let diagonal: usize = (0..labels.len()).map(|label| confusion[label][label]).sum();
        Self {
            set: set.name.clone(),
            rows: set.rows.len(),
            labels: labels.iter().map(|label| Label::ALL[*label]).collect(),
            accuracy: diagonal as f64 / set.rows.len().max(1) as f64,
            macro_f1: macro_f1(&confusion),
            calibration_error_before: calibration_error(&before),
            calibration_error: calibration_error(&after),
            confusion,
        }
    }

    /// What is measured, by name.
    pub fn values(&self) -> BTreeMap<String, f64> {
        let named = |name: &str, value| (format!("{}/{name}", self.set), value);
        BTreeMap::from([
            named("accuracy", self.accuracy),
            named("macro_f1", self.macro_f1),
            named("calibration_error", self.calibration_error),
        ])
    }

    /// That nearly all predictions are one label, where the set has others.
    pub fn collapse(&self) -> Option<String> {
        let share = |count: usize| count as f64 / self.rows.max(1) as f64;
        let of = |at: usize| {
            let predicted: usize = self.confusion.iter().map(|row| row[at]).sum();
            let there: usize = self.confusion[at].iter().sum();
            (share(predicted), share(there))
        };
        let (at, predicted) = (0..self.labels.len())
            .map(|at| (at, of(at)))
            .find(|(_, (predicted, there))| *predicted > COLLAPSE && *there <= COLLAPSE)?;
        Some(format!(
            "{}: {:.0}% of all verdicts are {}, which {:.0}% of the rows are: look at the label histogram, train longer, \
             or set scorer.balance",
            self.set,
            100.0 * predicted.0,
            self.labels[at].name(),
            100.0 * predicted.1
        ))
    }
}

/// The place of the greatest; the first of equals.
pub(super) fn likeliest(values: &[f64]) -> usize {
    let greatest = |best: usize, at: usize| if values[at] > values[best] { at } else { best };
    (0..values.len()).reduce(greatest).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::data::Row;
    use super::*;

    fn set(labels: &[usize]) -> Set {
        let row = |label: &usize| Row { claim: "c".to_owned(), evidence: "e".to_owned(), label: *label };
        Set { name: "s".to_owned(), rows: labels.iter().map(row).collect() }
    }

    #[test]
    fn figures_are_those_by_hand() {
        // Predicted: support, support, neutral, neutral.
        let logits = [[2.0, 0.0, 0.0], [1.0, 0.5, 0.0], [0.0, 0.0, 3.0], [0.0, 1.0, 2.0]];
        let report = Report::new(&set(&[0, 1, 2, 2]), &logits, 1.0);
        assert_eq!(report.confusion, [[1, 0, 0], [1, 0, 0], [0, 0, 2]]);
        assert_eq!(report.accuracy, 0.75);
        assert!((report.macro_f1 - (2.0 / 3.0 + 0.0 + 1.0) / 3.0).abs() < 1e-12);
        assert_eq!(report.calibration_error, report.calibration_error_before);
        assert_eq!(report.collapse(), None);
        // Without neutral rows only the other two labels count.
        let report = Report::new(&set(&[0, 1, 0, 1]), &logits, 2.0);
        assert_eq!((report.labels.len(), report.confusion.clone()), (2, vec![vec![2, 0], vec![1, 1]]));
        assert_eq!(report.accuracy, 0.75);
        assert!(report.calibration_error < 0.5 && report.values()["s/accuracy"] == 0.75);
    }

    #[test]
    fn a_scorer_that_says_always_the_same_is_told() {
        let logits = [[0.0, 0.0, 1.0]; 20];
        let labels: Vec<usize> = (0..20).map(|row| row % 3).collect();
        let told = Report::new(&set(&labels), &logits, 1.0).collapse().unwrap();
        assert!(told.contains("100% of all verdicts are neutral") && told.contains("30%"), "{told}");
        assert_eq!(Report::new(&set(&[2; 20]), &logits, 1.0).collapse(), None);
    }
}
