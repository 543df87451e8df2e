//! From the rewards of a group of episodes to how much better than the others each was.
//!
//! With R the rewards of one group:
//!
//! | here | formula | from |
//! |---|---|---|
//! | `none` | R - mean | Dr. GRPO (arXiv 2503.20783), the default |
//! | `group` | (R - mean) / (std + 1e-4) | GRPO (arXiv 2402.03300) |
//! | `batch` | (R - mean) / (std of the batch + 1e-4) | arXiv 2508.08221 |
//! | `leave_one_out` | R - mean of the others | RLOO (arXiv 2402.14740) |
//! | `mean` | (R - mean) / mean | MaxRL, for rewards that are never negative |
//!
//! [`advantages_by_term`] scales each term of a reward by itself (GDPO), so that episodes with other
//! mixes but equal sums differ. Standard deviations divide by n - 1.
//!
//! A group without spread teaches nothing and is dropped: its episodes are not trained on and not
//! counted, neither in denominators nor in the statistics of the batch, so that adding such a group
//! changes nothing (TRL keeps them in both). A group of one has no spread, where verl would take its
//! bare reward. A reward of NaN is one that nobody could give, as after a time-out: it takes no part
//! in its group's statistics, and its episode is not trained on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{fault, same_length};
use crate::Result;

/// Added to a standard deviation before it divides.
const EPSILON: f64 = 1e-4;

/// Rewards nearer to each other than this are equal.
const NO_SPREAD: f64 = 1e-8;

/// What a reward less its group's mean is divided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scaling {
    /// Nothing.
    #[default]
    None,
    /// The group's standard deviation.
    Group,
    /// The batch's standard deviation.
    Batch,
    /// Nothing, and the mean is that of the others.
    LeaveOneOut,
    /// The group's mean.
    Mean,
}

/// One advantage an episode, and what was dropped.
#[derive(Clone, Debug, PartialEq)]
pub struct Advantages {
    /// In the order of the rewards; 0 for an episode that is not kept.
    pub values: Vec<f64>,
    /// Whether the episode is trained on.
    pub is_kept: Vec<bool>,
    /// Groups without spread, those with fewer than two rewards among them.
    pub dropped_groups: usize,
    /// Groups there were.
    pub groups: usize,
    /// Episodes whose reward is NaN.
    pub unscored: usize,
}

impl Advantages {
    /// The advantage of each token, where episode `i` has `lengths[i]` of them.
    pub fn per_token(&self, lengths: impl IntoIterator<Item = usize>) -> Vec<f64> {
        self.values.iter().zip(lengths).flat_map(|(value, length)| std::iter::repeat_n(*value, length)).collect()
    }
}

/// Advantages of episodes with these `rewards`, those with the same number in `groups` being
/// answers to one question.
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) if the lengths differ or a reward is infinite.
pub fn advantages(rewards: &[f64], groups: &[usize], scaling: Scaling) -> Result<Advantages> {
    let grouped = Grouped::new(&[rewards], groups)?;
    let mut values = vec![0.0; rewards.len()];
    let batch = Statistics::of(grouped.kept.iter().flatten().map(|at| rewards[*at]));
    let mut dropped = grouped.dropped;
    let mut is_kept = vec![false; rewards.len()];
    for members in &grouped.kept {
        let Statistics { mean, deviation, count } = Statistics::of(members.iter().map(|at| rewards[*at]));
        let scale = match scaling {
            Scaling::None => 1.0,
            Scaling::Group => 1.0 / (deviation + EPSILON),
            Scaling::Batch => 1.0 / (batch.deviation + EPSILON),
            // less the mean of the n - 1 others is this times less the mean of all n
            Scaling::LeaveOneOut => count / (count - 1.0),
            Scaling::Mean if mean > NO_SPREAD => 1.0 / mean,
            Scaling::Mean => {
                dropped += 1;
                continue;
            }
        };
        for at in members {
            values[*at] = (rewards[*at] - mean) * scale;
            is_kept[*at] = true;
        }
    }
    Ok(Advantages { values, is_kept, dropped_groups: dropped, groups: grouped.groups, unscored: grouped.unscored })
}

