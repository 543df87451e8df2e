//! The passages of a home: whether those are there that questions are about, and a sample to learn from.

use std::collections::BTreeSet;

use corpus::store::ChunkInContext;

use super::{Size, Trial};
use crate::home::Home;
use crate::{Error, Result};

/// Passages that a vocabulary and lessons are made of.
const SAMPLE: u64 = 12_000;

/// Refuses a home that lacks most of the passages that hold the answers.
pub(super) fn check<'a>(home: &Home, size: &Size, trials: impl Iterator<Item = &'a Trial>) -> Result<()> {
    let wanted: BTreeSet<_> = trials.flat_map(Trial::passages).collect();
    let store = home.store()?;
    let mut missing = 0;
    for key in &wanted {
        missing +=
            usize::from(store.resolve(key).map_err(retriever::Error::from).map_err(agent::Error::from)?.is_empty());
    }
    if missing * 2 <= wanted.len() {
        return Ok(());
    }
    Err(Error::Input(format!(
        "{missing} of the {} passages that hold the answers of {} are not in {}: add them with `anamnesis corpus add` and run `anamnesis index build`",
        wanted.len(),
        size.trials.display(),
        size.home.display()
    )))
}

/// Passages from all over the home, in a fixed order; none of a report that is measured by.
pub(super) fn sample(home: &Home, heldout: &[&Trial]) -> Result<Vec<ChunkInContext>> {
    let report = |key: &str| key.split('#').next().unwrap_or_default().to_owned();
    let kept_back: BTreeSet<_> = heldout.iter().flat_map(|trial| trial.passages()).map(report).collect();
    home.sample(SAMPLE, &|key| !kept_back.contains(&report(key)))
}
