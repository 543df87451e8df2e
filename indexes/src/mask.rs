//! [`Mask`]: which slots of a snapshot may be answered with, as a bit set.

use crate::Slot;

/// A set of slots of one snapshot. Slots at or above `len` are never in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    words: Vec<u64>,
    len: usize,
}

impl Mask {
    /// No slot of a snapshot of `len` slots.
    pub fn empty(len: usize) -> Self {
        Self { words: vec![0; len.div_ceil(64)], len }
    }

    /// Every slot of a snapshot of `len` slots.
    pub fn full(len: usize) -> Self {
        let mut words = vec![u64::MAX; len.div_ceil(64)];
        if let (Some(last), rest @ 1..) = (words.last_mut(), len % 64) {
            *last = (1 << rest) - 1;
        }
        Self { words, len }
    }

    /// How many slots the snapshot has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the snapshot has no slot at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a slot; one that the snapshot does not have is ignored.
    pub fn insert(&mut self, slot: Slot) {
        if (slot as usize) < self.len {
            self.words[slot as usize / 64] |= 1 << (slot % 64);
        }
    }

    /// Takes a slot out.
    pub fn remove(&mut self, slot: Slot) {
        if let Some(word) = self.words.get_mut(slot as usize / 64) {
            *word &= !(1 << (slot % 64));
        }
    }

    /// Whether a slot may be answered with.
    #[inline]
    pub fn contains(&self, slot: Slot) -> bool {
        self.words.get(slot as usize / 64).is_some_and(|word| word >> (slot % 64) & 1 == 1)
    }

    /// The slots from `start`, a multiple of 64, on: 64 to a word, the lowest bit first; nothing beyond the last.
    pub(crate) fn words(&self, start: Slot) -> &[u64] {
        self.words.get(start as usize / 64..).unwrap_or(&[])
    }

    /// How many slots are in it.
    pub fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Keeps what `other` holds too.
    pub fn and(&mut self, other: &Self) {
        for (at, word) in self.words.iter_mut().enumerate() {
            *word &= other.words.get(at).copied().unwrap_or(0);
        }
    }

    /// The slots in it, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Slot> + '_ {
        self.words.iter().enumerate().flat_map(|(at, &word)| {
            std::iter::successors((word != 0).then_some(word), |rest| {
                let rest = rest & (rest - 1);
                (rest != 0).then_some(rest)
            })
            .map(move |rest| at as Slot * 64 + rest.trailing_zeros())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn full_ends_where_the_snapshot_ends() {
        for len in [0, 1, 63, 64, 65, 128, 200] {
            let mask = Mask::full(len);
            assert_eq!(mask.count(), len);
            assert!(!mask.contains(len as Slot));
            assert_eq!(mask.iter().collect::<Vec<_>>(), (0..len as Slot).collect::<Vec<_>>());
        }
    }

    proptest! {
        #[test]
        fn behaves_as_a_set(len in 1_usize..200, ins in prop::collection::vec(0_u32..220, 0..60), outs in prop::collection::vec(0_u32..220, 0..60)) {
            let (mut mask, mut set) = (Mask::empty(len), BTreeSet::new());
            for slot in ins { mask.insert(slot); if (slot as usize) < len { set.insert(slot); } }
            for slot in &outs { mask.remove(*slot); set.remove(slot); }
            prop_assert_eq!(mask.iter().collect::<Vec<_>>(), set.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(mask.count(), set.len());
            prop_assert!((0..250).all(|slot| mask.contains(slot) == set.contains(&slot)));
            let bit = |slot: Slot| mask.words(slot / 64 * 64).first().is_some_and(|word| word >> (slot % 64) & 1 == 1);
            prop_assert!((0..250).all(|slot| bit(slot) == set.contains(&slot)));
            let mut other = Mask::empty(len);
            for slot in &outs { other.insert(*slot); }
            mask.and(&other);
            prop_assert!(mask.iter().all(|slot| other.contains(slot) && set.contains(&slot)));
        }
    }
}
