//! Best-first search of a frozen graph: greedy descent, then a widening pool on the ground layer.

use std::sync::{Mutex, PoisonError};

use super::{Graph, code};
use crate::flat::Flat;
use crate::simd::{Kernel, prefetch};
use crate::top::Top;
use crate::{Mask, Scored};

/// Marks a node of the pool whose neighbours have been looked at.
const EXPANDED: u32 = 1 << 31;

/// What one search needs, kept for the next one.
#[derive(Debug, Default)]
struct Scratch {
    /// The search that last saw a node.
    seen: Vec<u32>,
    search: u32,
    query: Vec<u8>,
    fresh: Vec<u32>,
    products: Vec<i32>,
    /// Best first: score by codes, node (perhaps [`EXPANDED`]).
    pool: Vec<(f32, u32)>,
}

/// Searches graphs from any number of threads.
#[derive(Debug)]
pub(crate) struct Searcher {
    kernel: Kernel,
    scratch: Mutex<Vec<Scratch>>,
}

impl Default for Searcher {
    fn default() -> Self {
        Self { kernel: Kernel::detect(), scratch: Mutex::default() }
    }
}

impl Searcher {
    /// The `k` nearest among the `effort` nearest by codes, scored exactly by `flat`. With a mask the
    /// way leads over all nodes, but only those it holds are answered with; there may be fewer than `k`.
    pub(crate) fn search(
        &self,
        graph: &Graph,
        flat: &Flat,
        query: &[f32],
        k: usize,
        effort: usize,
        mask: Option<&Mask>,
    ) -> Vec<Scored> {
        let nodes = graph.shape.nodes;
        if nodes == 0 || k == 0 {
            return Vec::new();
        }
        let mut scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        scratch.begin(nodes);
        code::query(query, graph.shape.width(), &mut scratch.query);
        let entry = self.descend(graph, &mut scratch);
        let found = match mask {
            None => {
                self.widen(graph, entry, effort, &mut scratch, &mut |_, _| {});
                // Codes may swap neighbours in rank, hardly ever far ones: some more than k are enough.
                let best = &scratch.pool[..scratch.pool.len().min(2 * k + 16)];
                rescore(graph, flat, query, k, best.iter().map(|&(_, node)| node & !EXPANDED))
            }
            Some(mask) => {
                let mut admitted = Top::new(2 * k + 16, nodes);
                self.widen(graph, entry, effort, &mut scratch, &mut |node, score| {
                    if mask.contains(graph.slot(node)) {
                        admitted.push(node, score);
                    }
                });
                rescore(graph, flat, query, k, admitted.into_sorted().into_iter().map(|admitted| admitted.slot))
            }
        };
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
        found
    }

    /// Greedy from the top to the ground layer's entry.
    fn descend(&self, graph: &Graph, scratch: &mut Scratch) -> (f32, u32) {
        let mut best = (self.score(graph, scratch, 0), 0);
        for level in (1..graph.shape.levels()).rev() {
            loop {
                scratch.fresh.clear();
                scratch.fresh.extend_from_slice(graph.upper(level, best.1));
                self.products(graph, scratch);
                let nearer =
                    scratch.scored(graph).filter(|&(score, _)| score > best.0).max_by(|a, b| a.0.total_cmp(&b.0));
                match nearer {
                    Some(nearer) => best = nearer,
                    None => break,
                }
            }
        }
        best
    }

    /// Fills the pool with the `effort` nearest that can be reached; `visit` sees every node scored.
    fn widen(
        &self,
        graph: &Graph,
        entry: (f32, u32),
        effort: usize,
        scratch: &mut Scratch,
        visit: &mut dyn FnMut(u32, f32),
    ) {
        scratch.pool.clear();
        scratch.pool.push(entry);
        scratch.see(entry.1);
        visit(entry.1, entry.0);
        let mut next = 0;
        while next < scratch.pool.len() {
            let node = scratch.pool[next].1;
            if node & EXPANDED != 0 {
                next += 1;
                continue;
            }
            scratch.pool[next].1 |= EXPANDED;
            next += 1;
            scratch.fresh.clear();
            for &other in graph.neighbours(node) {
                if scratch.seen[other as usize] != scratch.search {
                    scratch.seen[other as usize] = scratch.search;
                    scratch.fresh.push(other);
                }
            }
            self.products(graph, scratch);
            for at in 0..scratch.fresh.len() {
                let (score, other) = scratch.scored_at(graph, at);
                visit(other, score);
                let full = scratch.pool.len() >= effort;
                if full && scratch.pool.last().is_some_and(|last| score <= last.0) {
                    continue;
                }
                if full {
                    scratch.pool.pop();
                }
                let place = scratch.pool.partition_point(|kept| kept.0 >= score);
                scratch.pool.insert(place, (score, other));
                next = next.min(place);
            }
            if let Some(&(_, soon)) = scratch.pool.get(next) {
                prefetch(bytemuck::cast_slice(graph.tail(soon & !EXPANDED)));
            }
        }
    }

    fn score(&self, graph: &Graph, scratch: &mut Scratch, node: u32) -> f32 {
        scratch.fresh.clear();
        scratch.fresh.push(node);
        self.products(graph, scratch);
        scratch.scored_at(graph, 0).0
    }

    /// Products of the query with the codes of the fresh nodes.
    fn products(&self, graph: &Graph, scratch: &mut Scratch) {
        self.kernel.dots(&scratch.query, graph.records(), graph.shape.stride(), &scratch.fresh, &mut scratch.products);
    }
}

impl Scratch {
    fn begin(&mut self, nodes: usize) {
        if self.seen.len() != nodes || self.search == u32::MAX {
            self.seen.clear();
            self.seen.resize(nodes, 0);
            self.search = 0;
        }
        self.search += 1;
    }

    fn see(&mut self, node: u32) {
        self.seen[node as usize] = self.search;
    }

    #[inline]
    fn scored_at(&self, graph: &Graph, at: usize) -> (f32, u32) {
        let tail = graph.tail(self.fresh[at]);
        ((self.products[at].wrapping_sub(tail[1] as i32)) as f32 * f32::from_bits(tail[0]), self.fresh[at])
    }

    fn scored(&self, graph: &Graph) -> impl Iterator<Item = (f32, u32)> {
        (0..self.fresh.len()).map(|at| self.scored_at(graph, at))
    }
}

fn rescore(graph: &Graph, flat: &Flat, query: &[f32], k: usize, nodes: impl Iterator<Item = u32>) -> Vec<Scored> {
    let mut found: Vec<Scored> =
        nodes.map(|node| graph.slot(node)).map(|slot| Scored { slot, score: flat.score(query, slot) }).collect();
    found.sort_unstable_by(Scored::best_first);
    found.truncate(k);
    found
}
