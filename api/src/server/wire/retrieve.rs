//! Queries and their hits: this service's own form, and Search-R1's.

use corpus::PartialDate;
use corpus::store::ChunkInContext;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Arm, Fusion, Level, Status, fits};
use crate::server::error::ApiError;

/// Queries in one request of `/v1/retrieve`.
pub(crate) const MAX_QUERIES: usize = 64;
/// Queries in one request of `/retrieve`: a trainer asks for a whole batch of rollouts at once.
pub(crate) const MAX_TRAINER_QUERIES: usize = 4_096;
/// Hits of one query.
pub(crate) const MAX_K: usize = 1_000;
/// Hits that one request may ask for in all: what bounds the size of an answer.
pub(crate) const MAX_HITS: usize = MAX_QUERIES * MAX_K;

/// Which chunks may be found. Within one list any entry matches; lists are and-ed; an empty list or an
/// absent date asks nothing.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Filter {
    /// Published on or after: `2019`, `2019-06` or `2019-06-30`.
    #[schema(pattern = "^[1-9][0-9]{3}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?$", example = "2019")]
    from: Option<String>,
    /// Published on or before.
    #[schema(pattern = "^[1-9][0-9]{3}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?$", example = "2026-06-30")]
    to: Option<String>,
    /// Publication types: short names (`rct`, `review`, `guideline`, `meta-analysis`) or words of them.
    types: Vec<String>,
    /// Evidence levels.
    levels: Vec<Level>,
    /// Where documents came from (`pubmed`, `pmc`, …).
    sources: Vec<String>,
    /// Collections.
    collections: Vec<String>,
    /// What publishers say of them.
    statuses: Vec<Status>,
    /// MeSH headings or topics.
    mesh: Vec<String>,
}

impl Filter {
    /// The filter as the retriever takes it.
    ///
    /// # Errors
    /// When a date is none.
    pub(crate) fn to_domain(&self) -> Result<indexes::Filter, ApiError> {
        Ok(indexes::Filter {
            from: date("from", self.from.as_deref())?,
            to: date("to", self.to.as_deref())?,
            types: self.types.clone(),
            levels: self.levels.iter().copied().map(Into::into).collect(),
            sources: self.sources.clone(),
            collections: self.collections.clone(),
            statuses: self.statuses.iter().copied().map(Into::into).collect(),
            mesh: self.mesh.clone(),
        })
    }
}

fn date(field: &str, text: Option<&str>) -> Result<Option<PartialDate>, ApiError> {
    let bad =
        |text| ApiError::invalid(format!("filter.{field}: `{text}` is no date: write 2019, 2019-06 or 2019-06-30"));
    // a reader of documents forgives more: here a month that is none must not widen the filter to its year
    let exact = |text: &str| PartialDate::parse(text).filter(|date| date.to_string() == text);
    text.map(|text| exact(text).ok_or_else(|| bad(text))).transpose()
}

/// A search for one query or for several. Give `query` or `queries`, not both.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetrieveRequest {
    /// One query, at most 16 kB.
    #[schema(max_length = 16_384)]
    query: Option<String>,
    /// Several queries, at most 64.
    #[schema(min_items = 1, max_items = 64)]
    queries: Option<Vec<String>>,
    /// Hits of each query, at most 1000; 10 unless given.
    #[schema(minimum = 1, maximum = 1_000)]
    k: Option<usize>,
    /// Which arms look; `hybrid` unless given.
    arm: Option<Arm>,
    /// How two arms become one list; `minmax` unless given.
    fusion: Option<Fusion>,
    /// Which chunks may be found; any unless given.
    #[serde(default, deserialize_with = "crate::server::body::object")]
    filter: Option<Filter>,
    /// Chunks of one document at most; 3 unless given, 0 is no limit.
    per_document: Option<usize>,
    /// Whether hits carry their text; true unless given.
    text: Option<bool>,
}

/// Queries that were found to be in order.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The words of each query.
    pub(crate) queries: Vec<String>,
    /// What they have in common.
    pub(crate) common: retriever::Query,
}

impl RetrieveRequest {
    /// Whether hits carry their text.
    pub(crate) fn wants_text(&self) -> bool {
        self.text.unwrap_or(true)
    }

