//! [`Names`]: which `Host` and `Origin` a request may carry, and what pages elsewhere may read (CORS).
//!
//! Without keys, whoever reaches the socket may ask. A web page that a user of this machine visits must
//! therefore not reach it: not by naming a host that resolves here (DNS rebinding), which `Host` betrays,
//! and not across origins, which `Origin` betrays. With keys the same holds, for what a page could guess.

use std::net::{IpAddr, Ipv6Addr};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::error::{ApiError, Code};

/// What pages of other origins may send.
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, DELETE");
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, x-api-key, content-type, accept, last-event-id, mcp-session-id, mcp-protocol-version",
);
/// What they may read besides the body.
const RESPONSE_HEADERS: HeaderValue = HeaderValue::from_static("x-request-id, retry-after, mcp-session-id");
/// How long a browser need not ask again, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What the service is called, and whom it knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    /// Hosts it answers to besides loopback and the address that was connected to.
    pub(crate) hosts: Vec<String>,
    /// Origins whose pages may use it.
    pub(crate) origins: Vec<String>,
    /// Proxies that are believed when they say for whom they ask.
    pub(crate) proxies: Vec<IpAddr>,
}

/// The two ends of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    pub(super) remote: IpAddr,
    pub(super) local: IpAddr,
    /// Whether they speak TLS.
    pub(super) tls: bool,
}

/// Where a client found this service: scheme and host, as links to it begin.
#[derive(Clone, Debug, Default)]
pub(super) struct Reached(pub(super) String);

impl Names {
    /// Where the client of a request that has passed the check found this service.
    pub(super) fn reached(&self, peer: Peer, headers: &HeaderMap) -> Reached {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        let scheme = if self.is_behind_tls(peer, headers) { "https" } else { "http" };
        Reached(format!("{scheme}://{host}"))
    }

    /// Refuses a request that was not meant for this service. `target` is the host of a request line in
    /// absolute form.
    pub(super) fn check(&self, peer: Peer, target: Option<&str>, headers: &HeaderMap) -> Result<(), ApiError> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let named = hosts.next().and_then(|host| host.to_str().ok());
        let is_ours = |authority: &str| self.is_ours(peer, authority);
        if !(named.is_some_and(is_ours) && hosts.next().is_none() && target.is_none_or(is_ours)) {
            return Err(ApiError::new(
                Code::WrongHost,
                "host: this service answers to localhost, to the address it listens on, and to what --host names",
            ));
        }
        let is_foreign = |origin: &HeaderValue| {
            let origin = origin.to_str().unwrap_or_default();
            let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            !host.is_some_and(is_ours) && !self.is_listed(origin)
        };
        if headers.get_all(header::ORIGIN).iter().any(is_foreign) {
            return Err(ApiError::new(
                Code::ForbiddenOrigin,
                "origin: pages of other hosts may not use this service, except those that --cors names",
            ));
        }
        Ok(())
    }

    fn is_listed(&self, origin: &str) -> bool {
        self.origins.iter().any(|listed| listed.eq_ignore_ascii_case(origin))
    }

    /// Whether `host[:port]` names this service.
    fn is_ours(&self, peer: Peer, authority: &str) -> bool {
        let Some(host) = host(authority) else { return false };
        match host.parse::<IpAddr>() {
            Ok(address) => address.is_loopback() || address == peer.local || self.is_named(host),
            Err(_) => host.eq_ignore_ascii_case("localhost") || self.is_named(host),
        }
    }

    fn is_named(&self, host: &str) -> bool {
        self.hosts.iter().any(|name| name.eq_ignore_ascii_case(host))
    }

    /// The listed origin of a request, which has passed the check.
    fn listed_origin<'a>(&self, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
        headers.get(header::ORIGIN).filter(|origin| origin.to_str().is_ok_and(|origin| self.is_listed(origin)))
    }

    /// The answer to a browser that asks whether a page of a listed origin may send something.
    pub(super) fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<Response> {
        let asks = method == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if !asks {
            return None;
        }
        if self.listed_origin(headers).is_none() {
            let message = "origin: pages of this origin may not use this service; --cors names those that may";
            return Some(ApiError::new(Code::ForbiddenOrigin, message).into_response());
        }
        let mut response = StatusCode::NO_CONTENT.into_response();
        let told = response.headers_mut();
        told.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        told.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
        told.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        Some(response)
    }

    /// What a response says so that a page of the request's origin may read it; empty unless it is listed.
    pub(super) fn permission(&self, headers: &HeaderMap) -> HeaderMap {
        let mut told = HeaderMap::new();
        if !self.origins.is_empty() {
            told.insert(header::VARY, HeaderValue::from_static("origin"));
        }
        if let Some(origin) = self.listed_origin(headers) {
            told.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            told.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS);
        }
        told
    }

    /// Who asks: what a proxy says of it last, or the other end of the connection.
    pub(super) fn client(&self, peer: Peer, headers: &HeaderMap) -> IpAddr {
        if !self.proxies.contains(&peer.remote) {
            return peer.remote;
        }
        let last = headers.get_all(X_FORWARDED_FOR).iter().next_back().and_then(|value| value.to_str().ok());
        let mut hops = last.unwrap_or_default().rsplit(',').map_while(|hop| hop.trim().parse::<IpAddr>().ok());
        // what stands before the last proxy's word is the client's own claim
        hops.find(|hop| !self.proxies.contains(hop)).unwrap_or(peer.remote)
    }

    /// Whether the client came by TLS: to here, or to a proxy that says so and is believed.
    pub(super) fn is_behind_tls(&self, peer: Peer, headers: &HeaderMap) -> bool {
        let said = || headers.get(X_FORWARDED_PROTO).is_some_and(|proto| proto == "https");
        peer.tls || self.proxies.contains(&peer.remote) && said()
    }
}

