//! A text to be judged, and what the corpus says of its sentences.

use agent::NOTICE;
use corpus::sentence::sentences;
use retriever::Query;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::{Citation, Verdict};
use super::{Filter, worded};
use crate::server::error::ApiError;

/// A text of more sentences is refused.
const MAX_SENTENCES: usize = 64;
/// Hits that are read for each sentence, unless it is said otherwise, and at most.
const HITS: usize = 5;
const MAX_HITS: usize = 20;

/// A text to be judged.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyRequest {
    /// The text: not blank, at most 16 kB and 64 sentences.
    #[schema(
        min_length = 1,
        max_length = 16_384,
        pattern = r"\S",
        example = "Metformin is contraindicated in metabolic acidosis."
    )]
    text: String,
    /// What may be evidence; anything unless given.
    #[serde(default, deserialize_with = "crate::server::body::object")]
    filter: Option<Filter>,
    /// Hits that are read for each sentence; 5 unless given.
    #[schema(minimum = 1, maximum = 20)]
    hits: Option<usize>,
}

impl VerifyRequest {
    /// The text and how it is searched for.
    ///
    /// # Errors
    /// When the text is blank or too long, or a field is out of its bounds.
    pub(crate) fn into_domain(self) -> Result<(String, Query), ApiError> {
        let hits = self.hits.unwrap_or(HITS);
        worded("text", &self.text)?;
        let count = sentences(&self.text).count();
        if count > MAX_SENTENCES {
            return Err(ApiError::invalid(format!("text: {count} sentences, at most {MAX_SENTENCES} are allowed")));
        }
        if !(1..=MAX_HITS).contains(&hits) {
            return Err(ApiError::invalid(format!("hits is {hits}, from 1 to {MAX_HITS} are allowed")));
        }
        let filter = self.filter.unwrap_or_default().to_domain()?;
        Ok((self.text, Query { filter, k: hits, ..Query::new("") }))
    }
}

/// Verdicts, sentence by sentence.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VerifyResponse {
    /// In order.
    sentences: Vec<Verified>,
    /// The snapshot that was searched.
    snapshot: String,
    /// What a reader should know; absent when there is nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    /// What this is, and what it is not.
    notice: &'static str,
}

impl VerifyResponse {
    /// Of one snapshot.
    pub(crate) fn new(snapshot: String, sentences: Vec<Verified>, warnings: Vec<String>) -> Self {
        Self { sentences, snapshot, warnings, notice: NOTICE }
    }
}

/// A sentence, and what the corpus says of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Verified {
    /// The sentence.
    text: String,
    /// Where it begins in the text, in bytes; where identifiers were taken out of it, in the text without them.
    start: usize,
    /// Where it ends.
    end: usize,
    /// What decides: evidence that supports it, else evidence that contradicts it, else the nearest; absent where nothing was
    /// found.
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<Verdict>,
    /// The evidence that the verdict is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    citation: Option<Citation>,
}

impl From<&agent::review::Verified> for Verified {
    fn from(verified: &agent::review::Verified) -> Self {
        Self {
            text: verified.text.clone(),
            start: verified.span.start,
            end: verified.span.end,
            verdict: verified.finding.as_ref().map(Verdict::from),
            citation: verified.citation.as_ref().map(Citation::from),
        }
    }
}
