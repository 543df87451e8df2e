//! Advantages: what shifts, permutations, missing rewards and groups without spread do to them.

use proptest::prelude::*;
use trainer::objective::{Scaling, advantages, advantages_by_term};

use crate::assert_close;

const ALL: [Scaling; 5] = [Scaling::None, Scaling::Group, Scaling::Batch, Scaling::LeaveOneOut, Scaling::Mean];

#[test]
fn a_worked_group() {
    let rewards = [1.0, 0.0, 0.0, 1.0, 0.0, 4.0];
    let groups = [7, 7, 7, 7, 2, 2];
    let of = |scaling| advantages(&rewards, &groups, scaling).unwrap().values;
    assert_close("none", &of(Scaling::None), &[0.5, -0.5, -0.5, 0.5, -2.0, 2.0], 1e-12);
    let (four, two, six) = ((1.0_f64 / 3.0).sqrt() + 1e-4, 8.0_f64.sqrt() + 1e-4, 2.4_f64.sqrt() + 1e-4);
    let group = [0.5 / four, -0.5 / four, -0.5 / four, 0.5 / four, -2.0 / two, 2.0 / two];
    assert_close("group", &of(Scaling::Group), &group, 1e-12);
    let batch = [0.5, -0.5, -0.5, 0.5, -2.0, 2.0].map(|advantage| advantage / six);
    assert_close("batch", &of(Scaling::Batch), &batch, 1e-12);
    let others = [1.0 - 1.0 / 3.0, -2.0 / 3.0, -2.0 / 3.0, 1.0 - 1.0 / 3.0, -4.0, 4.0];
    assert_close("leave one out", &of(Scaling::LeaveOneOut), &others, 1e-12);
    assert_close("mean", &of(Scaling::Mean), &[1.0, -1.0, -1.0, 1.0, -1.0, 1.0], 1e-12);
}

#[test]
fn what_cannot_teach_is_dropped_and_counted() {
    let nan = f64::NAN;
    // spread; none; one reward; one reward that is known; none that is; spread with one missing
    let rewards = [1.0, 0.0, 0.5, 0.5, 3.0, 2.0, nan, nan, nan, 0.0, nan, 2.0];
    let groups = [0, 0, 1, 1, 2, 3, 3, 4, 4, 5, 5, 5];
    for scaling in ALL {
        let found = advantages(&rewards, &groups, scaling).unwrap();
        let kept = [true, true, false, false, false, false, false, false, false, true, false, true];
        assert_eq!(found.is_kept, kept, "{scaling:?}");
        assert_eq!((found.groups, found.dropped_groups, found.unscored), (6, 4, 4));
        for (value, is_kept) in found.values.iter().zip(kept) {
            assert_eq!(*value != 0.0, is_kept, "{scaling:?}");
        }
    }
    let of = |scaling| advantages(&rewards, &groups, scaling).unwrap().values[9..].to_vec();
    assert_close("none", &of(Scaling::None), &[-1.0, 0.0, 1.0], 1e-12);
    assert_close("leave one out", &of(Scaling::LeaveOneOut), &[-2.0, 0.0, 2.0], 1e-12);
    let found = advantages(&[-1.0, 0.5], &[0, 0], Scaling::Mean).unwrap();
    assert_eq!((found.values, found.is_kept, found.dropped_groups), (vec![0.0; 2], vec![false; 2], 1));
    // sums of the same terms in another order are no spread
    assert_eq!(advantages(&[0.1 + 0.2, 0.3], &[0, 0], Scaling::Group).unwrap().dropped_groups, 1);
}

#[test]
fn spreads_over_the_tokens_of_each_episode() {
    let found = advantages(&[1.0, 0.0, 0.0], &[0, 0, 1], Scaling::None).unwrap();
    assert_eq!(found.per_token([2, 1, 3]), [0.5, 0.5, -0.5, 0.0, 0.0, 0.0]);
}

#[test]
fn terms_of_equal_sums_differ_when_each_is_scaled_by_itself() {
    let (rare, common) = ([1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0]);
    let sums: Vec<_> = rare.iter().zip(common).map(|(a, b)| a + b).collect();
    let summed = advantages(&sums, &[0; 4], Scaling::Group).unwrap().values;
    assert_eq!(summed[0], summed[1]);
    let apart = advantages_by_term(&[&rare, &common], &[1.0, 1.0], &[0; 4]).unwrap().values;
    assert!(apart[0] > apart[1] + 0.1, "{apart:?}");
}