    /// The queries, checked.
    ///
    /// # Errors
    /// When there is none, or something is over its limit.
    pub(crate) fn into_batch(self) -> Result<Batch, ApiError> {
        let queries = match (self.query, self.queries) {
            (Some(query), None) => vec![query],
            (None, Some(queries)) => queries,
            (Some(_), Some(_)) => return Err(ApiError::invalid("query and queries: give one of them")),
            (None, None) => return Err(ApiError::invalid("query: missing, give it or queries")),
        };
        let usual = retriever::Query::new("");
        let common = retriever::Query {
            k: self.k.unwrap_or(usual.k),
            arm: self.arm.map_or(usual.arm, Into::into),
            fusion: self.fusion.map_or(usual.fusion, Into::into),
            filter: self.filter.unwrap_or_default().to_domain()?,
            per_document: self.per_document.unwrap_or(usual.per_document),
            ..usual
        };
        if queries.is_empty() {
            return Err(ApiError::invalid(format!("queries: 0 given, 1 to {MAX_QUERIES} are allowed")));
        }
        check("k", MAX_QUERIES, &queries, common.k)?;
        Ok(Batch { queries, common })
    }
}

fn check(k_field: &str, most: usize, queries: &[String], k: usize) -> Result<(), ApiError> {
    let fail = |message: String| Err(ApiError::invalid(message));
    if queries.len() > most {
        return fail(format!("queries: {} given, at most {most} are allowed", queries.len()));
    }
    for (index, query) in queries.iter().enumerate() {
        fits(&format!("queries[{index}]"), query)?;
    }
    if k == 0 || k > MAX_K {
        return fail(format!("{k_field}: {k} given, 1 to {MAX_K} are allowed"));
    }
    if queries.len() * k > MAX_HITS {
        return fail(format!(
            "{k_field}: {} queries with {k} hits each, at most {MAX_HITS} hits are allowed in all",
            queries.len()
        ));
    }
    Ok(())
}

/// Hits for each query, in the order of the queries.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Retrieved {
    /// The snapshot that was searched.
    pub(crate) snapshot: String,
    /// Best first.
    pub(crate) results: Vec<Vec<Hit>>,
    /// What a reader should know; absent when there is nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) warnings: Vec<String>,
}

/// A chunk found for a query.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Hit {
    /// Place in the list, from 1.
    rank: usize,
    /// Sum of the contributions' values; comparable within one list only.
    score: f64,
    /// The chunk: `/v1/chunks/{id}`.
    chunk: String,
    /// Its document.
    document: String,
    /// PubMed id.
    pmid: Option<String>,
    /// The document's title.
    title: String,
    /// Breadcrumb inside the document; may be empty.
    heading: String,
    /// Year of publication.
    year: Option<u16>,
    /// Journal, book or site.
    journal: Option<String>,
    /// Kind of study.
    level: Level,
    /// What publishers say of it.
    status: Status,
    /// The chunk's text, unless it was asked to be left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// What each arm gave to the score.
    contributions: Vec<Contribution>,
}

/// What one arm gave to a hit: `value = weight * scaled`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Contribution {
    /// The arm.
    arm: Arm,
    /// The chunk's place in that arm's own list, from 1.
    rank: usize,
    /// The arm's own score: BM25, or cosine.
    raw: f32,
    /// The same made comparable.
    scaled: f64,
    /// The arm's weight in the fusion.
    weight: f64,
    /// What entered the hit's score.
    value: f64,
}

impl Hit {
    /// `hit` with what the store knows of it.
    pub(crate) fn new(hit: &retriever::Hit, found: ChunkInContext, with_text: bool) -> Self {
        let ChunkInContext { chunk, document: card } = found;
        Self {
            rank: hit.rank,
            score: hit.score,
            chunk: hit.chunk.to_string(),
            document: hit.document.to_string(),
            pmid: card.identifiers.pmid,
            title: card.title,
            heading: chunk.heading,
            year: card.date.map(|date| date.year),
            journal: card.journal,
            level: card.level.into(),
            status: card.status.into(),
            text: with_text.then_some(chunk.text),
            contributions: hit.contributions.iter().map(Contribution::from).collect(),
        }
    }
}

