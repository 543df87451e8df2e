//! Sequences as a tree of what they have in common.

use std::ops::Range;

/// Tokens that the same sequences have in common, and no others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Branch {
    /// Which of their tokens.
    pub(super) tokens: Range<usize>,
    /// The branch that ends where this one begins.
    pub(super) parent: Option<usize>,
    /// The sequences, in the order of their ids.
    pub(super) members: Vec<usize>,
}

/// The branches of all sequences, parents before children; the same sequences give the same branches.
/// None is empty.
pub(super) fn branches(sequences: &[&[u32]]) -> Vec<Branch> {
    let mut order: Vec<usize> = (0..sequences.len()).collect();
    order.sort_by_key(|number| sequences[*number]);
    let mut branches: Vec<Branch> = Vec::new();
    // Neighbours that agree in so many tokens, and the branch that these end in.
    let mut open = vec![(0..order.len(), 0, None)];
    while let Some((mut group, start, parent)) = open.pop() {
        // Those that end here are done; sorted, they come first.
        while !group.is_empty() && sequences[order[group.start]].len() == start {
            group.start += 1;
        }
        let Some(last) = group.clone().next_back() else {
            continue;
        };
        let (least, most) = (sequences[order[group.start]], sequences[order[last]]);
        let end = start + least[start..].iter().zip(&most[start..]).take_while(|(one, other)| one == other).count();
        if end > start {
            branches.push(Branch { tokens: start..end, parent, members: order[group.clone()].to_vec() });
            open.push((group, end, Some(branches.len() - 1)));
            continue;
        }
        let children = order[group.clone()].chunk_by(|one, other| sequences[*one][start] == sequences[*other][start]);
        let mut from = group.start;
        let mut parts: Vec<_> = children
            .map(|child| {
                from += child.len();
                (from - child.len()..from, start, parent)
            })
            .collect();
        parts.reverse();
        open.append(&mut parts);
    }
    branches
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn branch(tokens: Range<usize>, parent: Option<usize>, members: &[usize]) -> Branch {
        Branch { tokens, parent, members: members.to_vec() }
    }

    #[test]
    fn what_is_common_stands_once() {
        let found = branches(&[&[1, 2, 3, 4], &[5], &[1, 2, 3, 9, 9], &[1, 2], &[1, 2, 3, 4]]);
        let expected = [
            branch(0..2, None, &[3, 0, 4, 2]),
            branch(2..3, Some(0), &[0, 4, 2]),
            branch(3..4, Some(1), &[0, 4]),
            branch(3..5, Some(1), &[2]),
            branch(0..1, None, &[1]),
        ];
        assert_eq!(found, expected);
        assert_eq!(branches(&[]), []);
        assert_eq!(branches(&[&[], &[]]), []);
    }

    proptest! {
        #[test]
        fn every_sequence_is_the_path_to_its_last_branch(
            all in prop::collection::vec(prop::collection::vec(0_u32..3, 0..9), 0..20)
        ) {
            let sequences: Vec<&[u32]> = all.iter().map(Vec::as_slice).collect();
            let branches = branches(&sequences);
            for (number, sequence) in sequences.iter().enumerate() {
                let own = branches.iter().enumerate().filter(|(_, branch)| branch.members.contains(&number));
                let (mut end, mut before) = (0, None);
                for (place, branch) in own {
                    prop_assert_eq!((branch.tokens.start, branch.parent), (end, before));
                    prop_assert_eq!(&sequence[branch.tokens.clone()], &sequences[branch.members[0]][branch.tokens.clone()]);
                    (end, before) = (branch.tokens.end, Some(place));
                }
                prop_assert_eq!(end, sequence.len());
            }
            // No two branches begin alike in one place.
            for (place, branch) in branches.iter().enumerate() {
                prop_assert!(!branch.tokens.is_empty() && branch.parent.is_none_or(|parent| parent < place));
                let next = |branch: &Branch| sequences[branch.members[0]][branch.tokens.start];
                let twins = branches.iter().filter(|other| other.parent == branch.parent && next(other) == next(branch));
                prop_assert_eq!(twins.count(), 1);
            }
        }
    }
}
