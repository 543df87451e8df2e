//! What every request passes on its way in and out: an id, the check of `Host` and `Origin`, who asks and
//! whether they may, the envelope around errors, headers for browsers, one line in the log, the numbers.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::to_bytes;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;
use tracing::{Instrument, Span};

use super::access::{self, Effect, Found, Who};
use super::audit::{AuditLog, Line};
use super::caller::Caller;
use super::error::{ApiError, Code};
use super::keyring::{Keyring, Refusal};
use super::origin::{Names, Peer};
use super::{Service, headers, openai};
use crate::telemetry::{REQUEST, request as telemetry};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// What a refused request may still send before its connection ends.
const DRAIN_BYTES: usize = 64 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(1);
/// Where no route matched.
const NO_ROUTE: &str = "none";

/// The name of a request, in its response and in the log.
#[derive(Clone, Debug)]
pub(super) struct RequestId(pub(super) String);

/// Hands out request ids: when the service started, then a count, so that logs of several runs can lie
/// in one file.
#[derive(Debug)]
pub(super) struct RequestIds {
    started: i64,
    next: AtomicU64,
}

impl RequestIds {
    pub(super) fn new(started: jiff::Timestamp) -> Self {
        Self { started: started.as_millisecond(), next: AtomicU64::new(1) }
    }

    /// The next of them.
    pub(super) fn next(&self) -> RequestId {
        RequestId(format!("{:x}-{:x}", self.started, self.next.fetch_add(1, Ordering::Relaxed)))
    }
}

/// The service behind its door: what decides who may come in.
pub(super) struct Door {
    pub(super) service: Arc<Service>,
    pub(super) names: Names,
    pub(super) keyring: Arc<Keyring>,
    pub(super) audit: AuditLog,
}

/// What was found out about a request before its route is asked.
enum Admission {
    /// To its route.
    Enter(Option<Caller>, Effect),
    /// Not to any.
    Answer(Box<Response>, Option<Caller>),
}

impl Admission {
    fn refuse(error: ApiError) -> Self {
        Self::Answer(Box::new(error.into_response()), None)
    }
}

/// How a request came to its end.
#[derive(Clone, Copy, Debug)]
struct Outcome {
    said: &'static str,
    status: u16,
    code: Option<&'static str>,
    is_refusal: bool,
}

impl Outcome {
    /// The client left before it was answered, or the service stopped. What was asked for may go on all the same;
    /// the status is the one that logs of servers have for this.
    const LEFT: Self = Self { said: "the client left", status: 499, code: Some("client_left"), is_refusal: false };

    fn of(response: &Response) -> Self {
        let code = response.extensions().get::<ApiError>().map(ApiError::code);
        let is_refusal = code.is_some_and(Code::is_refusal);
        Self { said: "answered", status: response.status().as_u16(), code: code.map(Code::name), is_refusal }
    }
}

/// What the logs and the numbers hear of a request once it is dropped, answered or not: a client that leaves
/// takes what waits for its answer with it.
struct Account {
    door: Arc<Door>,
    started: Instant,
    span: Span,
    id: RequestId,
    method: Method,
    route: String,
    caller: Option<Caller>,
    address: Option<IpAddr>,
    effect: Effect,
    outcome: Outcome,
}

impl Drop for Account {
    fn drop(&mut self) {
        let Self { door, started, span, id, method, route, caller, address, effect, outcome } = self;
        let Outcome { said, status, code, is_refusal } = *outcome;
        let took = started.elapsed();
        telemetry::answered(span, method, route, status, code, caller.as_ref().map(|who| who.name.as_str()));
        let (caller, ms) = (caller.as_ref().map_or("-", |caller| &caller.name), took.as_secs_f64() * 1e3);
        let from = address.map(tracing::field::display);
        tracing::info!(parent: &*span, %method, route, caller, address = from, status, ms, "{said}");
        door.service.metrics.answered(route, status, code, took);
        if *effect == Effect::Changes || is_refusal {
            door.audit.write(Line::new(&id.0, (caller, *address), method, route, status, code));
        }
    }
}

