//! Invented names of three syllables, no two of a seed alike.
//!
//! A name is a number of 18 bits, six to a syllable. Numbers go through a permutation that the seed
//! decides, so that editions take disjoint ranges of them and yet look alike.

use crate::draw::{Draw, Purpose};

/// Names that one edition has.
pub(super) const PER_EDITION: usize = 1 << 10;
/// Editions of one seed.
pub(super) const EDITIONS: u32 = 1 << 8;

const BITS: u32 = 18;
const CONSONANTS: [&str; 16] = ["b", "d", "f", "g", "h", "j", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z"];
const VOWELS: [&str; 4] = ["a", "e", "i", "o"];

/// The syllables that names are made of.
pub(super) fn syllables() -> impl Iterator<Item = String> {
    CONSONANTS.iter().flat_map(|consonant| VOWELS.iter().map(move |vowel| format!("{consonant}{vowel}")))
}

/// The names of one edition, without end of their kind.
#[derive(Debug)]
pub(super) struct Names {
    /// A factor and a summand for each round.
    rounds: [(u32, u32); 2],
    next: u32,
}

impl Names {
    pub(super) fn new(seed: u64, edition: u32) -> Self {
        let [a, b, c, d] = Draw::new(seed, Purpose::Names, 0).words();
        Self { rounds: [(a | 1, b), (c | 1, d)], next: edition * PER_EDITION as u32 }
    }

    /// The next name. An edition must not take more than [`PER_EDITION`].
    pub(super) fn next(&mut self) -> String {
        let number = self.permuted(self.next);
        self.next += 1;
        let parts = (0..BITS / 6).map(|syllable| (number >> (6 * syllable) & 63) as usize);
        parts.flat_map(|part| [CONSONANTS[part / 4], VOWELS[part % 4]]).collect()
    }

    /// Each step can be undone: odd factors have inverses, and a shift by half the bits leaves the upper
    /// half as it was.
    fn permuted(&self, mut number: u32) -> u32 {
        for (factor, summand) in self.rounds {
            number = number.wrapping_mul(factor).wrapping_add(summand) & ((1 << BITS) - 1);
            number ^= number >> (BITS / 2);
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_editions_share_a_name() {
        for seed in [0, 1, 77] {
            let mut seen = BTreeSet::new();
            for edition in (0..EDITIONS).step_by(5) {
                let mut names = Names::new(seed, edition);
                assert!((0..PER_EDITION).all(|_| seen.insert(names.next())), "edition {edition} of {seed}");
            }
            assert!(seen.iter().all(|name| name.len() == 6 && name.is_ascii()));
        }
        assert_ne!(Names::new(1, 0).next(), Names::new(2, 0).next());
    }
}
