//! [`Snapshot`]: one immutable set of index files, verified, open and searchable.

use std::path::{Path, PathBuf};

use corpus::{ChunkId, DocumentId};

use crate::chunks::ChunkTable;
use crate::facets::FacetTable;
use crate::lexical::{Frozen, Lexical};
use crate::mapped::map_verified;
use crate::vectors::Vectors;
use crate::{Error, Filter, Manifest, Mask, Result, Scored, Slot, analyzer};

pub(crate) const CHUNKS: &str = "chunks.bin";
pub(crate) const FACETS: &str = "facets.bin";
pub(crate) const LEXICAL: &str = "lexical";

/// A snapshot, pinned: it stays whole and searchable however often `CURRENT` moves on. Share it by
/// `Arc`; each query runs on the thread that asks.
#[derive(Debug)]
pub struct Snapshot {
    manifest: Manifest,
    chunks: ChunkTable,
    facets: FacetTable,
    lexical: Lexical,
    vectors: Vectors,
}

impl Snapshot {
    /// Opens the snapshot in `folder`: every file is checked against the manifest, and the manifest
    /// against its seal, before any is used.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        Self::open_files(folder, Manifest::read(folder)?)
    }

    pub(crate) fn open_files(folder: &Path, manifest: Manifest) -> Result<Self> {
        if manifest.analyzer != analyzer::NAME {
            let (expected, found) = (manifest.analyzer, analyzer::NAME.to_owned());
            return Err(Error::Mismatch { what: "the analyzer", expected, found });
        }
        let verified = |name: &str| map_verified(&folder.join(name), manifest.file(folder, name)?);
        let bytes = verified(FACETS)?;
        let facets = FacetTable::from_bytes(&bytes, manifest.chunks)
            .map_err(|reason| Error::corrupt(&folder.join(FACETS), reason))?;
        if facets.documents() != manifest.documents {
            return Err(Error::corrupt(
                &folder.join(FACETS),
                "it does not hold the documents that the manifest counts",
            ));
        }
        let chunks = ChunkTable::open(&folder.join(CHUNKS), verified(CHUNKS)?, manifest.chunks, manifest.documents)?;
        let mut files = Vec::new();
        for name in manifest.files.keys() {
            if let Some(file) = name.strip_prefix(LEXICAL).and_then(|rest| rest.strip_prefix('/')) {
                files.push((PathBuf::from(file), verified(name)?));
            }
        }
        let lexical = Lexical::open(&folder.join(LEXICAL), Frozen::new(files), manifest.chunks)?;
        let vectors = Vectors::open(folder, &manifest)?;
        Ok(Self { manifest, chunks, facets, lexical, vectors })
    }

    /// What it holds and how it was made.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// How many chunks it holds: slots are below this.
    pub fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Whether it holds no chunk.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The chunk at `slot`. Panics on a slot of another snapshot.
    pub fn chunk(&self, slot: Slot) -> ChunkId {
        self.chunks.chunk(slot)
    }

    /// The slot of a chunk, if the snapshot holds it.
    pub fn slot(&self, chunk: &ChunkId) -> Option<Slot> {
        self.chunks.slot(chunk)
    }

    /// The id of the document of the chunk at `slot`. Panics on a slot of another snapshot.
    pub fn document(&self, slot: Slot) -> &str {
        self.facets.document(self.document_number(slot))
    }

    /// The same as a dense number from 0, to count chunks per document with. Panics on a slot of
    /// another snapshot.
    pub fn document_number(&self, slot: Slot) -> u32 {
        self.chunks.document(slot)
    }

    /// The slots of a document's chunks, ascending; none for a document it does not hold.
    pub fn slots_of(&self, document: &DocumentId) -> &[Slot] {
        self.facets.number(document).map_or(&[], |number| self.facets.slots(number))
    }

    /// The slots that pass a filter.
    pub fn mask(&self, filter: &Filter) -> Mask {
        self.facets.mask(filter, self.len())
    }

    /// The `k` best chunks for the words of `query` by BM25, best first; with a mask, of those it
    /// holds. Nothing when the query has no term that occurs.
    ///
    /// # Errors
    /// [`Error::Lexical`] when tantivy cannot read its own files.
    pub fn lexical(&self, query: &str, k: usize, mask: Option<&Mask>) -> Result<Vec<Scored>> {
        self.lexical.search(query, k, mask)
    }

    /// What each term of `query` adds to the score of the chunk at `slot`, strongest first; summed
    /// in this order they are that score.
    ///
    /// # Errors
    /// As [`Snapshot::lexical`].
    pub fn lexical_explain(&self, query: &str, slot: Slot) -> Result<Vec<(String, f32)>> {
        self.lexical.explain(query, slot)
    }

    /// The `k` chunks whose vectors have the largest inner product with `query`, best first; with a
    /// mask, of those it holds. `effort` is how many candidates a graph keeps (at least `k`; none:
    /// tuned for recall@10 of 0.98). Scores are exact.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the snapshot has no vectors or vectors of another length.
    pub fn vectors(&self, query: &[f32], k: usize, mask: Option<&Mask>, effort: Option<usize>) -> Result<Vec<Scored>> {
        self.vectors.search(query, k, mask, effort)
    }

    /// The same by comparing every vector: slow and exact.
    ///
    /// # Errors
    /// As [`Snapshot::vectors`].
    pub fn vectors_exact(&self, query: &[f32], k: usize, mask: Option<&Mask>) -> Result<Vec<Scored>> {
        self.vectors.exact(query, k, mask)
    }
}
