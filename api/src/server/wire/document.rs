//! Documents, collections, and what becomes of records that are sent.

use corpus::DocumentId;
use corpus::store::{AuditRow, Ingested, Row, Stored};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::curation::Act;
use super::{Level, Standing, Status};
use crate::server::error::ApiError;

/// The longest name of a collection, a source or a tag.
const MAX_NAME: usize = 200;
/// The longest reason.
const MAX_REASON: usize = 2_000;
/// Bytes of a document's text that are told.
const MAX_TEXT: usize = 4 << 20;

/// Which documents to list; all conditions hold at once.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct DocumentParams {
    /// Only of this collection.
    #[param(max_length = 400)]
    pub(crate) collection: Option<String>,
    /// Only where each of these words stands in the title or the id.
    #[param(max_length = 400)]
    pub(crate) text: Option<String>,
    /// Only of this status.
    pub(crate) status: Option<Status>,
    /// Only of this standing.
    pub(crate) standing: Option<Standing>,
    /// Only with this tag.
    #[param(max_length = 400)]
    pub(crate) tag: Option<String>,
    /// Documents of a page; 50 unless given.
    #[param(minimum = 1, maximum = 200)]
    pub(crate) limit: Option<u32>,
    /// Go on behind this id: `next` of the page before.
    #[param(pattern = r"^[^:]+:[\s\S]+$")]
    pub(crate) after: Option<String>,
}

/// A page of documents.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DocumentPage {
    /// In order of ids.
    pub(crate) documents: Vec<DocumentCard>,
    /// What `after` takes for the next page; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// What is known of a document beside its text.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DocumentCard {
    /// The source, a colon, and its name there.
    #[schema(example = "pubmed:12345")]
    id: String,
    /// May be empty.
    title: String,
    /// What publishers and registries say of it.
    status: Status,
    /// What curators decided.
    standing: Standing,
    /// Kind of study.
    level: Level,
    /// Date of publication, as precise as it is known.
    #[schema(example = "2021-03")]
    date: Option<String>,
    /// Journal, book or site.
    journal: Option<String>,
    /// Its collections, sorted.
    collections: Vec<String>,
    /// Its tags, sorted.
    tags: Vec<String>,
    /// How many chunks it was cut into.
    chunks: u32,
}

impl From<Row> for DocumentCard {
    fn from(row: Row) -> Self {
        Self {
            id: row.id.to_string(),
            title: row.title,
            status: row.status.into(),
            standing: row.standing.into(),
            level: row.level.into(),
            date: row.date.map(|date| date.to_string()),
            journal: row.journal,
            collections: row.collections,
            tags: row.tags,
            chunks: row.chunks,
        }
    }
}

/// A document, whole.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Document {
    #[serde(flatten)]
    card: DocumentCard,
    /// All sections, in order.
    text: String,
    /// True where only the first 4 MiB of the text are told.
    cut: bool,
    /// The parts of the text.
    sections: Vec<Section>,
    /// Names of the work elsewhere.
    identifiers: Identifiers,
    /// The record's version at its source.
    version: u32,
    /// Language code as the source gives it.
    language: Option<String>,
    /// Licence as the source states it.
    licence: Option<String>,
    /// Publication types.
    publication_types: Vec<String>,
    /// MeSH headings, keywords or topics.
    mesh: Vec<String>,
    /// When it first came, RFC 3339.
    added: String,
    /// When it last changed.
    changed: Option<String>,
    /// What was done to it, latest first, at most fifty acts.
    audit: Vec<Act>,
}

/// A part of a document's text.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Section {
    /// Headings, outermost first; may be empty.
    heading: String,
    /// Where it begins in the text, in bytes.
    start: usize,
    /// Where it ends.
    end: usize,
}

/// Names of a work elsewhere.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Identifiers {
    /// PubMed id.
    pmid: Option<String>,
    /// PubMed Central id.
    pmcid: Option<String>,
    /// Digital object identifier.
    doi: Option<String>,
    /// Where a person can read it.
    url: Option<String>,
}

impl Document {
    /// A stored document and the acts on it.
    pub(crate) fn new(stored: Stored, audit: Vec<AuditRow>) -> Self {
        let Stored { document, standing, collections, tags, chunks, added, changed } = stored;
        let mut text = document.text;
        let cut = text.len() > MAX_TEXT;
        text.truncate(text.floor_char_boundary(MAX_TEXT));
        let section =
            |part: corpus::Section| Section { heading: part.heading, start: part.span.start, end: part.span.end };
        let corpus::Identifiers { pmid, pmcid, doi, url } = document.identifiers;
        Self {
            card: DocumentCard {
                id: document.id.to_string(),
                title: document.title,
                status: document.status.into(),
                standing: standing.into(),
                level: document.level.into(),
                date: document.date.map(|date| date.to_string()),
                journal: document.journal,
                collections,
                tags,
                chunks,
            },
            text,
            cut,
            sections: document.sections.into_iter().map(section).collect(),
            identifiers: Identifiers { pmid, pmcid, doi, url },
            version: document.version,
            language: document.language,
            licence: document.licence,
            publication_types: document.publication_types,
            mesh: document.mesh,
            added,
            changed,
            audit: audit.into_iter().map(Act::from).collect(),
        }
    }
}

/// A document's id, as clients write it.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(pattern = r"^[^:]+:[\s\S]+$", example = "pubmed:12345")]
pub(crate) struct DocumentName(String);

