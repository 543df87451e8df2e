//! [`Order`]: which samples make which micro-batch of which epoch.
//!
//! A function of the seed and the epoch alone, so that a cursor of two numbers is all a resumed run needs.

use nn::Stream;

use crate::learner::packing::pack;

/// What the random numbers of an epoch are for.
#[derive(Clone, Copy)]
enum Purpose {
    Samples,
    Packs,
}

/// The order of a data set.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    lengths: Vec<usize>,
    budget: usize,
    seed: u64,
}

impl Order {
    /// The order of samples of these lengths in micro-batches of at most `budget` tokens.
    pub(crate) fn new(lengths: Vec<usize>, budget: usize, seed: u64) -> Self {
        Self { lengths, budget, seed }
    }

    /// The micro-batches of an epoch, each as the numbers of its samples. Every epoch has as many.
    pub(crate) fn epoch(&self, epoch: u64) -> Vec<Vec<usize>> {
        let samples = self.shuffle(self.lengths.len(), epoch, Purpose::Samples);
        let lengths: Vec<usize> = samples.iter().map(|number| self.lengths[*number]).collect();
        let packs = pack(&lengths, self.budget);
        self.shuffle(packs.len(), epoch, Purpose::Packs)
            .into_iter()
            .map(|at| packs[at].iter().map(|place| samples[*place]).collect())
            .collect()
    }

    /// The micro-batch that takes most memory: of most tokens, and among those with the longest sample.
    pub(crate) fn worst(&self) -> Vec<usize> {
        let key = |pack: &Vec<usize>| {
            let lengths = || pack.iter().map(|number| self.lengths[*number]);
            (lengths().sum::<usize>(), lengths().max())
        };
        self.epoch(0).into_iter().max_by_key(key).unwrap_or_default()
    }

    /// Tokens of a micro-batch.
    pub(crate) fn tokens(&self, pack: &[usize]) -> usize {
        pack.iter().map(|number| self.lengths[*number]).sum()
    }

    fn shuffle(&self, count: usize, epoch: u64, purpose: Purpose) -> Vec<usize> {
        // Epochs beyond 2^32 repeat.
        let stream = Stream { seed: self.seed, step: epoch as u32, prompt: u32::MAX, sample: purpose as u32 };
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by_cached_key(|number| (stream.words(*number as u32), *number));
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_holds_every_sample_once_in_another_order() {
        let lengths: Vec<usize> = (0..50).map(|number| 3 + number * 7 % 20).collect();
        let order = Order::new(lengths.clone(), 40, 9);
        let epochs: Vec<_> = (0..4).map(|epoch| order.epoch(epoch)).collect();
        for epoch in &epochs {
            let mut all = epoch.concat();
            all.sort_unstable();
            assert_eq!(all, (0..50).collect::<Vec<_>>());
            assert!(epoch.iter().all(|pack| order.tokens(pack) <= 40));
            assert_eq!(epoch.len(), epochs[0].len());
        }
        assert_ne!(epochs[0], epochs[1]);
        assert_eq!(epochs[1], order.epoch(1));
        assert_ne!(epochs[0], Order::new(lengths, 40, 10).epoch(0));
        assert_eq!(order.tokens(&order.worst()), 40);
    }
}
