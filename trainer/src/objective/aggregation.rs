//! From losses of tokens to one: how much each token weighs in the whole optimiser batch.
//!
//! | here | formula | known as |
//! |---|---|---|
//! | `token_mean` | sum of all over N tokens | DAPO (arXiv 2503.14476), the default |
//! | `sequence_mean` | mean over sequences of the mean over tokens | GRPO (arXiv 2402.03300), favours short right answers and long wrong ones |
//! | `sequence_sum` | mean over sequences of the sum over tokens | with a ratio a sequence, LUSPO (arXiv 2602.05261) |
//! | `{ constant = L }` | sum of all over L times the sequences | Dr. GRPO (arXiv 2503.20783) |
//!
//! A mean over the tokens of one micro-batch is absent on purpose: its gradient depends on how the
//! batch was cut. Sequences of which nothing is trained on are counted nowhere.

use std::num::NonZero;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{fault, within};
use crate::Result;

/// How the losses of tokens become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// Each token weighs the same.
    #[default]
    TokenMean,
    /// Each sequence weighs the same.
    SequenceMean,
    /// Each token weighs one over the number of sequences.
    SequenceSum,
    /// Each token weighs one over the number of sequences times so many tokens.
    Constant(NonZero<usize>),
}

/// What is counted over the whole optimiser batch, before it is cut into micro-batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Denominator {
    /// Tokens that are trained on.
    pub tokens: usize,
    /// Sequences that have such tokens.
    pub sequences: usize,
}

impl Denominator {
    /// Counts sequences by their numbers of trained tokens.
    pub fn of(lengths: impl IntoIterator<Item = usize>) -> Self {
        let counted = lengths.into_iter().filter(|length| *length > 0);
        counted.fold(Self::default(), |all, length| Self { tokens: all.tokens + length, sequences: all.sequences + 1 })
    }
}

impl Aggregation {
    /// The weight of each token of `sequences`, which lie end to end.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) if the ranges leave a hole or overlap, or if
    /// `denominator` counts less than they hold.
    pub fn weights(self, sequences: &[Range<usize>], denominator: Denominator) -> Result<Vec<f64>> {
        let mut end = 0;
        for range in sequences {
            if range.start != end || range.end < end {
                return Err(fault(format!("sequence {range:?} does not follow token {end}")));
            }
            end = range.end;
        }
        let here = Denominator::of(sequences.iter().map(Range::len));
        within("tokens", here.tokens, denominator.tokens)?;
        within("sequences", here.sequences, denominator.sequences)?;
        let of_length = |length: usize| match self {
            Self::TokenMean => 1.0 / denominator.tokens as f64,
            Self::SequenceMean => 1.0 / (denominator.sequences as f64 * length as f64),
            Self::SequenceSum => 1.0 / denominator.sequences as f64,
            Self::Constant(tokens) => 1.0 / (denominator.sequences as f64 * tokens.get() as f64),
        };
        Ok(sequences.iter().flat_map(|range| range.clone().map(move |_| of_length(range.len()))).collect())
    }
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "a list of one sequence")]
mod tests {
    use super::*;

    #[test]
    fn weighs_by_the_whole_batch() {
        let sequences = [0..1, 1..1, 1..4];
        let all = Denominator::of([1, 0, 3, 4]);
        assert_eq!(all, Denominator { tokens: 8, sequences: 3 });
        let weights = |aggregation: Aggregation| aggregation.weights(&sequences, all).unwrap();
        assert_eq!(weights(Aggregation::TokenMean), [0.125; 4]);
        assert_eq!(weights(Aggregation::SequenceMean), [1.0 / 3.0, 1.0 / 9.0, 1.0 / 9.0, 1.0 / 9.0]);
        assert_eq!(weights(Aggregation::SequenceSum), [1.0 / 3.0; 4]);
        assert_eq!(weights(Aggregation::Constant(NonZero::new(10).unwrap())), [1.0 / 30.0; 4]);
    }

    #[test]
    fn refuses_holes_and_denominators_of_a_part() {
        let all = Denominator::of([3, 3]);
        let refused =
            |sequences: &[Range<usize>], all| Aggregation::TokenMean.weights(sequences, all).unwrap_err().to_string();
        assert!(refused(&[0..2, 3..4], all).contains("does not follow token 2"));
        assert!(refused(&[0..2, 1..4], all).contains("does not follow token 2"));
        assert!(refused(&[1..2], all).contains("does not follow token 0"));
        assert!(refused(&[0..7], all).contains("7 tokens in this micro-batch"));
        assert!(refused(&[0..1, 1..2, 2..3], all).contains("3 sequences in this micro-batch"));
        #[expect(clippy::reversed_empty_ranges, reason = "what is refused")]
        let reversed = [0..2, 2..1];
        assert!(refused(&reversed, all).contains("does not follow"));
    }
}