impl DocumentName {
    /// The id; none where it is no whole one.
    pub(super) fn to_domain(&self) -> Option<DocumentId> {
        DocumentId::parse(&self.0)
    }
}

/// Documents to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddRequest {
    /// The collection they go into; made if it is new.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$",
        example = "guidelines"
    )]
    pub(crate) collection: String,
    /// What the content is; told from it where it is not given.
    pub(crate) format: Option<Format>,
    /// The records, as a file of that format has them.
    #[schema(
        min_length = 1,
        pattern = r"\S",
        example = "{\"id\":\"1\",\"title\":\"Metformin\",\"text\":\"Metformin lowers glucose.\"}"
    )]
    pub(crate) content: String,
    /// Why, for the audit log.
    #[schema(min_length = 1, max_length = 2_000, pattern = r"\S")]
    pub(crate) reason: String,
    /// The first part of ids where the format brings none (JSON lines, text); the collection's name unless given.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
    )]
    pub(crate) source: Option<String>,
}

impl AddRequest {
    /// The request, if it is in order.
    ///
    /// # Errors
    /// With the field that is not.
    pub(crate) fn checked(self) -> Result<Self, ApiError> {
        name("collection", &self.collection)?;
        self.source.as_deref().map_or(Ok(()), |source| name("source", source))?;
        reason(&self.reason)?;
        if self.content.trim().is_empty() {
            return Err(ApiError::invalid("content: it is empty"));
        }
        Ok(self)
    }
}

/// What a file holds.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// PubMed XML.
    PubMed,
    /// JATS full text.
    Jats,
    /// Lines of a BEIR corpus.
    Beir,
    /// MedRAG chunks, a line each.
    MedRag,
    /// PubMedQA.
    PubMedQa,
    /// Any other JSON lines.
    Jsonl,
    /// One Markdown text.
    Text,
}

impl From<Format> for corpus::reader::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::PubMed => Self::PubMed,
            Format::Jats => Self::Jats,
            Format::Beir => Self::Beir,
            Format::MedRag => Self::MedRag,
            Format::PubMedQa => Self::PubMedQa,
            Format::Jsonl => Self::Jsonl,
            Format::Text => Self::Text,
        }
    }
}

/// What became of records that were sent.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names are those on the wire")]
pub(crate) struct Added {
    /// Documents that were not there.
    added: u64,
    /// Documents that were replaced by a newer version or other content.
    updated: u64,
    /// Documents that are there just so.
    unchanged: u64,
    /// Records older than what is there.
    ignored: u64,
    /// Documents that their source deleted.
    deleted: u64,
    /// Added and updated documents that read like instructions to whoever answers from them: they answer nothing until
    /// they are restored. `/v1/documents?standing=quarantined` lists them, `/v1/audit` tells why.
    quarantined: u64,
    /// Chunks of what was added and updated.
    chunks: u64,
    /// How many records could not be read.
    rejected_count: u64,
    /// The first hundred of them.
    rejected: Vec<Rejected>,
}

impl Added {
    pub(crate) fn new(counts: Ingested, rejected: Vec<Rejected>) -> Self {
        let Ingested { added, updated, unchanged, ignored, deleted, quarantined, chunks, .. } = counts;
        let rejected_count = counts.rejected;
        Self { added, updated, unchanged, ignored, deleted, quarantined, chunks, rejected_count, rejected }
    }
}

/// A record that was set aside.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Rejected {
    /// Where it stands in the content.
    #[schema(example = "line 12")]
    position: String,
    /// What is wrong with it.
    reason: String,
    /// Its beginning.
    excerpt: String,
}

impl From<&corpus::reader::Rejected> for Rejected {
    fn from(rejected: &corpus::reader::Rejected) -> Self {
        let corpus::reader::Rejected { position, reason, excerpt, .. } = rejected.clone();
        Self { position, reason, excerpt }
    }
}

/// All collections.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Collections {
    /// By name.
    pub(crate) collections: Vec<Collection>,
}

/// A collection.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Collection {
    /// Its name.
    name: String,
    /// Its documents, of any standing; a document can be in several collections.
    documents: u64,
    /// Their chunks.
    chunks: u64,
    /// Documents that are retracted, quarantined or removed: no evidence.
    withdrawn: u64,
}

impl From<corpus::store::Collection> for Collection {
    fn from(one: corpus::store::Collection) -> Self {
        let corpus::store::Collection { name, documents, chunks, withdrawn } = one;
        Self { name, documents, chunks, withdrawn }
    }
}

/// Refuses what is no name: nothing, too much, or signs that are no text.
pub(super) fn name(field: &str, text: &str) -> Result<(), ApiError> {
    let fault = if text.trim().is_empty() {
        "it is empty".to_owned()
    } else if text.chars().count() > MAX_NAME {
        format!("{} characters, at most {MAX_NAME} are allowed", text.chars().count())
    } else if text.chars().any(char::is_control) {
        "it holds signs that are no text".to_owned()
    } else {
        return Ok(());
    };
    Err(ApiError::invalid(format!("{field}: {fault}")))
}

/// Refuses what is no reason.
pub(super) fn reason(text: &str) -> Result<(), ApiError> {
    let fault = match text.chars().count() {
        _ if text.trim().is_empty() => "it is empty: say why, for the audit log".to_owned(),
        length if length > MAX_REASON => format!("{length} characters, at most {MAX_REASON} are allowed"),
        _ => return Ok(()),
    };
    Err(ApiError::invalid(format!("reason: {fault}")))
}
