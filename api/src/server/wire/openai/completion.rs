//! The older form: a prompt and a text.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{StreamOptions, Usage};
use crate::server::wire::Answer;

/// A prompt, which is the question.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct CompletionRequest {
    /// `anamnesis`.
    #[schema(example = "anamnesis")]
    pub(crate) model: String,
    /// The question: at most 16 kB.
    pub(crate) prompt: Prompt,
    /// Seed of whatever is random in the policy; 0 unless given.
    pub(crate) seed: Option<i64>,
    /// Answer with server-sent events.
    pub(crate) stream: Option<bool>,
    /// What the stream tells besides.
    #[serde(default, deserialize_with = "crate::server::body::object")]
    pub(crate) stream_options: Option<StreamOptions>,
    /// All else: refused where it would change the answer, else without effect.
    #[serde(flatten)]
    #[schema(value_type = HashMap<String, Value>)]
    pub(crate) rest: BTreeMap<String, Value>,
}

/// One text; lists are taken when they hold one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged, expecting = "send a text: tokens mean something to their own tokenizer only")]
pub(crate) enum Prompt {
    /// The question.
    One(PromptText),
    /// The question, in a list of its own.
    Several(OneQuestion),
}

/// A question, in a list of its own.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(min_items = 1, max_items = 1)]
pub(crate) struct OneQuestion(pub(crate) Vec<PromptText>);

/// A question.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(min_length = 1, pattern = r"\S")]
pub(crate) struct PromptText(pub(crate) String);

/// An answer, or with `stream` a part of one.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Completion {
    /// Names the request.
    pub(crate) id: String,
    /// `text_completion`.
    pub(crate) object: &'static str,
    /// When it began, in seconds since 1970.
    pub(crate) created: i64,
    /// The model that was named.
    pub(crate) model: String,
    /// One, or none in the part that holds the usage.
    pub(crate) choices: Vec<CompletionChoice>,
    /// What it cost; in a stream only where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) usage: Option<Usage>,
    /// Beside OpenAI's fields: the whole answer; in a stream in the last part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) anamnesis: Option<Answer>,
}

/// The only choice.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CompletionChoice {
    /// 0.
    pub(crate) index: u32,
    /// Sentences with labels of what supports them, then what a reader should know.
    pub(crate) text: String,
    /// Always null.
    #[schema(value_type = Value)]
    pub(crate) logprobs: (),
    /// `stop` at the end.
    pub(crate) finish_reason: Option<&'static str>,
}

impl CompletionChoice {
    /// `text`, and whether it is the last.
    pub(crate) fn new(text: String, is_last: bool) -> Self {
        Self { index: 0, text, logprobs: (), finish_reason: is_last.then_some("stop") }
    }
}
