//! The curators' verbs over HTTP, what they change at once, and what they leave behind.

use serde_json::{Value, json};

use crate::harness::{Home, QUESTION, Server};

fn change(server: &Server, verb: &str, ids: &[&str]) -> Value {
    let reason = format!("{verb} by a test");
    server.post(&format!("/v1/documents/{verb}"), &json!({ "ids": ids, "reason": reason })).ok()["changed"].take()
}

fn found(server: &Server, query: &str) -> Vec<String> {
    let hits = server.post("/v1/retrieve", &json!({ "query": query })).ok()["results"][0].take();
    hits.as_array().unwrap().iter().map(|hit| hit["document"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_retraction_answers_at_once_without_a_new_snapshot() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    let snapshot = server.snapshot();
    let before = server.ask(QUESTION).ok();
    let chunk = format!("/v1/chunks/{}", before["citations"][0]["chunk"].as_str().unwrap());
    assert_eq!(
        (&before["abstained"], &before["citations"][0]["document"]),
        (&json!(false), &json!("documents:metformin"))
    );
    server.get(&chunk).ok();
    assert_eq!(change(&server, "retract", &["documents:metformin"]), 1);
    server.get(&chunk).failed(410, "gone");
    assert!(!found(&server, "metformin renal impairment").contains(&"documents:metformin".to_owned()));
    let after = server.ask(QUESTION).ok();
    let cites = |answer: &Value| {
        answer["citations"].as_array().unwrap().iter().any(|one| one["document"] == "documents:metformin")
    };
    assert!(cites(&before) && !cites(&after), "{after}");
    assert_eq!(server.snapshot(), snapshot, "no snapshot was built");
    assert_eq!(server.get("/v1/documents?status=retracted").ok()["documents"][0]["id"], "documents:metformin");
}

#[test]
fn a_retraction_is_taken_back_over_http() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    let metformin = ["documents:metformin"];
    assert_eq!(change(&server, "reinstate", &metformin), 0, "nothing was said against it");
    change(&server, "retract", &metformin);
    let body = json!({ "ids": ["documents:metformin", "documents:asthma"], "reason": "a test" });
    assert_eq!(
        server.post("/v1/documents/restore", &body).ok(),
        json!({ "changed": 0, "retracted": ["documents:metformin"] })
    );
    assert!(server.ask(QUESTION).ok()["citations"].as_array().unwrap().is_empty());
    assert_eq!(change(&server, "reinstate", &metformin), 1);
    assert_eq!(server.ask(QUESTION).ok()["citations"][0]["document"], "documents:metformin");
    let act = server.get("/v1/audit?document=documents:metformin&limit=1").ok()["acts"][0].take();
    assert_eq!(
        (&act["verb"], &act["before"], &act["after"], &act["reason"]),
        (&json!("reinstate"), &json!("retracted"), &json!("ok"), &json!("reinstate by a test"))
    );
    let unreasoned = json!({ "ids": metformin, "reason": " " });
    server.post("/v1/documents/reinstate", &unreasoned).failed(400, "invalid_request");
}

#[test]
fn verbs_change_what_is_found_and_are_taken_down() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    let asthma = ["documents:asthma"];
    let is_found = || found(&server, "asthma corticosteroids").contains(&asthma[0].to_owned());
    assert!(is_found());
    for verb in ["quarantine", "remove"] {
        assert_eq!((change(&server, verb, &asthma), change(&server, verb, &asthma)), (json!(1), json!(0)));
        assert!(!is_found(), "{verb}");
        assert_eq!(change(&server, "restore", &asthma), 1);
        assert!(is_found(), "{verb}");
    }
    let tagged = json!({ "ids": ["documents:asthma", "documents:lithium"], "tag": "new", "reason": "a test" });
    assert_eq!(server.post("/v1/documents/tag", &tagged).ok()["changed"], 2);
    assert_eq!(server.get("/v1/documents?tag=new").ok()["documents"].as_array().unwrap().len(), 2);
    assert_eq!(server.post("/v1/documents/untag", &tagged).ok()["changed"], 2);
    assert_eq!(server.get("/v1/documents?tag=new").ok()["documents"], json!([]));

    let mut verbs = Vec::new();
    let mut after = String::new();
    loop {
        let page = server.get(&format!("/v1/audit?document=documents:asthma&limit=2{after}")).ok();
        for act in page["acts"].as_array().unwrap() {
            assert_eq!((&act["who"], &act["document"]), (&json!("local"), &json!("documents:asthma")), "{act}");
            verbs.push(act["verb"].as_str().unwrap().to_owned());
        }
        let Some(next) = page["next"].as_i64() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(verbs, ["untag", "tag", "restore", "remove", "restore", "quarantine"]);
    assert_eq!(server.get("/v1/audit").ok()["acts"].as_array().unwrap().len(), 8);
}

#[test]
fn all_documents_are_changed_or_none() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    let body = json!({ "ids": ["documents:asthma", "documents:asthmaa"], "reason": "a test" });
    for verb in ["quarantine", "remove", "restore", "retract", "reinstate"] {
        let message = server.post(&format!("/v1/documents/{verb}"), &body).failed(404, "not_found");
        assert!(message.contains("documents:asthmaa"), "{message}");
    }
    assert_eq!(server.get("/v1/audit").ok()["acts"], json!([]));
    let many: Vec<_> = (0..1_001).map(|key| format!("documents:{key}")).collect();
    for (body, name) in [
        (json!({ "ids": [], "reason": "x" }), "ids"),
        (json!({ "ids": many, "reason": "x" }), "ids"),
        (json!({ "ids": ["asthma"], "reason": "x" }), "ids[0]"),
        (json!({ "ids": ["documents:asthma"], "reason": " " }), "reason"),
        (json!({ "ids": ["documents:asthma"] }), "reason"),
        (json!({ "ids": ["documents:asthma"], "reason": "x", "tag": "y" }), "tag"),
    ] {
        let message = server.post("/v1/documents/retract", &body).failed(400, "invalid_request");
        assert!(message.contains(name), "{body}: {message}");
    }
    let tag = json!({ "ids": ["documents:asthma"], "reason": "x", "tag": "" });
    assert!(server.post("/v1/documents/tag", &tag).failed(400, "invalid_request").contains("tag"));
    for query in ["limit=0", "limit=201", "after=x", "document=asthma", "verb=tag"] {
        server.get(&format!("/v1/audit?{query}")).failed(400, "invalid_request");
    }
    server.get("/v1/documents/tag").failed(405, "method_not_allowed");
}

