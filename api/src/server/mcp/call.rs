//! [`Call`]: one call of a tool, from its arguments to its result.
//!
//! A call that cannot be carried out has a result that says so, which a model can read and mend; only a call of
//! nothing is an error of the protocol.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use futures_core::Stream;
use retriever::Retrieve;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{Sleep, sleep_until};

use super::message::{Fault, Request, is_id, notification, response};
use super::revision::Revision;
use super::tools::Tool;
use super::{Step, complete, render};
use crate::server::ask::Episode;
use crate::server::caller::Caller;
use crate::server::error::{ApiError, Code};
use crate::server::scoped::Scoped;
use crate::server::wire::mcp::{AskArguments, DocumentArguments, DocumentText, SearchArguments, Searched};
use crate::server::wire::{AskRequest, Event, Hit};
use crate::server::{Service, retrieve};
use crate::worker;

/// Carries a call out; gives the messages it makes, of which the last is its response. Dropping it cancels.
pub(super) struct Call {
    id: Value,
    revision: Revision,
    events: worker::Stream<Told>,
    deadline: Pin<Box<Sleep>>,
    /// What the client calls the progress that it wants to hear of.
    token: Option<Value>,
    steps: u64,
    over: bool,
}

/// What a call tells.
enum Told {
    /// It went on.
    Step(String),
    /// It came to its end.
    Over(Result<Outcome, ApiError>),
}

/// What a call came to.
struct Outcome {
    text: String,
    structured: Value,
}

impl Outcome {
    fn new(text: String, structured: &impl Serialize) -> Self {
        let structured = serde_json::to_value(structured).expect("wire types are plain data: their keys are strings");
        Self { text, structured }
    }
}

impl Call {
    /// Begins the call that `request` asks for, for somebody who waits since then.
    ///
    /// # Errors
    /// When there is no such tool, or its arguments are no object.
    pub(super) fn start(
        service: &Arc<Service>,
        caller: &Caller,
        request: &Request,
        revision: Revision,
        since: Instant,
    ) -> Result<Step, Fault> {
        let params = &request.params;
        let name = params.get("name").and_then(Value::as_str);
        let name = name.ok_or_else(|| Fault::invalid_params("name: missing, or not a text"))?;
        let tool = Tool::named(name).ok_or_else(|| {
            let shown: String = name.chars().take(64).collect();
            Fault::invalid_params(format!("unknown tool: {shown}"))
        })?;
        let arguments = match params.get("arguments") {
            None => json!({}),
            Some(arguments @ Value::Object(_)) => arguments.clone(),
            Some(_) => return Err(Fault::invalid_params("arguments: must be an object")),
        };
        let token = params.get("_meta").and_then(|meta| meta.get("progressToken")).filter(|token| is_id(token));
        let events = match begin(service, caller, tool, arguments, since) {
            Ok(events) => events,
            Err(error) => return Ok(Step::Done(failed(&error, revision))),
        };
        Ok(Step::Call(Box::new(Self {
            id: request.id.clone(),
            revision,
            events,
            deadline: Box::pin(sleep_until((since + service.timeout).into())),
            token: token.cloned(),
            steps: 0,
            over: false,
        })))
    }

    /// Whether the client hears of its progress.
    pub(super) fn tells_progress(&self) -> bool {
        self.token.is_some()
    }

    fn end(&mut self, outcome: Result<Outcome, ApiError>) -> Value {
        self.over = true;
        let result = match outcome {
            Ok(Outcome { text, structured }) => {
                let content = json!([{ "type": "text", "text": text }]);
                let result = json!({ "content": content, "structuredContent": structured, "isError": false });
                complete(result, self.revision)
            }
            Err(error) => failed(&error, self.revision),
        };
        response(&self.id, &result)
    }

    fn step(&mut self, message: &str) -> Option<Value> {
        let token = self.token.as_ref()?;
        self.steps += 1;
        let params = json!({ "progressToken": token, "progress": self.steps, "message": message });
        Some(notification("notifications/progress", &params))
    }
}

impl Stream for Call {
    type Item = Value;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Value>> {
        if self.over {
            return Poll::Ready(None);
        }
        loop {
            let outcome = match self.events.poll_next(context) {
                Poll::Ready(Some(Told::Step(message))) => match self.step(&message) {
                    Some(message) => return Poll::Ready(Some(message)),
                    None => continue,
                },
                Poll::Ready(Some(Told::Over(outcome))) => outcome,
                // the channel closed before the last event
                Poll::Ready(None) => Err(worker::Lost.into()),
                Poll::Pending => {
                    ready!(self.deadline.as_mut().poll(context));
                    Err(ApiError::timeout())
                }
            };
            return Poll::Ready(Some(self.end(outcome)));
        }
    }
}

