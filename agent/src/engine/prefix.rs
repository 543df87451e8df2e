//! [`Prefix`]: which blocks hold which tokens, so that nothing is computed twice.
//!
//! A tree: the path from the root to a block spells the tokens before it. Full blocks are shared by
//! whoever begins with their path. A block that agrees only in part is copied, so that sharing is
//! exact to the token. Blocks that no sequence holds stay, until they are needed: then the one
//! longest unused goes first, and never before those that follow it on its path.
//!
//! Every block of a [`Table`] whose tokens are all computed is in the tree, and its predecessors on
//! the path are the table's: whoever holds a block holds its path. So a block that nobody holds is
//! followed only by such, and all of these can be had again.

use std::collections::BTreeSet;

use nn::{BLOCK, BlockId};

use super::blocks::Blocks;

/// Where the tokens of one sequence lie.
#[derive(Debug, Default)]
pub(super) struct Table {
    blocks: Vec<BlockId>,
    /// So many of the leading blocks are full and in the tree.
    full: usize,
}

/// What of a sequence is in the cache already.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Match {
    /// Full blocks, from the first on.
    pub(super) blocks: Vec<BlockId>,
    /// A block of which so many leading tokens come next.
    pub(super) partial: Option<(BlockId, usize)>,
}

/// The blocks and their tokens.
#[derive(Debug)]
pub(super) struct Prefix {
    blocks: Blocks,
    nodes: Vec<Node>,
    /// Token `t` of block `b` is at `b * BLOCK + t`.
    tokens: Vec<u32>,
    /// First blocks of paths.
    roots: Vec<BlockId>,
    /// Blocks of the tree that nobody holds and nothing follows, by when they were last held.
    leaves: BTreeSet<(u64, BlockId)>,
    /// Blocks of the tree that nobody holds.
    idle: usize,
    clock: u64,
    evictions: u64,
}

/// A block's place in the tree; of no meaning while `length` is zero.
#[derive(Clone, Debug, Default)]
struct Node {
    parent: Option<BlockId>,
    children: Vec<BlockId>,
    /// Tokens that are known; zero for a block outside the tree.
    length: usize,
    /// When it was last held.
    held: u64,
}

impl Match {
    /// Tokens in the cache.
    pub(super) fn tokens(&self) -> usize {
        self.blocks.len() * BLOCK + self.partial.map_or(0, |(_, tokens)| tokens)
    }
}

impl Table {
    /// The blocks, 32 tokens each.
    pub(super) fn blocks(&self) -> &[BlockId] {
        &self.blocks
    }

    /// How many tokens there is room for.
    pub(super) fn capacity(&self) -> usize {
        self.blocks.len() * BLOCK
    }

    /// The block before the one at `place`.
    fn before(&self, place: usize) -> Option<BlockId> {
        place.checked_sub(1).map(|place| self.blocks[place])
    }
}

impl Prefix {
    /// A tree over `count` free blocks.
    pub(super) fn new(count: usize) -> Self {
        Self {
            blocks: Blocks::new(count),
            nodes: vec![Node::default(); count],
            tokens: vec![0; count * BLOCK],
            roots: Vec::new(),
            leaves: BTreeSet::new(),
            idle: 0,
            clock: 0,
            evictions: 0,
        }
    }

    /// The blocks' holders.
    pub(super) fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    /// How many cached blocks were given to somebody else.
    pub(super) fn evictions(&self) -> u64 {
        self.evictions
    }

    /// How many blocks can be had: free ones, and those kept that nobody holds.
    pub(super) fn available(&self) -> usize {
        self.blocks.free() + self.idle
    }

    /// The longest beginning of `ids` that is in the cache.
    pub(super) fn find(&self, ids: &[u32]) -> Match {
        let mut found = Match::default();
        loop {
            let rest = &ids[found.blocks.len() * BLOCK..];
            let mut best = None;
            for block in self.children(found.blocks.last().copied()) {
                let common = common(self.known(*block), rest);
                if common > best.map_or(0, |(_, tokens)| tokens) {
                    best = Some((*block, common));
                }
            }
            match best {
                Some((block, BLOCK)) => found.blocks.push(block),
                partial => {
                    found.partial = partial;
                    return found;
                }
            }
        }
    }

    /// How many blocks fewer there would be to be had if somebody held the full ones of `found`.
    pub(super) fn idle_among(&self, found: &Match) -> usize {
        found.blocks.iter().filter(|block| self.blocks.is_idle(**block)).count()
    }

    /// A table that begins with what was found. Its partial block is taken as it is where nobody
    /// else needs it, and otherwise a new block that the caller must copy it to: given as (from,
    /// to). `None` when there is no block to copy to.
    pub(super) fn hold(&mut self, found: &Match) -> Option<(Table, Option<(BlockId, BlockId)>)> {
        for block in &found.blocks {
            self.hold_block(*block);
        }
        let mut table = Table { blocks: found.blocks.clone(), full: found.blocks.len() };
        let Some((block, tokens)) = found.partial else {
            return Some((table, None));
        };
        if self.blocks.is_idle(block) && self.nodes[block as usize].length == tokens && tokens < BLOCK {
            self.hold_block(block);
            table.blocks.push(block);
            return Some((table, None));
        }
        if !self.grow(&mut table) {
            self.release(table);
            return None;
        }
        let to = *table.blocks.last()?;
        Some((table, (block != to).then_some((block, to))))
    }

