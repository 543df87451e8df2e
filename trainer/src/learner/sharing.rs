//! [`micro_batches`]: episodes into micro-batches such that those that begin alike are learnt from together.
//!
//! What several samples of a micro-batch begin with goes through the model once ([`nn::Batch::push_sharing`]), so
//! that a group of G answers of R tokens to a prompt of P costs P + G R tokens. Only what is computed counts
//! against the budget. The numbers that come out do not depend on who is together with whom.

use crate::Sample;

/// Puts samples into micro-batches that compute at most `budget` tokens each and learn at most as many; gives
/// the samples of each by number. One that is longer gets a micro-batch of its own. The same samples give the
/// same micro-batches.
pub fn micro_batches(samples: &[&Sample], budget: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..samples.len()).collect();
    order.sort_by_key(|number| &samples[*number].ids);
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let (mut computed, mut learnt) = (0, 0);
    for number in order {
        let sample = samples[number];
        let tokens = sample.tokens();
        // Of those before it in this order, none has more in common with it than the last.
        let last = batches.last().and_then(|batch| batch.last());
        let new = last.map_or(tokens, |last| tokens - common(&samples[*last].ids, &sample.ids));
        (computed, learnt) = (computed + new, learnt + sample.learnt());
        match batches.last_mut() {
            Some(batch) if computed <= budget && learnt <= budget => batch.push(number),
            _ => {
                batches.push(vec![number]);
                (computed, learnt) = (tokens, sample.learnt());
            }
        }
    }
    batches
}

/// How many tokens two sequences begin with alike.
fn common(one: &[u32], other: &[u32]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(ids: &[u32]) -> Sample {
        Sample { ids: ids.to_vec(), mask: (0..ids.len()).map(|at| at > 1).collect() }
    }

    fn split(ids: &[&[u32]], budget: usize) -> Vec<Vec<usize>> {
        let samples: Vec<Sample> = ids.iter().map(|ids| sample(ids)).collect();
        micro_batches(&samples.iter().collect::<Vec<_>>(), budget)
    }

    #[test]
    fn what_begins_alike_goes_together_and_is_paid_for_once() {
        assert_eq!(split(&[], 8), Vec::<Vec<usize>>::new());
        let ids: [&[u32]; 4] = [&[1, 1, 1, 1, 5], &[2, 2, 2, 2, 5], &[1, 1, 1, 1, 6], &[2, 2, 2, 2, 6]];
        assert_eq!(split(&ids, 6), [vec![0, 2], vec![1, 3]]);
        assert_eq!(split(&ids, 12), [vec![0, 2, 1, 3]]);
        assert_eq!(split(&ids, 4), [[0], [2], [1], [3]]);
        // Twins cost nothing more to read, but each of them is learnt from.
        assert_eq!(split(&[&[1, 2, 3, 4], &[1, 2, 3, 4], &[1, 2, 3, 4]], 4), [vec![0, 1], vec![2]]);
    }

    proptest! {
        #[test]
        fn every_sample_is_in_one_micro_batch_within_the_budget(
            ids in prop::collection::vec(prop::collection::vec(0_u32..3, 1..12), 0..40)
        ) {
            let ids: Vec<&[u32]> = ids.iter().map(Vec::as_slice).collect();
            let batches = split(&ids, 12);
            let mut all = batches.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..ids.len()).collect::<Vec<_>>());
            for members in batches {
                let members: Vec<&[u32]> = members.iter().map(|number| ids[*number]).collect();
                let mut batch = nn::Batch::default();
                batch.push_sharing(&members, |_, token| token > 1);
                prop_assert!(batch.tokens() <= 12 && batch.rows() <= 12);
            }
        }
    }
}
