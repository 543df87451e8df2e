//! [`Stats`]: what an engine has done since it started.

/// Counts since the start, and what is under way now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Forward passes.
    pub steps: u64,
    /// Sequences in all of them together: divided by `steps`, the mean batch.
    pub sequences: u64,
    /// Prompt tokens computed, those computed again after a preemption too.
    pub prefilled: u64,
    /// Prompt tokens found in the cache instead.
    pub reused: u64,
    /// Tokens sampled.
    pub decoded: u64,
    /// Sequences that had to leave for an older one and start again.
    pub preemptions: u64,
    /// Cached blocks given to another sequence.
    pub evictions: u64,
    /// Most blocks that sequences ever held at once.
    pub peak_blocks: usize,
    /// Blocks that sequences hold now; what stays cached for later is not among them.
    pub held_blocks: usize,
    /// Blocks in all.
    pub blocks: usize,
    /// Sequences in the batch now.
    pub running: usize,
    /// Requests waiting for a place in it.
    pub waiting: usize,
}