/// The middleware around all routes.
pub(super) async fn guard(State(door): State<Arc<Door>>, mut request: Request, next: Next) -> Response {
    let id = door.service.request_ids.next();
    let span = tracing::info_span!(REQUEST, id = id.0);
    telemetry::begun(&span, request.headers());
    let mut account = Account {
        started: Instant::now(),
        span: span.clone(),
        method: request.method().clone(),
        route: request.extensions().get::<MatchedPath>().map_or(NO_ROUTE, MatchedPath::as_str).to_owned(),
        caller: None,
        address: peer(&request).map(|peer| door.names.client(peer, request.headers())),
        effect: Effect::Reads,
        outcome: Outcome::LEFT,
        id: id.clone(),
        door: Arc::clone(&door),
    };
    let permission = door.names.permission(request.headers());
    let behind_tls = peer(&request).is_some_and(|peer| door.names.is_behind_tls(peer, request.headers()));
    let response = match admit(&door, &request, &account.route) {
        Admission::Enter(caller, effect) => {
            (account.caller, account.effect) = (caller, effect);
            request.extensions_mut().insert(id.clone());
            request.extensions_mut().insert(Arc::clone(&door));
            if let Some(peer) = peer(&request) {
                let reached = door.names.reached(peer, request.headers());
                request.extensions_mut().insert(reached);
            }
            if let Some(caller) = &account.caller {
                request.extensions_mut().insert(caller.clone());
            }
            next.run(request).instrument(span).await
        }
        Admission::Answer(mut response, caller) => {
            account.caller = caller;
            // who was refused stays so, even if they do not wait to hear it
            account.outcome = Outcome::of(&response);
            if !drained(request).await {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            *response
        }
    };
    account.outcome = Outcome::of(&response);
    let mut response = identify(response, &id, &account.route);
    response.headers_mut().extend(permission);
    headers::secure(response.headers_mut(), behind_tls);
    response
}

/// Reads what came with a refused request, so that its connection serves on; false when that is much, or
/// slow, or was not sent yet.
async fn drained(request: Request) -> bool {
    if request.headers().contains_key(header::EXPECT) {
        return false;
    }
    matches!(timeout(DRAIN_TIME, to_bytes(request.into_body(), DRAIN_BYTES)).await, Ok(Ok(_)))
}

fn peer(request: &Request) -> Option<Peer> {
    request.extensions().get::<Peer>().copied()
}

/// Whether a request may go to the route that matched, and as whose.
fn admit(door: &Door, request: &Request, route: &str) -> Admission {
    let (method, headers) = (request.method(), request.headers());
    let Some(peer) = peer(request) else {
        return Admission::refuse(ApiError::internal(&"a connection without its two ends"));
    };
    if let Err(error) = door.names.check(peer, request.uri().host(), headers) {
        return Admission::refuse(error);
    }
    if let Some(response) = door.names.preflight(method, headers) {
        return Admission::Answer(Box::new(response), None);
    }
    if route == NO_ROUTE {
        return Admission::Enter(None, Effect::Reads);
    }
    let rule = match access::find(method, route) {
        Found::Rule(rule) => rule,
        Found::OtherMethods(methods) => return Admission::Answer(Box::new(wrong_method(&methods)), None),
        Found::Nothing => {
            tracing::error!(%method, route, "this route has no rule in access.rs: it is refused to all");
            return Admission::refuse(ApiError::new(Code::Forbidden, "nobody may use this route"));
        }
    };
    if rule.who == Who::Open {
        return Admission::Enter(None, rule.effect);
    }
    let admitted = door.keyring.identify(headers, door.names.client(peer, headers)).and_then(|caller| {
        let refuse = |error| Refusal { error, retry_after: None, caller: Some(caller.clone()) };
        rule.admit(caller.role).map_err(refuse)?;
        Ok(caller)
    });
    match admitted {
        Ok(caller) => Admission::Enter(Some(caller), rule.effect),
        Err(mut refusal) => {
            let caller = refusal.caller.take();
            Admission::Answer(Box::new(refusal.into_response()), caller)
        }
    }
}

fn wrong_method(allowed: &str) -> Response {
    let error = ApiError::new(Code::MethodNotAllowed, "this route has another method: see the header `allow`");
    let mut response = error.into_response();
    if let Ok(allowed) = HeaderValue::from_str(allowed) {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}

/// Names the request in its response; an error gets its envelope here.
fn identify(mut response: Response, id: &RequestId, route: &str) -> Response {
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        let envelope = if openai::is_route(route) {
            openai::envelope(&error).into_response()
        } else {
            Json(error.into_failure(&id.0)).into_response()
        };
        let (parts, body) = envelope.into_parts();
        response.headers_mut().extend(parts.headers);
        *response.body_mut() = body;
    }
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}
