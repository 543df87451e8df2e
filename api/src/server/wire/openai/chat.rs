//! A conversation and its answer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Usage;
use crate::server::wire::Answer;

/// A conversation. The last message of the user is the question, which goes on from the turn before it. Messages of
/// other roles are not read: nobody sets filters, budgets or tools by them.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ChatRequest {
    /// `anamnesis`.
    #[schema(example = "anamnesis")]
    pub(crate) model: String,
    /// At least one of the user.
    #[schema(min_items = 1)]
    pub(crate) messages: Vec<ChatMessage>,
    /// Seed of whatever is random in the policy; 0 unless given.
    pub(crate) seed: Option<i64>,
    /// Answer with server-sent events.
    pub(crate) stream: Option<bool>,
    /// What the stream tells besides.
    #[serde(default, deserialize_with = "crate::server::body::object")]
    pub(crate) stream_options: Option<StreamOptions>,
    /// All else: refused where it would change the answer (`n`, `tools`, `logprobs`, `response_format`, `stop`, …),
    /// else without effect (`temperature`, `max_tokens`, `user`, …).
    #[serde(flatten)]
    #[schema(value_type = HashMap<String, Value>)]
    pub(crate) rest: BTreeMap<String, Value>,
}

/// A message. Fields that only others than the user need are not read.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ChatMessage {
    /// Who wrote it.
    pub(crate) role: ChatRole,
    /// A text, or a list of parts `{"type": "text", "text": …}`.
    #[serde(default)]
    #[schema(value_type = Value)]
    pub(crate) content: Value,
}

/// Who writes messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ChatRole {
    /// Whoever built the client.
    System,
    /// The same under a newer name.
    Developer,
    /// Who asks.
    User,
    /// Who answers.
    Assistant,
    /// A tool's result.
    Tool,
    /// The same under an older name.
    Function,
}

/// What a stream tells besides.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StreamOptions {
    /// Whether a last part holds the usage.
    pub(crate) include_usage: Option<bool>,
    /// Has no effect: nothing is padded.
    #[serde(rename = "include_obfuscation")]
    pub(crate) _include_obfuscation: Option<bool>,
}

/// An answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Chat {
    /// Names the request.
    pub(crate) id: String,
    /// `chat.completion`.
    pub(crate) object: &'static str,
    /// When it began, in seconds since 1970.
    pub(crate) created: i64,
    /// The model that was named.
    pub(crate) model: String,
    /// One.
    pub(crate) choices: Vec<ChatChoice>,
    /// What it cost.
    pub(crate) usage: Usage,
    /// Beside OpenAI's fields: the whole answer, abstentions and warnings included.
    pub(crate) anamnesis: Answer,
}

/// The only choice.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChatChoice {
    /// 0.
    pub(crate) index: u32,
    /// The message.
    pub(crate) message: ChatDelta,
    /// Always null.
    #[schema(value_type = Value)]
    pub(crate) logprobs: (),
    /// `stop`.
    pub(crate) finish_reason: &'static str,
}

/// A message of the agent, or a part of one.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct ChatDelta {
    /// `assistant`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<&'static str>,
    /// Sentences with labels of what supports them, then what a reader should know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content: Option<String>,
    /// Where in the content which work is cited.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) annotations: Vec<Annotation>,
}

/// A part of an answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChatChunk {
    /// Names the request.
    pub(crate) id: String,
    /// `chat.completion.chunk`.
    pub(crate) object: &'static str,
    /// When it began, in seconds since 1970.
    pub(crate) created: i64,
    /// The model that was named.
    pub(crate) model: String,
    /// One, or none in the part that holds the usage.
    pub(crate) choices: Vec<ChunkChoice>,
    /// What it cost, in a last part, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) usage: Option<Usage>,
    /// Beside OpenAI's fields: the whole answer, in the part with the reason of the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) anamnesis: Option<Answer>,
}

/// The only choice of a part.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChunkChoice {
    /// 0.
    pub(crate) index: u32,
    /// What is new.
    pub(crate) delta: ChatDelta,
    /// Always null.
    #[schema(value_type = Value)]
    pub(crate) logprobs: (),
    /// `stop` at the end.
    pub(crate) finish_reason: Option<&'static str>,
}

/// A place in the content that cites a work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Annotation {
    /// `url_citation`.
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    /// The place and the work.
    pub(crate) url_citation: Citing,
}

/// Which work is cited where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Citing {
    /// The first character of the label in the content, from 0.
    pub(crate) start_index: usize,
    /// The first character behind it.
    pub(crate) end_index: usize,
    /// The work's page, or this service's own at `/v1/chunks/{id}`, whole in either case.
    pub(crate) url: String,
    /// Its title.
    pub(crate) title: String,
}
