//! Causal attention over keys and values that lie in blocks of 32 tokens, for any mix of prompts
//! and single tokens (paged as in arXiv 2309.06180; grouped queries, arXiv 2305.13245).
//!
//! The query heads that share a key head fill the rows of a tile together, token after token, so
//! that each key is read once for all of them. Scores run over whole blocks; what a query must not
//! see is minus infinity and weighs exactly nothing, so a row has the same bits in any company.

mod attend;
mod backward;
mod pages;
mod rotate;

pub(crate) use attend::AttentionMemory;
pub(crate) use backward::{Attended, BackwardMemory, paged_attention_backward};
pub(crate) use pages::Pages;

use std::ops::Range;

use super::isa::Isa;
use super::split::Split;
use super::team::Team;
use super::tile::{COLUMNS, ROWS};
use attend::{Job, Step, attend};
use rotate::rotate;

/// Tokens of a block.
pub(crate) const BLOCK: usize = COLUMNS;

/// Values to rotate below which one thread is faster.
const FEW_VALUES: usize = 1 << 14;
/// Products of a query with a key below which one thread is faster.
const FEW_SCORES: usize = 1 << 9;

/// How attention is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heads {
    /// Query heads: a multiple of the key heads.
    pub(crate) query: usize,
    /// Key heads, and as many value heads.
    pub(crate) key: usize,
    /// Width of each head; even.
    pub(crate) size: usize,
    /// How many tokens a query sees, itself among them; `None` for all.
    pub(crate) window: Option<usize>,
}

impl Heads {
    /// Query heads that share a key head.
    fn group(self) -> usize {
        self.query / self.key
    }

    /// Width of a row of queries, keys and values.
    fn width(self) -> usize {
        (self.query + 2 * self.key) * self.size
    }
}

/// Gains of a normalisation of each head before its rotation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadNorms<'a> {
    /// (size), for every query head.
    pub(crate) query: &'a [f32],
    /// (size), for every key head.
    pub(crate) key: &'a [f32],
    /// What is added to the mean square.
    pub(crate) epsilon: f32,
}

/// Rows of one sequence.
#[derive(Clone, Debug)]
pub(crate) struct Span<'a> {
    /// Which rows of this step.
    pub(crate) rows: Range<usize>,
    /// Tokens whose keys and values the blocks hold already.
    pub(crate) past: usize,
    /// The blocks of the sequence, with room for `past` and the rows.
    pub(crate) blocks: &'a [u32],
    /// An earlier span of this step that ends with the last of the `past` tokens. Its full blocks are
    /// blocks of this span; what it left in its last one is copied.
    pub(crate) parent: Option<usize>,
}

/// `out` (T, H * size) from `qkv` (T, (H + 2 KV) * size): queries, keys and values side by side.
/// Keys and values go to the pages; queries and keys are first normalised, where there are `norms`,
/// and rotated in place by `cos` and `sin` (T, size / 2), the first half of a head against the
/// second. Rows in no span are left as they are. Panics when the sizes do not fit each other.
#[expect(clippy::too_many_arguments, reason = "what attention takes, each once")]
pub(crate) fn paged_attention(
    isa: Isa,
    team: &Team,
    memory: &mut AttentionMemory,
    pages: &mut Pages,
    heads: Heads,
    norms: Option<HeadNorms<'_>>,
    cos: &[f32],
    sin: &[f32],
    spans: &[Span<'_>],
    qkv: &mut [f32],
    out: &mut [f32],
) {
    let tokens = out.len() / (heads.query * heads.size);
    assert_eq!(pages.heads(), heads, "pages are made for these heads");
    assert!(heads.query.is_multiple_of(heads.key) && heads.size.is_multiple_of(2), "heads in groups, of two halves");
    assert_eq!(qkv.len(), tokens * heads.width(), "queries, keys and values for each output");
    assert!(cos.len() == sin.len() && cos.len() * 2 == tokens * heads.size, "a rotation for each row");
    for span in spans {
        assert!(span.rows.end <= tokens, "a span has rows of this step");
        assert!((span.past + span.rows.len()).div_ceil(BLOCK) <= span.blocks.len(), "a span has room in its blocks");
        assert!(span.blocks.iter().all(|block| (*block as usize) < pages.blocks()), "a span has blocks of these pages");
    }
    check_parents(spans);

    // One head to a job: whatever blocks the spans name, no two jobs write the same place.
    let values = Split::new(qkv);
    let places = pages.split();
    let turn = |_: usize, head: usize| rotate(isa, heads, norms, cos, sin, spans, head, &values, &places);
    run(team, heads.key, tokens * heads.width() < FEW_VALUES, &turn);

    memory.plan(heads, spans, team.threads());
    let (jobs, workers) = memory.split();
    let step = Step { isa, heads, spans, qkv, pages, out: Split::new(out) };
    let work = |worker: usize, job: usize| {
        #[expect(unsafe_code, reason = "each thread has memory of its own")]
        // SAFETY: a team gives each of its threads another number.
        let worker = unsafe { &mut workers.part(worker..worker + 1)[0] };
        attend(&step, worker, jobs[job]);
    };
    let scores = |job: &Job| job.pairs * (spans[job.span].past + spans[job.span].rows.len());
    run(team, jobs.len(), jobs.iter().map(scores).sum::<usize>() < FEW_SCORES, &work);
}

/// Panics unless every span that goes on from another comes after it and begins where that one ends.
fn check_parents(spans: &[Span<'_>]) {
    for (number, span) in spans.iter().enumerate() {
        let Some(parent) = span.parent else { continue };
        assert!(parent < number, "a span comes after the one that it goes on from");
        assert_eq!(spans[parent].past + spans[parent].rows.len(), span.past, "a span goes on from the end of another");
    }
}

/// Runs the jobs on the team, or here when they are `few`.
fn run(team: &Team, jobs: usize, few: bool, work: &(dyn Fn(usize, usize) + Sync)) {
    if few {
        for job in 0..jobs {
            work(0, job);
        }
    } else {
        team.run(jobs, work);
    }
}

#[cfg(test)]
mod tests;
