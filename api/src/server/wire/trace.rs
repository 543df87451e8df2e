//! Stored episodes: lists of them, and what is said beside the episode itself.

use corpus::store::TraceRow;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use crate::server::error::ApiError;

/// Which traces to list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct TraceParams {
    /// Only of this caller; whoever may see only their own sees those whatever is given.
    #[param(max_length = 400)]
    pub(crate) caller: Option<String>,
    /// Traces of a page; 50 unless given.
    #[param(minimum = 1, maximum = 200)]
    pub(crate) limit: Option<u32>,
    /// Go on behind this trace: `next` of the page before.
    #[param(pattern = "^[0-9A-HJKMNP-TV-Z]{26}$")]
    pub(crate) after: Option<String>,
}

/// A page of traces.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TracePage {
    /// Newest first.
    pub(crate) traces: Vec<TraceCard>,
    /// What `after` takes for the next page; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// A stored answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StoredTrace {
    #[serde(flatten)]
    card: TraceCard,
    /// The episode: segments, searches, evidence, answer. Just as it was stored, whatever version wrote it.
    #[schema(value_type = Object)]
    trace: Box<RawValue>,
}

impl StoredTrace {
    /// What the store holds.
    ///
    /// # Errors
    /// When the episode is no JSON.
    pub(crate) fn new(row: TraceRow, episode: String) -> Result<Self, ApiError> {
        let trace = RawValue::from_string(episode).map_err(|error| ApiError::internal(&error))?;
        Ok(Self { card: row.into(), trace })
    }
}

/// What is known of a trace beside the episode itself.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TraceCard {
    /// Its name.
    id: String,
    /// When it was asked, RFC 3339.
    created: String,
    /// When it will be gone; never, where there is nothing.
    expires: Option<String>,
    /// Who asked.
    caller: String,
    /// What was asked.
    question: String,
    /// How it ended; `unknown` where that was never told.
    #[schema(example = "answered")]
    outcome: String,
}

impl From<TraceRow> for TraceCard {
    fn from(row: TraceRow) -> Self {
        let TraceRow { id, created, expires, caller, outcome, question } = row;
        Self { id, created, expires, caller, question, outcome }
    }
}

/// Whose traces to erase.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EraseParams {
    /// All traces of this caller go.
    #[param(max_length = 400)]
    pub(crate) caller: String,
}

/// What came of erasing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Erased {
    /// Traces that are gone for good.
    pub(crate) erased: u64,
}
