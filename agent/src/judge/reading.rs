//! [`Reading`]: a judge for the time of one answer, which reads no pair twice.

use std::cell::RefCell;
use std::collections::HashMap;

use super::{Judge, Pair, Verdict};
use crate::Result;

/// A judge, or nobody, and what it has said of the pairs of one answer: a draft and what came of it share most sentences.
#[derive(Debug)]
pub struct Reading<'a> {
    judge: Option<&'a Judge>,
    /// By the hash of claim and evidence.
    verdicts: RefCell<HashMap<[u8; 32], Verdict>>,
}

impl<'a> Reading<'a> {
    /// By `judge`; by rule alone where there is none.
    pub fn new(judge: Option<&'a Judge>) -> Self {
        Self { judge, verdicts: RefCell::default() }
    }

    /// Whether nobody reads the evidence beside the rules.
    pub fn is_by_rule(&self) -> bool {
        self.judge.is_none()
    }

    /// The verdict on each pair, in order; none without a judge. All that is new is read at once.
    ///
    /// # Errors
    /// Those of the judge.
    pub fn verdicts(&self, pairs: &[Pair<'_>]) -> Result<Vec<Verdict>> {
        let Some(judge) = self.judge else {
            return Ok(Vec::new());
        };
        let keys: Vec<_> = pairs.iter().copied().map(key).collect();
        let mut known = self.verdicts.borrow_mut();
        let mut fresh: Vec<([u8; 32], Pair<'_>)> = Vec::new();
        for (key, pair) in keys.iter().zip(pairs) {
            if !known.contains_key(key) && fresh.iter().all(|(other, _)| other != key) {
                fresh.push((*key, *pair));
            }
        }
        let read = judge.judge(&fresh.iter().map(|(_, pair)| *pair).collect::<Vec<_>>())?;
        known.extend(fresh.into_iter().map(|(key, _)| key).zip(read));
        Ok(keys.iter().filter_map(|key| known.get(key).cloned()).collect())
    }

    /// How many pairs were read.
    #[cfg(test)]
    pub(super) fn read(&self) -> usize {
        self.verdicts.borrow().len()
    }
}

/// The length parts claim and evidence, so that no two pairs run together.
fn key(pair: Pair<'_>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(pair.claim.len() as u64).to_le_bytes());
    *hasher.update(pair.claim.as_bytes()).update(pair.evidence.as_bytes()).finalize().as_bytes()
}
