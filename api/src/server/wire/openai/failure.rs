//! Errors as OpenAI's clients read them.

use serde::Serialize;
use utoipa::ToSchema;

/// Every error of the routes that speak the form of OpenAI.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct OpenAiFailure {
    /// What is wrong.
    pub(crate) error: OpenAiError,
}

/// What is wrong with a request, or went wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct OpenAiError {
    /// For people.
    pub(crate) message: String,
    /// Whose fault it is, for programs.
    #[serde(rename = "type")]
    #[schema(example = "invalid_request_error")]
    pub(crate) kind: &'static str,
    /// The field that is wrong.
    pub(crate) param: Option<String>,
    /// What it is, for programs: one of a closed set.
    #[schema(example = "unsupported_parameter")]
    pub(crate) code: Option<&'static str>,
}