#[test]
fn refuses_lengths_and_infinities() {
    let refused =
        |rewards: &[f64], groups: &[usize]| advantages(rewards, groups, Scaling::None).unwrap_err().to_string();
    assert_eq!(refused(&[1.0], &[0, 0]), "1 rewards for 2 values");
    assert_eq!(refused(&[1.0, f64::INFINITY], &[0, 0]), "the reward of episode 1 is inf");
    assert!(advantages_by_term(&[&[1.0]], &[], &[0]).is_err());
    assert!(advantages_by_term(&[&[1.0]], &[f64::NAN], &[0]).is_err());
    assert!(advantages(&[], &[], Scaling::Batch).unwrap().values.is_empty());
    assert!(advantages_by_term(&[], &[], &[]).unwrap().values.is_empty());
}

fn rewards() -> impl Strategy<Value = (Vec<f64>, Vec<usize>)> {
    let reward = prop_oneof![5 => (0..5_u8).prop_map(|x| f64::from(x) / 4.0), 1 => Just(f64::NAN)];
    prop::collection::vec((reward, 0..4_usize), 1..24).prop_map(|episodes| episodes.into_iter().unzip())
}

proptest! {
    #[test]
    fn a_shift_of_all_rewards_changes_nothing((rewards, groups) in rewards(), shift in -8..8_i8) {
        for scaling in [Scaling::None, Scaling::Group, Scaling::Batch, Scaling::LeaveOneOut] {
            let shifted: Vec<_> = rewards.iter().map(|reward| reward + f64::from(shift)).collect();
            let (plain, shifted) =
                (advantages(&rewards, &groups, scaling).unwrap(), advantages(&shifted, &groups, scaling).unwrap());
            assert_close("shifted", &shifted.values, &plain.values, 1e-9);
            prop_assert_eq!(plain.is_kept, shifted.is_kept);
        }
    }

    #[test]
    fn a_permutation_permutes((rewards, groups) in rewards(), turn in 0..24_usize) {
        let turned = |values: &[f64]| { let mut values = values.to_vec(); values.rotate_left(turn % rewards.len()); values };
        let mut turned_groups = groups.clone();
        turned_groups.rotate_left(turn % rewards.len());
        for scaling in ALL {
            let plain = advantages(&rewards, &groups, scaling).unwrap();
            let other = advantages(&turned(&rewards), &turned_groups, scaling).unwrap();
            assert_close("turned", &other.values, &turned(&plain.values), 1e-9);
        }
        let plain = advantages_by_term(&[&rewards], &[0.5], &groups).unwrap();
        let other = advantages_by_term(&[&turned(&rewards)], &[0.5], &turned_groups).unwrap();
        assert_close("turned", &other.values, &turned(&plain.values), 1e-9);
    }

    #[test]
    fn a_group_without_spread_adds_exactly_nothing((rewards, groups) in rewards(), level in 0..5_u8) {
        let mut more = rewards.clone();
        let mut more_groups = groups.clone();
        more.extend([f64::from(level); 3]);
        more_groups.extend([100; 3]);
        for scaling in ALL {
            let plain = advantages(&rewards, &groups, scaling).unwrap();
            let other = advantages(&more, &more_groups, scaling).unwrap();
            prop_assert_eq!(&other.values[..rewards.len()], &plain.values[..]);
            prop_assert_eq!(&other.is_kept[rewards.len()..], &[false; 3][..]);
            prop_assert_eq!(other.dropped_groups, plain.dropped_groups + 1);
        }
        let plain = advantages_by_term(&[&rewards], &[0.5], &groups).unwrap();
        let other = advantages_by_term(&[&more], &[0.5], &more_groups).unwrap();
        prop_assert_eq!(&other.values[..rewards.len()], &plain.values[..]);
    }

    #[test]
    fn those_of_a_group_add_up_to_nothing((rewards, groups) in rewards()) {
        for scaling in ALL {
            let found = advantages(&rewards, &groups, scaling).unwrap();
            for group in 0..4 {
                let sum: f64 = found.values.iter().zip(&groups).filter(|(_, of)| **of == group).map(|(value, _)| value).sum();
                prop_assert!(sum.abs() < 1e-9);
            }
        }
    }
}
