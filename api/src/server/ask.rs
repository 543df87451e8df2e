//! `POST /v1/ask`: one episode, as one answer or as a stream of events.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use agent::phi::{Admitted, redact};
use agent::{Ask, Cancel, Earlier, Outcome, Trace, TraceId};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response, sse};
use axum::{Extension, Json};
use futures_core::Stream;
use retriever::{Hybrid, Query, STAGE};
use tokio::time::{Sleep, sleep};
use tracing::Span;
use tracing::field::Empty;

use super::Service;
use super::body::Body;
use super::caller::Caller;
use super::conversation::Conversation;
use super::error::{ApiError, Code};
use super::guard::RequestId;
use super::scoped::Scoped;
use super::wire::{self, Answer, AskRequest, Failure};
use crate::worker;

/// How often a stream without news says that it lives.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(10);

/// Ask a question.
///
/// The answer is one object; every sentence of it cites what supports it. With `Accept: text/event-stream`
/// or `stream: true` the episode is told as it happens, as server-sent events named `turn`, `query`, `hits`,
/// `evidence`, `answer`, `citation`, `verdict` and `warning`, and at the end `final` (the whole object again) or `error`.
#[utoipa::path(
    post,
    path = "/v1/ask",
    tag = "answers",
    request_body = AskRequest,
    responses(
        (status = 200, description = "an answer, or an abstention", content(
            (Answer = "application/json"),
            (wire::Event = "text/event-stream"),
        )),
        (status = 400, description = "the request is not in order", body = Failure),
        (status = 404, description = "there is no trace that `follows` names", body = Failure),
        (status = 413, description = "the body is too large", body = Failure),
        (status = 415, description = "the body is not JSON by its media type", body = Failure),
        (status = 422, description = "the question holds identifiers of a person, and the service refuses such", body = Failure),
        (status = 429, description = "overloaded: try again after `Retry-After` seconds", body = Failure),
        (status = 502, description = "the language model behind the service failed", body = Failure),
        (status = 503, description = "no index is open, or the language model behind the service is busy: try again after `Retry-After` seconds", body = Failure),
        (status = 504, description = "it took too long", body = Failure),
    ),
)]
pub(super) async fn ask(
    State(service): State<Arc<Service>>,
    Extension(id): Extension<RequestId>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Body(request): Body<AskRequest>,
) -> Result<Response, ApiError> {
    let streams = request.stream.unwrap_or(false) || accepts_events(&headers);
    let episode = Episode::new(&service, &id, &caller, request)?;
    if streams {
        let failure_id = id.0.clone();
        let events = service.workers.stream(move |cancel, tell| {
            let last = match episode.run(cancel, tell) {
                Ok(answer) => wire::Event::Final(Box::new(answer)),
                Err(error) => wire::Event::Error(error.into_failure(&failure_id)),
            };
            tell(last);
        })?;
        let told = Told { events, deadline: Box::pin(sleep(service.timeout)), request_id: id.0, over: false };
        return Ok(Sse::new(told).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response());
    }
    let answer = service.work(move |cancel| episode.run(cancel, &mut |_| {})).await?;
    Ok(Json(answer).into_response())
}

/// Whether a client reads server-sent events.
pub(super) fn accepts_events(headers: &HeaderMap) -> bool {
    let accepted = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let mut essences = accepted.map(|part| part.split(';').next().unwrap_or_default().trim());
    essences.any(|essence| essence.eq_ignore_ascii_case("text/event-stream"))
}

/// A question that is in order, and all that is needed to answer it on another thread.
pub(super) struct Episode {
    service: Arc<Service>,
    retriever: Scoped<Hybrid>,
    caller: Caller,
    follows: Option<TraceId>,
    conversation: Option<Conversation>,
    task: Ask,
    /// Since when whoever asks waits.
    since: Instant,
    /// What whoever asks should know before anything happens.
    warning: Option<String>,
}

impl Episode {
    /// An episode for `request`, on the snapshot that is current now.
    ///
    /// # Errors
    /// When the request is not in order, or there is no snapshot.
    pub(super) fn new(
        service: &Arc<Service>,
        id: &RequestId,
        caller: &Caller,
        request: AskRequest,
    ) -> Result<Self, ApiError> {
        wire::worded("question", &request.question)?;
        let Admitted { text, warning } = service.phi.admit(&request.question, service.policy.is_remote())?;
        let since = Instant::now();
        let follows = request.follows.map(|id| id.parse::<TraceId>()).transpose();
        let follows = follows.map_err(|error| ApiError::invalid(format!("follows: {error}")))?;
        let budget = request.budget.unwrap_or_default().to_domain(wall_ms(service.timeout, Duration::ZERO))?;
        if budget.turns == 0 && follows.is_none() {
            return Err(ApiError::invalid(
                "budget.turns is 0: nothing would be searched, and `follows` names no evidence",
            ));
        }
        let mut review = service.review.clone();
        if let Some(unsupported) = request.unsupported {
            review.unsupported = unsupported.into();
        }
        // in the trace as well, so that a replay asks for no more than the caller could
        let filter = caller.scope(request.filter.unwrap_or_default().to_domain()?);
        let task = Ask {
            query: Query { filter, ..Query::new("") },
            budget,
            seed: request.seed.unwrap_or_default(),
            salt: id.0.clone().into_bytes(),
            review: Some(review),
            ..Ask::new(text, jiff::Timestamp::now())
        };
        let retriever = Scoped::new(service.current.pin()?, caller);
        let (service, caller) = (Arc::clone(service), caller.clone());
        Ok(Self { service, retriever, caller, follows, conversation: None, task, since, warning })
    }

    /// The same for somebody who has waited since then.
    pub(super) fn since(self, since: Instant) -> Self {
        Self { since, ..self }
    }

