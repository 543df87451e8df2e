//! Answers that can be checked, and texts that are.

use serde_json::{Value, json};

use crate::harness::{Home, QUESTION, Server, command};

/// Where a quote stands, read back through its chunk.
fn resolves(server: &Server, quote: &Value, chunk: &Value) {
    let found = server.get(&format!("/v1/chunks/{}", chunk.as_str().unwrap())).ok();
    let offset = |value: &Value| value.as_u64().unwrap() as usize;
    let (start, text) = (offset(&found["start"]), found["text"].as_str().unwrap());
    assert_eq!(&text[offset(&quote["start"]) - start..offset(&quote["end"]) - start], quote["text"].as_str().unwrap());
}

#[test]
fn an_answer_says_what_carries_it() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    let answer = server.ask(QUESTION).ok();
    assert_eq!(answer["outcome"], "answered", "{answer}");
    for sentence in answer["sentences"].as_array().unwrap() {
        assert_eq!((&sentence["standing"], &sentence["verdict"]["by"]), (&json!("kept"), &json!("rules")));
        let quote = &sentence["verdict"]["quote"];
        let cited = answer["citations"].as_array().unwrap();
        let citation = cited.iter().find(|citation| citation["label"] == quote["label"]).unwrap();
        resolves(&server, quote, &citation["chunk"]);
    }
    assert_eq!(answer["marks"]["support"]["grade"], "full");
    assert_eq!(answer["marks"]["evidence"]["grade"], "unrated");
    assert_eq!(answer["risks"][0]["class"], "renal_hepatic", "{answer}");
    assert!(answer.get("struck").is_none() && answer.get("conflicts").is_none());
}

#[test]
fn a_text_is_judged_sentence_by_sentence() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    let text = "Metformin is the first-line drug for type 2 diabetes. Warfarin is not contraindicated in pregnancy. Zebras graze.";
    let verified = server.post("/v1/verify", &json!({ "text": text })).ok();
    let sentences = verified["sentences"].as_array().unwrap();
    let labels: Vec<_> = sentences.iter().map(|sentence| sentence["verdict"]["label"].as_str()).collect();
    assert_eq!(labels[..2], [Some("support"), Some("contradict")], "{verified}");
    assert_ne!(labels[2], Some("support"));
    for sentence in sentences {
        let place = |name: &str| sentence[name].as_u64().unwrap() as usize;
        assert_eq!(text[place("start")..place("end")].trim(), sentence["text"].as_str().unwrap());
    }
    for sentence in &sentences[..2] {
        resolves(&server, &sentence["verdict"]["quote"], &sentence["citation"]["chunk"]);
    }
    assert_eq!(verified["notice"], json!(agent::NOTICE));
    let typed = command(home.path(), &["--json", "verify", text]).output().unwrap();
    assert_eq!(typed.status.code(), Some(1), "not all of it is borne out");
    let typed: Value = serde_json::from_slice(&typed.stdout).unwrap();
    assert_eq!(typed, verified);
}

#[test]
fn a_text_that_is_not_in_order_is_refused() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    for body in [
        json!({ "text": "" }),
        json!({ "text": " \n" }),
        json!({ "text": "One. ".repeat(65) }),
        json!({ "text": "x".repeat(17_000) }),
        json!({ "text": "One.", "hits": 0 }),
        json!({ "text": "One.", "hits": 21 }),
        json!({ "text": "One.", "hit": 5 }),
        json!({ "question": "One." }),
    ] {
        server.post("/v1/verify", &body).failed(400, "invalid_request");
    }
    let elsewhere = json!({ "text": "Metformin lowers glucose.", "filter": { "collections": ["elsewhere"] } });
    let verified = server.post("/v1/verify", &elsewhere).ok();
    assert!(verified["sentences"][0].get("verdict").is_none(), "{verified}");
}
