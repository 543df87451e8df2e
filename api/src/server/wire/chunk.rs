//! One chunk, for whoever follows a citation.

use corpus::store::ChunkInContext;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Level, Status};

/// A chunk with its document's metadata.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Chunk {
    /// Content-derived: the same text at the same place has the same id everywhere.
    #[schema(example = "0f1e2d3c4b5a69788796a5b4")]
    id: String,
    /// The document it is cut from.
    document: String,
    /// Place among the document's chunks, from 0.
    ordinal: u32,
    /// Where it begins in the document's text, in bytes.
    start: usize,
    /// Where it ends.
    end: usize,
    /// Breadcrumb inside the document; may be empty.
    heading: String,
    /// Its text.
    text: String,
    /// The document's title.
    title: String,
    /// PubMed id.
    pmid: Option<String>,
    /// PubMed Central id.
    pmcid: Option<String>,
    /// Digital object identifier.
    doi: Option<String>,
    /// Where a person can read the document.
    url: Option<String>,
    /// Date of publication, as precise as it is known.
    #[schema(example = "2021-03")]
    date: Option<String>,
    /// Journal, book or site.
    journal: Option<String>,
    /// Licence as the source states it.
    licence: Option<String>,
    /// Kind of study.
    level: Level,
    /// What publishers say of it.
    status: Status,
}

impl From<ChunkInContext> for Chunk {
    fn from(ChunkInContext { chunk, document }: ChunkInContext) -> Self {
        Self {
            id: chunk.id.to_string(),
            document: chunk.document.to_string(),
            ordinal: chunk.ordinal,
            start: chunk.span.start,
            end: chunk.span.end,
            heading: chunk.heading,
            text: chunk.text,
            title: document.title,
            pmid: document.identifiers.pmid,
            pmcid: document.identifiers.pmcid,
            doi: document.identifiers.doi,
            url: document.identifiers.url,
            date: document.date.map(|date| date.to_string()),
            journal: document.journal,
            licence: document.licence,
            level: document.level.into(),
            status: document.status.into(),
        }
    }
}
