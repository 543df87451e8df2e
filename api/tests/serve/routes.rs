//! Every route on a good day, and what each promises about the others.

use serde_json::{Value, json};

use crate::harness::{Home, QUESTION, Server, command, lasting};

#[test]
fn the_service_tells_what_it_is() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    assert_eq!(server.get("/healthz").ok()["status"], "ok");
    let ready = server.get("/readyz").ok();
    assert_eq!(ready["status"], "ready");
    assert!(home.path().join("snapshots").join(ready["snapshot"].as_str().unwrap()).is_dir());
    let index = server.get("/").ok();
    assert!(index["notice"].as_str().unwrap().contains("no medical advice"));
    let document = server.get("/openapi.json").ok();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let listed: Vec<_> = document["paths"].as_object().unwrap().keys().collect();
    let named = index["routes"].to_string();
    for path in listed {
        // what hangs below a place is named with it
        let place: Vec<_> = path.split('/').take(3).collect();
        assert!(named.contains(&place.join("/")), "{path} is not named");
    }
}

#[test]
fn an_answer_is_cited_resolvable_and_stored() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    let answer = server.ask(QUESTION).ok();
    assert_eq!(answer["abstained"], false, "{answer}");
    assert_eq!(answer["snapshot"], json!(server.snapshot().unwrap()));
    assert_eq!(answer["notice"], json!(agent::NOTICE));
    assert!(answer["timings"]["total_ms"].as_f64().unwrap() >= 0.0);
    let citations = answer["citations"].as_array().unwrap();
    for sentence in answer["sentences"].as_array().unwrap() {
        for label in sentence["cites"].as_array().unwrap() {
            assert!(citations.iter().any(|citation| citation["label"] == *label), "{label} cites nothing");
        }
    }
    let citation = &citations[0];
    for field in ["label", "document", "chunk", "pmid", "title", "year", "level", "status", "quote"] {
        assert!(citation.get(field).is_some(), "{field} is missing in {citation}");
    }
    let chunk = server.get(&format!("/v1/chunks/{}", citation["chunk"].as_str().unwrap())).ok();
    assert_eq!(
        (&chunk["id"], &chunk["document"], &chunk["title"]),
        (&citation["chunk"], &citation["document"], &citation["title"])
    );
    assert!(chunk["text"].as_str().unwrap().contains(citation["quote"].as_str().unwrap()));
    let replayed: Value =
        serde_json::from_str(&home.run(&["--json", "replay", answer["trace_id"].as_str().unwrap()])).unwrap();
    assert_eq!(replayed["same"], true, "{replayed}");
}

#[test]
fn the_service_and_the_command_give_the_same_object() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    let over_http = server.ask(QUESTION).ok();
    let typed = serde_json::from_str(&home.run(&["--json", "ask", QUESTION])).unwrap();
    assert_eq!(lasting(over_http), lasting(typed));
}

#[test]
fn what_the_evidence_does_not_carry_is_an_abstention_with_its_reason() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    let answer = server.ask("Who won the football world cup of 1954?").ok();
    assert_eq!((&answer["abstained"], &answer["reason"]), (&json!(true), &json!("insufficient")), "{answer}");
    assert_eq!((&answer["sentences"], &answer["citations"]), (&json!([]), &json!([])));
    assert_eq!(answer["notice"], json!(agent::NOTICE));
}

#[test]
fn a_filter_and_a_budget_are_obeyed() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    let body = json!({ "question": QUESTION, "filter": { "collections": ["elsewhere"] }, "budget": { "turns": 1 }, "seed": 7 });
    let answer = server.post("/v1/ask", &body).ok();
    assert_eq!(answer["abstained"], true, "{answer}");
    let nulls = json!({ "question": QUESTION, "filter": null, "budget": null, "seed": null, "stream": null });
    assert_eq!(server.post("/v1/ask", &nulls).ok()["abstained"], false);
}

#[test]
fn retrieve_explains_its_hits() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    let found = server.post("/v1/retrieve", &json!({ "query": "metformin", "k": 2, "arm": "lexical" })).ok();
    assert_eq!(found["snapshot"], json!(server.snapshot().unwrap()));
    let hit = &found["results"][0][0];
    assert_eq!(
        (&hit["rank"], &hit["title"], &hit["contributions"][0]["arm"]),
        (&json!(1), &json!("Metformin"), &json!("lexical"))
    );
    let sum: f64 = hit["contributions"].as_array().unwrap().iter().map(|given| given["value"].as_f64().unwrap()).sum();
    assert!((sum - hit["score"].as_f64().unwrap()).abs() < 1e-9);
    assert!(hit["text"].as_str().unwrap().contains("first-line"));

    let body =
        json!({ "queries": ["lithium", "zzzz", "", "warfarin"], "text": false, "fusion": "rrf", "per_document": 1 });
    let results = server.post("/v1/retrieve", &body).ok()["results"].take();
    let titles: Vec<_> = results.as_array().unwrap().iter().map(|hits| hits[0]["title"].clone()).collect();
    assert_eq!(titles, [json!("Lithium"), Value::Null, Value::Null, json!("Warfarin")]);
    assert!(results[0][0].get("text").is_none());
    assert_eq!(
        server.post("/v1/retrieve", &json!({ "query": "first-line", "k": 1000 })).ok()["results"][0]
            .as_array()
            .unwrap()
            .len(),
        3
    );
}

#[test]
fn trainers_speak_the_form_of_search_r1() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    let scored = server
        .post("/retrieve", &json!({ "queries": ["metformin", "lithium"], "topk": 1, "return_scores": true }))
        .ok();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&scored), ["result"]);
    let hit = &scored["result"][0][0];
    assert_eq!(
        (keys(hit), keys(&hit["document"])),
        (vec!["document".into(), "score".into()], vec!["contents".into(), "id".into()])
    );
    let contents = hit["document"]["contents"].as_str().unwrap();
    assert!(contents.starts_with("\"Metformin\"\nMetformin is the first-line drug"), "{contents}");
    assert!(hit["score"].is_f64());

    let plain = server.post("/retrieve", &json!({ "queries": ["lithium"], "topk": null })).ok();
    assert_eq!(keys(&plain["result"][0][0]), ["contents", "id"]);
    // a turn in which nobody searches
    let nobody = json!({ "queries": [], "topk": 3, "return_scores": true });
    assert_eq!(server.post("/retrieve", &nobody).ok(), json!({ "result": [] }));
    let whole_batch = json!({ "queries": vec!["asthma"; 2_560], "topk": 3, "return_scores": true });
    assert_eq!(server.post("/retrieve", &whole_batch).ok()["result"].as_array().unwrap().len(), 2_560);
}

#[test]
fn a_withdrawn_chunk_is_gone_at_once() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    let hits = |query: &str| server.post("/v1/retrieve", &json!({ "query": query })).ok()["results"][0].take();
    for (query, verb) in [("warfarin pregnancy", "retract"), ("asthma corticosteroids", "remove")] {
        let hit = hits(query)[0].take();
        let path = format!("/v1/chunks/{}", hit["chunk"].as_str().unwrap());
        server.get(&path).ok();
        let mut args = vec!["corpus", verb, hit["document"].as_str().unwrap()];
        if verb == "remove" {
            args.extend(["--reason", "test"]);
        }
        let output = command(home.path(), &args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        server.get(&path).failed(410, "gone");
        assert!(hits(query).as_array().unwrap().iter().all(|left| left["chunk"] != hit["chunk"]), "{verb}");
    }
}
