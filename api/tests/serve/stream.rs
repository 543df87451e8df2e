//! Episodes as server-sent events.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};

use serde_json::{Value, json};

use crate::harness::{Home, QUESTION, Server, lasting};
use crate::model::Model;

/// Where SQLite keeps the version of a database's layout.
const USER_VERSION: u64 = 60;

/// Asks for a stream; gives the names and data of its events.
pub(crate) fn events(server: &Server, body: &Value, headers: &str) -> Vec<(String, Value)> {
    let body = body.to_string();
    let mut stream = server.connect();
    let head = "POST /v1/ask HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n";
    write!(stream, "{head}{headers}content-length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).unwrap(), 0, "{head}");
    }
    assert!(
        head.starts_with("HTTP/1.1 200") && head.to_lowercase().contains("content-type: text/event-stream"),
        "{head}"
    );
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    let mut events = Vec::new();
    let mut name = None;
    for line in rest.lines() {
        if let Some(found) = line.strip_prefix("event: ") {
            name = Some(found.to_owned());
        } else if let Some(data) = line.strip_prefix("data: ") {
            events.push((name.take().expect("an event without a name"), serde_json::from_str(data).unwrap()));
        }
    }
    events
}

#[test]
fn an_episode_is_told_in_order_and_ends_with_the_whole_answer() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    let told = events(&server, &json!({ "question": QUESTION, "stream": true }), "");
    let by_header = events(&server, &json!({ "question": QUESTION }), "accept: text/event-stream\r\n");
    let names: Vec<_> = told.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, by_header.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>());
    let first = |wanted: &str| {
        names.iter().position(|name| *name == wanted).unwrap_or_else(|| panic!("no {wanted} in {names:?}"))
    };
    let order = ["turn", "query", "hits", "evidence", "answer", "citation", "verdict", "final"].map(first);
    assert!(order.is_sorted(), "{names:?}");
    assert_eq!(order[0], 0);
    assert_eq!(order[7], names.len() - 1);

    let answer = server.ask(QUESTION).ok();
    let told_of = |wanted: &str| -> Vec<Value> {
        told.iter().filter(|(name, _)| name == wanted).map(|(_, data)| data.clone()).collect()
    };
    let mut sentences = told_of("answer");
    for verdict in told_of("verdict") {
        let sentence = verdict["sentence"].as_u64().unwrap() as usize;
        assert_eq!(verdict["verdict"]["label"], "support", "{verdict}");
        sentences[sentence - 1]["verdict"] = verdict["verdict"].clone();
        sentences[sentence - 1]["standing"] = "kept".into();
    }
    assert_eq!(json!(sentences), answer["sentences"]);
    assert_eq!(json!(told_of("citation")), answer["citations"]);
    assert_eq!(lasting(told[order[7]].1.clone()), lasting(answer));
}

#[test]
fn what_takes_too_long_is_told_in_either_form() {
    let home = Home::indexed();
    let model = Model::start();
    let server = Server::start(&home, &["--policy", &model.policy(), "--timeout-ms", "400", "--workers", "2"]);
    let body = json!({ "question": QUESTION, "stream": true });
    let (name, data) = events(&server, &body, "").pop().unwrap();
    // what ends first, the budget or the time-out, is a race that either may win
    assert!(
        name == "error" && data["code"] == "timeout" || name == "final" && data["abstained"] == true,
        "{name} {data}"
    );
    let reply = server.ask(QUESTION);
    assert!(reply.status == 504 || reply.json()["abstained"] == true, "{reply:?}");
    model.open();
    server.ask(QUESTION).ok();
}

#[test]
fn a_model_that_fails_is_told_in_either_form() {
    let home = Home::indexed();
    // nobody listens on port 1
    let server = Server::start(&home, &["--policy", "openai:http://127.0.0.1:1/v1#none"]);
    let message = server.ask(QUESTION).failed(502, "policy_failed");
    assert!(!message.contains("127.0.0.1:1"), "{message}");
    let (name, data) = events(&server, &json!({ "question": QUESTION, "stream": true }), "").pop().unwrap();
    assert_eq!((name.as_str(), &data["code"]), ("error", &json!("policy_failed")), "{data}");
}

#[test]
fn a_trace_that_cannot_be_stored_is_a_warning() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    // a newer program came by: the database opened for reading still serves, and may no longer be written
    let mut file = OpenOptions::new().write(true).open(home.path().join("corpus.db")).unwrap();
    file.seek(SeekFrom::Start(USER_VERSION)).unwrap();
    file.write_all(&99_u32.to_be_bytes()).unwrap();
    let told = events(&server, &json!({ "question": QUESTION, "stream": true }), "");
    let last: Vec<_> = told.iter().rev().take(2).map(|(name, _)| name.as_str()).collect();
    assert_eq!(last, ["final", "warning"]);
    let warnings = server.ask(QUESTION).ok()["warnings"].take();
    assert_eq!(warnings, json!([told[told.len() - 2].1["message"]]));
}
