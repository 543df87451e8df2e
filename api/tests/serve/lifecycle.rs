//! Start, a new snapshot while serving, and the end.

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::harness::{Home, QUESTION, Server, command, eventually};
use crate::model::Model;

#[test]
fn without_an_index_it_waits_for_one() {
    let home = Home::with_documents();
    let server = Server::start(&home, &[]);
    server.get("/healthz").ok();
    let message = server.get("/readyz").failed(503, "not_ready");
    assert!(message.contains("anamnesis index build"), "{message}");
    server.ask(QUESTION).failed(503, "not_ready");
    server.post("/retrieve", &json!({ "queries": ["x"] })).failed(503, "not_ready");
    home.build();
    eventually("the index is found", || server.get("/readyz").status == 200);
    assert_eq!(server.ask(QUESTION).ok()["abstained"], false);
}

#[test]
fn a_new_snapshot_answers_without_restart_or_failed_request() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    let old = server.snapshot().unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut asked = 0;
                    while !done.load(Ordering::SeqCst) {
                        server.ask(QUESTION).ok();
                        asked += 1;
                    }
                    asked
                })
            })
            .collect();
        home.add(&[("colchicine", "Colchicine", "Colchicine is a first-line treatment of acute gout.")]);
        home.build();
        eventually("the new snapshot answers", || server.snapshot().is_some_and(|snapshot| snapshot != old));
        done.store(true, Ordering::SeqCst);
        assert!(clients.into_iter().map(|client| client.join().unwrap()).sum::<u32>() > 0);
    });
    let hits = server.post("/v1/retrieve", &json!({ "query": "colchicine" })).ok();
    assert_ne!(hits["snapshot"], json!(old));
    assert_eq!(hits["results"][0][0]["title"], "Colchicine");
}

#[test]
fn a_damaged_snapshot_leaves_the_old_one_answering() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    let old = server.snapshot().unwrap();
    home.add(&[("colchicine", "Colchicine", "Colchicine is a first-line treatment of acute gout.")]);
    // built aside, damaged, then made current, as a failing disk would have it
    home.build();
    let current = home.path().join("snapshots/CURRENT");
    let new = std::fs::read_to_string(&current).unwrap().trim().to_owned();
    eventually("the new snapshot answers", || server.snapshot().as_deref() == Some(&new));
    std::fs::write(home.path().join("snapshots").join(&old).join("manifest.json"), "{").unwrap();
    std::fs::write(&current, format!("{old}\n")).unwrap();
    eventually("the damage is noticed", || server.log().contains("cannot be opened"));
    assert_eq!(server.snapshot(), Some(new));
    server.ask(QUESTION).ok();
}

#[test]
fn the_end_waits_for_what_runs() {
    let home = Home::indexed();
    let model = Model::start();
    let mut server = Server::start(&home, &["--policy", &model.policy()]);
    // an idle connection must not hold up the end
    let mut idle = server.connect();
    let reply = thread::scope(|scope| {
        let asked = scope.spawn(|| server.ask(QUESTION));
        eventually("the model writes", || model.begun() == 1);
        server.terminate();
        eventually("it stops listening", || {
            std::net::TcpStream::connect(server.url("").trim_start_matches("http://")).is_err()
        });
        model.open();
        asked.join().unwrap()
    });
    assert_eq!(reply.ok()["reason"], "insufficient");
    assert_eq!(server.ended().code(), Some(0));
    assert_eq!(idle.read(&mut [0]).unwrap_or(0), 0);
}

#[test]
fn the_address_is_told_to_programs() {
    let home = Home::indexed();
    let mut child = command(home.path(), &["--json", "serve", "--listen", "localhost:0"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let told: Value = serde_json::from_str(&line).unwrap();
    let url = told["listening"].as_str().unwrap();
    assert!(url.starts_with("http://127.0.0.1:") && !url.ends_with(":0"), "{url}");
}
