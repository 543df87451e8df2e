//! A question and its answer.

mod read;

use agent::{NOTICE, Outcome, Trace};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Filter, Level, Status, labels};
use crate::server::error::ApiError;

/// A longer question is refused.
pub(crate) const MAX_QUESTION_BYTES: usize = 16 * 1024;

/// What may be asked.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AskRequest {
    /// The question: not blank, at most 16 kB.
    #[schema(min_length = 1, max_length = 16_384, example = "Which drug is first-line for type 2 diabetes?")]
    pub(crate) question: String,
    /// What may be evidence; anything unless given.
    pub(crate) filter: Option<Filter>,
    /// Bounds of the episode; the service's own where not given.
    pub(crate) budget: Option<Budget>,
    /// Seed of whatever is random in the policy; 0 unless given.
    pub(crate) seed: Option<u64>,
    /// Answer with server-sent events, as `Accept: text/event-stream` does too.
    pub(crate) stream: Option<bool>,
}

/// Bounds of an episode. Each may be lowered, and raised up to the maximum named.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Budget {
    /// Turns in which the policy may search; one forced final turn comes on top.
    #[schema(maximum = 16)]
    turns: Option<u32>,
    /// Queries in one turn.
    #[schema(minimum = 1, maximum = 8)]
    queries_per_turn: Option<usize>,
    /// Hits of one query.
    #[schema(minimum = 1, maximum = 50)]
    hits_per_query: Option<usize>,
    /// Tokens of evidence text in the whole episode.
    #[schema(minimum = 1, maximum = 64_000)]
    evidence_tokens: Option<usize>,
    /// Tokens the policy may write in the whole episode.
    #[schema(minimum = 1, maximum = 32_768)]
    generated_tokens: Option<usize>,
    /// Wall time of the episode in milliseconds; what the service's own time-out leaves is the maximum.
    #[schema(minimum = 1)]
    wall_ms: Option<u64>,
}

impl Budget {
    /// The budget of one episode, which may take at most `wall_ms`.
    ///
    /// # Errors
    /// When a field is zero or over its maximum.
    pub(crate) fn to_domain(&self, wall_ms: u64) -> Result<agent::Budget, ApiError> {
        let usual = agent::Budget::default();
        let budget = agent::Budget {
            turns: bounded("turns", self.turns, usual.turns, 16)?,
            queries_per_turn: bounded("queries_per_turn", self.queries_per_turn, usual.queries_per_turn, 8)?,
            hits_per_query: bounded("hits_per_query", self.hits_per_query, usual.hits_per_query, 50)?,
            evidence_tokens: bounded("evidence_tokens", self.evidence_tokens, usual.evidence_tokens, 64_000)?,
            generated_tokens: bounded("generated_tokens", self.generated_tokens, usual.generated_tokens, 32_768)?,
            wall_ms: self.wall_ms.unwrap_or(usual.wall_ms).min(wall_ms),
        };
        budget.check().map_err(|error| ApiError::invalid(error.to_string()))?;
        Ok(budget)
    }
}

fn bounded<T: Copy + Ord + std::fmt::Display>(field: &str, asked: Option<T>, usual: T, most: T) -> Result<T, ApiError> {
    match asked {
        Some(asked) if asked > most => {
            Err(ApiError::invalid(format!("budget.{field} is {asked}, at most {most} is allowed")))
        }
        Some(asked) => Ok(asked),
        None => Ok(usual),
    }
}

/// An answer, or an abstention with its reason. The same object everywhere: as JSON, and as the last
/// event of a stream.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names are those on the wire")]
pub(crate) struct Answer {
    /// The answer without labels, or in an abstention why there is none.
    answer: String,
    /// The answer's sentences; none in an abstention.
    sentences: Vec<Sentence>,
    /// What the sentences cite, in order of first use.
    citations: Vec<Citation>,
    /// True when the evidence does not carry an answer.
    abstained: bool,
    /// Why, in an abstention.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "insufficient")]
    reason: Option<&'static str>,
    /// Names the stored episode: `anamnesis replay` repeats it.
    trace_id: String,
    /// The snapshot that was searched.
    snapshot: String,
    /// Where the time went.
    timings: Timings,
    /// What a reader should know; absent when there is nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    /// What this is, and what it is not. To be shown with every answer.
    notice: &'static str,
}

