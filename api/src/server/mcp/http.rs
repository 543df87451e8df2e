//! Streamable HTTP: one message a request, answered with JSON, or with server-sent events where the client hears of
//! progress. There are no sessions and no streams that no request opened: `GET` and `DELETE` are answered with 405.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::extract::{Request as HttpRequest, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response, Sse, sse};
use axum::{Extension, Json};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_core::Stream;
use serde_json::{Map, Value};

use super::call::Call;
use super::message::{Fault, METHOD_NOT_FOUND, Message, Request, response};
use super::revision::Revision;
use super::{MAX_BATCH, Step, handle};
use crate::server::Service;
use crate::server::ask::{HEARTBEAT, accepts_events};
use crate::server::body;
use crate::server::caller::Caller;
use crate::server::error::ApiError;
use crate::server::guard::Door;
use crate::server::wire::Failure;
use crate::server::wire::mcp::JsonRpc;

const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// Speak the Model Context Protocol.
///
/// Revision 2026-07-28, and those from 2024-11-05 on that begin with `initialize`. The tools are `ask`, `search`
/// and `get_document`. Closing the connection cancels the request.
#[utoipa::path(
    post,
    path = "/mcp",
    operation_id = "mcp",
    tag = "mcp",
    request_body = JsonRpc,
    responses(
        (status = 200, description = "a JSON-RPC response; as events where progress is asked for", content(
            (JsonRpc = "application/json"),
            (JsonRpc = "text/event-stream"),
        )),
        (status = 202, description = "a notification was heard"),
        (status = 400, description = "no message, or headers that say something else: a JSON-RPC error", body = JsonRpc),
        (status = 403, description = "the request comes from a page of another host", body = Failure),
        (status = 404, description = "unknown method: a JSON-RPC error", body = JsonRpc),
        (status = 413, description = "the body is too large", body = Failure),
        (status = 415, description = "the body is not JSON by its media type", body = Failure),
    ),
)]
pub(in crate::server) async fn post(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    Extension(door): Extension<Arc<Door>>,
    request: HttpRequest,
) -> Result<Response, ApiError> {
    let headers = request.headers().clone();
    let bytes = body::read(request, &()).await?;
    let since = Instant::now();
    let Ok(value) = serde_json::from_slice::<Value>(&bytes) else {
        return Ok(refuse(None, &Fault::no_json()));
    };
    if let Value::Array(values) = value {
        if let Err(fault) = list(&headers, &values) {
            return Ok(refuse(None, &fault));
        }
        // the door has counted the request as one
        return Ok(match door.keyring.count(&caller, values.len() as u32 - 1) {
            Ok(()) => batch(&service, &caller, values, since).await,
            Err(refusal) => refusal.into_response(),
        });
    }
    let message = match Message::read(value) {
        Ok(message) => message,
        Err((id, fault)) => return Ok(refuse(id.as_ref(), &fault)),
    };
    let request = match message {
        Message::Request(request) => request,
        // nothing that a notification could cancel is known here: closing its stream cancels a request
        Message::Notification { .. } | Message::Response => return Ok(StatusCode::ACCEPTED.into_response()),
    };
    let revision = match revision(&headers, &request) {
        Ok(revision) => revision,
        Err(fault) => return Ok(refuse(Some(&request.id), &fault)),
    };
    Ok(match handle(&service, &caller, &request, revision, since) {
        Ok(Step::Done(result)) => Json(response(&request.id, &result)).into_response(),
        Ok(Step::Call(call)) if call.tells_progress() && accepts_events(&headers) => stream(call),
        Ok(Step::Call(call)) => Json(last(call).await).into_response(),
        Err(fault) if revision.is_modern() => refuse(Some(&request.id), &fault),
        // clients of older revisions read errors where all went well for HTTP
        Err(fault) => Json(fault.to_message(Some(&request.id))).into_response(),
    })
}

/// Whether messages may come in a list, and in this one.
fn list(headers: &HeaderMap, values: &[Value]) -> Result<(), Fault> {
    if older(headers).is_some_and(Revision::has_batches) && !values.is_empty() && values.len() <= MAX_BATCH {
        return Ok(());
    }
    let message = format!("send one message; only revision 2025-03-26 has lists, of at most {MAX_BATCH}");
    Err(Fault::invalid_request(message))
}

