//! [`agreement`]: how often verdicts are those that people gave.

use serde::Serialize;

use super::examine::read;
use crate::check::Source;
use crate::judge::{Judge, Label, Reading, measure};
use crate::{Cancel, Result};

/// Pairs that are judged together.
const BATCH: usize = 32;

/// A claim, its evidence, and what people say it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// One sentence.
    pub claim: String,
    /// A text of any length.
    pub evidence: String,
    /// What people say.
    pub label: Label,
}

/// How often verdicts are those that people gave. All three labels may be given, whichever a set has.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// Pairs.
    pub rows: usize,
    /// Share of pairs whose verdict is that of people.
    pub accuracy: f64,
    /// Mean F1 of the labels that the set has.
    pub macro_f1: f64,
    /// Of verdicts of support, the share that is right; 1 where there are none.
    pub support_precision: f64,
    /// Of what people say is supported, the share found.
    pub support_recall: f64,
    /// Expected calibration error of a scorer's confidences; absent where rules alone judge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration_error: Option<f64>,
    /// Pairs by the label of people and, inside, by the verdict, in the order of [`Label::ALL`].
    pub confusion: [[usize; 3]; 3],
}

/// Judges all pairs as the sentences of answers are judged; `progress` hears how many are done.
///
/// # Errors
/// Those of the scorer, or when the caller cancels.
pub fn agreement(
    pairs: &[Judged],
    judge: Option<&Judge>,
    cancel: &Cancel,
    progress: &mut dyn FnMut(usize),
) -> Result<Agreement> {
    let mut confusion = [[0_usize; 3]; 3];
    let mut confidences = Vec::new();
    let mut done = 0;
    for batch in pairs.chunks(BATCH) {
        cancel.check()?;
        let claims: Vec<_> = batch
            .iter()
            .map(|one| (one.claim.as_str(), vec![Source { title: "", heading: "", text: &one.evidence }]))
            .collect();
        for (one, read) in batch.iter().zip(read(&claims, &Reading::new(judge))?) {
            let (verdict, confidence) =
                read.map_or((Label::Neutral, None), |(finding, _)| (finding.label, finding.confidence));
            confusion[place(one.label)][place(verdict)] += 1;
            confidences.extend(confidence.map(|sure| (f64::from(sure), verdict == one.label)));
        }
        done += batch.len();
        progress(done);
    }
    let there = |label: usize| confusion[label].iter().sum::<usize>();
    let given: usize = confusion.iter().map(|row| row[0]).sum();
    let present = confusion.iter().filter(|row| row.iter().any(|count| *count > 0)).count();
    let right: usize = (0..3).map(|label| confusion[label][label]).sum();
    let share = |part: usize, whole: usize| if whole == 0 { 1.0 } else { part as f64 / whole as f64 };
    Ok(Agreement {
        rows: pairs.len(),
        accuracy: share(right, pairs.len()),
        macro_f1: measure::macro_f1(&confusion) * 3.0 / present.max(1) as f64,
        support_precision: share(confusion[0][0], given),
        support_recall: share(confusion[0][0], there(0)),
        calibration_error: judge.map(|_| measure::calibration_error(&confidences)),
        confusion,
    })
}

fn place(label: Label) -> usize {
    Label::ALL.iter().position(|known| *known == label).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_held_against_people() {
        let one = |claim: &str, evidence: &str, label| Judged {
            claim: claim.to_owned(),
            evidence: evidence.to_owned(),
            label,
        };
        let pairs = [
            one("Metformin lowers glucose.", "Metformin lowers glucose in adults.", Label::Support),
            one("Metformin raises glucose.", "Metformin lowers glucose.", Label::Contradict),
            one("Metformin is cheap.", "Lithium treats mania.", Label::Neutral),
            one("Lithium is liked.", "Lithium treats mania.", Label::Support),
        ];
        let mut heard = 0;
        let found = agreement(&pairs, None, &Cancel::new(), &mut |done| heard = done).unwrap();
        assert_eq!((found.rows, heard, found.confusion), (4, 4, [[1, 0, 1], [0, 1, 0], [0, 0, 1]]));
        assert_eq!((found.accuracy, found.support_precision, found.support_recall), (0.75, 1.0, 0.5));
        assert_eq!(found.calibration_error, None);
        let empty = agreement(&[], None, &Cancel::new(), &mut |_| {}).unwrap();
        assert_eq!((empty.rows, empty.accuracy), (0, 1.0));
    }
}