/// The host of `host[:port]`, without brackets.
fn host(authority: &str) -> Option<&str> {
    let bracketed = authority.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, port) = match bracketed {
        Some((address, port)) => (address.parse::<Ipv6Addr>().is_ok().then_some(address)?, port),
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    (is_port && !host.is_empty()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const PEER: Peer = Peer { remote: HERE, local: HERE, tls: false };

    fn is_ours(authority: &str) -> bool {
        Names::default().is_ours(PEER, authority)
    }

    #[test]
    fn loopback_is_told_from_all_that_looks_like_it() {
        for ours in ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8080", "127.9.9.9:80"] {
            assert!(is_ours(ours), "{ours}");
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
            assert!(!is_ours(foreign), "{foreign}");
        }
    }

    #[test]
    fn what_is_listened_on_and_what_is_named_is_ours() {
        let peer = Peer { local: "192.0.2.7".parse().unwrap(), ..PEER };
        let names = Names { hosts: vec!["Evidence.Example.org".to_owned()], ..Names::default() };
        for (authority, expect) in [
            ("192.0.2.7:8080", true),
            ("192.0.2.8:8080", false),
            ("evidence.example.org", true),
            ("evidence.example.org:443", true),
            ("evidence.example.org.evil.net", false),
            ("example.org", false),
            ("localhost", true),
        ] {
            assert_eq!(names.is_ours(peer, authority), expect, "{authority}");
        }
    }

    fn headers(given: &[(HeaderName, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in given {
            map.append(name, HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn host_and_origin_must_both_be_ours() {
        let names = Names { origins: vec!["https://page.example.org".to_owned()], ..Names::default() };
        let checked = |target, given: &[(HeaderName, &'static str)]| names.check(PEER, target, &headers(given));
        let (host, origin) = (header::HOST, header::ORIGIN);
        let ours = (host.clone(), "localhost:8080");
        assert!(checked(None, std::slice::from_ref(&ours)).is_ok());
        assert!(checked(Some("127.0.0.1"), std::slice::from_ref(&ours)).is_ok());
        assert!(checked(Some("example.org"), std::slice::from_ref(&ours)).is_err());
        assert!(checked(None, &[]).is_err());
        assert!(checked(None, &[ours.clone(), (host, "example.org")]).is_err());
        for own in ["http://localhost:3000", "https://page.example.org"] {
            assert!(checked(None, &[ours.clone(), (origin.clone(), own)]).is_ok(), "{own}");
        }
        for foreign in
            ["https://example.org", "null", "", "file://", "http://localhost.example.org", "http://page.example.org"]
        {
            assert!(checked(None, &[ours.clone(), (origin.clone(), foreign)]).is_err(), "{foreign}");
        }
    }

    #[test]
    fn only_a_known_proxy_is_believed() {
        let proxy: IpAddr = "192.0.2.1".parse().unwrap();
        let names = Names { proxies: vec![proxy], ..Names::default() };
        let client = |remote: IpAddr, said: &'static str| {
            names.client(Peer { remote, ..PEER }, &headers(&[(X_FORWARDED_FOR, said)])).to_string()
        };
        assert_eq!(client(HERE, "203.0.113.9"), "127.0.0.1");
        assert_eq!(client(proxy, "198.51.100.1, 203.0.113.9"), "203.0.113.9");
        assert_eq!(client(proxy, "203.0.113.9, 192.0.2.1"), "203.0.113.9");
        assert_eq!(client(proxy, "203.0.113.9, nonsense"), "192.0.2.1");
        assert_eq!(client(proxy, ""), "192.0.2.1");
        let tls = headers(&[(X_FORWARDED_PROTO, "https")]);
        assert!(names.is_behind_tls(Peer { remote: proxy, ..PEER }, &tls) && !names.is_behind_tls(PEER, &tls));
        assert!(names.is_behind_tls(Peer { tls: true, ..PEER }, &HeaderMap::new()));
    }
}
