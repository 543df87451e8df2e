//! Immutable, verified snapshots: tantivy for words, an exact scan or a graph for vectors.
//!
//! Second on the path: document -> *chunk -> index* -> hit -> evidence -> trace.
//!
//! * [`Build`]: chunks, facets and unit vectors in, a snapshot out ([`build`]);
//! * [`Snapshots`]: the folder of them: list, open, verify, roll back, collect ([`snapshots`]);
//! * [`Snapshot`]: one, pinned and searchable: words, vectors, filters ([`snapshot`]);
//! * [`Manifest`]: what it holds, how it was made, checksums, measured recall ([`manifest`]);
//! * [`Filter`], [`Facets`], [`Mask`]: which chunks may be answered with;
//! * [`analyzer`]: how text becomes terms without breaking `HbA1c`, `IL-6` or `1.73`.
//!
//! ```
//! use corpus::{ChunkId, DocumentId, Level, Status};
//! use indexes::{Build, BuildOptions, Entry, Facets, Snapshots};
//!
//! let dir = std::env::temp_dir().join(format!("anamnesis-doctest-{}", std::process::id()));
//! let facets = Facets {
//!     document: DocumentId::new("note", "1"),
//!     date: None,
//!     level: Level::Unclassified,
//!     status: Status::Ok,
//!     types: vec![],
//!     source: "note".into(),
//!     collections: vec![],
//!     mesh: vec![],
//! };
//! let text = "Metformin lowers HbA1c.";
//! let chunk = ChunkId::of(&facets.document, 0, text);
//! let mut build = Build::begin(&dir, BuildOptions::at("2026-11-21T13:22:00Z".parse()?))?;
//! build.push(&Entry { chunk, title: "Metformin", heading: "", text, facets: &facets }, None)?;
//! build.finish(&mut |_| {})?;
//!
//! let snapshot = Snapshots::new(&dir).open_current()?;
//! let found = snapshot.lexical("which drug lowers hba1c?", 10, None)?;
//! assert_eq!(snapshot.chunk(found[0].slot), chunk);
//! # std::fs::remove_dir_all(&dir)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Invariants.** No tensor, no text-to-vector and no fusion lives here. A finished snapshot is
//! never changed in place; `CURRENT` names the one that serves, and a kill at any byte of a build
//! leaves it serving. Every byte of a snapshot is covered by a checksum, and opening verifies all of
//! them before any is used. Equal queries to one snapshot give equal answers, ties by ascending slot.

#[cfg(target_endian = "big")]
compile_error!("snapshots are mapped as little-endian numbers");

pub mod analyzer;
pub mod build;
mod chunks;
mod columns;
mod error;
mod facets;
mod filter;
#[cfg(test)]
mod fixture;
mod flat;
mod graph;
mod lexical;
pub mod manifest;
mod mapped;
mod mask;
mod simd;
pub mod snapshot;
pub mod snapshots;
mod top;
mod vectors;

pub use build::{Build, BuildOptions, Entry, Stage, VectorKind};
pub use error::{Error, Result};
pub use facets::Facets;
pub use filter::Filter;
pub use manifest::{EncoderCard, FileCard, Manifest, SnapshotId, VectorCard, VectorIndex};
pub use mask::Mask;
pub use snapshot::Snapshot;
pub use snapshots::{Listed, Report, Snapshots};
pub use top::{Scored, Slot};
