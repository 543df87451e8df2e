//! Runs of training over HTTP, from folders as the trainer writes them.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Home, Server};

fn write(path: &Path, lines: &[Value]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, lines.iter().map(|line| line.to_string() + "\n").collect::<String>()).unwrap();
}

fn start(stage: &str) -> Value {
    json!({
        "kind": "start", "at": "2026-01-01T00:00:00Z", "step": 0, "steps": 300, "stage": stage, "parameters": 10,
        "samples": 20, "tokens": 30, "heldout": 4, "forecast_bytes": 5, "peak_bytes": null,
    })
}

fn step(step: u64) -> Value {
    json!({
        "kind": "step", "step": step, "stage": "grpo", "epoch": 0.5, "loss": 1.0 / step as f64, "gradient_norm": null,
        "learning_rate": 0.1, "skipped": false, "tokens": 9, "learnt": 3, "seconds": 0.25, "values": { "reward": 0.5 },
    })
}

/// A home with a run of one stage, a run of two, and what is no run.
fn home() -> Home {
    let home = Home::indexed();
    let runs = home.path().join("runs");
    let mut lines = vec![start("grpo")];
    lines.extend((1..=250).map(step));
    lines.push(json!({ "kind": "heldout", "step": 250, "phase": "final", "values": { "exact": 0.75 } }));
    lines.push(json!({ "kind": "checkpoint", "step": 250, "best": true }));
    lines.push(json!({ "kind": "notice", "step": 250, "text": "it learnt" }));
    lines.push(json!({ "kind": "of a later version", "step": 251 }));
    lines.push(json!({ "kind": "end", "step": 250, "seconds": 62.5 }));
    write(&runs.join("alone/journal.jsonl"), &lines);
    let episode = |number: u32| json!({ "step": 9, "question": format!("q{number}"), "trace": { "segments": [] } });
    write(&runs.join("alone/traces/step-00000009.jsonl"), &[episode(1), episode(2), episode(3)]);
    write(&runs.join("alone/traces/step-00000010.jsonl"), &[episode(4)]);
    let measure = json!({ "kind": "heldout", "step": 0, "phase": "before", "values": { "exact": 0.1 } });
    write(&runs.join("several/journal.jsonl"), &[measure]);
    write(&runs.join("several/stages/01-read/journal.jsonl"), &[start("sft"), step(4)]);
    write(&runs.join("several/stages/02-learn/journal.jsonl"), &[start("grpo")]);
    fs::create_dir_all(runs.join("empty")).unwrap();
    fs::create_dir_all(runs.join(".hidden/stages")).unwrap();
    write(&home.path().join("outside/journal.jsonl"), &[start("sft")]);
    home
}

#[test]
fn runs_are_listed_and_their_curves_thinned_out() {
    let home = home();
    let server = Server::start(&home, &[]);
    let page = server.get("/v1/runs").ok();
    assert_eq!(
        page,
        json!({ "runs": [
            { "id": "alone", "kind": "grpo", "started": "2026-01-01T00:00:00Z", "step": 250, "steps": 300, "ended": true, "stages": [] },
            { "id": "several", "kind": null, "started": null, "step": 0, "steps": null, "ended": false, "stages": [
                { "name": "01-read", "kind": "sft", "started": "2026-01-01T00:00:00Z", "step": 4, "steps": 300, "ended": false },
                { "name": "02-learn", "kind": "grpo", "started": "2026-01-01T00:00:00Z", "step": 0, "steps": 300, "ended": false },
            ] },
        ] })
    );
    let first = server.get("/v1/runs?limit=1").ok();
    assert_eq!((&first["next"], first["runs"].as_array().unwrap().len()), (&json!("alone"), 1));
    assert_eq!(server.get("/v1/runs?after=alone").ok()["runs"][0]["id"], "several");

    let run = server.get("/v1/runs/alone?points=5").ok();
    let steps: Vec<_> = run["steps"].as_array().unwrap().iter().map(|step| step["step"].as_u64().unwrap()).collect();
    assert_eq!((steps.len(), steps[0], steps[4], &run["counts"]["steps"]), (5, 1, 250, &json!(250)));
    assert_eq!((&run["steps"][0]["loss"], &run["steps"][0]["values"]["reward"]), (&json!(1.0), &json!(0.5)));
    assert_eq!(
        (&run["heldout"][0]["values"]["exact"], &run["notices"][0]["text"]),
        (&json!(0.75), &json!("it learnt"))
    );
    assert_eq!((&run["checkpoints"][0]["best"], &run["end"]["seconds"]), (&json!(true), &json!(62.5)));
    assert_eq!(server.get("/v1/runs/alone").ok()["steps"].as_array().unwrap().len(), 250);
    let stage = server.get("/v1/runs/several?stage=01-read").ok();
    assert_eq!((&stage["stages"], &stage["starts"][0]["kind"]), (&json!(["01-read", "02-learn"]), &json!("sft")));
}

#[test]
fn episodes_come_in_pages() {
    let home = home();
    let server = Server::start(&home, &[]);
    let questions = |query: &str| -> Vec<Value> {
        let page = server.get(&format!("/v1/runs/alone/episodes?{query}")).ok();
        page["episodes"].as_array().unwrap().iter().map(|one| one["episode"]["question"].clone()).collect()
    };
    assert_eq!(questions(""), [json!("q4")], "the last step");
    assert_eq!(questions("step=9&limit=2"), [json!("q1"), json!("q2")]);
    let page = server.get("/v1/runs/alone/episodes?step=9&limit=2").ok();
    assert_eq!((&page["next"], &page["steps"], &page["episodes"][1]["place"]), (&json!(2), &json!([9, 10]), &json!(2)));
    assert_eq!(questions("step=9&after=2"), [json!("q3")]);
}

#[test]
fn nothing_outside_the_folder_of_runs_is_read() {
    let home = home();
    let server = Server::start(&home, &[]);
    for id in ["nothing", "..", "%2E%2E", "..%2Foutside", "%2Ftmp", ".hidden", "alone%2Ftraces", "%FF", "a%00b"] {
        for rest in ["", "/episodes"] {
            let reply = server.get(&format!("/v1/runs/{id}{rest}"));
            assert_eq!(reply.status, 404, "{id}{rest}: {reply:?}");
        }
    }
    for stage in ["nothing", "..", "..%2F..%2Falone", ".", "01-read%2F.."] {
        server.get(&format!("/v1/runs/several?stage={stage}")).failed(404, "not_found");
        server.get(&format!("/v1/runs/several/episodes?stage={stage}")).failed(404, "not_found");
    }
    for query in ["points=1", "points=5001", "points=x", "curve=loss"] {
        server.get(&format!("/v1/runs/alone?{query}")).failed(400, "invalid_request");
    }
    for query in ["limit=0", "limit=51", "step=-1", "episode=1"] {
        server.get(&format!("/v1/runs/alone/episodes?{query}")).failed(400, "invalid_request");
    }
    server.get("/v1/runs/alone/episodes?step=11").failed(404, "not_found");
    server.get("/v1/runs/several/episodes").failed(404, "not_found");
    server.get("/v1/runs?after=..%2Fx").failed(400, "invalid_request");
    fs::write(home.path().join("runs/alone/journal.jsonl"), "damaged\n").unwrap();
    server.get("/v1/runs/alone").failed(500, "internal");
}
