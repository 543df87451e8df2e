//! Snapshots of the index.

use clap::ValueEnum;
use indexes::{Listed, VectorIndex};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// All snapshots of a home.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Snapshots {
    /// The one that answers, or will within a second.
    pub(crate) current: Option<String>,
    /// Newest first.
    pub(crate) snapshots: Vec<Snapshot>,
}

/// A snapshot.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Snapshot {
    /// Its name; names sort by time.
    #[schema(example = "20261121T132200123Z-3fa9c1")]
    id: String,
    /// Whether it is the current one.
    current: bool,
    /// When it was built, RFC 3339.
    built: Option<String>,
    /// Documents with a chunk in it.
    documents: usize,
    /// Its chunks.
    chunks: usize,
    /// The encoder of its vectors; none where there are only words.
    encoder: Option<String>,
    /// How vectors are searched: none, flat or hnsw.
    #[schema(example = "flat")]
    vectors: Option<&'static str>,
    /// Bytes of its files.
    bytes: u64,
    /// What is wrong with it, where it cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    damage: Option<&'static str>,
}

impl From<Listed> for Snapshot {
    fn from(listed: Listed) -> Self {
        let Listed { id, current, manifest } = listed;
        let id = id.to_string();
        let Ok(manifest) = manifest else {
            let damage = Some("it is damaged or of another version: build a new one");
            let (built, encoder, vectors) = (None, None, None);
            return Self { id, current, built, documents: 0, chunks: 0, encoder, vectors, bytes: 0, damage };
        };
        let vectors = match manifest.vectors.kind {
            VectorIndex::None => "none",
            VectorIndex::Flat => "flat",
            VectorIndex::Hnsw => "hnsw",
        };
        Self {
            id,
            current,
            built: Some(manifest.created.to_string()),
            documents: manifest.documents,
            chunks: manifest.chunks,
            // where it lies on this machine is nobody's business
            encoder: manifest.encoder.map(|card| card.name.rsplit('/').next().unwrap_or_default().to_owned()),
            vectors: Some(vectors),
            bytes: manifest.files.values().map(|card| card.bytes).sum(),
            damage: None,
        }
    }
}

/// A snapshot to build.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BuildRequest {
    /// `static`, `none` (words only), or the name of a folder under the home's `models`; that of the current snapshot
    /// unless given.
    #[schema(example = "static")]
    pub(crate) encoder: Option<String>,
    /// Which index of vectors; `auto` unless given.
    pub(crate) vectors: Option<VectorKind>,
}

/// Which index of vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum VectorKind {
    /// Exact under 50,000 chunks, a graph above.
    #[default]
    Auto,
    /// An exact scan.
    Flat,
    /// A graph.
    Hnsw,
}

impl From<VectorKind> for indexes::VectorKind {
    fn from(vectors: VectorKind) -> Self {
        match vectors {
            VectorKind::Auto => Self::Auto,
            VectorKind::Flat => Self::Flat,
            VectorKind::Hnsw => Self::Hnsw,
        }
    }
}
