//! [`Blocks`]: who holds which place of the key-value cache.

use nn::BlockId;

/// Every block is held by so many sequences; one that nobody holds is free, unless the prefix tree
/// keeps it for its tokens.
#[derive(Debug)]
pub(super) struct Blocks {
    holders: Vec<u32>,
    free: Vec<BlockId>,
    held: usize,
    peak: usize,
}

impl Blocks {
    /// `count` blocks, all free.
    pub(super) fn new(count: usize) -> Self {
        Self { holders: vec![0; count], free: (0..count as BlockId).rev().collect(), held: 0, peak: 0 }
    }

    pub(super) fn count(&self) -> usize {
        self.holders.len()
    }

    /// How many are free.
    pub(super) fn free(&self) -> usize {
        self.free.len()
    }

    /// How many are held.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// How many were ever held at once.
    pub(super) fn peak(&self) -> usize {
        self.peak
    }

    /// Whether nobody holds `block`.
    pub(super) fn is_idle(&self, block: BlockId) -> bool {
        self.holders[block as usize] == 0
    }

    /// A free block, which nobody holds yet.
    pub(super) fn take(&mut self) -> Option<BlockId> {
        self.free.pop()
    }

    /// Adds a holder.
    pub(super) fn hold(&mut self, block: BlockId) {
        let holders = &mut self.holders[block as usize];
        *holders += 1;
        if *holders == 1 {
            self.held += 1;
            self.peak = self.peak.max(self.held);
        }
    }

    /// Takes a holder away; true when it was the last.
    pub(super) fn release(&mut self, block: BlockId) -> bool {
        let holders = &mut self.holders[block as usize];
        debug_assert!(*holders > 0, "block {block} is released by nobody");
        *holders -= 1;
        if *holders == 0 {
            self.held -= 1;
        }
        *holders == 0
    }

    /// Gives an idle block back.
    pub(super) fn put(&mut self, block: BlockId) {
        debug_assert!(self.is_idle(block), "block {block} is held");
        self.free.push(block);
    }
}
