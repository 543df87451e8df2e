//! Identifiers in a question reach no log, no stored trace and no endpoint, whatever is done with them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::json;

use crate::harness::{Home, Server, eventually};

const QUESTION: &str =
    "My patient John Okafor, MRN 4821973, born 03/12/1961, phone 555-201-3344: when is metformin contraindicated?";
const IDENTIFIERS: [&str; 5] = ["John", "Okafor", "4821973", "03/12/1961", "555-201-3344"];

/// Reads a request: its lines into `head`, and gives its body.
fn read(stream: &TcpStream, head: &mut String) -> Vec<u8> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        head.push_str(&line);
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    body
}

/// A model that takes down every request, searches once for what it was asked, and abstains.
fn model() -> (String, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let heard = Arc::new(Mutex::new(String::new()));
    let sink = Arc::clone(&heard);
    thread::spawn(move || {
        for (turn, stream) in listener.incoming().map_while(Result::ok).enumerate() {
            let mut head = String::new();
            let body = read(&stream, &mut head);
            *sink.lock().unwrap() += &(head + &String::from_utf8_lossy(&body));
            let said = if turn % 2 == 0 {
                "<search>metformin contraindicated</search>"
            } else {
                "<abstain reason=\"insufficient\">Nothing.</abstain>"
            };
            let chunk = json!({ "choices": [{ "index": 0, "delta": { "content": said } }] });
            let mut stream = &stream;
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
            write!(stream, "{head}data: {chunk}\n\ndata: [DONE]\n\n").unwrap();
        }
    });
    (format!("openai:http://{address}/v1#test"), heard)
}

#[track_caller]
fn holds_none(what: &str, text: &str) {
    for identifier in IDENTIFIERS {
        assert!(!text.contains(identifier), "{what} holds {identifier}: {text}");
    }
}

#[test]
fn a_question_is_redacted_before_anything_sees_it() {
    let home = Home::indexed();
    let (policy, heard) = model();
    for args in [&["-v", "-v"][..], &["-v", "-v", "--policy", &policy]] {
        let server = Server::start(&home, args);
        let reply = server.ask(QUESTION).ok();
        let warnings = reply["warnings"].to_string();
        assert!(warnings.contains("identifiers were taken out") && warnings.contains("name"), "{reply}");
        let trace = home.run(&["replay", "--export", reply["trace_id"].as_str().unwrap()]);
        assert!(trace.contains("[name]") && trace.contains("metformin"), "{trace}");
        holds_none("the trace", &trace);
        holds_none("the answer", &reply.to_string());
        assert!(server.log().contains("[name]"), "debug shows the question as it is used: {}", server.log());
        holds_none("the log", &server.log());
    }
    let heard = heard.lock().unwrap();
    assert!(heard.contains("metformin") && heard.contains("[name]"), "{heard}");
    holds_none("the endpoint", &heard);
}

#[test]
fn a_question_is_refused_where_identifiers_are_blocked() {
    let home = Home::indexed();
    let server = Server::start(&home, &["-v", "-v", "--phi", "block"]);
    let message = server.ask(QUESTION).failed(422, "personal_data");
    assert!(message.contains("ask again without them"), "{message}");
    holds_none("the error", &message);
    let streamed = server.post("/v1/ask", &json!({ "question": QUESTION, "stream": true }));
    streamed.failed(422, "personal_data");
    server.post("/v1/retrieve", &json!({ "query": QUESTION })).failed(422, "personal_data");
    assert!(server.ask("When is metformin contraindicated?").ok().get("warnings").is_none());
    holds_none("the log", &server.log());
}

#[test]
fn what_is_allowed_here_is_stored_redacted_and_sent_nowhere() {
    let home = Home::indexed();
    let server = Server::start(&home, &["-v", "-v", "--phi", "allow-local"]);
    let reply = server.ask(QUESTION).ok();
    assert!(reply["warnings"].to_string().contains("stays on this machine"), "{reply}");
    let trace = home.run(&["replay", "--export", reply["trace_id"].as_str().unwrap()]);
    holds_none("the trace", &trace);
    holds_none("the log", &server.log());
    drop(server);
    let (policy, heard) = model();
    let server = Server::start(&home, &["--phi", "allow-local", "--policy", &policy]);
    server.ask(QUESTION).failed(422, "personal_data");
    assert_eq!(*heard.lock().unwrap(), "", "nothing was sent");
}

#[test]
fn a_search_is_redacted_and_says_so() {
    let home = Home::indexed();
    let server = Server::start(&home, &["-v", "-v"]);
    let found = server.post("/v1/retrieve", &json!({ "query": QUESTION })).ok();
    assert!(found["warnings"].to_string().contains("identifiers were taken out"), "{found}");
    assert!(!found["results"][0].as_array().unwrap().is_empty());
    holds_none("the log", &server.log());
}

/// A model's endpoint that refuses every request, in words that repeat what it was asked.
fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let body = read(&stream, &mut String::new());
            let asked =
                String::from_utf8_lossy(&body).split("Question: ").last().unwrap().chars().take(60).collect::<String>();
            let said = json!({ "error": { "message": asked } }).to_string();
            let head = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\n";
            write!(stream, "{head}content-length: {}\r\n\r\n{said}", said.len()).unwrap();
        }
    });
    format!("openai:http://{address}/v1#test")
}

#[test]
fn what_an_endpoint_repeats_of_a_question_reaches_no_log_above_debug() {
    let home = Home::indexed();
    let policy = echo();
    for (verbosity, is_logged) in [(&[][..], false), (&["-v", "-v"], true)] {
        let server = Server::start(&home, &[verbosity, &["--policy", &policy]].concat());
        let message = server.ask("Is zanubrutinib safe?").failed(502, "policy_failed");
        assert!(!message.contains("zanubrutinib"), "{message}");
        eventually("it is logged", || server.log().contains("the policy failed"));
        let log = server.log();
        assert!(log.contains("status 400"), "{log}");
        for line in log.lines().filter(|line| line.contains("zanubrutinib")) {
            assert!(is_logged && line.contains("DEBUG"), "{line}");
        }
        let said = log.lines().find(|line| line.contains("what the policy's endpoint said"));
        assert_eq!(said.is_some_and(|line| line.contains("zanubrutinib")), is_logged, "{log}");
    }
}
