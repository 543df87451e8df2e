//! What a service would answer that has all routes, for tests of how it is laid out.

use serde_json::{Value, json};

use crate::browser::Browser;

/// An episode as it was stored.
fn trace() -> Value {
    serde_json::from_str(include_str!("../../../agent/tests/fixtures/trace-v1.json")).unwrap()
}

/// Fifty documents, as a service that holds more would list them.
fn documents(from: usize) -> Value {
    let one = |number: usize| {
        json!({ "id": format!("pubmed:{number:05}"), "title": format!("Trial {number} <b>of</b> something"), "status": if number.is_multiple_of(7) { "concern" } else { "ok" },
                "standing": if number.is_multiple_of(9) { "quarantined" } else { "active" }, "level": "rct", "date": "2019-03", "journal": "Lancet",
                "collections": ["trials"], "tags": ["checked"], "chunks": 4 })
    };
    json!({ "documents": (from..from + 50).map(one).collect::<Vec<_>>(), "next": format!("pubmed:{:05}", from + 49) })
}

/// What the routes of these views answer.
pub(crate) fn answers() -> Value {
    let trace = trace();
    let id = trace["id"].as_str().unwrap().to_owned();
    let mut document = documents(1)["documents"][0].clone();
    document["text"] = json!("Methods.\n\nResults <img src=x onerror=window.pwned=1>.");
    document["sections"] = json!([{ "heading": "What was done", "start": 0, "end": 8 }, { "heading": "What came of it", "start": 10, "end": 50 }]);
    document["identifiers"] = json!({ "pmid": "12345678", "doi": null });
    document["audit"] =
        json!([{ "number": 1, "at": "2026-01-02T03:04:05Z", "who": "anna", "verb": "tag", "reason": "looked at" }]);
    json!({
        format!("GET /v1/traces/{id}"): { "json": { "id": id, "trace": trace } },
        "GET /v1/traces": { "json": { "traces": [{ "id": id, "created": "2026-01-02T03:04:05Z", "caller": "local", "question": trace["question"], "outcome": "answered" }], "next": null } },
        "GET /v1/documents": { "json": documents(1) },
        "GET /v1/documents/pubmed%3A00001": { "json": document },
        "POST /v1/documents/quarantine": { "json": { "changed": 1 } },
        "GET /v1/collections": { "json": { "collections": [{ "name": "trials", "documents": 10_000, "chunks": 40_000 }] } },
        "GET /v1/snapshots": { "json": { "current": "s-2", "snapshots": [{ "id": "s-2", "built": "2026-01-02T03:04:05Z", "documents": 10_000, "chunks": 40_000, "encoder": "static", "bytes": 1_000_000 },
                                                                         { "id": "s-1", "built": "2026-01-01T03:04:05Z", "documents": 9_000, "chunks": 36_000, "encoder": "static", "bytes": 900_000 }] } },
        "POST /v1/snapshots/s-1/use": { "json": {} },
        "GET /v1/jobs": { "json": { "jobs": [{ "id": "j-1", "kind": "build-snapshot", "state": "running", "stage": "vectors", "done": 400, "total": 1_000, "started": "2026-01-02T03:04:05Z" }] } },
        "GET /v1/audit": { "json": { "acts": document["audit"] } },
        "GET /v1/affected": { "json": { "affected": [{ "trace": id, "created": "2026-01-02T03:04:05Z", "question": "Is it safe?", "documents": [{ "id": "pubmed:00007", "title": "Trial 7", "status": "retracted" }] }] } },
        "GET /v1/runs": { "json": { "runs": [{ "id": "first", "kind": "grpo", "started": "2026-01-02T03:04:05Z", "step": 120, "steps": 200, "ended": false, "stages": [] }] } },
        "GET /v1/runs/first": { "json": run() },
        "GET /v1/runs/first/episodes": { "json": { "step": 120, "steps": [1, 120], "episodes": [{ "place": 1, "episode": episode() }] } },
    })
}

/// The views and what each must show before it is looked at.
pub(crate) fn places() -> Vec<(String, &'static str)> {
    let id = trace()["id"].as_str().unwrap().to_owned();
    vec![
        (format!("#/trace/{id}"), ".timeline .turn"),
        ("#/traces".to_owned(), ".item"),
        ("#/curate".to_owned(), ".documents tbody tr"),
        ("#/curate/document/pubmed%3A00001".to_owned(), ".document-title"),
        ("#/curate/snapshots".to_owned(), ".job progress"),
        ("#/curate/audit".to_owned(), "tbody tr"),
        ("#/curate/affected".to_owned(), ".item"),
        ("#/runs".to_owned(), ".item"),
        ("#/runs/first".to_owned(), ".chart path"),
        ("#/history".to_owned(), "#past-find"),
        ("#/verify".to_owned(), "#verify-text"),
    ]
}

pub(crate) fn show(browser: &Browser, (hash, wanted): &(String, &str)) {
    browser.view(hash);
    browser.wait(hash, &format!("return document.querySelector('main {wanted}')"));
}

/// Lines of a journal, as the trainer writes them.
pub(crate) fn journal() -> Vec<Value> {
    let step = |step: u64| {
        json!({ "kind": "step", "step": step, "stage": "grpo", "epoch": 0.1, "loss": 2.0 / step as f64, "gradient_norm": 1.0, "learning_rate": 1e-4,
                "skipped": false, "tokens": 10, "learnt": 5, "seconds": 1.5, "values": { "reward": step as f64 / 100.0, "seconds_update": 0.1 } })
    };
    let mut lines = vec![
        json!({ "kind": "start", "at": "2026-01-02T03:04:05Z", "step": 0, "steps": 200, "stage": "grpo", "parameters": 902_272,
                                 "samples": 500, "tokens": 6_250, "heldout": 40, "forecast_bytes": 105_106_944, "peak_bytes": null }),
    ];
    lines.extend((1..=120).map(step));
    lines.push(json!({ "kind": "heldout", "step": 0, "phase": "before", "values": { "reward": 0.1, "exact": 0.0 } }));
    lines.push(json!({ "kind": "heldout", "step": 100, "phase": "during", "values": { "reward": 0.6 } }));
    lines.push(json!({ "kind": "notice", "step": 7, "text": "a value was not finite" }));
    lines.push(json!({ "kind": "checkpoint", "step": 100, "best": true }));
    lines
}

/// An episode with what it was worth.
pub(crate) fn episode() -> Value {
    json!({ "step": 120, "question": "1", "is_masked": false, "advantage": 0.25, "trace": trace(),
            "reward": { "total": 1.2, "verdicts": [1, 0, 0], "terms": [
                { "name": "correctness", "value": 1.0, "weight": 1.0, "reason": "the gold answer stands in it" },
                { "name": "search_cost", "value": null, "weight": 0.1, "reason": "nobody could tell" } ] } })
}

/// The same journal as the service tells it.
fn run() -> Value {
    let of = |kind: &str| journal().into_iter().filter(|line| line["kind"] == kind).collect::<Vec<_>>();
    let starts: Vec<_> = of("start")
        .into_iter()
        .map(|mut start| {
            start["kind"] = start["stage"].take();
            start
        })
        .collect();
    json!({ "id": "first", "stages": [], "starts": starts, "steps": of("step"), "heldout": of("heldout"), "checkpoints": of("checkpoint"),
            "notices": of("notice"), "end": null, "counts": { "steps": 120, "heldout": 2, "checkpoints": 1, "notices": 1 } })
}
