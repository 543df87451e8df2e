//! The best k of many scored slots: higher score first, equal scores by ascending slot.

use std::cmp::Ordering;

/// Place of a chunk inside one snapshot, from 0; means nothing outside it.
pub type Slot = u32;

/// A slot and what it scored in one arm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// The place in the snapshot.
    pub slot: Slot,
    /// Higher is better: BM25, or the inner product of unit vectors.
    pub score: f32,
}

impl Scored {
    /// Best first; total, so that equal inputs give equal orders.
    pub fn best_first(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(self.slot.cmp(&other.slot))
    }
}

/// Keeps the best k: a buffer of 2k that is cut to k by selection whenever it is full.
#[derive(Debug)]
pub(crate) struct Top {
    buffer: Vec<Scored>,
    k: usize,
    worst: Option<Scored>,
}

impl Top {
    /// Room for the best `k` of at most `of`.
    pub(crate) fn new(k: usize, of: usize) -> Self {
        let k = k.min(of);
        Self { buffer: Vec::with_capacity(2 * k), k, worst: None }
    }

    /// A lower bound that a score must reach to matter, once k have been seen.
    #[inline]
    pub(crate) fn threshold(&self) -> Option<f32> {
        self.worst.map(|worst| worst.score)
    }

    /// Offers one; the order of offers does not matter.
    #[inline]
    pub(crate) fn push(&mut self, slot: Slot, score: f32) {
        let scored = Scored { slot, score };
        if self.worst.is_none_or(|worst| scored.best_first(&worst).is_lt()) && self.k > 0 {
            self.buffer.push(scored);
            if self.buffer.len() >= 2 * self.k {
                self.cut();
            }
        }
    }

    /// Drops all but the best k, so that [`Top::threshold`] is as tight as it can be.
    pub(crate) fn cut(&mut self) {
        let is_due = self.buffer.len() > self.k || self.worst.is_none() && self.buffer.len() == self.k;
        if self.k > 0 && is_due {
            let (_, worst, _) = self.buffer.select_nth_unstable_by(self.k - 1, Scored::best_first);
            self.worst = Some(*worst);
            self.buffer.truncate(self.k);
        }
    }

    /// The best k, best first.
    pub(crate) fn into_sorted(mut self) -> Vec<Scored> {
        self.buffer.sort_unstable_by(Scored::best_first);
        self.buffer.truncate(self.k);
        self.buffer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_sorting_everything(scores in prop::collection::vec(-3_i8..3, 0..120), k in 0_usize..20) {
            let all: Vec<_> = scores.iter().enumerate().map(|(at, &score)| Scored { slot: at as Slot, score: f32::from(score) }).collect();
            let mut top = Top::new(k, all.len());
            for one in all.iter().rev() { top.push(one.slot, one.score); }
            let mut sorted = all;
            sorted.sort_by(Scored::best_first);
            sorted.truncate(k);
            prop_assert_eq!(top.into_sorted(), sorted);
        }
    }
}