#[test]
fn answers_that_cite_what_was_withdrawn_since_are_listed_with_why() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    let first = server.ask(QUESTION).ok();
    let second = server.ask("When is metformin contraindicated in adults?").ok();
    server.ask("What is lithium used for?").ok();
    assert_eq!(server.get("/v1/affected").ok(), json!({ "affected": [] }));
    change(&server, "retract", &["documents:metformin"]);
    let affected = server.get("/v1/affected").ok()["affected"].take();
    let traces: Vec<_> = affected.as_array().unwrap().iter().map(|one| one["trace"].clone()).collect();
    assert_eq!(traces, [second["trace_id"].clone(), first["trace_id"].clone()]);
    assert_eq!(affected[1]["question"], QUESTION);
    assert_eq!(
        affected[1]["documents"],
        json!([{ "id": "documents:metformin", "title": "Metformin", "status": "retracted", "standing": "active", "cited_status": "ok" }])
    );
    let page = server.get("/v1/affected?limit=1").ok();
    assert_eq!((&page["affected"][0]["trace"], &page["next"]), (&second["trace_id"], &second["trace_id"]));
    let rest = server.get(&format!("/v1/affected?after={}", second["trace_id"].as_str().unwrap())).ok();
    assert_eq!((&rest["affected"][0]["trace"], &rest["next"]), (&first["trace_id"], &Value::Null));
    let typed = home.run(&["--json", "corpus", "affected"]);
    let typed: Vec<Value> = typed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(json!(typed), affected);
    server.get("/v1/affected?after=x").failed(400, "invalid_request");
}