impl From<&retriever::Contribution> for Contribution {
    fn from(given: &retriever::Contribution) -> Self {
        let retriever::Contribution { arm, rank, raw, scaled, weight, value } = *given;
        Self { arm: arm.into(), rank, raw, scaled, weight, value }
    }
}

/// Search-R1's request, field for field.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchR1Request {
    /// At most 4096, each at most 16 kB. None at all is answered by none: a turn in which nobody searched.
    #[schema(max_items = 4_096)]
    queries: Vec<String>,
    /// Hits of each query, at most 1000; 3 when absent, null or 0.
    #[schema(maximum = 1_000)]
    topk: Option<usize>,
    /// Whether each hit is `{document, score}`, or the document alone.
    #[serde(default)]
    return_scores: bool,
}

impl SearchR1Request {
    /// Whether scores are wanted.
    pub(crate) fn wants_scores(&self) -> bool {
        self.return_scores
    }

    /// The queries, checked.
    ///
    /// # Errors
    /// When something is over its limit.
    pub(crate) fn into_batch(self) -> Result<Batch, ApiError> {
        let k = self.topk.filter(|k| *k > 0).unwrap_or(3);
        check("topk", MAX_TRAINER_QUERIES, &self.queries, k)?;
        Ok(Batch { queries: self.queries, common: retriever::Query { k, ..retriever::Query::new("") } })
    }
}

/// Search-R1's response.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SearchR1Response {
    /// Hits for each query, best first.
    pub(crate) result: Vec<Vec<SearchR1Result>>,
}

/// One hit, with or without its score.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum SearchR1Result {
    /// With `return_scores`.
    Scored(SearchR1Hit),
    /// Without.
    Plain(SearchR1Document),
}

/// A document and its score.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SearchR1Hit {
    /// The chunk.
    pub(crate) document: SearchR1Document,
    /// Its score.
    pub(crate) score: f64,
}

/// A chunk as Search-R1's prompts read it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SearchR1Document {
    /// The chunk's id.
    id: String,
    /// The title in quotes, a line break, the text.
    contents: String,
}

impl From<ChunkInContext> for SearchR1Document {
    fn from(found: ChunkInContext) -> Self {
        let ChunkInContext { chunk, document } = found;
        // its clients take the first line for the title and the rest for the text
        let title = document.title.split_whitespace().collect::<Vec<_>>().join(" ");
        Self { id: chunk.id.to_string(), contents: format!("\"{title}\"\n{}", chunk.text) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ask::MAX_QUESTION_BYTES;
    use super::*;

    fn refusal(json: &str) -> String {
        let request: RetrieveRequest = serde_json::from_str(json).unwrap();
        request.into_batch().unwrap_err().message().to_owned()
    }

    #[test]
    fn names_the_field_that_is_wrong() {
        assert_eq!(refusal("{}"), "query: missing, give it or queries");
        assert_eq!(refusal(r#"{"query":"a","queries":["b"]}"#), "query and queries: give one of them");
        assert_eq!(refusal(r#"{"queries":[]}"#), "queries: 0 given, 1 to 64 are allowed");
        assert_eq!(refusal(r#"{"query":"a","k":0}"#), "k: 0 given, 1 to 1000 are allowed");
        assert_eq!(refusal(r#"{"query":"a","k":1001}"#), "k: 1001 given, 1 to 1000 are allowed");
        assert!(refusal(r#"{"query":"a","filter":{"from":"spring"}}"#).starts_with("filter.from: `spring`"));
        let long = serde_json::json!({ "queries": ["a", "x".repeat(MAX_QUESTION_BYTES + 1)] }).to_string();
        assert!(refusal(&long).starts_with("queries[1]: 16385 bytes"));
    }

    #[test]
    fn a_trainer_may_ask_for_a_whole_batch_but_not_for_everything() {
        let request = |count: usize, topk: usize| SearchR1Request {
            queries: vec![String::new(); count],
            topk: Some(topk),
            return_scores: true,
        };
        assert_eq!(request(2_560, 0).into_batch().unwrap().common.k, 3);
        assert!(request(0, 3).into_batch().unwrap().queries.is_empty());
        assert!(request(4_097, 3).into_batch().is_err());
        assert!(request(100, 1_000).into_batch().is_err());
    }
}
