//! The service with a language model on this machine.

use std::thread;

use serde_json::json;

use crate::harness::{Home, QUESTION, Server};
use crate::stream::events;

#[test]
fn a_local_model_answers_many_at_once() {
    let home = Home::indexed();
    home.run(&["model", "init", "tiny", "--shape", "tiny"]);
    let server = Server::start(&home, &["--policy", "tiny", "--temperature", "1", "--threads", "1"]);
    let ask = |seed: u64| {
        let mut answer = server.post("/v1/ask", &json!({ "question": QUESTION, "seed": seed })).ok();
        assert!(answer["trace_id"].is_string() && answer["notice"].is_string(), "{answer}");
        answer["answer"].take()
    };
    let alone = ask(1);
    let together: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|seed| scope.spawn(move || ask(seed))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(together[1], alone, "company changes nothing");
    let told = events(&server, &json!({ "question": QUESTION, "stream": true }), "");
    assert_eq!((told[0].0.as_str(), told[told.len() - 1].0.as_str()), ("turn", "final"));
    assert!(told.iter().all(|(name, _)| name != "text"), "what a model thinks is nobody's answer");
    let long = server.post("/v1/ask", &json!({ "question": "ab ".repeat(5_400) })).failed(400, "invalid_request");
    assert!(long.contains("shorter question"), "{long}");
}
