//! Medical documents in, stable chunks out, SQLite as the one truth.
//!
//! First on the path: *document -> chunk* -> index -> hit -> evidence -> trace.
//!
//! * [`Document`]: normalised text with sections and provenance ([`document`]);
//! * [`Chunk`]: a span of one document with a content-derived id ([`chunk`]);
//! * [`Status`] and [`Level`]: may it be evidence, and how strong a kind ([`status`], [`level`]);
//! * [`reader`]: PubMed, JATS, BEIR, MedRAG, PubMedQA, JSONL, Markdown and text, streamed;
//! * [`Store`]: documents, chunks, collections, audit log and rejects in SQLite ([`store`]);
//! * [`registry`]: files that say which papers were retracted, corrected or questioned;
//! * [`injection`]: how much a text reads like an instruction to whoever answers from it;
//! * [`sentence`]: where sentences end;
//! * [`starter`]: the embedded starter corpus.
//!
//! ```
//! use corpus::{Document, DocumentId, chunk::chunk};
//!
//! let document = Document::plain(DocumentId::new("note", "1"), "Metformin", "Metformin lowers glucose.");
//! let chunks = chunk(&document);
//! assert_eq!(&document.text[chunks[0].span.clone()], chunks[0].text);
//! ```
//!
//! **Invariants.** No tensor and no index lives here. `chunk.text == document.text[chunk.span]`,
//! always. A bad record is a [`reader::Rejected`] with its place and reason, never a stop and never
//! silence. Text from outside is normalised once, at the door, by [`text`].

pub mod chunk;
pub mod date;
pub mod document;
mod error;
pub mod id;
pub mod injection;
pub mod level;
pub mod reader;
pub mod registry;
pub mod sentence;
pub mod starter;
pub mod status;
pub mod store;
pub mod text;

pub use chunk::Chunk;
pub use date::PartialDate;
pub use document::{Document, Identifiers, Section, SectionKind};
pub use error::{Error, Result};
pub use id::{ChunkId, DocumentId};
pub use level::Level;
pub use status::{Standing, Status};
pub use store::Store;
