//! What every request passes on its way in and out: an id, the check of `Host` and `Origin`, the
//! envelope around errors, one line in the log.
//!
//! Until keys exist, whoever reaches the socket may ask. A web page that a user of this machine visits
//! must therefore not reach it: not by naming a host that resolves here (DNS rebinding), which `Host`
//! betrays, and not across origins, which `Origin` betrays.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::Json;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;

use super::error::{ApiError, Code};
use super::{Service, openai};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

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

/// The middleware around all routes.
pub(super) async fn guard(State(service): State<Arc<Service>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = service.request_ids.next();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!("request", id = id.0);
    request.extensions_mut().insert(id.clone());
    let response = match check(request.uri().host(), request.headers()) {
        Ok(()) => next.run(request).instrument(span.clone()).await,
        Err(error) => error.into_response(),
    };
    let response = identify(response, &id, &route);
    let (status, ms) = (response.status().as_u16(), started.elapsed().as_secs_f64() * 1e3);
    tracing::info!(parent: &span, %method, route, status, ms, "answered");
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

/// Refuses a request that was not meant for this machine's own loopback. `target` is the host of a
/// request line in absolute form.
fn check(target: Option<&str>, headers: &HeaderMap) -> Result<(), ApiError> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let named = hosts.next().and_then(|host| host.to_str().ok());
    let is_ours = named.is_some_and(is_loopback) && hosts.next().is_none() && target.is_none_or(is_loopback);
    if !is_ours {
        return Err(ApiError::new(
            Code::WrongHost,
            "host: this service answers to localhost, 127.0.0.1 and [::1] only",
        ));
    }
    let is_foreign = |origin: &HeaderValue| {
        let origin = origin.to_str().unwrap_or_default();
        let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        !host.is_some_and(is_loopback)
    };
    if headers.get_all(header::ORIGIN).iter().any(is_foreign) {
        return Err(ApiError::new(Code::ForbiddenOrigin, "origin: pages of other hosts may not use this service"));
    }
    Ok(())
}

/// Whether `host[:port]` names this machine's loopback.
fn is_loopback(authority: &str) -> bool {
    let bracketed = authority.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (is_ours, port) = if let Some((address, port)) = bracketed {
        (address.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback()), port)
    } else {
        let (name, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
        let is_address = name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        (is_address || name.eq_ignore_ascii_case("localhost"), port)
    };
    is_ours && (port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_told_from_all_that_looks_like_it() {
        for ours in ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8080", "127.9.9.9:80"] {
            assert!(is_loopback(ours), "{ours}");
        }
        for foreign in [
            "",
            ":",
            ":80",
            "example.org",
            "localhost.example.org",
            "127.0.0.1.nip.io",
            "localhost.",
            "192.168.0.1:80",
            "[::2]",
            "[::1",
            "[::1]x",
            "::1",
            "localhost:x",
            "localhost:99999",
            "user@localhost",
            "localhost@evil.org",
            "[::ffff:127.0.0.1]",
            "0.0.0.0",
        ] {
            assert!(!is_loopback(foreign), "{foreign}");
        }
    }

    fn checked(target: Option<&str>, headers: &[(HeaderName, &'static str)]) -> Result<(), ApiError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, HeaderValue::from_static(value));
        }
        check(target, &map)
    }

    #[test]
    fn host_and_origin_must_both_be_ours() {
        let (host, origin) = (header::HOST, header::ORIGIN);
        let ours = (host.clone(), "localhost:8080");
        assert!(checked(None, std::slice::from_ref(&ours)).is_ok());
        assert!(checked(Some("127.0.0.1"), std::slice::from_ref(&ours)).is_ok());
        assert!(checked(Some("example.org"), std::slice::from_ref(&ours)).is_err());
        assert!(checked(None, &[]).is_err());
        assert!(checked(None, &[ours.clone(), (host, "example.org")]).is_err());
        assert!(checked(None, &[ours.clone(), (origin.clone(), "http://localhost:3000")]).is_ok());
        for foreign in ["https://example.org", "null", "", "file://", "http://localhost.example.org"] {
            assert!(checked(None, &[ours.clone(), (origin.clone(), foreign)]).is_err(), "{foreign}");
        }
    }
}
