//! What is said of a request, which is the whole of a trace: where the trace began, and how the request was answered.

use axum::http::{HeaderMap, HeaderName, Method};
use retriever::STAGE;
use tracing::{Level, Span};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Goes on with the trace that the headers name, if they name one.
pub(crate) fn begun(span: &Span, headers: &HeaderMap) {
    if let Some(traceparent) = headers.get(TRACEPARENT).and_then(|value| value.to_str().ok()) {
        tracing::info!(target: STAGE, parent: span, traceparent);
    }
}

/// Says how a request ended. Callers are told apart by a hash of their names.
pub(crate) fn answered(
    span: &Span,
    method: &Method,
    route: &str,
    status: u16,
    code: Option<&str>,
    caller: Option<&str>,
) {
    if !tracing::enabled!(target: STAGE, Level::INFO) {
        return;
    }
    let caller = caller.map(|name| blake3::derive_key("anamnesis callers in telemetry, version 1", name.as_bytes()));
    let caller = caller.map(|hash| format!("{:016x}", u64::from_le_bytes(hash[..8].try_into().unwrap_or_default())));
    tracing::event!(
        target: STAGE,
        parent: span,
        Level::INFO,
        http.request.method = known(method),
        http.route = route,
        http.response.status_code = status,
        enduser.pseudo.id = caller,
        code,
    );
}

/// The method, as long as it is one that others use too.
fn known(method: &Method) -> &str {
    let usual = [Method::GET, Method::POST, Method::DELETE, Method::HEAD, Method::OPTIONS, Method::PUT, Method::PATCH];
    if usual.contains(method) { method.as_str() } else { "_OTHER" }
}
