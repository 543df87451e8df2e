//! The vectors of a snapshot: none, an exact scan, or a graph.

use std::path::Path;

use crate::flat::Flat;
use crate::manifest::{Manifest, VectorIndex};
use crate::mapped::map_verified;
use crate::{Error, Mask, Result, Scored};

/// Where the vectors themselves lie in a snapshot.
pub(crate) const MATRIX: &str = "vectors/matrix.f32";

/// Vectors, open for searching.
#[derive(Debug)]
pub(crate) enum Vectors {
    /// The snapshot was built without.
    None,
    /// An exact scan.
    Flat(Flat),
}

impl Vectors {
    /// Opens what the manifest lists.
    pub(crate) fn open(folder: &Path, manifest: &Manifest) -> Result<Self> {
        let flat = || {
            let path = folder.join(MATRIX);
            Flat::open(
                &path,
                map_verified(&path, manifest.file(folder, MATRIX)?)?,
                manifest.chunks,
                manifest.vectors.dimension,
            )
        };
        match manifest.vectors.kind {
            VectorIndex::None => Ok(Self::None),
            VectorIndex::Flat | VectorIndex::Hnsw => Ok(Self::Flat(flat()?)),
        }
    }

    fn flat(&self) -> Option<&Flat> {
        match self {
            Self::None => None,
            Self::Flat(flat) => Some(flat),
        }
    }

    /// The `k` nearest by the index; `effort` is how many candidates a graph keeps.
    pub(crate) fn search(
        &self,
        query: &[f32],
        k: usize,
        mask: Option<&Mask>,
        _effort: Option<usize>,
    ) -> Result<Vec<Scored>> {
        self.exact(query, k, mask)
    }

    /// The `k` nearest by comparing every vector.
    pub(crate) fn exact(
        &self,
        query: &[f32],
        k: usize,
        mask: Option<&Mask>,
    ) -> Result<Vec<Scored>> {
        let Some(flat) = self.flat() else {
            return Err(Error::Mismatch {
                what: "a search by vector",
                expected: "no encoder".to_owned(),
                found: format!("{} numbers", query.len()),
            });
        };
        flat.check(query)?;
        Ok(flat.search(query, k, mask))
    }
}
