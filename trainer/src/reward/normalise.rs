//! From rewards to advantages: terms summed first, or each brought to one scale before.
//!
//! Summed as they are, a term that hardly varies is drowned by one that varies much, whatever their
//! weights, and episodes with other mixes but equal sums count the same (GDPO, arXiv 2601.05242).

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::objective::{Advantages, Scaling, advantages, advantages_by_term};
use crate::rollout::Rollout;

/// Added to a standard deviation before it divides.
const EPSILON: f64 = 1e-4;

/// What a term is divided by before terms are summed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalise {
    /// Nothing: the sum is scaled as the objective says.
    #[default]
    None,
    /// Its standard deviation within the group (GDPO); the objective's scaling is not used.
    Group,
    /// Its standard deviation over the episodes of the step; the sum is scaled as the objective says.
    Batch,
}

impl Normalise {
    /// How much better than its group each of `done` was; groups are questions. Masked episodes are left out, and those
    /// of which a term that counts is unknown; under [`Normalise::Group`] only the unknown term is.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] when a reward is infinite.
    pub fn advantages(self, done: &[Rollout], scaling: Scaling) -> Result<Advantages> {
        let groups: Vec<usize> = done.iter().map(|one| one.prompt).collect();
        let worth = |one: &Rollout, value: f64| if one.is_masked { f64::NAN } else { value };
        let weights: Vec<f64> =
            done.first().map_or_else(Vec::new, |one| one.reward.terms.iter().map(|term| term.weight).collect());
        let term = |at: usize| -> Vec<f64> {
            done.iter().map(|one| worth(one, one.reward.terms.get(at).map_or(f64::NAN, |term| term.value))).collect()
        };
        let counted: Vec<(usize, f64)> = weights.into_iter().enumerate().filter(|(_, weight)| *weight != 0.0).collect();
        match self {
            Self::None => {
                let totals: Vec<f64> = done.iter().map(|one| worth(one, one.reward.total)).collect();
                advantages(&totals, &groups, scaling)
            }
            Self::Group => {
                let terms: Vec<Vec<f64>> = counted.iter().map(|(at, _)| term(*at)).collect();
                let terms: Vec<&[f64]> = terms.iter().map(Vec::as_slice).collect();
                let weights: Vec<f64> = counted.iter().map(|(_, weight)| *weight).collect();
                advantages_by_term(&terms, &weights, &groups)
            }
            Self::Batch => {
                let mut sums = vec![0.0; done.len()];
                for (at, weight) in counted {
                    let values = term(at);
                    let deviation = deviation(&values);
                    sums.iter_mut()
                        .zip(&values)
                        .for_each(|(sum, value)| *sum += weight * value / (deviation + EPSILON));
                }
                advantages(&sums, &groups, scaling)
            }
        }
    }
}

/// Of the values that are known; n - 1 divides.
fn deviation(values: &[f64]) -> f64 {
    let known: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
    let squares: f64 = known.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / known.len().saturating_sub(1).max(1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sample;
    use crate::reward::{Reward, Term};

    /// Episodes of the question `prompt` with the terms `big` and `small`, both of weight 1, and one that counts nothing.
    fn done(terms: &[(usize, f64, f64)]) -> Vec<Rollout> {
        let trace = crate::reward::tests::play(&[]);
        let one = |(prompt, big, small): &(usize, f64, f64)| {
            let term = |name: &str, value, weight| Term { name: name.to_owned(), value, weight, reason: String::new() };
            Rollout {
                sample: Sample { ids: vec![1, 2], mask: vec![false, true] },
                logprobs: vec![-1.0],
                trace: trace.clone(),
                reward: Reward::of(vec![
                    term("big", *big, 1.0),
                    term("small", *small, 1.0),
                    term("none", f64::NAN, 0.0),
                ]),
                prompt: *prompt,
                version: 0,
                is_masked: false,
            }
        };
        terms.iter().map(one).collect()
    }

    #[test]
    fn a_term_that_hardly_varies_is_heard_when_terms_are_normalised() {
        let done = done(&[(0, 10.0, 0.0), (0, 0.0, 0.1), (0, 0.0, 0.0), (0, 10.0, 0.1)]);
        let of = |normalise: Normalise| normalise.advantages(&done, Scaling::None).unwrap().values;
        let summed = of(Normalise::None);
        assert!((summed[0] - 4.95).abs() < 1e-12 && (summed[1] + 4.95).abs() < 1e-12, "{summed:?}");
        for normalise in [Normalise::Group, Normalise::Batch] {
            let values = of(normalise);
            assert!(values[0].abs() < 0.01 && values[1].abs() < 0.01, "{normalise:?}: {values:?}");
            assert!(values[3] > 0.5 && values[2] < -0.5, "{normalise:?}: {values:?}");
        }
        // One question: its group is the batch, but GDPO brings the sum to one scale once more.
        assert!((of(Normalise::Batch)[3] - 1.73).abs() < 0.02);
    }

    #[test]
    fn what_is_masked_or_unknown_takes_no_part() {
        let mut done = done(&[(0, 1.0, 0.0), (0, 0.0, 0.0), (0, f64::NAN, 0.5), (0, 9.0, 9.0)]);
        done[3].is_masked = true;
        let of = |normalise: Normalise| normalise.advantages(&done, Scaling::None).unwrap();
        let summed = of(Normalise::None);
        assert_eq!((summed.values, summed.is_kept), (vec![0.5, -0.5, 0.0, 0.0], vec![true, true, false, false]));
        assert_eq!(of(Normalise::Batch).is_kept, [true, true, false, false]);
        let by_term = of(Normalise::Group);
        assert_eq!((by_term.is_kept, by_term.unscored), (vec![true, true, true, false], 1));
        assert!(by_term.values[2] > 0.0);
    }
}
