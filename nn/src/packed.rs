//! [`Packed`]: sequences of different lengths laid end to end, without padding.

use std::ops::Range;

/// A batch of token sequences. Token `t` of the batch is row `t` of every tensor computed from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    ids: Vec<u32>,
    types: Vec<u32>,
    ends: Vec<usize>,
}

impl Packed {
    /// Appends a sequence of segment 0.
    pub fn push(&mut self, ids: &[u32]) {
        self.ids.extend_from_slice(ids);
        self.types.resize(self.ids.len(), 0);
        self.ends.push(self.ids.len());
    }

    /// Appends a sequence whose token `i` is of segment `types[i]`; a token without one is of 0.
    pub fn push_typed(&mut self, ids: &[u32], types: &[u32]) {
        self.ids.extend_from_slice(ids);
        self.types.extend(types.iter().take(ids.len()));
        self.types.resize(self.ids.len(), 0);
        self.ends.push(self.ids.len());
    }

    /// Token ids, (T).
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Segments, (T).
    pub fn types(&self) -> &[u32] {
        &self.types
    }

    /// The rows of each sequence, in the order they were pushed.
    pub fn sequences(&self) -> impl ExactSizeIterator<Item = Range<usize>> + '_ {
        let start = |sequence: usize| {
            if sequence == 0 { 0 } else { self.ends[sequence - 1] }
        };
        self.ends.iter().enumerate().map(move |(sequence, end)| start(sequence)..*end)
    }

    /// Empties the batch, keeping its memory.
    pub fn clear(&mut self) {
        self.ids.clear();
        self.types.clear();
        self.ends.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_lie_end_to_end() {
        let mut batch = Packed::default();
        batch.push(&[1, 2, 3]);
        batch.push(&[]);
        batch.push_typed(&[4, 5], &[0, 1]);
        assert_eq!(batch.sequences().collect::<Vec<_>>(), [0..3, 3..3, 3..5]);
        assert_eq!(batch.ids(), [1, 2, 3, 4, 5]);
        assert_eq!(batch.types(), [0, 0, 0, 0, 1]);
        batch.clear();
        assert_eq!(batch, Packed::default());
    }
}
