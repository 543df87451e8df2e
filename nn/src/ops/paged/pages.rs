//! [`Pages`]: where one layer's keys and values lie, as panels that the tile multiplies directly.

use std::fmt;
use std::ops::Range;

use super::{BLOCK, Heads};
use crate::ops::split::Split;
use crate::ops::tile::{COLUMNS, Line, Panel};

/// One layer's keys and values in blocks. For each block and key head: a line of 32 tokens for each
/// column of the keys, then, for each 32 columns of the values, a line for each of 32 tokens.
pub(crate) struct Pages {
    lines: Box<[Line]>,
    heads: Heads,
}

/// The lines of one head in one block.
fn lines(heads: Heads) -> usize {
    heads.size + heads.size.div_ceil(COLUMNS) * BLOCK
}

impl Pages {
    /// Room for `blocks` blocks, all zero. The system gives the memory when it is first written.
    pub(crate) fn new(heads: Heads, blocks: usize) -> Self {
        let lines = Box::<[Line]>::new_zeroed_slice(blocks * heads.key * lines(heads));
        #[expect(unsafe_code, reason = "zeroed memory that the system gives page by page")]
        // SAFETY: zeros are values of `f32`.
        let lines = unsafe { lines.assume_init() };
        Self { lines, heads }
    }

    /// Memory of one block.
    pub(crate) fn bytes_per_block(heads: Heads) -> usize {
        heads.key * lines(heads) * size_of::<Line>()
    }

    pub(super) fn heads(&self) -> Heads {
        self.heads
    }

    /// How many blocks there are.
    pub(crate) fn blocks(&self) -> usize {
        self.lines.len() / (self.heads.key * lines(self.heads))
    }

    /// Makes block `to` hold what block `from` holds.
    pub(crate) fn copy(&mut self, from: u32, to: u32) {
        let size = self.heads.key * lines(self.heads);
        let start = from as usize * size;
        self.lines.copy_within(start..start + size, to as usize * size);
    }

    /// The keys of one head in one block, to be followed by those in block `next`.
    pub(super) fn keys(&self, block: u32, next: u32, head: usize) -> Panel<'_> {
        let start = start(self.heads, block, head);
        Panel::full(&self.lines[start..start + self.heads.size]).ahead(self.between(block, next))
    }

    /// The values of one head in one block, 32 columns from `panel * 32`, to be followed by those in
    /// block `next`.
    pub(super) fn values(&self, block: u32, next: u32, head: usize, panel: usize) -> Panel<'_> {
        let start = start(self.heads, block, head) + self.heads.size + panel * BLOCK;
        Panel::full(&self.lines[start..start + BLOCK]).ahead(self.between(block, next))
    }

    /// Lines from one block to another.
    fn between(&self, block: u32, next: u32) -> isize {
        let blocks = i64::from(next) - i64::from(block);
        blocks as isize * (self.heads.key * lines(self.heads)).cast_signed()
    }

    /// For jobs that write different heads.
    pub(super) fn split(&mut self) -> Places<'_> {
        Places { lines: Split::new(&mut self.lines), heads: self.heads }
    }
}

/// Where the lines of one head in one block begin.
fn start(heads: Heads, block: u32, head: usize) -> usize {
    (block as usize * heads.key + head) * lines(heads)
}

/// Pages that several jobs write.
pub(super) struct Places<'a> {
    lines: Split<'a, Line>,
    heads: Heads,
}

impl Places<'_> {
    /// Makes `to` hold what `from` holds of one head.
    ///
    /// # Safety
    /// No other thread reads or writes this head's places at the same time.
    #[expect(unsafe_code, reason = "only the caller knows that no other job has this head")]
    pub(super) unsafe fn copy(&self, from: u32, to: u32, head: usize) {
        let place = |block: u32| start(self.heads, block, head)..start(self.heads, block, head) + lines(self.heads);
        assert_ne!(from, to, "a block is copied to another");
        // SAFETY: the caller has this head to itself, and two blocks have no lines in common.
        let (from, to) = unsafe { (self.lines.part(place(from)), self.lines.part(place(to))) };
        to.copy_from_slice(from);
    }

    /// Writes the key and the value (size) of one head of the token in `slot` of `block`.
    ///
    /// # Safety
    /// No other thread writes this head's places at the same time.
    #[expect(unsafe_code, reason = "only the caller knows that no other job has this head")]
    pub(super) unsafe fn write(&self, block: u32, head: usize, slot: usize, key: &[f32], value: &[f32]) {
        let start = start(self.heads, block, head);
        let place: Range<usize> = start..start + lines(self.heads);
        // SAFETY: the caller has this head to itself, and its lines are no other head's.
        let (keys, values) = unsafe { self.lines.part(place) }.split_at_mut(self.heads.size);
        if slot == 0 {
            // What a block held before must not reach anybody, not even multiplied by nothing:
            // infinity times zero is not a number.
            values.fill(Line::ZERO);
        }
        for (line, key) in keys.iter_mut().zip(key) {
            line.0[slot] = *key;
        }
        for (panel, value) in values.chunks_exact_mut(BLOCK).zip(value.chunks(COLUMNS)) {
            panel[slot].0[..value.len()].copy_from_slice(value);
        }
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").field("heads", &self.heads).field("blocks", &self.blocks()).finish_non_exhaustive()
    }
}