/// Messages in a list, answered in a list. One after the other, and all in the time of one request.
async fn batch(service: &Arc<Service>, caller: &Caller, values: Vec<Value>, since: Instant) -> Response {
    let mut answers = Vec::new();
    for value in values {
        match Message::read(value) {
            Ok(Message::Request(request)) => {
                let answer = match handle(service, caller, &request, Revision::Of2025March, since) {
                    Ok(Step::Done(result)) => response(&request.id, &result),
                    Ok(Step::Call(call)) => last(call).await,
                    Err(fault) => fault.to_message(Some(&request.id)),
                };
                answers.push(answer);
            }
            Ok(_) => {}
            Err((id, fault)) => answers.push(fault.to_message(id.as_ref())),
        }
    }
    if answers.is_empty() { StatusCode::ACCEPTED.into_response() } else { Json(answers).into_response() }
}

fn refuse(id: Option<&Value>, fault: &Fault) -> Response {
    let status = if fault.code == METHOD_NOT_FOUND { StatusCode::NOT_FOUND } else { StatusCode::BAD_REQUEST };
    (status, Json(fault.to_message(id))).into_response()
}

/// The older revision that headers name, or leave unsaid.
fn older(headers: &HeaderMap) -> Option<Revision> {
    match headers.get(&VERSION) {
        None => Some(Revision::UNSAID),
        Some(name) => name.to_str().ok().and_then(Revision::named).filter(|revision| !revision.is_modern()),
    }
}

/// The revision of a request, by its headers and its own word, which must agree.
fn revision(headers: &HeaderMap, request: &Request) -> Result<Revision, Fault> {
    if let (None, Some(older)) = (Revision::said(&request.params), older(headers)) {
        return Ok(older);
    }
    let said = Revision::said(&request.params).and_then(Value::as_str);
    if said.is_some() {
        agree(headers, &VERSION, said)?;
        agree(headers, &METHOD, Some(&request.method))?;
        if let Some(name) = named(&request.method, &request.params) {
            agree(headers, &NAME, Some(name))?;
        }
    }
    if let (None, Some(Ok(name))) = (said, headers.get(&VERSION).map(HeaderValue::to_str))
        && Revision::named(name).is_none()
    {
        return Err(Fault::unsupported_version(name, &Revision::names()));
    }
    Revision::declared(&request.params)
}

/// What of a request the header `mcp-name` repeats.
fn named<'a>(method: &str, params: &'a Map<String, Value>) -> Option<&'a str> {
    let field = match method {
        "tools/call" | "prompts/get" => "name",
        "resources/read" => "uri",
        _ => return None,
    };
    params.get(field)?.as_str()
}

/// Whether a header is there once and repeats what the message says.
fn agree(headers: &HeaderMap, name: &HeaderName, expect: Option<&str>) -> Result<(), Fault> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().and_then(decode);
    if value.is_some() && value.as_deref() == expect && values.next().is_none() {
        return Ok(());
    }
    Err(Fault::header_mismatch(format!("{name}: missing, or it says something else than the message")))
}

/// A header's text; what no header can hold is written in base64 between marks.
fn decode(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?;
    match text.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) {
        Some(encoded) => String::from_utf8(STANDARD.decode(encoded).ok()?).ok(),
        None => Some(text.to_owned()),
    }
}

/// The last message of a call: its response.
async fn last(mut call: Box<Call>) -> Value {
    let mut last = Value::Null;
    while let Some(message) = poll_fn(|context| Pin::new(&mut *call).poll_next(context)).await {
        last = message;
    }
    last
}

fn stream(call: Box<Call>) -> Response {
    let mut response = Sse::new(Messages(call)).keep_alive(sse::KeepAlive::new().interval(HEARTBEAT)).into_response();
    let unbuffered = HeaderValue::from_static("no");
    response.headers_mut().insert(HeaderName::from_static("x-accel-buffering"), unbuffered);
    response
}

/// The messages of a call as events.
struct Messages(Box<Call>);

impl Stream for Messages {
    type Item = Result<sse::Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let event = |message: Value| Ok(sse::Event::default().event("message").data(message.to_string()));
        Pin::new(&mut *self.0).poll_next(context).map(|message| message.map(event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_their_clients_write_them() {
        let decoded = |text: &'static str| decode(&HeaderValue::from_static(text));
        assert_eq!(decoded("get_document").as_deref(), Some("get_document"));
        assert_eq!(decoded("=?base64?SGVsbG8sIOS4lueVjA==?=").as_deref(), Some("Hello, 世界"));
        assert_eq!(decoded("=?base64?!!!?="), None);
        assert_eq!(decoded("=?base64?/w==?="), None);
    }
}
