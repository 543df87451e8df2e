//! What every request passes on its way in and out: an id, the check of `Host` and `Origin`, who asks and
//! whether they may, the envelope around errors, headers for browsers, one line in the log, the numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::to_bytes;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;
use tracing::Instrument;

use super::access::{self, Effect, Found, Who};
use super::caller::Caller;
use super::error::{ApiError, Code};
use super::keyring::{Keyring, Refusal};
use super::ledger::{Ledger, Line};
use super::origin::{Names, Peer};
use super::{Service, headers, openai};

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
    pub(super) ledger: Ledger,
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

/// The middleware around all routes.
pub(super) async fn guard(State(door): State<Arc<Door>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = door.service.request_ids.next();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or(NO_ROUTE, MatchedPath::as_str).to_owned();
    let span = tracing::info_span!("request", id = id.0);
    let permission = door.names.permission(request.headers());
    let behind_tls = peer(&request).is_some_and(|peer| door.names.is_behind_tls(peer, request.headers()));
    let (response, caller, effect) = match admit(&door, &request, &route) {
        Admission::Enter(caller, effect) => {
            request.extensions_mut().insert(id.clone());
            if let Some(caller) = &caller {
                request.extensions_mut().insert(caller.clone());
            }
            (next.run(request).instrument(span.clone()).await, caller, effect)
        }
        Admission::Answer(mut response, caller) => {
            if !drained(request).await {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            (*response, caller, Effect::Reads)
        }
    };
    let (mut response, code) = identify(response, &id, &route);
    response.headers_mut().extend(permission);
    headers::secure(response.headers_mut(), behind_tls);
    let status = response.status();
    let took = started.elapsed();
    let (caller, ms) = (caller.as_ref().map_or("-", |caller| &caller.name), took.as_secs_f64() * 1e3);
    tracing::info!(parent: &span, %method, route, caller, status = status.as_u16(), ms, "answered");
    door.service.metrics.answered(&route, status, code.map(Code::name), took);
    if effect == Effect::Changes || code.is_some_and(Code::is_refusal) {
        door.ledger.write(Line::new(&id.0, caller, &method, &route, status.as_u16(), code.map(Code::name)));
    }
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
        Err(Refusal { error, retry_after, caller }) => Admission::Answer(Box::new(refusal(error, retry_after)), caller),
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

fn refusal(error: ApiError, retry_after: Option<Duration>) -> Response {
    let mut response = error.into_response();
    if response.status() == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Bearer realm=\"anamnesis\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    if let Some(wait) = retry_after {
        let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Names the request in its response; an error gets its envelope here, and its code is told.
fn identify(mut response: Response, id: &RequestId, route: &str) -> (Response, Option<Code>) {
    let error = response.extensions_mut().remove::<ApiError>();
    let code = error.as_ref().map(ApiError::code);
    if let Some(error) = error {
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
    (response, code)
}
