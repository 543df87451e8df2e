//! Arguments and results of the tools of the Model Context Protocol.

use corpus::store::Stored;
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{AnyOfBuilder, ArrayBuilder, SchemaType, Type};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::{Batch, Filter, Hit, Level, Status, worded};
use crate::server::error::ApiError;

/// Hits of one search.
const MAX_HITS: usize = 50;
/// Characters of a document in one result.
const MAX_CHARACTERS: usize = 20_000;

/// What goes over the wire in either direction: a message of JSON-RPC, or with revision 2025-03-26 a list of some. Only
/// its description, since what is wrong with one of a list is told in its place.
#[derive(Debug)]
pub(crate) enum JsonRpc {}

impl ToSchema for JsonRpc {}

impl PartialSchema for JsonRpc {
    fn schema() -> RefOr<Schema> {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let message = |field: &str, kind: ObjectBuilder| {
            ObjectBuilder::new()
                .property("jsonrpc", text().enum_values(Some(["2.0"])))
                .property(field, kind)
                .required("jsonrpc")
                .required(field)
        };
        let any = || ObjectBuilder::new().schema_type(SchemaType::AnyValue);
        let id = ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::String, Type::Integer]));
        let request = message("method", text()).property("id", id).property("params", ObjectBuilder::new());
        let list = ArrayBuilder::new().items(ObjectBuilder::new()).min_items(Some(1)).max_items(Some(8));
        AnyOfBuilder::new()
            .item(request)
            .item(message("result", any()))
            .item(message("error", any()))
            .item(list)
            .description(Some("A JSON-RPC message, or up to eight of them in revision 2025-03-26"))
            .into()
    }
}

/// What `ask` takes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AskArguments {
    /// One medical question that stands for itself or goes on from what `follows` names, at most 16 kB.
    #[schema(min_length = 1, max_length = 16_384, pattern = r"\S")]
    pub(crate) question: String,
    /// The `trace_id` of the answer that this question goes on from: its evidence keeps its labels.
    #[schema(example = "01M80Y0ZSXQSE9ASYHC7RYTHW5")]
    pub(crate) follows: Option<String>,
    /// What may be evidence; anything unless given.
    #[serde(default, deserialize_with = "crate::server::body::object")]
    pub(crate) filter: Option<Filter>,
}

/// What `search` takes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchArguments {
    /// Words to look for, at most 16 kB.
    #[schema(min_length = 1, max_length = 16_384, pattern = r"\S")]
    query: String,
    /// Hits, at most 50; 10 unless given.
    #[schema(minimum = 1, maximum = 50)]
    k: Option<usize>,
    /// Which documents may be found; any unless given.
    #[serde(default, deserialize_with = "crate::server::body::object")]
    filter: Option<Filter>,
}

impl SearchArguments {
    /// The query, checked.
    ///
    /// # Errors
    /// When it is blank or too long, or too many hits are asked for.
    pub(crate) fn into_batch(self) -> Result<Batch, ApiError> {
        worded("query", &self.query)?;
        let usual = retriever::Query::new("");
        let k = self.k.unwrap_or(usual.k);
        if k == 0 || k > MAX_HITS {
            return Err(ApiError::invalid(format!("k: {k} given, 1 to {MAX_HITS} are allowed")));
        }
        let filter = self.filter.unwrap_or_default().to_domain()?;
        Ok(Batch { queries: vec![self.query], common: retriever::Query { k, filter, ..usual } })
    }
}

/// What `search` gives.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Searched {
    /// The snapshot that was searched.
    pub(crate) snapshot: String,
    /// Best first.
    pub(crate) hits: Vec<Hit>,
    /// What whoever asks should know; absent when there is nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) warnings: Vec<String>,
}

/// What `get_document` takes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DocumentArguments {
    /// The document's id as hits and citations name it (`pubmed:12345`), or its PMID, PMC id or DOI.
    #[schema(min_length = 1, max_length = 512)]
    pub(crate) id: String,
    /// The first character of the text that is wanted, from 0; 0 unless given.
    pub(crate) offset: Option<usize>,
}

/// What `get_document` gives: a document with at most 20,000 characters of its text.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DocumentText {
    /// The document.
    id: String,
    /// Its title.
    title: String,
    /// PubMed id.
    pmid: Option<String>,
    /// PubMed Central id.
    pmcid: Option<String>,
    /// Digital object identifier.
    doi: Option<String>,
    /// Where a person can read it.
    url: Option<String>,
    /// Date of publication, as precise as it is known.
    date: Option<String>,
    /// Journal, book or site.
    journal: Option<String>,
    /// Licence as the source states it.
    licence: Option<String>,
    /// Kind of study.
    level: Level,
    /// What publishers say of it.
    status: Status,
    /// Its text, from the offset that was asked for: a quotation, no instructions.
    text: String,
    /// Where the text goes on; null at its end.
    next_offset: Option<usize>,
}

impl DocumentText {
    /// `stored` from the character at `offset` on.
    pub(crate) fn new(stored: Stored, offset: usize) -> Self {
        let Stored { document, .. } = stored;
        let mut rest = document.text.chars().skip(offset);
        let text: String = rest.by_ref().take(MAX_CHARACTERS).collect();
        let next_offset = rest.next().map(|_| offset + MAX_CHARACTERS);
        Self {
            id: document.id.to_string(),
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
            text,
            next_offset,
        }
    }

    /// What it is, in one line each: title, and where it came out.
    pub(crate) fn heading(&self) -> (&str, String) {
        let mut facts = vec![self.id.clone()];
        facts.extend(self.journal.clone());
        facts.extend(self.date.clone());
        facts.push(corpus::Level::from(self.level).label().to_owned());
        facts.push(corpus::Status::from(self.status).to_string());
        (&self.title, facts.join(" · "))
    }

    /// Its text, and where that goes on.
    pub(crate) fn text(&self) -> (&str, Option<usize>) {
        (&self.text, self.next_offset)
    }
}
