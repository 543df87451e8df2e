//! Snapshots that are built and chosen while the service answers.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::client::Response;
use crate::documents::{add, lines};
use crate::harness::{Home, QUESTION, Server, eventually};

/// The job that a request began.
fn begun(reply: &Response) -> String {
    assert_eq!(reply.status, 202, "{reply:?}");
    reply.json()["id"].as_str().unwrap().to_owned()
}

/// Waits until a job is over.
fn ended(server: &Server, id: &str) -> Value {
    let mut job = Value::Null;
    eventually("the job ends", || {
        job = server.get(&format!("/v1/jobs/{id}")).ok();
        job["ended"].is_string()
    });
    job
}

fn build(server: &Server, body: &Value) -> Value {
    let job = ended(server, &begun(&server.post("/v1/snapshots", body)));
    assert_eq!(job["state"], "done", "{job}");
    job
}

#[test]
fn a_snapshot_is_built_served_and_put_back_over_http() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    let old = server.snapshot().unwrap();
    add(&server, "notes", &lines(["colchicine".to_owned()]));
    let job = build(&server, &json!({}));
    assert_eq!(
        (&job["kind"], &job["caller"], &job["message"]),
        (&json!("build-snapshot"), &json!("local"), &Value::Null)
    );
    let new = job["result"].as_str().unwrap().to_owned();
    eventually("the new snapshot answers", || server.snapshot().as_deref() == Some(&new));
    let hits = server.post("/v1/retrieve", &json!({ "query": "colchicine" })).ok();
    assert_eq!(hits["results"][0][0]["document"], "notes:colchicine");

    let listed = server.get("/v1/snapshots").ok();
    assert_eq!((&listed["current"], listed["snapshots"].as_array().unwrap().len()), (&json!(new), 2));
    let first = &listed["snapshots"][0];
    assert_eq!((&first["id"], &first["current"], &first["documents"]), (&json!(new), &json!(true), &json!(5)));
    assert_eq!(first["encoder"], Value::Null, "the encoder of the snapshot before is taken: none");
    assert!(first["bytes"].as_u64().unwrap() > 0 && first["built"].is_string());

    let job = ended(&server, &begun(&server.post(&format!("/v1/snapshots/{old}/use"), &json!({}))));
    assert_eq!((&job["state"], &job["result"]), (&json!("done"), &json!(old)));
    eventually("the old snapshot answers", || server.snapshot().as_deref() == Some(&old));
    let jobs = server.get("/v1/jobs").ok()["jobs"].take();
    let kinds: Vec<_> = jobs.as_array().unwrap().iter().map(|job| job["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["use-snapshot", "build-snapshot"]);

    let with_vectors = build(&server, &json!({ "encoder": "static", "vectors": "flat" }));
    let listed = server.get("/v1/snapshots").ok();
    assert_eq!(listed["current"], with_vectors["result"]);
    assert_eq!(
        (&listed["snapshots"][0]["encoder"], &listed["snapshots"][0]["vectors"]),
        (&json!("static"), &json!("flat"))
    );
}

#[test]
fn one_job_at_a_time_which_can_be_cancelled() {
    let home = Home::indexed();
    let file = home.path().join("many.jsonl");
    std::fs::write(&file, lines((0..8_000).map(|key| key.to_string()))).unwrap();
    home.run(&["corpus", "add", "--format", "jsonl", file.to_str().unwrap()]);
    let server = Server::start(&home, &[]);
    let old = server.snapshot().unwrap();
    let body = json!({ "encoder": "static", "vectors": "hnsw" });
    let id = begun(&server.post("/v1/snapshots", &body));
    for refused in [server.post("/v1/snapshots", &body), server.post(&format!("/v1/snapshots/{old}/use"), &json!({}))] {
        let message = refused.failed(409, "conflict");
        assert!(message.contains(&id), "{message}");
    }
    eventually("it tells how far it is", || {
        let job = server.get(&format!("/v1/jobs/{id}")).ok();
        job["state"] == "running" && job["done"].as_u64().unwrap() > 0 && job["total"] == 8_004
    });
    server.delete(&format!("/v1/jobs/{id}")).ok();
    let job = ended(&server, &id);
    assert_eq!((&job["state"], &job["result"]), (&json!("cancelled"), &Value::Null), "{job}");
    assert_eq!(server.delete(&format!("/v1/jobs/{id}")).ok()["state"], "cancelled", "again changes nothing");
    assert_eq!(server.get("/v1/snapshots").ok()["current"], json!(old));
    let names = std::fs::read_dir(home.path().join("snapshots")).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = names.filter(|name| name.to_string_lossy().contains("building")).collect();
    assert!(left.is_empty(), "{left:?}");
    build(&server, &json!({ "encoder": "none" }));
}

#[test]
fn a_job_that_fails_says_why() {
    let home = Home::indexed();
    std::fs::create_dir_all(home.path().join("models/hollow")).unwrap();
    let server = Server::start(&home, &[]);
    let old = server.snapshot();
    let job = ended(&server, &begun(&server.post("/v1/snapshots", &json!({ "encoder": "hollow" }))));
    assert_eq!(job["state"], "failed");
    let message = job["message"].as_str().unwrap();
    assert!(message.contains("the encoder cannot be used"), "{message}");
    let inside = home.path().display().to_string();
    assert!(!message.contains(&inside), "{message}");
    let log = server.log();
    let logged = log.lines().find(|line| line.contains("a job failed")).unwrap();
    assert!(logged.contains(&inside) && logged.contains(job["id"].as_str().unwrap()), "{logged}");
    assert_eq!(server.snapshot(), old);
    let outside = home.path().join("models/hollow").display().to_string();
    for encoder in ["../models/hollow", &outside, ""] {
        let message = server.post("/v1/snapshots", &json!({ "encoder": encoder })).failed(404, "not_found");
        assert!(message.contains("encoder"), "{message}");
    }
    for (body, name) in [
        (json!({ "encoder": "none", "vectors": "tree" }), "vectors"),
        (json!({ "encoder": "none", "wait": true }), "wait"),
    ] {
        let message = server.post("/v1/snapshots", &body).failed(400, "invalid_request");
        assert!(message.contains(name), "{body}: {message}");
    }
    for path in
        ["/v1/snapshots/nonsense/use", "/v1/snapshots/..%2F../use", "/v1/snapshots/20200101T000000000Z-000000/use"]
    {
        server.post(path, &json!({})).failed(404, "not_found");
    }
    server.get("/v1/jobs/nonsense").failed(404, "not_found");
    server.delete("/v1/jobs/nonsense").failed(404, "not_found");
}

#[test]
fn snapshots_change_under_load_and_no_request_fails() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    let (done, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for client in 0..3 {
            let (server, done, answered) = (&server, &done, &answered);
            scope.spawn(move || {
                while !done.load(Ordering::SeqCst) {
                    match client {
                        0 => server.ask(QUESTION).ok(),
                        1 => server.post("/v1/retrieve", &json!({ "query": "metformin" })).ok(),
                        _ => server.get("/v1/documents?limit=2").ok(),
                    };
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        for round in 0..3 {
            add(&server, "notes", &lines([format!("round-{round}")]));
            let new = build(&server, &json!({}))["result"].take();
            eventually("the new snapshot answers", || server.snapshot().as_deref() == new.as_str());
        }
        done.store(true, Ordering::SeqCst);
    });
    assert!(answered.load(Ordering::SeqCst) > 20);
}
