//! Fusion: two ranked lists to one, each score explained.
//!
//! Min-max: each list's scores are scaled to [0, 1] over that list, then
//! `(1 - w) * lexical + w * vector` (Bruch, Gai and Ingber 2023). Reciprocal rank:
//! `1 / (60 + rank)`, summed (Cormack, Clarke and Buettcher 2009). A chunk that a list lacks gets
//! nothing from it. Ties go to the lower slot, so that equal inputs give equal lists.

use std::collections::HashMap;

use indexes::{Scored, Slot};

use crate::{Arm, Contribution, Fusion};

/// The constant of reciprocal rank fusion.
pub const RRF_K: f64 = 60.0;

/// A slot with its fused score and where that came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Fused {
    /// Place in the snapshot.
    pub slot: Slot,
    /// Sum of the contributions' values.
    pub score: f64,
    /// One for each list that had the slot, lexical first.
    pub contributions: Vec<Contribution>,
}

/// Fuses two lists, each best first. `vector_weight` in [0, 1] is the vector arm's share under
/// min-max; reciprocal rank weighs both arms alike.
pub fn fuse(lexical: &[Scored], vector: &[Scored], fusion: Fusion, vector_weight: f64) -> Vec<Fused> {
    let weights = match fusion {
        Fusion::MinMax => [1.0 - vector_weight, vector_weight],
        Fusion::Rrf => [1.0, 1.0],
    };
    let mut places: HashMap<Slot, usize> = HashMap::with_capacity(lexical.len() + vector.len());
    let mut fused: Vec<Fused> = Vec::with_capacity(lexical.len() + vector.len());
    for ((arm, list), weight) in [(Arm::Lexical, lexical), (Arm::Vector, vector)].into_iter().zip(weights) {
        let scale = Scale::over(list);
        for (index, scored) in list.iter().enumerate() {
            let rank = index + 1;
            let scaled = match fusion {
                Fusion::MinMax => scale.apply(scored.score),
                Fusion::Rrf => 1.0 / (RRF_K + rank as f64),
            };
            let value = weight * scaled;
            let place = *places.entry(scored.slot).or_insert_with(|| {
                fused.push(Fused { slot: scored.slot, score: 0.0, contributions: Vec::with_capacity(2) });
                fused.len() - 1
            });
            fused[place].score += value;
            fused[place].contributions.push(Contribution { arm, rank, raw: scored.score, scaled, weight, value });
        }
    }
    fused.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.slot.cmp(&b.slot)));
    fused
}

/// One list as it is: the raw score is the score.
pub fn single(arm: Arm, list: &[Scored]) -> Vec<Fused> {
    let explain = |(index, scored): (usize, &Scored)| {
        let score = f64::from(scored.score);
        let contribution =
            Contribution { arm, rank: index + 1, raw: scored.score, scaled: score, weight: 1.0, value: score };
        Fused { slot: scored.slot, score, contributions: vec![contribution] }
    };
    list.iter().enumerate().map(explain).collect()
}

/// The range of a list's scores.
struct Scale {
    low: f32,
    span: f32,
}

impl Scale {
    fn over(list: &[Scored]) -> Self {
        let scores = list.iter().map(|scored| scored.score);
        let low = scores.clone().fold(f32::INFINITY, f32::min);
        let high = scores.fold(f32::NEG_INFINITY, f32::max);
        Self { low, span: high - low }
    }

    /// A list whose scores are all alike says "found" of each: 1.
    fn apply(&self, score: f32) -> f64 {
        if self.span > 0.0 { f64::from((score - self.low) / self.span) } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(scores: &[(Slot, f32)]) -> Vec<Scored> {
        scores.iter().map(|&(slot, score)| Scored { slot, score }).collect()
    }

    #[test]
    fn min_max_by_hand() {
        let fused = fuse(&list(&[(1, 10.0), (2, 6.0), (3, 2.0)]), &list(&[(2, 0.9), (4, 0.1)]), Fusion::MinMax, 0.5);
        let scores: Vec<_> = fused.iter().map(|f| (f.slot, f.score)).collect();
        // slot 2: 0.5 * 0.5 + 0.5 * 1.0; slot 1: 0.5 * 1.0; 3 and 4: the low ends
        assert_eq!(scores, [(2, 0.75), (1, 0.5), (3, 0.0), (4, 0.0)]);
    }

    #[test]
    fn reciprocal_rank_by_hand() {
        let fused = fuse(&list(&[(1, 3.0), (2, 2.0)]), &list(&[(2, 0.5)]), Fusion::Rrf, 0.9);
        assert_eq!(fused[0].slot, 2);
        assert!((fused[0].score - (1.0 / 62.0 + 1.0 / 61.0)).abs() < 1e-12);
        assert!((fused[1].score - 1.0 / 61.0).abs() < 1e-12);
    }

    #[test]
    fn a_list_of_equals_still_counts() {
        let fused = fuse(&list(&[(7, 3.0)]), &[], Fusion::MinMax, 0.3);
        assert!((fused[0].score - 0.7).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn scores_are_their_contributions_and_order_is_total(
            a in prop::collection::btree_map(0_u32..50, 0.0_f32..20.0, 0..30),
            b in prop::collection::btree_map(0_u32..50, -1.0_f32..1.0, 0..30),
            weight in 0.0_f64..=1.0,
            rrf in any::<bool>(),
        ) {
            let ranked = |map: std::collections::BTreeMap<u32, f32>| {
                let mut list: Vec<_> = map.into_iter().map(|(slot, score)| Scored { slot, score }).collect();
                list.sort_by(|x, y| y.score.total_cmp(&x.score).then(x.slot.cmp(&y.slot)));
                list
            };
            let fusion = if rrf { Fusion::Rrf } else { Fusion::MinMax };
            let (a, b) = (ranked(a), ranked(b));
            let fused = fuse(&a, &b, fusion, weight);
            for pair in fused.windows(2) {
                prop_assert!(pair[0].score > pair[1].score || (pair[0].score == pair[1].score && pair[0].slot < pair[1].slot));
            }
            for f in &fused {
                let sum: f64 = f.contributions.iter().map(|c| c.value).sum();
                prop_assert!((sum - f.score).abs() < 1e-12);
            }
        }

        #[test]
        fn rising_in_one_list_never_lowers_the_score(position in 1_usize..20) {
            let lexical: Vec<_> = (0..20).map(|slot| Scored { slot, score: 20.0 - slot as f32 }).collect();
            let mut better = lexical.clone();
            let slot = better[position].slot;
            better[position].slot = better[position - 1].slot;
            better[position - 1].slot = slot;
            for fusion in [Fusion::MinMax, Fusion::Rrf] {
                let score = |list: &[Scored]| fuse(list, &[], fusion, 0.4).iter().find(|f| f.slot == slot).unwrap().score;
                prop_assert!(score(&better) > score(&lexical));
            }
        }
    }
}
