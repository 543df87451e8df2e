//! [`pack`]: sequences into micro-batches of a token budget, best fit first.
//!
//! Best-fit decreasing: the longest sequence goes first, each into the fullest pack that still holds
//! it. Nothing is padded and no sequence sees another, so packing changes the speed and nothing else.

use std::collections::BTreeSet;

/// Puts sequences of these lengths into packs of at most `budget` tokens; gives the sequences of each
/// pack by number, rising. One that is longer than the budget gets a pack of its own. The same lengths
/// give the same packs.
pub fn pack(lengths: &[usize], budget: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|number| (std::cmp::Reverse(lengths[*number]), *number));
    let mut packs: Vec<Vec<usize>> = Vec::new();
    // room left, and the pack
    let mut rooms: BTreeSet<(usize, usize)> = BTreeSet::new();
    for number in order {
        let length = lengths[number];
        let (room, at) = rooms.range((length, 0)..).next().copied().unwrap_or_else(|| {
            packs.push(Vec::new());
            (budget.max(length), packs.len() - 1)
        });
        rooms.remove(&(room, at));
        rooms.insert((room - length, at));
        packs[at].push(number);
    }
    for pack in &mut packs {
        pack.sort_unstable();
    }
    packs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_fullest_pack_that_holds_a_sequence_gets_it() {
        assert_eq!(pack(&[], 8), Vec::<Vec<usize>>::new());
        assert_eq!(pack(&[3, 5, 4, 2, 2], 8), [vec![0, 1], vec![2, 3, 4]]);
        assert_eq!(pack(&[9, 1], 8), [vec![0], vec![1]]);
        assert_eq!(pack(&[4, 4, 4], 8), [vec![0, 1], vec![2]]);
    }

    proptest! {
        #[test]
        fn every_sequence_is_in_one_pack_within_the_budget(lengths in prop::collection::vec(1_usize..40, 0..60)) {
            let packs = pack(&lengths, 40);
            let mut all: Vec<usize> = packs.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..lengths.len()).collect::<Vec<_>>());
            let of = |pack: &Vec<usize>| pack.iter().map(|number| lengths[*number]).sum::<usize>();
            let sums: Vec<usize> = packs.iter().map(of).collect();
            prop_assert!(sums.iter().all(|sum| *sum <= 40));
            // No two packs would go into one.
            for (at, sum) in sums.iter().enumerate() {
                prop_assert!(sums[at + 1..].iter().all(|other| sum + other > 40));
            }
        }
    }
}