/// Advantages of episodes with the rewards `terms`, one list a term: each term is centred and scaled
/// within its group, their sum weighted by `weights` within the batch (GDPO, arXiv 2601.05242).
/// A term that is NaN adds nothing; an episode of which all are is unscored. A group is dropped where
/// no term has spread.
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) if the lengths differ, or a reward or a weight is infinite.
pub fn advantages_by_term(terms: &[&[f64]], weights: &[f64], groups: &[usize]) -> Result<Advantages> {
    same_length("weights", weights.len(), terms.len())?;
    if let Some(weight) = weights.iter().find(|weight| !weight.is_finite()) {
        return Err(fault(format!("the weight of a term is {weight}")));
    }
    let grouped = Grouped::new(terms, groups)?;
    let mut values = vec![0.0; groups.len()];
    for members in &grouped.kept {
        for (term, weight) in terms.iter().zip(weights) {
            let scored = || members.iter().filter(|at| !term[**at].is_nan());
            let Statistics { mean, deviation, count } = Statistics::of(scored().map(|at| term[*at]));
            if count > 1.0 {
                scored().for_each(|at| values[*at] += weight * (term[*at] - mean) / (deviation + EPSILON));
            }
        }
    }
    let mut is_kept = vec![false; groups.len()];
    let batch = Statistics::of(grouped.kept.iter().flatten().map(|at| values[*at]));
    for at in grouped.kept.iter().flatten() {
        values[*at] = (values[*at] - batch.mean) / (batch.deviation + EPSILON);
        is_kept[*at] = true;
    }
    Ok(Advantages {
        values,
        is_kept,
        dropped_groups: grouped.dropped,
        groups: grouped.groups,
        unscored: grouped.unscored,
    })
}

/// The scored episodes of each group that has spread.
struct Grouped {
    kept: Vec<Vec<usize>>,
    dropped: usize,
    groups: usize,
    unscored: usize,
}

impl Grouped {
    fn new(terms: &[&[f64]], groups: &[usize]) -> Result<Self> {
        for term in terms {
            same_length("rewards", term.len(), groups.len())?;
            if let Some(at) = term.iter().position(|reward| reward.is_infinite()) {
                return Err(fault(format!("the reward of episode {at} is {}", term[at])));
            }
        }
        let mut by_group = BTreeMap::<usize, Vec<usize>>::new();
        let mut unscored = 0;
        for (at, group) in groups.iter().enumerate() {
            let members = by_group.entry(*group).or_default();
            if terms.iter().all(|term| term[at].is_nan()) {
                unscored += 1;
            } else {
                members.push(at);
            }
        }
        let groups = by_group.len();
        let has_spread = |members: &Vec<usize>| terms.iter().any(|term| spread(members, term) > NO_SPREAD);
        let kept: Vec<_> = by_group.into_values().filter(has_spread).collect();
        Ok(Self { dropped: groups - kept.len(), kept, groups, unscored })
    }
}

fn spread(members: &[usize], term: &[f64]) -> f64 {
    let scored = || members.iter().map(|at| term[*at]).filter(|reward| !reward.is_nan());
    scored().fold(f64::NEG_INFINITY, f64::max) - scored().fold(f64::INFINITY, f64::min)
}

struct Statistics {
    mean: f64,
    deviation: f64,
    count: f64,
}

impl Statistics {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let count = values.clone().count() as f64;
        let mean = values.clone().sum::<f64>() / count;
        let squares: f64 = values.map(|value| (value - mean).powi(2)).sum();
        Self { mean, deviation: (squares / (count - 1.0)).sqrt(), count }
    }
}
