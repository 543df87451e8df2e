//! The vectors of a snapshot: none, an exact scan, or a graph over it.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use rayon::prelude::*;

use crate::flat::Flat;
use crate::graph::search::Searcher;
use crate::graph::{self, Graph, Links};
use crate::manifest::{Manifest, VectorCard, VectorIndex};
use crate::mapped::{map, map_verified};
use crate::{Error, Mask, Result, Scored, Slot};

/// Where the vectors themselves lie in a snapshot.
pub(crate) const MATRIX: &str = "vectors/matrix.f32";

/// Where the graph over them lies.
pub(crate) const GRAPH: &str = "vectors/graph.bin";

/// The least that a graph keeps of candidates when nothing else is asked for.
const EFFORT: usize = 64;

/// A mask that leaves fewer slots is scanned.
const SCAN_BELOW: usize = 2000;

/// Nodes that a search scores per candidate it keeps, about: what the graph costs, to compare with a scan.
const SCORED_PER_CANDIDATE: usize = 16;

/// Vectors, open for searching.
#[derive(Debug)]
pub(crate) enum Vectors {
    /// The snapshot was built without.
    None,
    /// An exact scan.
    Flat(Flat),
    /// A graph, and the exact vectors for rescoring.
    Hnsw(Flat, Box<Graph>, Searcher),
}

impl Vectors {
    /// Opens what the manifest lists.
    pub(crate) fn open(folder: &Path, manifest: &Manifest) -> Result<Self> {
        let (rows, dimension) = (manifest.chunks, manifest.vectors.dimension);
        let verified = |name: &str| {
            let path = folder.join(name);
            map_verified(&path, manifest.file(folder, name)?).map(|bytes| (path, bytes))
        };
        let flat = || verified(MATRIX).and_then(|(path, bytes)| Flat::open(&path, bytes, rows, dimension));
        match manifest.vectors.kind {
            VectorIndex::None => Ok(Self::None),
            VectorIndex::Flat => Ok(Self::Flat(flat()?)),
            VectorIndex::Hnsw => {
                let (path, bytes) = verified(GRAPH)?;
                Ok(Self::Hnsw(flat()?, Box::new(Graph::open(&path, bytes, rows, dimension)?), Searcher::default()))
            }
        }
    }

    /// The `k` nearest by the index; `effort` is how many candidates a graph keeps.
    pub(crate) fn search(
        &self,
        query: &[f32],
        k: usize,
        mask: Option<&Mask>,
        effort: Option<usize>,
    ) -> Result<Vec<Scored>> {
        let Self::Hnsw(flat, graph, searcher) = self else {
            return self.exact(query, k, mask);
        };
        flat.check(query)?;
        let k = k.min(flat.rows());
        let effort = effort.unwrap_or(EFFORT.max(k + k / 2)).max(k).min(flat.rows());
        let Some(mask) = mask else {
            return Ok(searcher.search(graph, flat, query, k, effort, None));
        };
        // Only a share of the candidates will be admitted, so as many more are needed.
        let admitted = mask.count();
        let wider = effort.saturating_mul(flat.rows()) / admitted.max(1);
        if admitted > SCAN_BELOW.max(flat.rows() / 100) && wider.saturating_mul(SCORED_PER_CANDIDATE) < admitted {
            let found = searcher.search(graph, flat, query, k, wider, Some(mask));
            if found.len() == k.min(admitted) {
                return Ok(found);
            }
        }
        Ok(flat.search(query, k, Some(mask)))
    }

    /// The `k` nearest by comparing every vector.
    pub(crate) fn exact(&self, query: &[f32], k: usize, mask: Option<&Mask>) -> Result<Vec<Scored>> {
        let (Self::Flat(flat) | Self::Hnsw(flat, ..)) = self else {
            return Err(Error::Mismatch {
                what: "a search by vector",
                expected: "no encoder".to_owned(),
                found: format!("{} numbers", query.len()),
            });
        };
        flat.check(query)?;
        Ok(flat.search(query, k, mask))
    }

    /// The mean share of the ten nearest others that the default search finds, over a sample of the
    /// vectors, and the size of the sample.
    pub(crate) fn recall_at_10(&self) -> Result<(f64, usize)> {
        let Self::Hnsw(flat, ..) = self else {
            return Ok((1.0, 0));
        };
        if flat.rows() < 2 {
            return Ok((1.0, 0));
        }
        let sample = (40_000_000 / flat.rows()).clamp(32, 256).min(flat.rows());
        let shares: Result<Vec<f64>> = (0..sample)
            .into_par_iter()
            .map(|at| {
                let slot = (at * flat.rows() / sample) as Slot;
                let others = |found: Vec<Scored>| found.into_iter().filter(move |scored| scored.slot != slot).take(10);
                let exact: Vec<Scored> = others(self.exact(flat.row(slot), 11, None)?).collect();
                // Equal scores are equally true: copies of one text must not count as misses.
                let least = exact.last().map_or(f32::NEG_INFINITY, |last| last.score);
                let found = others(self.search(flat.row(slot), 11, None, None)?).filter(|scored| scored.score >= least);
                Ok(found.count() as f64 / exact.len() as f64)
            })
            .collect();
        let shares = shares?;
        Ok((shares.iter().sum::<f64>() / shares.len() as f64, sample))
    }
}

/// Links the vectors in the folder of a build and freezes the graph beside them; `progress` hears how
/// many of twice the vectors are done.
pub(crate) fn build_graph(
    folder: &Path,
    card: &VectorCard,
    rows: usize,
    progress: &mut dyn FnMut(usize),
) -> Result<()> {
    let (dimension, m) = (card.dimension, card.m);
    let matrix = folder.join(MATRIX);
    let flat = Flat::open(&matrix, map(&matrix)?, rows, dimension)?;
    let path = folder.join(GRAPH);
    let freeze = |links: &Links| {
        let mut file = BufWriter::with_capacity(1 << 20, File::create(&path).map_err(Error::io("create", &path))?);
        graph::freeze(links, flat.matrix(), dimension, m, &mut file)
            .and_then(|()| file.flush())
            .map_err(Error::io("write", &path))
    };
    let mut links = graph::link::sketch(flat.matrix(), dimension, m, progress);
    freeze(&links)?;
    let sketch = Graph::open(&path, map(&path)?, rows, dimension)?;
    graph::link::refine(&mut links, &sketch, &flat, m, card.ef_construction, &mut |done| {
        progress(rows + done);
    });
    // The mapping goes before its file is written over.
    drop(sketch);
    freeze(&links)
}

#[cfg(test)]
mod tests;