/// The result of a call that could not be carried out.
fn failed(error: &ApiError, revision: Revision) -> Value {
    let text = format!("{}: {}", error.name(), error.message());
    complete(json!({ "content": [{ "type": "text", "text": text }], "isError": true }), revision)
}

fn begin(
    service: &Arc<Service>,
    caller: &Caller,
    tool: Tool,
    arguments: Value,
    since: Instant,
) -> Result<worker::Stream<Told>, ApiError> {
    match tool {
        Tool::Ask => ask(service, caller, arguments, since),
        Tool::Search => search(service, caller, arguments),
        Tool::GetDocument => get_document(service, caller, arguments),
    }
}

fn read<T: DeserializeOwned>(arguments: Value) -> Result<T, ApiError> {
    serde_json::from_value(arguments).map_err(|error| ApiError::invalid(format!("arguments: {error}")))
}

fn ask(
    service: &Arc<Service>,
    caller: &Caller,
    arguments: Value,
    since: Instant,
) -> Result<worker::Stream<Told>, ApiError> {
    let AskArguments { question, follows, filter } = read(arguments)?;
    let request = AskRequest { question, follows, filter, ..AskRequest::default() };
    let episode = Episode::new(service, &service.request_ids.next(), caller, request)?.since(since);
    let work = move |cancel: &agent::Cancel, tell: &mut dyn FnMut(Told)| {
        let outcome = episode.run(cancel, &mut |event| {
            if let Some(message) = progress(&event) {
                tell(Told::Step(message));
            }
        });
        tell(Told::Over(outcome.map(|answer| Outcome::new(render::answer(&answer), &answer))));
    };
    Ok(service.workers.stream(work)?)
}

/// What a client that waits is told.
fn progress(event: &Event) -> Option<String> {
    match event {
        Event::Turn { turn, may_search: true } => Some(format!("turn {turn}")),
        Event::Turn { .. } => Some("writing the answer".to_owned()),
        Event::Query { query, .. } => Some(format!("searching: {query}")),
        Event::Evidence { evidence, .. } => Some(format!("new evidence: {}", evidence.len())),
        Event::Warning { message } => Some(message.clone()),
        _ => None,
    }
}

fn search(service: &Arc<Service>, caller: &Caller, arguments: Value) -> Result<worker::Stream<Told>, ApiError> {
    let batch = read::<SearchArguments>(arguments)?.into_batch()?;
    let retriever = Scoped::new(service.current.pin()?, caller);
    let phi = service.phi;
    let work = move |cancel: &agent::Cancel, tell: &mut dyn FnMut(Told)| {
        let shape = |hit: &retriever::Hit, found| (render::hit(hit.rank, &found), Hit::new(hit, found, true));
        let found = retrieve::run(&retriever, batch, phi, cancel, &shape);
        let outcome = found.map(|(found, warnings)| {
            let (mut texts, hits): (Vec<_>, Vec<_>) = found.into_iter().flatten().unzip();
            if texts.is_empty() {
                texts.push("Nothing found.".to_owned());
            }
            texts.extend(warnings.iter().map(|warning| format!("Note: {warning}")));
            let text = texts.join("\n\n");
            Outcome::new(text, &Searched { snapshot: retriever.snapshot().to_owned(), hits, warnings })
        });
        tell(Told::Over(outcome));
    };
    Ok(service.workers.stream(work)?)
}

fn get_document(service: &Arc<Service>, caller: &Caller, arguments: Value) -> Result<worker::Stream<Told>, ApiError> {
    let DocumentArguments { id, offset } = read(arguments)?;
    let (shared, caller) = (Arc::clone(service), caller.clone());
    let work = move |_: &agent::Cancel, tell: &mut dyn FnMut(Told)| {
        let found = shared.stores.read(&caller, |view| view.named(&id));
        let outcome = found.and_then(|found| {
            let unknown = || ApiError::new(Code::NotFound, "no document, or more than one, is called so: name its id");
            let document = DocumentText::new(found.ok_or_else(unknown)?, offset.unwrap_or(0));
            Ok(Outcome::new(render::document(&document), &document))
        });
        tell(Told::Over(outcome));
    };
    Ok(service.workers.stream(work)?)
}
