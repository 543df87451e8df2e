//! Time: who asks waits no longer than the service says, whatever the waiting is for.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Client, key};
use crate::harness::{Home, QUESTION, Server, eventually};
use crate::model::Model;

fn list(method: &str, params: &Value) -> Value {
    (0..8).map(|id| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })).collect()
}

#[test]
fn an_episode_has_the_time_that_the_queue_left() {
    let home = Home::indexed();
    let model = Model::start();
    let server = Server::start(&home, &["--policy", &model.policy(), "--workers", "1", "--timeout-ms", "20000"]);
    let wall = |asked: Value| {
        let id = asked["trace_id"].as_str().unwrap();
        let trace = server.get(&format!("/v1/traces/{id}")).ok()["trace"].take();
        trace["budget"]["wall_ms"].as_u64().unwrap()
    };
    let waits = Duration::from_millis(700);
    let (first, second) = thread::scope(|scope| {
        let first = scope.spawn(|| server.ask(QUESTION).ok());
        eventually("the worker is busy", || model.begun() == 1);
        let begun = Instant::now();
        let second = scope.spawn(|| server.ask(QUESTION).ok());
        while begun.elapsed() < waits {
            thread::sleep(waits.saturating_sub(begun.elapsed()));
        }
        model.open();
        (first.join().unwrap(), second.join().unwrap())
    });
    let (first, second) = (wall(first), wall(second));
    assert!((18_000..=19_000).contains(&first), "{first}");
    // how long the second took to reach the queue is not known: far less than what it waited there
    assert!((15_000..=18_700).contains(&second), "{second}");
}

#[test]
fn a_list_of_messages_has_the_time_of_one_request() {
    let home = Home::indexed();
    let model = Model::start();
    let server = Server::start(&home, &["--policy", &model.policy(), "--timeout-ms", "1000"]);
    let begun = Instant::now();
    let calls = list("tools/call", &json!({ "name": "ask", "arguments": { "question": QUESTION } }));
    let answers = server.post("/mcp", &calls).ok();
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    let answers = answers.as_array().unwrap();
    assert_eq!(answers.len(), 8);
    for answer in answers {
        let text = answer["result"]["content"][0]["text"].as_str().unwrap();
        assert!(answer["result"]["isError"] == true && text.starts_with("timeout: "), "{answer}");
    }
}

#[test]
fn each_message_of_a_list_counts() {
    let home = Home::indexed();
    let few = key(&home, "few", &["--quota", "12"]);
    let server = Server::start(&home, &[]);
    let client = Client::new(&server).with(&few);
    assert_eq!(client.post("/mcp", &list("ping", &json!({}))).ok().as_array().unwrap().len(), 8);
    let refused = client.post("/mcp", &list("ping", &json!({})));
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert!(refused.failed(429, "quota_exceeded").contains("12 times a minute"));
}
