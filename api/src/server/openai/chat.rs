//! `POST /v1/chat/completions`: the last question of a conversation, answered by the agent as a follow-up of the turn before it.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use serde_json::Value;

use super::refusal::Refusal;
use super::stream::{Form, Frame, Parts};
use super::transcript::content;
use super::{check_agent, parameters};
use crate::server::Service;
use crate::server::ask::Episode;
use crate::server::body::Body;
use crate::server::caller::Caller;
use crate::server::conversation::{Before, Conversation};
use crate::server::guard::RequestId;
use crate::server::origin::Reached;
use crate::server::wire::openai::{Chat, ChatChunk, ChatMessage, ChatRequest, ChatRole, OpenAiFailure};
use crate::server::wire::{AskRequest, Event, worded};

/// Answer the last question of a conversation.
///
/// Every sentence carries labels such as `[E1]`; annotations say where in the content which work is cited; the
/// field `anamnesis` holds the whole answer, abstentions included. The last message of the user is the question.
/// Where the answer before it is one of this caller's that is kept here, the question goes on from it, and evidence
/// keeps its labels; else it goes on from the question before alone, and the answer says so. What other messages say
/// is not read.
/// `seed` and `stream` have an effect. `temperature`, `top_p`, `max_tokens`, `user` and other fields that leave
/// the meaning alone are taken without effect; `n` above 1, `tools`, `logprobs`, `stop` and other formats are refused.
#[utoipa::path(
    post,
    path = "/v1/chat/completions",
    operation_id = "chat",
    tag = "openai",
    request_body = ChatRequest,
    responses(
        (status = 200, description = "an answer, or an abstention; with `stream` as server-sent events", content(
            (Chat = "application/json"),
            (ChatChunk = "text/event-stream"),
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
    Body(request): Body<ChatRequest>,
) -> Result<Response, Refusal> {
    let ChatRequest { model, messages, seed, stream, stream_options, rest } = request;
    check_agent(&model)?;
    parameters::check(&rest)?;
    let (question, conversation) = question(&messages)?;
    let asked = Asked {
        form: Form::Chat,
        reached,
        model,
        question,
        param: "messages",
        seed,
        conversation,
        stream: stream.unwrap_or(false),
        wants_usage: stream_options.unwrap_or_default().include_usage.unwrap_or(false),
    };
    asked.answer(&service, id, &caller).await
}

/// A question of either form.
pub(super) struct Asked {
    pub(super) form: Form,
    pub(super) reached: Reached,
    pub(super) model: String,
    pub(super) question: String,
    /// The field that holds the question.
    pub(super) param: &'static str,
    pub(super) seed: Option<i64>,
    pub(super) conversation: Conversation,
    pub(super) stream: bool,
    pub(super) wants_usage: bool,
}

impl Asked {
    /// The answer, whole or in parts.
    pub(super) async fn answer(
        self,
        service: &Arc<Service>,
        id: RequestId,
        caller: &Caller,
    ) -> Result<Response, Refusal> {
        let Self { form, reached, model, question, param, seed, conversation, stream, wants_usage } = self;
        worded(param, &question).map_err(|error| Refusal::invalid(param, error.message()))?;
        // a seed is only told from others: its sign is one more bit
        let seed = seed.map(i64::cast_unsigned);
        let request = AskRequest { question: question.clone(), seed, ..AskRequest::default() };
        let episode = Episode::new(service, &id, caller, request)?.within(conversation);
        let prefix = match form {
            Form::Chat => "chatcmpl",
            Form::Completion => "cmpl",
        };
        let created = jiff::Timestamp::now().as_second();
        let frame = Frame { form, reached, id: format!("{prefix}-{}", id.0), created, model, question };
        if stream {
            let events = service.workers.stream(move |cancel, tell| {
                let last = episode.run(cancel, &mut |event| tell(Ok(event)));
                tell(last.map(|answer| Event::Final(Box::new(answer))));
            })?;
            return Ok(Parts::new(frame, events, service.timeout, wants_usage).into_response());
        }
        Ok(frame.whole(service.work(move |cancel| episode.run(cancel, &mut |_: Event| {})).await?))
    }
}

/// The question, and its place in the conversation.
fn question(messages: &[ChatMessage]) -> Result<(String, Conversation), Refusal> {
    let last = |role: ChatRole, end: usize| messages[..end].iter().rposition(|message| message.role == role);
    let Some(place) = last(ChatRole::User, messages.len()) else {
        return Err(Refusal::invalid("messages", "messages: none is of the user"));
    };
    let question = text(place, &messages[place].content)?;
    let read = |place: usize| text(place, &messages[place].content).ok();
    let previous = |place: usize| last(ChatRole::User, place).and_then(read);
    let Some(asked) = last(ChatRole::User, place) else { return Ok((question, Conversation::new(content))) };
    let answered = last(ChatRole::Assistant, place);
    // a question that nobody answered, such as one whose answer failed, stands between a turn and what follows it
    let asked = answered.and_then(|answered| last(ChatRole::User, answered)).unwrap_or(asked);
    let turn = answered.filter(|answered| *answered > asked).and_then(|answered| {
        Some(Before::Turn { previous: previous(asked), question: read(asked)?, answer: read(answered)? })
    });
    let before = turn.unwrap_or(Before::Unanswered);
    Ok((question, Conversation { before, previous: previous(place), told: content }))
}

/// The text of the message at `place`.
fn text(place: usize, content: &Value) -> Result<String, Refusal> {
    let unreadable = |field: String| {
        let message = format!("{field}: send a text, or parts of type `text`: nothing else can be read");
        Refusal::unsupported(field, message)
    };
    let parts = match content {
        Value::String(text) => return Ok(text.clone()),
        Value::Array(parts) => parts,
        _ => return Err(unreadable(format!("messages[{place}].content"))),
    };
    let part = |(number, part): (usize, &Value)| {
        let is_text = part.get("type").and_then(Value::as_str) == Some("text");
        let text = part.get("text").and_then(Value::as_str).filter(|_| is_text);
        text.map(str::to_owned).ok_or_else(|| unreadable(format!("messages[{place}].content[{number}]")))
    };
    Ok(parts.iter().enumerate().map(part).collect::<Result<Vec<_>, _>>()?.join("\n"))
}
