//! Linking: hnsw_rs builds the graph, which is then numbered by level and its ground layer relinked.
//!
//! hnsw_rs keeps the nearest links of a node when it has too many. Relinking looks at every node once
//! more, with all links to and from it, and keeps those that lead into different directions
//! (Malkov and Yashunin 2018, algorithm 4), filled up with the nearest of the others.

use hnsw_rs::prelude::{Distance, Hnsw};
use rayon::prelude::*;

use super::{Links, MAX_LEVELS};
use crate::simd::Kernel;

/// Vectors linked between two reports of progress.
const BATCH: usize = 2000;

/// One minus the inner product of unit vectors, never below zero: hnsw_rs ends the process on a
/// negative distance, which rounding makes of a vector and itself.
#[derive(Clone, Copy, Debug)]
struct InnerProduct(Kernel);

impl Distance<f32> for InnerProduct {
    fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
        (1.0 - self.0.dot(a, b)).max(0.0)
    }
}

/// Links the rows of `matrix`, `dimension` numbers each; `progress` hears how many are done.
pub(crate) fn link(
    matrix: &[f32],
    dimension: usize,
    m: usize,
    ef_construction: usize,
    progress: &mut dyn FnMut(usize),
) -> Links {
    if matrix.is_empty() {
        return Links::default();
    }
    let kernel = Kernel::detect();
    let rows: Vec<(&[f32], usize)> = matrix.chunks_exact(dimension).zip(0..).collect();
    let graph = Hnsw::new(
        m,
        rows.len(),
        MAX_LEVELS,
        ef_construction,
        InnerProduct(kernel),
    );
    for (done, batch) in rows.chunks(BATCH).enumerate() {
        graph.parallel_insert_slice(&batch.to_vec());
        progress((done * BATCH + batch.len()).min(rows.len()));
    }
    let mut links = numbered(&graph, rows.len(), m);
    drop(graph);
    relink(&mut links, matrix, dimension, 2 * m, kernel);
    links
}

/// Takes the links out of hnsw_rs, nodes numbered by level, highest first, then by slot.
fn numbered(graph: &Hnsw<'_, f32, InnerProduct>, rows: usize, m: usize) -> Links {
    let mut points = Vec::with_capacity(rows);
    for point in graph.get_point_indexation() {
        points.push((
            point.get_point_id().0 as usize,
            point.get_origin_id() as u32,
            point,
        ));
    }
    points.sort_unstable_by_key(|&(level, slot, _)| (std::cmp::Reverse(level), slot));
    let mut node_of = vec![0_u32; rows];
    for (node, &(_, slot, _)) in points.iter().enumerate() {
        node_of[slot as usize] = node as u32;
    }
    let levels = points.first().map_or(0, |&(level, ..)| level + 1);
    let counts: Vec<usize> = (0..levels)
        .map(|level| points.partition_point(|&(own, ..)| own >= level))
        .collect();
    let mut layers: Vec<Vec<Vec<u32>>> = counts
        .iter()
        .map(|&count| Vec::with_capacity(count))
        .collect();
    for (node, (level, _, point)) in points.iter().enumerate() {
        for (layer, near) in point
            .get_neighborhood_id()
            .iter()
            .enumerate()
            .take(level + 1)
        {
            let links = near.iter().map(|near| node_of[near.d_id]);
            // A node may be linked to one of a lower level while it is inserted; such links lead nowhere.
            let links =
                links.filter(|&other| other as usize != node && (other as usize) < counts[layer]);
            layers[layer].push(links.take(if layer == 0 { 2 * m } else { m }).collect());
        }
    }
    Links {
        slots: points.iter().map(|&(_, slot, _)| slot).collect(),
        layers,
    }
}

/// Chooses the ground layer's links anew, at most `most` a node.
fn relink(links: &mut Links, matrix: &[f32], dimension: usize, most: usize, kernel: Kernel) {
    let Some(ground) = links.layers.first() else {
        return;
    };
    let mut around: Vec<Vec<u32>> = ground.clone();
    for (node, near) in ground.iter().enumerate() {
        for &other in near {
            around[other as usize].push(node as u32);
        }
    }
    let slots = &links.slots;
    let row = |node: u32| &matrix[slots[node as usize] as usize * dimension..][..dimension];
    around.par_iter_mut().enumerate().for_each(|(node, near)| {
        near.sort_unstable();
        near.dedup();
        let mut scored: Vec<(f32, u32)> = near
            .iter()
            .map(|&other| (kernel.dot(row(node as u32), row(other)), other))
            .collect();
        scored.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let (mut kept, mut rest) = (Vec::with_capacity(most), Vec::new());
        for (score, other) in scored {
            let direction_is_new = kept
                .iter()
                .all(|&kept| kernel.dot(row(other), row(kept)) < score);
            if direction_is_new && kept.len() < most {
                kept.push(other);
            } else {
                rest.push(other);
            }
        }
        let room = most - kept.len();
        kept.extend(rest.into_iter().take(room));
        *near = kept;
    });
    links.layers[0] = around;
}
