//! Spans for a collector: what arrives there, what never does, and that nobody waits for it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Client, key};
use crate::harness::{Home, QUESTION, Server, eventually};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// Takes down what is sent to it, head and body.
struct Collector {
    url: String,
    heard: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&heard);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut reader = BufReader::new(&stream);
                let (mut head, mut length) = (String::new(), 0);
                while !head.ends_with("\r\n\r\n") {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    head.push_str(&line);
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                sink.lock().unwrap().push((head, serde_json::from_slice(&body).unwrap()));
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
                write!(&stream, "{head}\r\ncontent-length: 2\r\n\r\n{{}}").unwrap();
            }
        });
        Self { url, heard }
    }

    fn spans(&self) -> Vec<Value> {
        let heard = self.heard.lock().unwrap();
        let groups = heard.iter().flat_map(|(_, body)| body["resourceSpans"].as_array().unwrap());
        let scopes = groups.flat_map(|group| group["scopeSpans"].as_array().unwrap());
        scopes.flat_map(|scope| scope["spans"].as_array().unwrap()).cloned().collect()
    }

    /// Waits until a request to `name` came whole; gives its spans, itself last.
    fn trace(&self, name: &str) -> Vec<Value> {
        eventually(name, || self.spans().iter().any(|span| span["name"] == name));
        let spans = self.spans();
        let root = spans.iter().find(|span| span["name"] == name).unwrap();
        spans.iter().filter(|span| span["traceId"] == root["traceId"]).cloned().collect()
    }
}

fn said<'a>(span: &'a Value, key: &str) -> &'a Value {
    let attributes = span["attributes"].as_array().unwrap();
    attributes.iter().find(|one| one["key"] == key).map_or(&Value::Null, |one| &one["value"])
}

fn time(span: &Value, which: &str) -> u64 {
    span[which].as_str().unwrap().parse().unwrap()
}

fn ask(client: &Client, parent: &str) -> Value {
    let request = json!({ "question": QUESTION });
    client.send("POST", "/v1/ask", &[("traceparent", parent)], Some(&request)).ok()
}

#[test]
fn a_request_is_a_trace_of_its_stages_and_holds_no_text() {
    let home = Home::with_documents();
    home.run(&["index", "build", "--encoder", "static"]);
    let ward = key(&home, "ward-3", &["--role", "clinician"]);
    let collector = Collector::start();
    let server = Server::start(&home, &["--otlp", &collector.url]);
    let client = Client::new(&server).with(&ward);
    let answer = ask(&client, &format!("00-{TRACE}-{PARENT}-01"));
    assert!(answer["answer"].as_str().unwrap().contains("acidosis"), "{answer}");
    let spans = collector.trace("POST /v1/ask");
    let named = |name: &str| {
        spans.iter().find(|span| span["name"] == name).unwrap_or_else(|| panic!("no span {name}: {spans:?}"))
    };
    for (child, parent) in [
        ("queue", "POST /v1/ask"),
        ("work", "POST /v1/ask"),
        ("episode", "work"),
        ("act", "episode"),
        ("search", "episode"),
        ("embed", "search"),
        ("search.lexical", "search"),
        ("search.vectors", "search"),
        ("fuse", "search"),
        ("examine", "episode"),
        ("settle", "episode"),
        ("store", "episode"),
    ] {
        let (child, parent) = (named(child), named(parent));
        assert_eq!(child["parentSpanId"], parent["spanId"], "{child}");
        assert!(time(child, "startTimeUnixNano") >= time(parent, "startTimeUnixNano"), "{child} {parent}");
        assert!(time(child, "endTimeUnixNano") <= time(parent, "endTimeUnixNano") + 1_000_000, "{child} {parent}");
    }
    let root = named("POST /v1/ask");
    assert_eq!((&root["traceId"], &root["parentSpanId"], &root["kind"]), (&json!(TRACE), &json!(PARENT), &json!(2)));
    assert_eq!(said(root, "http.response.status_code"), &json!({ "intValue": "200" }));
    assert_eq!(said(root, "http.route"), &json!({ "stringValue": "/v1/ask" }));
    let caller = said(root, "enduser.pseudo.id")["stringValue"].as_str().unwrap().to_owned();
    assert!(caller.len() == 16 && !caller.contains("ward"), "{caller}");
    let episode = named("episode");
    assert_eq!(said(episode, "anamnesis.outcome"), &json!({ "stringValue": "answered" }));
    let sentences = answer["sentences"].as_array().unwrap().len().to_string();
    assert_eq!(said(episode, "anamnesis.sentences"), &json!({ "intValue": sentences }));

    let heard = collector.heard.lock().unwrap();
    let (head, body) = &heard[0];
    assert!(head.starts_with("POST /v1/traces HTTP/1.1") && head.contains("application/json"), "{head}");
    let resource = &body["resourceSpans"][0]["resource"];
    assert_eq!(said(resource, "service.name"), &json!({ "stringValue": "anamnesis" }));
    let all = format!("{heard:?}").to_lowercase();
    for text in ["metformin", "contraindicated", "acidosis", "renal", "ward-3", ward.as_str(), "trace_id"] {
        assert!(!all.contains(&text.to_lowercase()), "{text} left the machine: {all}");
    }
}

#[test]
fn traces_begin_here_unless_they_came_with_a_parent_that_is_wanted() {
    let home = Home::indexed();
    let collector = Collector::start();
    let server = Server::start(&home, &["--otlp", &collector.url]);
    let client = Client::new(&server);
    ask(&client, &format!("00-{TRACE}-{PARENT}-00"));
    ask(&client, "00-<b>metformin</b>-01");
    assert_eq!(client.get("/v1/chunks/x").status, 404);
    let lost = collector.trace("GET /v1/chunks/{id}");
    assert_eq!(said(lost.last().unwrap(), "anamnesis.code"), &json!({ "stringValue": "not_found" }));
    let spans = collector.trace("POST /v1/ask");
    let root = spans.iter().find(|span| span["name"] == "POST /v1/ask").unwrap();
    assert!(root.get("parentSpanId").is_none() && root["traceId"] != TRACE, "{root}");
    let all = collector.spans();
    assert!(all.iter().all(|span| span["traceId"] != TRACE), "whoever began it keeps nothing");
    assert!(!format!("{all:?}").contains("<b>"), "{all:?}");
}

#[test]
fn nobody_waits_for_a_collector() {
    let home = Home::indexed();
    // one that is not there, and one that takes everything and says nothing
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for address in [nobody, silent.local_addr().unwrap()] {
        let mut server = Server::start(&home, &["--otlp", &format!("http://{address}")]);
        for _ in 0..5 {
            assert!(server.ask(QUESTION).ok()["answer"].as_str().unwrap().contains("acidosis"));
            thread::sleep(Duration::from_millis(300));
        }
        if address == nobody {
            eventually("it is said", || server.log().contains("the collector takes no spans"));
            assert_eq!(server.log().matches("the collector takes no spans").count(), 1);
        }
        let since = Instant::now();
        server.terminate();
        assert!(server.ended().success() && since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    }
}

#[test]
fn what_is_left_is_sent_at_the_end() {
    let home = Home::indexed();
    let collector = Collector::start();
    let mut server = Server::start(&home, &["--otlp", &collector.url]);
    server.ask(QUESTION).ok();
    server.terminate();
    assert!(server.ended().success());
    assert!(collector.spans().iter().any(|span| span["name"] == "POST /v1/ask"), "{:?}", collector.spans());
}