/// A sentence of an answer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Sentence {
    /// The sentence.
    text: String,
    /// Labels of what supports it.
    #[schema(example = json!(["E1"]))]
    cites: Vec<String>,
    /// What it cites says of it; absent where it cites nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    finding: Option<Finding>,
}

/// What cited passages say of a sentence, by rule: by its words, amounts and direction. It sees no paraphrase.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Finding {
    /// support, contradict or neutral.
    #[schema(example = "support")]
    label: &'static str,
    /// Amounts and numbers that no cited passage has.
    missing: Vec<String>,
    /// What a reader should look at, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    concern: Option<String>,
}

impl From<&agent::check::Finding> for Finding {
    fn from(finding: &agent::check::Finding) -> Self {
        Self { label: finding.label.name(), missing: finding.missing.clone(), concern: finding.concern() }
    }
}

/// A cited chunk, with the sentence of it that supports what cites it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Citation {
    /// What sentences cite it by.
    #[schema(example = "E1")]
    label: String,
    /// The document.
    document: String,
    /// The chunk: `/v1/chunks/{id}` has its text.
    chunk: String,
    /// PubMed id.
    pmid: Option<String>,
    /// The document's title.
    title: String,
    /// Year of publication.
    year: Option<u16>,
    /// Journal, book or site.
    journal: Option<String>,
    /// Kind of study.
    level: Level,
    /// What publishers say of it.
    status: Status,
    /// A sentence of the chunk, word for word.
    quote: String,
}

/// Milliseconds.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names are those on the wire")]
pub(crate) struct Timings {
    /// The whole episode.
    total_ms: f64,
    /// In the policy.
    policy_ms: f64,
    /// In retrieval.
    retrieval_ms: f64,
}

impl Answer {
    /// The answer that an episode came to.
    pub(crate) fn of(trace: &Trace) -> Self {
        let reason = match trace.answer.outcome {
            Outcome::Answered => None,
            Outcome::Abstained(code) => Some(code.as_str()),
        };
        let sentence = |sentence: &agent::Sentence| Sentence {
            text: sentence.text.clone(),
            cites: labels(&sentence.cites),
            finding: sentence.finding.as_ref().map(Finding::from),
        };
        let agent::trace::Timings { total_ms, policy_ms, retrieval_ms } = trace.timings;
        Self {
            answer: trace.answer.text.clone(),
            sentences: trace.answer.sentences.iter().map(sentence).collect(),
            citations: trace.answer.citations.iter().map(Citation::from).collect(),
            abstained: reason.is_some(),
            reason,
            trace_id: trace.id.to_string(),
            snapshot: trace.snapshot.clone(),
            timings: Timings { total_ms, policy_ms, retrieval_ms },
            warnings: Vec::new(),
            notice: NOTICE,
        }
    }

    /// The same with what a reader should know besides.
    pub(crate) fn with_warnings(mut self, warnings: Vec<String>) -> Self {
        self.warnings = warnings;
        self
    }
}

impl From<&agent::Citation> for Citation {
    fn from(citation: &agent::Citation) -> Self {
        Self {
            label: citation.label.to_string(),
            document: citation.document.to_string(),
            chunk: citation.chunk.to_string(),
            pmid: citation.pmid.clone(),
            title: citation.title.clone(),
            year: citation.year,
            journal: citation.journal.clone(),
            level: citation.level.into(),
            status: citation.status.into(),
            quote: citation.quote.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(json: &str) -> Result<agent::Budget, String> {
        let budget: Budget = serde_json::from_str(json).unwrap();
        budget.to_domain(57_000).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_budget_is_filled_in_and_bounded() {
        let usual = agent::Budget { wall_ms: 57_000, ..agent::Budget::default() };
        assert_eq!(budget("{}"), Ok(usual));
        assert_eq!(budget(r#"{"turns":1,"wall_ms":10}"#), Ok(agent::Budget { turns: 1, wall_ms: 10, ..usual }));
        assert_eq!(
            budget(r#"{"hits_per_query":51}"#),
            Err("budget.hits_per_query is 51, at most 50 is allowed".to_owned())
        );
        assert!(budget(r#"{"evidence_tokens":0}"#).unwrap_err().contains("evidence_tokens"));
        assert!(serde_json::from_str::<Budget>(r#"{"turn":1}"#).is_err());
    }
}