    /// The same as a turn of a conversation.
    pub(super) fn within(self, conversation: Conversation) -> Self {
        Self { conversation: Some(conversation), ..self }
    }

    /// Runs it to its end, on this thread, and stores its trace.
    ///
    /// # Errors
    /// When the policy or the retriever fails, or it was cancelled.
    pub(super) fn run(self, cancel: &Cancel, tell: &mut dyn FnMut(wire::Event)) -> Result<Answer, ApiError> {
        let Self { service, retriever, caller, follows, conversation, mut task, since, warning } = self;
        let mut warnings = Vec::from_iter(warning);
        if let Some(id) = follows {
            task.earlier = Some(earlier(&service, &caller, &id)?);
        }
        if let Some(conversation) = &conversation {
            let (earlier, warning) = conversation.before.recall(&service, &caller)?;
            task.earlier = earlier;
            warnings.extend(warning.map(str::to_owned));
        }
        let stage = tracing::info_span!(
            target: STAGE, "episode", follows = task.earlier.is_some(), outcome = Empty, code = Empty, turns = Empty,
            searches = Empty, evidence = Empty, sentences = Empty, citations = Empty, tokens = Empty
        )
        .entered();
        tracing::debug!(question = redact(&task.question), "asked");
        let opened = Instant::now();
        for message in &warnings {
            tell(wire::Event::Warning { message: message.clone() });
        }
        let mut listen = |event: agent::Event| {
            if let agent::Event::Warning { message } = &event {
                warnings.push(message.clone());
            }
            if let Some(event) = wire::Event::of_episode(event) {
                tell(event);
            }
        };
        // whoever asks has waited for a worker too
        task.budget.wall_ms = task.budget.wall_ms.min(wall_ms(service.timeout, since.elapsed()));
        let trace =
            agent::ask::ask(&task, service.policy.as_ref(), &retriever, &|| opened.elapsed(), cancel, &mut listen)?;
        service.metrics.episode(&trace);
        measure(&stage, &trace);
        let mut answer = Answer::of(&trace).with_warnings(warnings);
        let told = conversation.and_then(|conversation| conversation.hash(&task.question, &answer));
        if let Err(error) = service.recorder.store(&trace, &caller.name, told) {
            tracing::warn!(trace = %trace.id, error = format!("{error:#}"), "the trace was not stored");
            let message = "this episode could not be stored: its trace id names nothing".to_owned();
            tell(wire::Event::Warning { message: message.clone() });
            answer.warn(message);
        }
        Ok(answer)
    }
}

/// How long an episode may take for somebody who has waited for `waited` already: less than the time-out, so that one that
/// takes too long ends with what it has.
fn wall_ms(timeout: Duration, waited: Duration) -> u64 {
    let left = timeout.mul_f64(0.95).saturating_sub(waited);
    u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// Says of an episode how much there was of what.
fn measure(stage: &Span, trace: &Trace) {
    let code = match trace.answer.outcome {
        Outcome::Answered => None,
        Outcome::Abstained(code) => Some(code.as_str()),
    };
    stage.record("outcome", if code.is_none() { "answered" } else { "abstained" });
    stage.record("code", code);
    for (field, count) in [
        ("turns", trace.segments.last().map_or(0, |segment| segment.turn as usize)),
        ("searches", trace.searches.len()),
        ("evidence", trace.ledger.entries().len()),
        ("sentences", trace.answer.sentences.len()),
        ("citations", trace.answer.citations.len()),
    ] {
        stage.record(field, count);
    }
    stage.record("tokens", trace.written_tokens());
}

/// The answer that a question goes on from. One of another caller is as if it did not exist.
fn earlier(service: &Service, caller: &Caller, id: &TraceId) -> Result<Earlier, ApiError> {
    let stored = service.stores.read(caller, |view| view.trace(id.as_str()))?;
    let (_, json) = stored.ok_or_else(|| {
        ApiError::new(Code::NotFound, format!("follows: there is no trace {id}, or its time is over"))
    })?;
    Ok(Earlier::of(&Trace::from_json(&json)?))
}

/// An episode as a stream. Dropping it, as the server does when the client leaves, cancels the episode.
struct Told {
    events: worker::Stream<wire::Event>,
    deadline: Pin<Box<Sleep>>,
    request_id: String,
    over: bool,
}

impl Stream for Told {
    type Item = Result<sse::Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        let event = match self.events.poll_next(context) {
            Poll::Ready(Some(event)) => event,
            // the channel closed before the last event
            Poll::Ready(None) => self.failed(worker::Lost.into()),
            Poll::Pending => {
                ready!(self.deadline.as_mut().poll(context));
                self.failed(ApiError::timeout())
            }
        };
        self.over = event.is_last();
        Poll::Ready(Some(Ok(encode(&event))))
    }
}

impl Told {
    fn failed(&self, error: ApiError) -> wire::Event {
        wire::Event::Error(error.into_failure(&self.request_id))
    }
}

fn encode(event: &wire::Event) -> sse::Event {
    let data = serde_json::to_string(event).expect("wire types are plain data: their keys are strings");
    sse::Event::default().event(event.name()).data(data)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn what_was_waited_is_gone_from_the_time_of_an_episode() {
        let wall = |waited| wall_ms(Duration::from_mins(1), Duration::from_secs(waited));
        assert_eq!((wall(0), wall(20), wall(57), wall(80)), (57_000, 37_000, 1, 1));
    }

    #[test]
    fn a_stream_is_asked_for_by_media_type() {
        for (accept, expect) in [
            ("text/event-stream", true),
            ("application/json, Text/Event-Stream;q=0.9", true),
            ("application/json", false),
            ("*/*", false),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(accepts_events(&headers), expect, "{accept}");
        }
    }
}
