//! A query to explained hits to labelled evidence.
//!
//! On the path: document -> chunk -> index -> *hit -> evidence* -> trace -> reward.
//!
//! * [`Query`]: what to look for, in which arms, under which filter ([`query`]);
//! * [`Embed`]: text to unit vectors: static, BERT, ONNX Runtime ([`embed`]);
//! * [`Rerank`]: query and texts to logits ([`rerank`]);
//! * [`fuse`]: two ranked lists to one, each score explained;
//! * [`Retrieve`]: query to [`Hit`]s from one pinned snapshot ([`retrieve`]);
//! * [`Ledger`]: hits to [`Evidence`] with labels and a token budget ([`evidence`]);
//! * [`indexing`]: where text meets the encoder on its way to disk;
//! * [`metrics`]: nDCG, recall, MRR and MAP, and TREC run files ([`trec`]).
//!
//! ```
//! use retriever::{Fixed, Query, Retrieve};
//!
//! let retriever = Fixed::new([("metformin", "Metformin", "Metformin is first-line for type 2 diabetes.")]);
//! let hits = retriever.retrieve(&Query::new("first-line drug for diabetes"))?;
//! assert_eq!(hits[0].document.key(), "metformin");
//! # Ok::<(), retriever::Error>(())
//! ```
//!
//! **Invariants.** Raw scores of different arms never meet: only ranks and normalised contributions
//! do. Filters are pushed into both arms, never applied to a list already cut. A retracted, removed
//! or quarantined document is never a hit. Equal inputs give equal outputs, ties included.

pub mod embed;
mod error;
pub mod evidence;
pub mod fixed;
pub mod fuse;
pub mod hit;
pub mod hybrid;
pub mod indexing;
pub mod metrics;
pub mod query;
pub mod rerank;
pub mod retrieve;
pub mod trec;
mod vector_cache;

pub use embed::{Embed, Role};
pub use error::{Error, Result};
pub use evidence::{Evidence, Ledger};
pub use fixed::Fixed;
pub use hit::{Contribution, Hit};
pub use hybrid::Hybrid;
pub use query::{Arm, Fusion, Query};
pub use rerank::Rerank;
pub use retrieve::Retrieve;

/// The target of spans that measure a stage of a request, here and in what is built on this. They leave the machine where a
/// collector is told of them: they hold counts and names of closed sets, never a text.
pub const STAGE: &str = "stage";
