//! Requests that are not in order: the status, the code and the field that is wrong.

use serde_json::{Value, json};

use crate::harness::{Home, QUESTION, Server, command};

#[test]
fn bad_requests_name_what_is_wrong() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    let long = "x".repeat(16 * 1024 + 1);
    let checks: [(&str, Value, &str); 17] = [
        ("/v1/ask", json!([QUESTION]), "object"),
        ("/v1/snapshots", json!([null, null]), "object"),
        ("/v1/verify", json!({ "text": "x", "filter": [null] }), "sequence"),
        ("/v1/ask", json!({}), "question"),
        ("/v1/ask", json!({ "question": "" }), "question"),
        ("/v1/ask", json!({ "question": " \n\t" }), "question"),
        ("/v1/ask", json!({ "question": long }), "question"),
        ("/v1/ask", json!({ "question": 7 }), "question"),
        ("/v1/ask", json!({ "question": QUESTION, "sream": true }), "sream"),
        ("/v1/ask", json!({ "question": QUESTION, "filter": { "levels": ["rct", "strong"] } }), "filter.levels[1]"),
        ("/v1/ask", json!({ "question": QUESTION, "filter": { "from": "spring" } }), "filter.from"),
        ("/v1/ask", json!({ "question": QUESTION, "budget": { "hits_per_query": 0 } }), "hits_per_query"),
        ("/v1/ask", json!({ "question": QUESTION, "budget": { "turns": 17 } }), "budget.turns"),
        ("/v1/retrieve", json!({ "queries": vec!["x"; 65] }), "queries"),
        ("/v1/retrieve", json!({ "query": "x", "k": 1001 }), "k"),
        ("/retrieve", json!({ "queries": ["x"], "topk": 1001 }), "topk"),
        ("/retrieve", json!({ "queries": "x" }), "queries"),
    ];
    for (path, body, field) in checks {
        let message = server.post(path, &body).failed(400, "invalid_request");
        assert!(message.contains(field), "{path}: `{message}` does not name {field}");
        assert!(!message.contains(&long), "the message repeats what was sent");
    }
    server.get("/nowhere").failed(404, "not_found");
    server.get("/v1/chunks/000000000000000000000000").failed(404, "not_found");
    server.get("/v1/chunks/nonsense").failed(404, "not_found");
    server.get("/v1/chunks/%FF").failed(404, "not_found");
    let wrong_method = server.get("/v1/ask");
    assert_eq!(wrong_method.header("allow"), Some("POST"));
    wrong_method.failed(405, "method_not_allowed");
}

#[test]
fn bodies_are_json_whole_and_small() {
    let home = Home::indexed();
    let server = Server::start(&home, &["--max-body", "2000"]);
    let post = |media_type: &str, body: &str| {
        let head = "POST /v1/ask HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n";
        server.raw(&format!("{head}content-type: {media_type}\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
    };
    for (media_type, body, status, code) in [
        ("application/json", r#"{"question": "#, 400, "invalid_request"),
        ("application/json", "", 400, "invalid_request"),
        ("application/json", "\u{0}", 400, "invalid_request"),
        ("application/json", r#"{"question": "a"} {"#, 400, "invalid_request"),
        ("text/plain", r#"{"question": "a"}"#, 415, "unsupported_media_type"),
        ("application/x-www-form-urlencoded", "question=a", 415, "unsupported_media_type"),
    ] {
        let (found, response) = post(media_type, body);
        assert_eq!(found, status, "{media_type} {body}: {response}");
        assert!(response.contains(&format!("\"code\":\"{code}\"")), "{response}");
    }
    let large = format!(r#"{{"question": "{}"}}"#, "x".repeat(3_000));
    let (status, response) = post("application/json", &large);
    assert_eq!(status, 413, "{response}");
    assert!(response.contains("--max-body"), "{response}");
    server.ask(QUESTION).ok();
}

#[test]
fn the_log_never_holds_a_question() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    server.ask(QUESTION).ok();
    server.post("/v1/retrieve", &json!({ "query": QUESTION })).ok();
    server
        .post("/v1/ask", &json!({ "question": QUESTION, "filter": { "from": "spring" } }))
        .failed(400, "invalid_request");
    crate::harness::eventually("three requests are logged", || server.log().matches("answered").count() >= 3);
    let log = server.log();
    assert!(log.contains("/v1/retrieve") && log.contains("status=400"), "{log}");
    assert!(!log.contains("metformin"), "{log}");
}

#[test]
fn addresses_that_others_reach_are_refused() {
    let home = Home::indexed();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let output = command(home.path(), &["serve", "--listen", address]).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains("anamnesis key create"), "{message}");
    }
}
