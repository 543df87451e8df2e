//! [`Draw`]: numbers one after another from a keyed stream.

use nn::Stream;

/// What numbers are drawn for: each purpose has its own.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Names,
    Facts,
    Split,
    Copying,
    Demonstrations,
    Weights,
    Reading,
    Wording,
    Retelling,
}

/// A sequence of random numbers.
#[derive(Debug)]
pub(crate) struct Draw {
    stream: Stream,
    at: u32,
}

impl Draw {
    /// The numbers of one purpose and part.
    pub(crate) fn new(seed: u64, purpose: Purpose, part: u32) -> Self {
        Self { stream: Stream { seed, step: purpose as u32, prompt: part, sample: 0 }, at: 0 }
    }

    /// The next 128 bits.
    pub(crate) fn words(&mut self) -> [u32; 4] {
        self.at += 1;
        self.stream.words(self.at)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.at += 1;
        (self.stream.uniform(self.at) * end as f64) as usize
    }

    /// Puts `items` in random order.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for place in (1..items.len()).rev() {
            items.swap(place, self.below(place + 1));
        }
    }
}
