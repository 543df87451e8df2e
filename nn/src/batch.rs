//! [`Batch`]: what one forward pass computes: new tokens of several sequences, end to end, never padded.
//!
//! Sequences that are learnt from together may share their beginnings ([`Batch::push_sharing`]): G answers
//! to a prompt of P tokens are P + G R tokens to compute instead of G (P + R), to the same end
//! (as in PrefixGrouper, arXiv 2506.05433).

mod tree;

use std::ops::Range;

use self::tree::branches;
use crate::kv_cache::{BLOCK, BlockId};
use crate::{DecoderConfig, Error, Result};

/// Of which of a sequence's new tokens the logits are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Of none: the tokens only enter the cache.
    Nothing,
    /// Of the last.
    Last,
    /// Of each.
    All,
}

/// New tokens of several sequences. Row `t` of every tensor computed from a batch is its token `t`.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    ids: Vec<u32>,
    blocks: Vec<BlockId>,
    sequences: Vec<Entry>,
    wanted: Vec<usize>,
}

#[derive(Clone, Debug)]
struct Entry {
    rows: Range<usize>,
    past: usize,
    blocks: Range<usize>,
    parent: Option<usize>,
}

/// One sequence's part of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Sequence<'a> {
    /// The rows of its new tokens.
    pub(crate) rows: Range<usize>,
    /// How many of its tokens the cache holds already.
    pub(crate) past: usize,
    /// Where its tokens lie in the cache, 32 to a block.
    pub(crate) blocks: &'a [BlockId],
    /// The sequence of this batch, by number, whose whole end it goes on from; then `past` tokens are
    /// that one's and those that it goes on from, and not in a cache.
    pub(crate) parent: Option<usize>,
}

impl Batch {
    /// Empties the batch, keeping its memory.
    pub fn clear(&mut self) {
        self.ids.clear();
        self.blocks.clear();
        self.sequences.clear();
        self.wanted.clear();
    }

    /// Appends new tokens of a sequence of which `past` are in the cache. `blocks` are the places of
    /// all its tokens, the new ones too, 32 to a block; a pass without a cache needs none.
    pub fn push(&mut self, ids: &[u32], past: usize, blocks: &[BlockId], wanted: Wanted) {
        let rows = self.ids.len()..self.ids.len() + ids.len();
        match wanted {
            Wanted::Nothing => {}
            Wanted::Last => self.wanted.extend(rows.clone().next_back()),
            Wanted::All => self.wanted.extend(rows.clone()),
        }
        self.ids.extend_from_slice(ids);
        let places = self.blocks.len()..self.blocks.len() + blocks.len();
        self.blocks.extend_from_slice(blocks);
        self.sequences.push(Entry { rows, past, blocks: places, parent: None });
    }

    /// Appends a whole sequence for a pass without a cache; of token `t`, the logits are wanted where
    /// `wants(t)` says so.
    pub fn push_wanting(&mut self, ids: &[u32], wants: impl Fn(usize) -> bool) {
        let first = self.ids.len();
        self.push(ids, 0, &[], Wanted::Nothing);
        self.wanted.extend((0..ids.len()).filter(|token| wants(*token)).map(|token| first + token));
    }

    /// Appends whole sequences for a pass without a cache, each beginning that several have in common
    /// computed once. Of token `t` of sequence `s`, the logits are wanted where `wants(s, t)` says so;
    /// their rows come as if the sequences had been pushed one after another.
    pub fn push_sharing(&mut self, sequences: &[&[u32]], wants: impl Fn(usize, usize) -> bool) {
        let first = self.sequences.len();
        // For each sequence, the branches that it is made of.
        let mut paths = vec![Vec::new(); sequences.len()];
        for branch in branches(sequences) {
            let rows = self.ids.len()..self.ids.len() + branch.tokens.len();
            self.ids.extend_from_slice(&sequences[branch.members[0]][branch.tokens.clone()]);
            for member in &branch.members {
                paths[*member].push((branch.tokens.clone(), rows.start));
            }
            let (past, blocks) = (branch.tokens.start, self.blocks.len()..self.blocks.len());
            self.sequences.push(Entry { rows, past, blocks, parent: branch.parent.map(|parent| first + parent) });
        }
        for (number, path) in paths.iter().enumerate() {
            for (tokens, row) in path {
                let wanted = tokens.clone().filter(|token| wants(number, *token));
                self.wanted.extend(wanted.map(|token| row + token - tokens.start));
            }
        }
    }

    /// T, the number of new tokens.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// The number of rows of logits.
    pub fn rows(&self) -> usize {
        self.wanted.len()
    }

    /// Token ids, (T).
    pub(crate) fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The rows whose logits are wanted: rising, except that sequences which share a beginning may come
    /// back to a row.
    pub(crate) fn wanted(&self) -> &[usize] {
        &self.wanted
    }

    /// Whether the logits of every row are wanted, in the order of the rows.
    pub(crate) fn wants_all(&self) -> bool {
        self.rows() == self.tokens() && self.wanted.iter().copied().eq(0..self.tokens())
    }

    /// The sequences, in the order they were pushed.
    pub(crate) fn sequences(&self) -> impl ExactSizeIterator<Item = Sequence<'_>> + Clone {
        self.sequences.iter().map(|sequence| Sequence {
            rows: sequence.rows.clone(),
            past: sequence.past,
            blocks: &self.blocks[sequence.blocks.clone()],
            parent: sequence.parent,
        })
    }

    /// The position of each token in its sequence, (T).
    pub(crate) fn positions(&self) -> impl Iterator<Item = usize> + '_ {
        self.sequences.iter().flat_map(|sequence| (0..sequence.rows.len()).map(|row| sequence.past + row))
    }

    /// Refuses what a decoder of this configuration, with a cache of so many blocks (or none), cannot compute.
    pub(crate) fn check(&self, config: &DecoderConfig, blocks: Option<usize>) -> Result<()> {
        let refuse = |reason: String| Err(Error::Shape(reason));
        if let Some(id) = self.ids.iter().find(|id| **id as usize >= config.vocab_size) {
            return refuse(format!("token {id} is beyond the {} of the vocabulary", config.vocab_size));
        }
        for sequence in self.sequences() {
            let (past, new) = (sequence.past, sequence.rows.len());
            let most = config.max_position_embeddings;
            let length = past.checked_add(new).filter(|length| *length <= most);
            let Some(length) = length else {
                return refuse(format!("{new} tokens after {past} exceed the {most} positions of the model"));
            };
            match blocks {
                Some(_) if sequence.parent.is_some() => {
                    return refuse("sequences that share a beginning are for a pass without a cache".to_owned());
                }
                None if past > 0 && sequence.parent.is_none() => {
                    return refuse(format!("{past} tokens are said to be cached, but this pass has no cache"));
                }
                None => {}
                Some(_) if sequence.blocks.len() < length.div_ceil(BLOCK) => {
                    return refuse(format!("{} blocks cannot hold {length} tokens", sequence.blocks.len()));
                }
                Some(blocks) => {
                    if let Some(id) = sequence.blocks.iter().find(|id| **id as usize >= blocks) {
                        return refuse(format!("block {id} is beyond the {blocks} of the cache"));
                    }
                }
            }
        }
        Ok(())
    }
}
