//! `POST /v1/completions`: the older form, in which the prompt is the question.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;

use super::chat::Asked;
use super::refusal::Refusal;
use super::stream::Form;
use super::transcript::content;
use super::{check_agent, parameters};
use crate::server::Service;
use crate::server::body::Body;
use crate::server::caller::Caller;
use crate::server::conversation::Conversation;
use crate::server::guard::RequestId;
use crate::server::origin::Reached;
use crate::server::wire::openai::{Completion, CompletionRequest, OneQuestion, OpenAiFailure, Prompt, PromptText};

/// Answer a prompt.
///
/// As `/v1/chat/completions` does, for clients of the older form: the text carries labels, the field `anamnesis`
/// holds what they cite.
#[utoipa::path(
    post,
    path = "/v1/completions",
    operation_id = "completion",
    tag = "openai",
    request_body = CompletionRequest,
    responses(
        (status = 200, description = "an answer, or an abstention; with `stream` as server-sent events", content(
            (Completion = "application/json"),
            (Completion = "text/event-stream"),
        )),
        (status = 400, description = "the request is not in order, or asks for what is not there", body = OpenAiFailure),
        (status = 404, description = "no model is called so", body = OpenAiFailure),
        (status = 413, description = "the body is too large", body = OpenAiFailure),
        (status = 415, description = "the body is not JSON by its media type", body = OpenAiFailure),
        (status = 422, description = "the question holds identifiers of a person, and the service refuses such", body = OpenAiFailure),
        (status = 429, description = "overloaded: try again after `Retry-After` seconds", body = OpenAiFailure),
        (status = 502, description = "the language model behind the service failed", body = OpenAiFailure),
        (status = 503, description = "no index is open, or the language model behind the service is busy: try again after `Retry-After` seconds", body = OpenAiFailure),
        (status = 504, description = "it took too long", body = OpenAiFailure),
    ),
)]
pub(in crate::server) async fn complete(
    State(service): State<Arc<Service>>,
    Extension(id): Extension<RequestId>,
    Extension(caller): Extension<Caller>,
    Extension(reached): Extension<Reached>,
    Body(request): Body<CompletionRequest>,
) -> Result<Response, Refusal> {
    let CompletionRequest { model, prompt, seed, stream, stream_options, rest } = request;
    check_agent(&model)?;
    parameters::check(&rest)?;
    let asked = Asked {
        form: Form::Completion,
        reached,
        model,
        question: question(prompt)?,
        param: "prompt",
        seed,
        conversation: Conversation::new(content),
        stream: stream.unwrap_or(false),
        wants_usage: stream_options.unwrap_or_default().include_usage.unwrap_or(false),
    };
    asked.answer(&service, id, &caller).await
}

fn question(prompt: Prompt) -> Result<String, Refusal> {
    match prompt {
        Prompt::One(PromptText(question)) => Ok(question),
        Prompt::Several(OneQuestion(mut questions)) => {
            let last = questions.pop().filter(|_| questions.is_empty());
            last.map(|PromptText(question)| question)
                .ok_or_else(|| Refusal::unsupported("prompt", "prompt: send one question, not a list of several"))
        }
    }
}
