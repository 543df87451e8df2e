//! What a request cost.

use retriever::evidence::estimate_tokens;
use serde::Serialize;
use utoipa::ToSchema;

/// Tokens of question and answer, estimated from their bytes: nobody is billed, and what the agent read
/// and wrote on its way is in the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names are those on the wire")]
pub(crate) struct Usage {
    /// Of the question.
    prompt_tokens: usize,
    /// Of the answer.
    completion_tokens: usize,
    /// Of both.
    total_tokens: usize,
}

impl Usage {
    /// Of `question` and `content`.
    pub(crate) fn of(question: &str, content: &str) -> Self {
        let (prompt_tokens, completion_tokens) = (estimate_tokens(question), estimate_tokens(content));
        Self { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens }
    }
}

/// Tokens of texts, estimated from their bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct EmbeddingUsage {
    /// Of all texts.
    prompt_tokens: usize,
    /// The same.
    total_tokens: usize,
}

impl EmbeddingUsage {
    /// Of `texts`.
    pub(crate) fn of(texts: &[String]) -> Self {
        let tokens = texts.iter().map(|text| estimate_tokens(text)).sum();
        Self { prompt_tokens: tokens, total_tokens: tokens }
    }
}
