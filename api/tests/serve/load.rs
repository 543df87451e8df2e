//! A kill under a load of writes: whatever was acknowledged is there afterwards.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::documents::lines;
use crate::harness::{Home, QUESTION, Server};

/// What the service has said is done.
#[derive(Default)]
struct Acknowledged {
    added: Mutex<Vec<String>>,
    quarantined: Mutex<Vec<String>>,
    traces: Mutex<Vec<String>>,
}

impl Acknowledged {
    fn load(&self, server: &Server, client: usize, over: &AtomicBool) {
        for round in 0.. {
            if over.load(Ordering::SeqCst) {
                return;
            }
            let key = format!("{client}-{round}");
            let body =
                json!({ "collection": "load", "format": "jsonl", "content": lines([key.clone()]), "reason": "a test" });
            let Some(reply) = server.try_post("/v1/documents", &body) else { continue };
            if reply.status != 200 {
                continue;
            }
            let id = format!("load:{key}");
            self.added.lock().unwrap().push(id.clone());
            let body = json!({ "ids": [id.clone()], "reason": "a test" });
            if server.try_post("/v1/documents/quarantine", &body).is_some_and(|reply| reply.status == 200) {
                self.quarantined.lock().unwrap().push(id);
            }
            let answer = server.try_post("/v1/ask", &json!({ "question": QUESTION }));
            if let Some(answer) =
                answer.filter(|answer| answer.status == 200 && answer.json().get("warnings").is_none())
            {
                self.traces.lock().unwrap().push(answer.json()["trace_id"].as_str().unwrap().to_owned());
            }
        }
    }
}

#[test]
fn what_was_acknowledged_outlives_a_kill() {
    let home = Home::indexed();
    let said = Acknowledged::default();
    for round in 0..3_usize {
        let server = Server::start(&home, &[]);
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            for client in 0..3 {
                let (server, said, over) = (&server, &said, &over);
                scope.spawn(move || said.load(server, 10 * round + client, over));
            }
            thread::sleep(Duration::from_millis(700 + 230 * round as u64));
            server.kill();
            over.store(true, Ordering::SeqCst);
        });
    }
    let server = Server::start(&home, &[]);
    let Acknowledged { added, quarantined, traces } = said;
    let (added, quarantined) = (added.into_inner().unwrap(), quarantined.into_inner().unwrap());
    assert!(added.len() > 10 && quarantined.len() > 10, "{} {}", added.len(), quarantined.len());
    let quarantined: BTreeSet<_> = quarantined.into_iter().collect();
    for id in &added {
        let document = server.get(&format!("/v1/documents/{id}")).ok();
        if quarantined.contains(id) {
            assert_eq!(document["standing"], "quarantined", "{id}");
        }
    }
    for trace in traces.into_inner().unwrap() {
        server.get(&format!("/v1/traces/{trace}")).ok();
    }
    let database = rusqlite::Connection::open(home.path().join("corpus.db")).unwrap();
    let verdict: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
}
