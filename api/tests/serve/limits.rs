//! How often, how many, how large, how slow: what bounds each client, and what tells browsers off.

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{Client, key};
use crate::harness::{Home, QUESTION, Server, eventually};

#[test]
fn guessing_is_soon_told_to_wait_and_a_right_key_passes() {
    let home = Home::indexed();
    let (known, new) = (key(&home, "known", &[]), key(&home, "new", &[]));
    let server = Server::start(&home, &["--wrong-keys", "3"]);
    let client = Client::new(&server);
    let asks = |key: &str| client.with(key).post("/v1/retrieve", &json!({ "query": "lithium" }));
    asks(&known).ok();
    for guess in 0..3 {
        asks(&format!("ana_{guess}")).failed(401, "unauthenticated");
    }
    for guess in 0..5 {
        let refused = asks(&format!("ana_{guess}"));
        let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=20).contains(&wait), "{wait}");
        refused.failed(429, "too_many_attempts");
    }
    // one that this service, begun anew, has not seen before: who shares an address with a guesser is not shut out
    asks(&new).ok();
    asks(&known).ok();
    assert_eq!(client.get("/healthz").status, 200);
}

#[test]
fn who_a_proxy_asks_for_is_counted_apart() {
    let home = Home::indexed();
    key(&home, "ward", &[]);
    let server = Server::start(&home, &["--wrong-keys", "1", "--proxy", "127.0.0.1"]);
    let client = Client::new(&server).with("ana_guess");
    let asks = |address: &str| client.send("GET", "/v1/chunks/x", &[("x-forwarded-for", address)], None).status;
    assert_eq!((asks("203.0.113.1"), asks("203.0.113.1")), (401, 429));
    assert_eq!(asks("203.0.113.2"), 401);
    assert_eq!(asks("203.0.113.9, 203.0.113.1"), 429, "what the client claims before the proxy's word is nothing");
    let told = |headers: &[(&str, &str)]| {
        client.send("GET", "/healthz", headers, None).header("strict-transport-security").map(str::to_owned)
    };
    assert_eq!(told(&[("x-forwarded-proto", "https")]).as_deref(), Some("max-age=31536000"));
    assert_eq!((told(&[]), told(&[("x-forwarded-proto", "http")])), (None, None));
}

#[test]
fn a_quota_ends_and_fills_again() {
    let home = Home::indexed();
    let (few, many) = (key(&home, "few", &["--quota", "40"]), key(&home, "many", &[]));
    let server = Server::start(&home, &[]);
    let client = Client::new(&server);
    let asks = |key: &str| client.with(key).get("/v1/chunks/nonsense");
    let begun = Instant::now();
    let served = (0..60).take_while(|_| asks(&few).status == 404).count();
    let most = 40 + begun.elapsed().as_secs() as usize + 1;
    assert!((40..=most).contains(&served), "{served}");
    let refused = asks(&few);
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=2).contains(&wait), "{wait}");
    assert!(refused.failed(429, "quota_exceeded").contains("40 times a minute"));
    assert_eq!(asks(&many).status, 404, "each key has its own");
    thread::sleep(Duration::from_secs(wait));
    assert_eq!(asks(&few).status, 404);
}

#[test]
fn connections_beyond_the_limit_are_refused_and_silent_ones_end() {
    let home = Home::indexed();
    let server = Server::start(&home, &["--connections", "2", "--idle-ms", "1500"]);
    let mut held: Vec<_> = (0..2).map(|_| server.connect()).collect();
    held[1].write_all(b"GET /healthz HTTP/1.1\r\nhost: loc").unwrap();
    let begun = Instant::now();
    eventually("one more is refused", || {
        let mut told = String::new();
        // refused before it was read, a connection may end without its last words
        let _ = server.connect().read_to_string(&mut told);
        told.is_empty() || told.starts_with("HTTP/1.1 503")
    });
    for mut connection in held {
        let mut told = Vec::new();
        let _ = connection.read_to_end(&mut told);
        let told = String::from_utf8_lossy(&told).into_owned();
        assert!(told.is_empty() || told.starts_with("HTTP/1.1 408"), "{told}");
    }
    let took = begun.elapsed();
    assert!((Duration::from_secs(1)..Duration::from_secs(6)).contains(&took), "{took:?}");
    eventually("there is room again", || {
        server.raw("GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").0 == 200
    });
    // a connection that is used lives on between its requests
    let mut used = server.connect();
    for _ in 0..3 {
        used.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        let mut part = [0; 1_024];
        let length = used.read(&mut part).unwrap();
        assert!(String::from_utf8_lossy(&part[..length]).starts_with("HTTP/1.1 200"));
        thread::sleep(Duration::from_millis(300));
    }
}

#[test]
fn who_never_reads_holds_no_connection() {
    let home = Home::indexed();
    let server = Server::start(&home, &["--idle-ms", "500"]);
    let client = Client::new(&server);
    let mut deaf = server.connect();
    deaf.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let request = "GET /reference HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(200);
    // until either side's buffers are full of pages that nobody takes
    for _ in 0..5 {
        let _ = deaf.write_all(request.as_bytes());
    }
    let open = |count: &str| client.get("/metrics").text.contains(&format!("\nanamnesis_connections {count}\n"));
    assert!(open("2"), "the deaf client and this one");
    eventually("the deaf client is given up", || open("1"));
}

