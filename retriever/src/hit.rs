//! [`Hit`]: a chunk, its place, and where its score came from.

use std::fmt;

use corpus::{ChunkId, DocumentId};
use serde::{Deserialize, Serialize};

use crate::Arm;

/// A chunk found for a query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    /// The chunk.
    pub chunk: ChunkId,
    /// Its document.
    pub document: DocumentId,
    /// Place in the list, from 1.
    pub rank: usize,
    /// Sum of the contributions' values; comparable within one list only.
    pub score: f64,
    /// What each arm gave. An arm that did not find the chunk gave nothing.
    pub contributions: Vec<Contribution>,
}

/// What one arm gave to a hit: `value = weight * scaled`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contribution {
    /// The arm.
    pub arm: Arm,
    /// The chunk's place in that arm's own list, from 1.
    pub rank: usize,
    /// The arm's own score: BM25, or cosine.
    pub raw: f32,
    /// The raw score (min-max) or rank (reciprocal rank) made comparable.
    pub scaled: f64,
    /// The arm's weight in the fusion.
    pub weight: f64,
    /// What entered the hit's score.
    pub value: f64,
}

impl fmt::Display for Contribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { arm, rank, raw, scaled, weight, value } = self;
        write!(f, "{arm} #{rank} raw {raw:.3} -> {scaled:.4} x {weight:.2} = {value:.4}")
    }
}
