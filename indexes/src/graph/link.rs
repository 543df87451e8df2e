//! Linking in two steps: hnsw_rs sketches the graph with few candidates a node, which settles levels
//! and upper layers; then every node is searched for in the frozen sketch, which is far faster, and the
//! ground layer is linked anew from what is found.
//!
//! Of the candidates those are kept that lead into different directions (Malkov and Yashunin 2018,
//! algorithm 4), filled up with the nearest of the others; then once more with the sketch's links and
//! those that lead to a node, so that links go both ways where there is room.

use hnsw_rs::prelude::{Distance, Hnsw};
use rayon::prelude::*;

use super::search::Searcher;
use super::{Graph, Links, MAX_LEVELS};
use crate::flat::Flat;
use crate::simd::Kernel;
use crate::{Scored, Slot};

/// Vectors linked between two reports of progress.
const BATCH: usize = 2000;

/// Candidates that hnsw_rs keeps while it links a node of the sketch, per link above the ground layer.
/// Twice as many as the ground layer has links: with fewer none is left out, and tight clusters become
/// islands.
const SKETCH_CANDIDATES: usize = 4;

/// One minus the inner product of unit vectors, never below zero: hnsw_rs ends the process on a
/// negative distance, which rounding makes of a vector and itself.
#[derive(Clone, Copy, Debug)]
struct InnerProduct(Kernel);

impl Distance<f32> for InnerProduct {
    fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
        (1.0 - self.0.dot(a, b)).max(0.0)
    }
}

/// Sketches a graph over the rows of `matrix`, `dimension` numbers each; `progress` hears how many
/// are in it.
pub(crate) fn sketch(matrix: &[f32], dimension: usize, m: usize, progress: &mut dyn FnMut(usize)) -> Links {
    if matrix.is_empty() {
        return Links::default();
    }
    let rows: Vec<(&[f32], usize)> = matrix.chunks_exact(dimension).zip(0..).collect();
    let distance = InnerProduct(Kernel::detect());
    let graph = Hnsw::new(m, rows.len(), MAX_LEVELS, SKETCH_CANDIDATES * m, distance);
    for (done, batch) in rows.chunks(BATCH).enumerate() {
        graph.parallel_insert_slice(&batch.to_vec());
        progress(done * BATCH + batch.len());
    }
    numbered(&graph, rows.len(), m)
}

/// Takes the links out of hnsw_rs, nodes numbered by level, highest first, then by slot.
fn numbered(graph: &Hnsw<'_, f32, InnerProduct>, rows: usize, m: usize) -> Links {
    let mut points = Vec::with_capacity(rows);
    for point in graph.get_point_indexation() {
        points.push((point.get_point_id().0 as usize, point.get_origin_id() as u32, point));
    }
    points.sort_unstable_by_key(|&(level, slot, _)| (std::cmp::Reverse(level), slot));
    let mut node_of = vec![0_u32; rows];
    for (node, &(_, slot, _)) in points.iter().enumerate() {
        node_of[slot as usize] = node as u32;
    }
    let levels = points.first().map_or(0, |&(level, ..)| level + 1);
    let counts: Vec<usize> = (0..levels).map(|level| points.partition_point(|&(own, ..)| own >= level)).collect();
    let mut layers: Vec<Vec<Vec<u32>>> = counts.iter().map(|&count| Vec::with_capacity(count)).collect();
    for (node, (level, _, point)) in points.iter().enumerate() {
        for (layer, near) in point.get_neighborhood_id().iter().enumerate().take(level + 1) {
            let links = near.iter().map(|near| node_of[near.d_id]);
            // A node may be linked to one of a lower level while it is inserted; such links lead nowhere.
            let links = links.filter(|&other| other as usize != node && (other as usize) < counts[layer]);
            layers[layer].push(links.take(if layer == 0 { 2 * m } else { m }).collect());
        }
    }
    Links { slots: points.iter().map(|&(_, slot, _)| slot).collect(), layers }
}

/// Links the ground layer anew, at most `2 * m` a node, from the `candidates` nearest that a search of
/// the frozen sketch finds; `progress` hears how many nodes are done.
pub(crate) fn refine(
    links: &mut Links,
    sketch: &Graph,
    flat: &Flat,
    m: usize,
    candidates: usize,
    progress: &mut dyn FnMut(usize),
) {
    let most = 2 * m;
    let nodes = links.slots.len();
    let slots = &links.slots;
    let mut node_of = vec![0_u32; nodes];
    for (node, &slot) in slots.iter().enumerate() {
        node_of[slot as usize] = node as u32;
    }
    let searcher = Searcher::default();
    let mut chosen: Vec<Vec<u32>> = Vec::with_capacity(nodes);
    while chosen.len() < nodes {
        let batch = chosen.len()..nodes.min(chosen.len() + BATCH);
        chosen.par_extend(batch.into_par_iter().map(|node| {
            let slot = slots[node];
            let found = searcher.search(sketch, flat, flat.row(slot), candidates + 1, candidates + 1, None);
            choose(flat, slots, found.into_iter().filter(|found| found.slot != slot), &node_of, most)
        }));
        progress(chosen.len());
    }
    let Some(ground) = links.layers.first_mut() else { return };
    let mut around = chosen.clone();
    for (node, (near, sketched)) in chosen.iter().zip(&*ground).enumerate() {
        around[node].extend(sketched);
        for &other in near {
            around[other as usize].push(node as u32);
        }
    }
    around.par_iter_mut().enumerate().for_each(|(node, near)| {
        near.sort_unstable();
        near.dedup();
        let row = flat.row(slots[node]);
        let mut scored: Vec<Scored> = near
            .iter()
            .map(|&other| slots[other as usize])
            .map(|slot| Scored { slot, score: flat.score(row, slot) })
            .collect();
        scored.sort_unstable_by(Scored::best_first);
        *near = choose(flat, slots, scored.into_iter(), &node_of, most);
    });
    *ground = around;
}

/// At most `most` of the candidates, which come best first: each that is nearer to the node than to
/// any kept before it, then the nearest of the rest.
fn choose(
    flat: &Flat,
    slots: &[Slot],
    candidates: impl Iterator<Item = Scored>,
    node_of: &[u32],
    most: usize,
) -> Vec<u32> {
    let (mut kept, mut rest) = (Vec::with_capacity(most), Vec::new());
    for Scored { slot, score } in candidates {
        if kept.len() == most {
            break;
        }
        let row = flat.row(slot);
        let in_a_new_direction = |&kept: &u32| flat.score(row, slots[kept as usize]) < score;
        if kept.iter().all(in_a_new_direction) {
            kept.push(node_of[slot as usize]);
        } else if rest.len() < most {
            rest.push(node_of[slot as usize]);
        }
    }
    let room = most - kept.len();
    kept.extend(rest.into_iter().take(room));
    kept
}
