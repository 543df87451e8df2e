//! The attention of one tile of queries: scores, softmax, mean of the values.

use super::pages::Pages;
use super::{BLOCK, Heads, ROWS, Span};
use crate::ops::isa::Isa;
use crate::ops::softmax::exponentials;
use crate::ops::split::Split;
use crate::ops::tile::{COLUMNS, EMPTY, From, Panel, Rows, Tile, multiply, runs};

/// Memory that attention reuses from call to call.
#[derive(Debug, Default)]
pub(crate) struct AttentionMemory {
    jobs: Vec<Job>,
    workers: Vec<Worker>,
}

/// Memory of one thread.
#[derive(Debug, Default)]
pub(super) struct Worker {
    /// (pairs, size)
    queries: Vec<f32>,
    /// (pairs, keys in whole blocks)
    scores: Vec<f32>,
    /// The sums of the values, by panels that go together.
    sums: Vec<Tile>,
}

/// Queries of one span that share a key head: pairs of a token and a member of the group, token
/// after token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job {
    pub(super) span: usize,
    head: usize,
    first: usize,
    pub(super) pairs: usize,
}

impl AttentionMemory {
    /// Divides the spans' queries into jobs.
    pub(super) fn plan(&mut self, heads: Heads, spans: &[Span<'_>], threads: usize) {
        self.workers.resize_with(threads, Worker::default);
        self.jobs.clear();
        // One sequence with few key heads still has work for every thread.
        let fewest = threads.div_ceil((spans.len() * heads.key).max(1));
        for (number, span) in spans.iter().enumerate() {
            let pairs = span.rows.len() * heads.group();
            let tiles = pairs.div_ceil(ROWS).max(fewest.min(pairs));
            for head in 0..heads.key {
                for tile in 0..tiles {
                    let (first, end) = (tile * pairs / tiles, (tile + 1) * pairs / tiles);
                    self.jobs.push(Job { span: number, head, first, pairs: end - first });
                }
            }
        }
    }

    /// The jobs, and memory for each thread.
    pub(super) fn split(&mut self) -> (&[Job], Split<'_, Worker>) {
        (&self.jobs, Split::new(&mut self.workers))
    }
}

/// What all jobs of a step share.
pub(super) struct Step<'a> {
    pub(super) isa: Isa,
    pub(super) heads: Heads,
    pub(super) spans: &'a [Span<'a>],
    /// (T, (H + 2 KV) size), rotated.
    pub(super) qkv: &'a [f32],
    pub(super) pages: &'a Pages,
    /// (T, H size)
    pub(super) out: Split<'a, f32>,
}

impl Step<'_> {
    /// The row and the query head of a pair.
    fn place(&self, job: Job, pair: usize) -> (usize, usize) {
        let group = self.heads.group();
        let pair = job.first + pair;
        (self.spans[job.span].rows.start + pair / group, job.head * group + pair % group)
    }

    /// The position of a pair in its sequence.
    fn position(&self, job: Job, pair: usize) -> usize {
        self.spans[job.span].past + (job.first + pair) / self.heads.group()
    }
}

/// Computes one job.
pub(super) fn attend(step: &Step<'_>, worker: &mut Worker, job: Job) {
    let Heads { size, window, .. } = step.heads;
    let pairs = job.pairs;
    worker.queries.clear();
    for pair in 0..pairs {
        let (row, head) = step.place(job, pair);
        worker.queries.extend_from_slice(&step.qkv[row * step.heads.width() + head * size..][..size]);
    }
    // From the block of the first key that anybody sees to that of the last.
    let earliest = window.map_or(0, |window| (step.position(job, 0) + 1).saturating_sub(window));
    let begin = earliest / BLOCK;
    let blocks = &step.spans[job.span].blocks[begin..=step.position(job, pairs - 1) / BLOCK];
    let stride = blocks.len() * BLOCK;
    if worker.scores.len() < pairs * stride {
        worker.scores.resize(pairs * stride, 0.0);
    }
    score(step, worker, job, blocks);
    let mut factors = [0.0; ROWS];
    for (pair, factor) in factors.iter_mut().enumerate().take(pairs) {
        let scores = &mut worker.scores[pair * stride..][..stride];
        let position = step.position(job, pair);
        let first = window.map_or(0, |window| (position + 1).saturating_sub(window)).max(begin * BLOCK) - begin * BLOCK;
        scores[..first].fill(f32::NEG_INFINITY);
        scores[position + 1 - begin * BLOCK..].fill(f32::NEG_INFINITY);
        *factor = exponentials(step.isa, scores);
    }
    mix(step, worker, job, blocks, &factors);
}

/// Scores (pairs, keys) of the queries with the keys of `blocks`.
fn score(step: &Step<'_>, worker: &mut Worker, job: Job, blocks: &[u32]) {
    let size = step.heads.size;
    let (pairs, stride) = (job.pairs, blocks.len() * BLOCK);
    let queries = Rows { values: &worker.queries, stride: size, count: pairs };
    let mut tile = EMPTY;
    for run in runs(pairs, 0..blocks.len()) {
        let keys: [Panel<'_>; 4] = std::array::from_fn(|panel| {
            let number = (run.start + panel).min(run.end - 1);
            step.pages.keys(blocks[number], blocks[(number + run.len()).min(blocks.len() - 1)], job.head)
        });
        multiply(step.isa, queries, &keys[..run.len()], From::Zero, &mut tile);
        for (number, lines) in run.zip(tile.chunks_exact(pairs)) {
            for (pair, line) in lines.iter().enumerate() {
                worker.scores[pair * stride + number * BLOCK..][..BLOCK].copy_from_slice(&line.0);
            }
        }
    }
}

/// The means of the values of `blocks`, weighted by the scores, to the output.
fn mix(step: &Step<'_>, worker: &mut Worker, job: Job, blocks: &[u32], factors: &[f32; ROWS]) {
    let size = step.heads.size;
    let (pairs, stride) = (job.pairs, blocks.len() * BLOCK);
    let panels = size.div_ceil(COLUMNS);
    worker.sums.resize(runs(pairs, 0..panels).count(), EMPTY);
    for (number, block) in blocks.iter().enumerate() {
        let weights = Rows { values: &worker.scores[number * BLOCK..], stride, count: pairs };
        let from = if number == 0 { From::Zero } else { From::Tile };
        let next = blocks[(number + 1).min(blocks.len() - 1)];
        for (run, sums) in runs(pairs, 0..panels).zip(&mut worker.sums) {
            let values: [Panel<'_>; 4] = std::array::from_fn(|panel| {
                step.pages.values(*block, next, job.head, (run.start + panel).min(run.end - 1))
            });
            multiply(step.isa, weights, &values[..run.len()], from, sums);
        }
    }
    for (run, sums) in runs(pairs, 0..panels).zip(&worker.sums) {
        for (panel, lines) in run.zip(sums.chunks_exact(pairs)) {
            let columns = panel * COLUMNS..size.min((panel + 1) * COLUMNS);
            for (pair, (line, factor)) in lines.iter().zip(factors).enumerate() {
                let (row, head) = step.place(job, pair);
                let start = (row * step.heads.query + head) * size;
                #[expect(unsafe_code, reason = "jobs write different heads of the same rows")]
                // SAFETY: no other job has this head of this row.
                let out = unsafe { step.out.part(start + columns.start..start + columns.end) };
                for (out, sum) in out.iter_mut().zip(&line.0) {
                    *out = sum * factor;
                }
            }
        }
    }
}
