//! A question and the terms it is asked on.

use clap::ValueEnum;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Filter;
use crate::server::error::ApiError;

/// A longer question is refused.
pub(crate) const MAX_QUESTION_BYTES: usize = 16 * 1024;

/// Refuses a text that is too long to be asked.
///
/// # Errors
/// When it is; `field` is where it stands.
pub(crate) fn fits(field: &str, text: &str) -> Result<(), ApiError> {
    let length = text.len();
    if length > MAX_QUESTION_BYTES {
        return Err(ApiError::invalid(format!("{field}: {length} bytes, at most {MAX_QUESTION_BYTES} are allowed")));
    }
    Ok(())
}

/// Refuses a text that is blank or too long to be asked.
///
/// # Errors
/// When it is; `field` is where it stands.
pub(crate) fn worded(field: &str, text: &str) -> Result<(), ApiError> {
    if text.trim().is_empty() {
        return Err(ApiError::invalid(format!("{field}: it is empty")));
    }
    fits(field, text)
}

/// What may be asked.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AskRequest {
    /// The question: not blank, at most 16 kB.
    #[schema(
        min_length = 1,
        max_length = 16_384,
        pattern = r"\S",
        example = "Which drug is first-line for type 2 diabetes?"
    )]
    pub(crate) question: String,
    /// The trace of the answer that this question goes on from: its evidence keeps its labels.
    #[schema(pattern = "^[0-9A-HJKMNP-TV-Z]{26}$", example = "01M80Y0ZSXQSE9ASYHC7RYTHW5")]
    pub(crate) follows: Option<String>,
    /// What may be evidence; anything unless given.
    #[serde(default, deserialize_with = "crate::server::body::object")]
    pub(crate) filter: Option<Filter>,
    /// Bounds of the episode; the service's own where not given.
    #[serde(default, deserialize_with = "crate::server::body::object")]
    pub(crate) budget: Option<Budget>,
    /// Seed of whatever is random in the policy; 0 unless given.
    pub(crate) seed: Option<u64>,
    /// What happens to sentences that the evidence does not bear out; marked unless given. Where an error would do the most harm
    /// (doses, children, pregnancy, kidneys and liver, emergencies) they are struck in any case.
    pub(crate) unsupported: Option<Unsupported>,
    /// Answer with server-sent events, as `Accept: text/event-stream` does too.
    pub(crate) stream: Option<bool>,
}

/// What happens to sentences that the evidence does not bear out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unsupported {
    /// They stay, and say so.
    Mark,
    /// They are taken out, and listed apart.
    Strike,
}

impl From<Unsupported> for agent::review::Unsupported {
    fn from(unsupported: Unsupported) -> Self {
        match unsupported {
            Unsupported::Mark => Self::Mark,
            Unsupported::Strike => Self::Strike,
        }
    }
}

/// Bounds of an episode. Each may be lowered, and raised up to the maximum named.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Budget {
    /// Turns in which the policy may search; one forced final turn comes on top. 0 only with `follows`.
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