    /// Gives `table` one more block, from those free or those longest unused; false when all are held.
    pub(super) fn grow(&mut self, table: &mut Table) -> bool {
        let block = self.blocks.take().or_else(|| self.evict());
        if let Some(block) = block {
            self.blocks.hold(block);
            table.blocks.push(block);
        }
        block.is_some()
    }

    /// Takes note that the first `computed` of `ids` are computed. A block whose tokens another
    /// block holds after the same path is given back, and the other one shared.
    pub(super) fn commit(&mut self, table: &mut Table, ids: &[u32], computed: usize) {
        while table.full < computed / BLOCK {
            let place = table.full;
            let tokens = &ids[place * BLOCK..(place + 1) * BLOCK];
            let (parent, own) = (table.before(place), table.blocks[place]);
            let same = |block: &&BlockId| **block != own && self.known(**block) == tokens;
            if let Some(twin) = self.children(parent).iter().find(same).copied() {
                self.hold_block(twin);
                table.blocks[place] = twin;
                self.detach(own);
                self.blocks.release(own);
                self.blocks.put(own);
            } else {
                self.learn(own, parent, tokens);
            }
            table.full += 1;
        }
        let rest = &ids[table.full * BLOCK..computed];
        if !rest.is_empty() {
            let (parent, own) = (table.before(table.full), table.blocks[table.full]);
            let covered = |block: &BlockId| *block != own && self.known(*block).starts_with(rest);
            if !self.children(parent).iter().any(covered) {
                self.learn(own, parent, rest);
            }
        }
    }

    /// Gives up the blocks of a table. Those in the tree stay until they are needed.
    pub(super) fn release(&mut self, table: Table) {
        self.clock += 1;
        for block in table.blocks.into_iter().rev() {
            if !self.blocks.release(block) {
                continue;
            }
            let node = &mut self.nodes[block as usize];
            if node.length == 0 {
                self.blocks.put(block);
                continue;
            }
            node.held = self.clock;
            self.idle += 1;
            if node.children.is_empty() {
                self.leaves.insert((self.clock, block));
            }
        }
    }

    /// Frees every block that nobody holds.
    pub(super) fn forget(&mut self) {
        let evictions = self.evictions;
        while let Some(block) = self.evict() {
            self.blocks.put(block);
        }
        self.evictions = evictions;
    }

    fn children(&self, parent: Option<BlockId>) -> &[BlockId] {
        parent.map_or(&self.roots, |parent| &self.nodes[parent as usize].children)
    }

    fn known(&self, block: BlockId) -> &[u32] {
        let first = block as usize * BLOCK;
        &self.tokens[first..first + self.nodes[block as usize].length]
    }

    fn hold_block(&mut self, block: BlockId) {
        if self.blocks.is_idle(block) {
            self.idle -= 1;
            self.leaves.remove(&(self.nodes[block as usize].held, block));
        }
        self.blocks.hold(block);
    }

    /// Puts a held block into the tree, or tells more of its tokens.
    fn learn(&mut self, block: BlockId, parent: Option<BlockId>, tokens: &[u32]) {
        let node = &mut self.nodes[block as usize];
        let new = node.length == 0;
        node.length = tokens.len();
        let first = block as usize * BLOCK;
        self.tokens[first..first + tokens.len()].copy_from_slice(tokens);
        if new {
            self.nodes[block as usize].parent = parent;
            self.siblings(parent).push(block);
        }
    }

    /// Takes a block that nothing follows out of the tree, if it is in it.
    fn detach(&mut self, block: BlockId) {
        let node = std::mem::take(&mut self.nodes[block as usize]);
        debug_assert!(node.children.is_empty(), "block {block} is followed by others");
        if node.length > 0 {
            self.siblings(node.parent).retain(|sibling| *sibling != block);
        }
    }

    fn siblings(&mut self, parent: Option<BlockId>) -> &mut Vec<BlockId> {
        match parent {
            Some(parent) => &mut self.nodes[parent as usize].children,
            None => &mut self.roots,
        }
    }

    /// The block longest unused of those that nothing follows, out of the tree.
    fn evict(&mut self) -> Option<BlockId> {
        let (_, block) = self.leaves.pop_first()?;
        let parent = self.nodes[block as usize].parent;
        self.detach(block);
        self.idle -= 1;
        self.evictions += 1;
        if let Some(parent) = parent {
            let node = &self.nodes[parent as usize];
            if node.children.is_empty() && self.blocks.is_idle(parent) {
                self.leaves.insert((node.held, parent));
            }
        }
        Some(block)
    }
}

/// How many leading tokens two sequences share.
pub(super) fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests;