#[test]
fn a_connection_outlives_a_refusal_unless_much_was_sent() {
    let home = Home::indexed();
    key(&home, "ward", &[]);
    let server = Server::start(&home, &[]);
    let mut stream = server.connect();
    let mut refused = |body: &str| {
        let head = "POST /v1/ask HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
        write!(stream, "{head}content-length: {}\r\n\r\n", body.len()).unwrap();
        // as clients send it: the head first
        thread::sleep(Duration::from_millis(50));
        let _ = stream.write_all(body.as_bytes());
        let mut part = [0; 4_096];
        let length = stream.read(&mut part).unwrap();
        String::from_utf8_lossy(&part[..length]).to_lowercase()
    };
    for _ in 0..3 {
        let told = refused("{\"question\":\"\"}");
        assert!(told.starts_with("http/1.1 401") && !told.contains("connection: close"), "{told}");
    }
    let told = refused(&"x".repeat(100_000));
    assert!(told.starts_with("http/1.1 401") && told.contains("connection: close"), "{told}");
}

#[test]
fn enormous_heads_are_refused() {
    let home = Home::indexed();
    let ward = key(&home, "ward", &[]);
    let server = Server::start(&home, &[]);
    let head = "GET /v1/chunks/x HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n";
    let long = format!("{head}authorization: Bearer {}\r\n\r\n", "x".repeat(200_000));
    let many = format!("{head}{}\r\n", "x-more: 1\r\n".repeat(5_000));
    for request in [long, many] {
        let mut stream = server.connect();
        // the service may hang up before it has all
        let _ = stream.write_all(request.as_bytes());
        let mut told = Vec::new();
        let _ = stream.read_to_end(&mut told);
        let told = String::from_utf8_lossy(&told).into_owned();
        assert!(told.is_empty() || told.starts_with("HTTP/1.1 431"), "{told}");
    }
    let twice = format!("{head}authorization: Bearer {ward}\r\nauthorization: Bearer {ward}\r\n\r\n");
    assert_eq!(server.raw(&twice).0, 401);
    assert_eq!(Client::new(&server).with(&ward).get("/v1/chunks/x").status, 404);
}

#[test]
fn browsers_are_told_to_do_nothing_with_any_response() {
    let home = Home::indexed();
    let ward = key(&home, "ward", &[]);
    let server = Server::start(&home, &["--cors", "https://page.example.org"]);
    let client = Client::new(&server);
    let known = client.with(&ward);
    let origin = ("origin", "https://page.example.org");
    let responses = [
        (200, client.get("/healthz")),
        (200, client.get("/reference")),
        (200, known.post("/v1/ask", &json!({ "question": QUESTION }))),
        (200, known.post("/v1/ask", &json!({ "question": QUESTION, "stream": true }))),
        (204, client.send("OPTIONS", "/v1/ask", &[origin, ("access-control-request-method", "POST")], None)),
        (400, known.post("/v1/ask", &json!({}))),
        (401, client.get("/v1/chunks/x")),
        (403, known.get("/metrics")),
        (403, client.send("GET", "/healthz", &[("origin", "https://evil.example.org")], None)),
        (404, client.get("/nowhere")),
        (405, client.send("DELETE", "/v1/ask", &[], None)),
        (421, client.send("GET", "/healthz", &[("host", "evil.example.org")], None)),
    ];
    for (status, response) in responses {
        assert_eq!(response.status, status, "{}", response.text);
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(response.header(name), Some(value), "{status}");
        }
        let policy = response.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(response.header("x-request-id").is_some() && response.header("strict-transport-security").is_none());
    }
}

#[test]
fn pages_of_listed_origins_may_ask_and_others_may_not() {
    let home = Home::indexed();
    let ward = key(&home, "ward", &[]);
    let server = Server::start(&home, &["--cors", "https://page.example.org"]);
    let client = Client::new(&server);
    let preflight = |origin: &str| {
        let asks = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization"),
        ];
        client.send("OPTIONS", "/v1/ask", &asks, None)
    };
    let allowed = preflight("https://page.example.org");
    assert_eq!((allowed.status, allowed.text.as_str()), (204, ""));
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://page.example.org"));
    assert!(allowed.header("access-control-allow-headers").unwrap().contains("authorization"));
    assert!(allowed.header("access-control-allow-methods").unwrap().contains("POST"));
    assert_eq!((allowed.header("vary"), allowed.header("access-control-allow-credentials")), (Some("origin"), None));
    for foreign in ["https://evil.example.org", "http://page.example.org", "https://page.example.org.evil.net", "null"]
    {
        let refused = preflight(foreign);
        assert_eq!(refused.header("access-control-allow-origin"), None);
        refused.failed(403, "forbidden_origin");
    }
    // of this machine, but not listed: it may send what needs no asking, and read nothing
    let own = preflight("http://localhost:3000");
    assert_eq!((own.status, own.header("access-control-allow-origin")), (403, None));
    let listed = [("origin", "https://page.example.org")];
    let body = json!({ "question": QUESTION });
    let asked = client.with(&ward).send("POST", "/v1/ask", &listed, Some(&body));
    asked.ok();
    assert_eq!(asked.header("access-control-allow-origin"), Some("https://page.example.org"));
    let without_key = client.send("POST", "/v1/ask", &listed, Some(&body));
    assert_eq!(
        without_key.header("access-control-allow-origin"),
        Some("https://page.example.org"),
        "the page reads why"
    );
    without_key.failed(401, "unauthenticated");
    let plain = Server::start(&home, &[]);
    let plain =
        Client::new(&plain).with(&ward).send("POST", "/v1/ask", &[("origin", "https://page.example.org")], Some(&body));
    plain.failed(403, "forbidden_origin");
}
