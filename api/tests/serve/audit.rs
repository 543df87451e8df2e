//! The audit log: what is refused or changed, by whom, and nothing of what was asked.

use std::fs;
use std::io::Write;
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::client::{Client, Response, key};
use crate::harness::{Home, QUESTION, Server, eventually};

fn lines(home: &Home) -> Vec<Value> {
    let text = fs::read_to_string(home.path().join("audit.jsonl")).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[track_caller]
fn line_of(home: &Home, response: &Response) -> Value {
    let id = response.header("x-request-id").unwrap();
    let mut found = None;
    eventually("the line is written", || {
        found = lines(home).into_iter().find(|line| line["request"] == id);
        found.is_some()
    });
    found.unwrap()
}

#[test]
fn refusals_are_written_down_and_questions_are_not() {
    let home = Home::indexed();
    let (ward, few) = (key(&home, "ward", &[]), key(&home, "few", &["--quota", "1"]));
    let server = Server::start(&home, &["--wrong-keys", "1"]);
    let client = Client::new(&server);
    let question = json!({ "question": QUESTION });
    client.with(&ward).post("/v1/ask", &question).ok();
    client.with(&few).post("/v1/ask", &question).ok();
    let foreign = [("origin", "https://evil.example.org")];
    for (response, status, caller, method, route) in [
        (client.post("/v1/ask", &question), 401, "-", "POST", "/v1/ask"),
        (client.with("ana_guess").get("/v1/chunks/metformin"), 401, "-", "GET", "/v1/chunks/{id}"),
        (client.with("ana_guess").get("/v1/chunks/metformin"), 429, "-", "GET", "/v1/chunks/{id}"),
        (client.with(&ward).get("/metrics"), 403, "ward", "GET", "/metrics"),
        (client.with(&few).post("/v1/ask", &question), 429, "few", "POST", "/v1/ask"),
        (client.send("GET", "/metformin?text=metformin", &foreign, None), 403, "-", "GET", "none"),
        (client.send("GET", "/", &[("host", "metformin.example.org")], None), 421, "-", "GET", "/"),
    ] {
        assert_eq!(response.status, status, "{}", response.text);
        let line = line_of(&home, &response);
        assert_eq!(
            (&line["status"], &line["caller"], &line["method"], &line["route"]),
            (&json!(status), &json!(caller), &json!(method), &json!(route)),
            "{line}"
        );
        assert_eq!(line["code"], response.json()["code"]);
        assert_eq!(line["address"], "127.0.0.1", "{line}");
        assert!(line["time"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    }
    let path = home.path().join("audit.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 7, "what was answered changed nothing: {text}");
    for secret in ["etformin", &ward, &few, "ana_"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn who_leaves_before_the_answer_is_written_down_all_the_same() {
    let home = Home::indexed();
    let (cara, root) = (key(&home, "cara", &["--role", "curator"]), key(&home, "root", &["--role", "admin"]));
    let server = Server::start(&home, &[]);
    let client = Client::new(&server).with(&root);
    let send = |path: &str, key: &str, length: usize, body: &str| {
        let mut stream = server.connect();
        let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n");
        write!(stream, "{head}authorization: Bearer {key}\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
        stream
    };
    let written = |status: u16, caller: &str| {
        eventually("the line is written", || {
            lines(&home).iter().any(|line| line["status"] == status && line["caller"] == caller)
        });
    };
    let other = rusqlite::Connection::open(home.path().join("corpus.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let body = json!({ "ids": ["documents:asthma"], "reason": "a test" }).to_string();
    let stream = send("/v1/documents/quarantine", &cara, body.len(), &body);
    let has = |line: &str| client.get("/metrics").text.lines().any(|told| told == line);
    eventually("the write is under way", || has("anamnesis_workers_busy 1"));
    stream.shutdown(Shutdown::Both).unwrap();
    written(499, "cara");
    let left = lines(&home).pop().unwrap();
    assert_eq!((&left["route"], &left["code"]), (&json!("/v1/documents/quarantine"), &json!("client_left")), "{left}");
    assert!(has("anamnesis_errors_total{code=\"client_left\"} 1"));
    other.execute_batch("ROLLBACK").unwrap();
    eventually("the write goes on", || client.get("/v1/documents/documents:asthma").ok()["standing"] == "quarantined");
    send("/v1/ask", "ana_guess", 10, "").shutdown(Shutdown::Both).unwrap();
    written(401, "-");
}

#[test]
fn a_refusal_names_the_client_that_a_trusted_proxy_names() {
    let home = Home::indexed();
    key(&home, "ward", &[]);
    let named = [("x-forwarded-for", "198.51.100.7, 203.0.113.9")];
    for (args, expect) in [(&["--proxy", "127.0.0.1"][..], "203.0.113.9"), (&[], "127.0.0.1")] {
        let server = Server::start(&home, args);
        let response = Client::new(&server).with("ana_guess").send("GET", "/v1/chunks/x", &named, None);
        assert_eq!((response.status, &line_of(&home, &response)["address"]), (401, &json!(expect)));
        eventually("the log has it too", || server.log().contains(&format!("address={expect}")));
    }
}

#[test]
fn lines_outlive_a_kill_and_files_are_begun_anew() {
    let home = Home::indexed();
    key(&home, "ward", &[]);
    let refused = |server: &Server| {
        let response = Client::new(server).post("/v1/ask", &json!({}));
        line_of(&home, &response);
        response.header("x-request-id").unwrap().to_owned()
    };
    let first = refused(&Server::start(&home, &[]));
    // dropped, so killed without a word; and the kill cut a line short
    let path = home.path().join("audit.jsonl");
    fs::write(&path, fs::read_to_string(&path).unwrap() + "{\"time\":\"20").unwrap();
    let mut server = Server::start(&home, &["--audit-bytes", "600", "--audit-files", "2"]);
    let second = refused(&server);
    assert_eq!(lines(&home).iter().map(|line| &line["request"]).collect::<Vec<_>>(), [&first, &second]);
    for _ in 0..12 {
        refused(&server);
    }
    let mut names: Vec<_> = fs::read_dir(home.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("audit"))
        .collect();
    names.sort();
    assert_eq!(names, ["audit.jsonl", "audit.jsonl.1"]);
    for name in names {
        let size = fs::metadata(home.path().join(&name)).unwrap().len();
        assert!((1..=600).contains(&size), "{name}: {size}");
    }
    let last = Client::new(&server).post("/v1/ask", &json!({}));
    server.terminate();
    assert_eq!(server.ended().code(), Some(0));
    let id = last.header("x-request-id").unwrap();
    assert!(lines(&home).iter().any(|line| line["request"] == id), "the end waits for the log");
}
