//! Traces, curation and runs: as the service has them, and laid out from what it would answer.

use serde_json::{Value, json};

use crate::browser::{Browser, skip};
use crate::harness::{Home, QUESTION, Server};

/// Whether the service answers `path`; says so where it has no such route.
fn has(server: &Server, path: &str) -> bool {
    let is_there = server.get(path).status != 404;
    if !is_there {
        skip(&format!("the service has no {path}"));
    }
    is_there
}

fn trace() -> Value {
    serde_json::from_str(include_str!("../../../agent/tests/fixtures/trace-v1.json")).unwrap()
}

/// Documents, in pages of fifty, as a service that holds ten thousand would list them.
fn documents(from: usize) -> Value {
    let one = |number: usize| {
        json!({ "id": format!("pubmed:{number:05}"), "title": format!("Trial {number} <b>of</b> something"), "status": if number % 7 == 0 { "concern" } else { "ok" },
                "standing": if number % 9 == 0 { "quarantined" } else { "active" }, "level": "rct", "date": "2019-03", "journal": "Lancet",
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
    document["identifiers"] = json!({ "pmid": "12345678", "doi": null });
    document["audit"] =
        json!([{ "number": 1, "at": "2026-01-02T03:04:05Z", "who": "anna", "verb": "tag", "reason": "looked at" }]);
    let step = |step: u64| {
        json!({ "kind": "step", "step": step, "stage": "grpo", "epoch": 0.1, "loss": 2.0 / step as f64, "gradient_norm": 1.0, "learning_rate": 1e-4, "skipped": false,
                "tokens": 10, "learnt": 5, "seconds": 1.5, "values": { "reward": step as f64 / 100.0, "seconds_update": 0.1 } })
    };
    let mut lines = vec![
        json!({ "kind": "start", "at": "2026-01-02T03:04:05Z", "step": 0, "steps": 200, "stage": "grpo", "parameters": 902_272, "samples": 500,
                                 "tokens": 6_250, "heldout": 40, "forecast_bytes": 105_106_944, "peak_bytes": null }),
    ];
    lines.extend((1..=120).map(step));
    lines.push(json!({ "kind": "heldout", "step": 0, "phase": "before", "values": { "reward": 0.1, "exact": 0.0 } }));
    lines.push(json!({ "kind": "heldout", "step": 100, "phase": "during", "values": { "reward": 0.6 } }));
    lines.push(json!({ "kind": "notice", "step": 7, "text": "a value was not finite" }));
    lines.push(json!({ "kind": "checkpoint", "step": 100, "best": true }));
    let episode = json!({ "step": 120, "question": "1", "is_masked": false, "advantage": 0.25, "trace": trace,
        "reward": { "total": 1.2, "verdicts": [1, 0, 0], "terms": [{ "name": "correctness", "value": 1.0, "weight": 1.0, "reason": "the gold answer stands in it" },
                                                                   { "name": "search_cost", "value": null, "weight": 0.1, "reason": "nobody could tell" }] } });
    json!({
        format!("GET /v1/traces/{id}"): { "json": trace },
        "GET /v1/traces": { "json": { "traces": [{ "id": id, "created": "2026-01-02T03:04:05Z", "caller": "local", "question": trace["question"], "outcome": "answered" }], "next": null } },
        "GET /v1/documents": { "json": documents(1) },
        "GET /v1/documents/pubmed%3A00001": { "json": document },
        "POST /v1/documents/quarantine": { "json": { "changed": 1 } },
        "GET /v1/collections": { "json": { "collections": [{ "name": "trials", "documents": 10_000, "chunks": 40_000 }] } },
        "GET /v1/snapshots": { "json": { "current": "s-2", "snapshots": [{ "id": "s-2", "built": "2026-01-02T03:04:05Z", "documents": 10_000, "chunks": 40_000, "encoder": "static", "bytes": 1_000_000 },
                                                                         { "id": "s-1", "built": "2026-01-01T03:04:05Z", "documents": 9_000, "chunks": 36_000, "encoder": "static", "bytes": 900_000 }] } },
        "POST /v1/snapshots/s-1/use": { "json": {} },
        "GET /v1/jobs": { "json": { "jobs": [{ "id": "j-1", "kind": "build", "state": "running", "stage": "vectors", "done": 400, "total": 1_000, "started": "2026-01-02T03:04:05Z" }] } },
        "GET /v1/audit": { "json": { "audit": document["audit"] } },
        "GET /v1/affected": { "json": { "affected": [{ "trace": id, "created": "2026-01-02T03:04:05Z", "question": "Is it safe?", "documents": [{ "id": "pubmed:00007", "title": "Trial 7", "status": "retracted" }] }] } },
        "GET /v1/runs": { "json": { "runs": [{ "id": "first", "stage": "grpo", "step": 120, "steps": 200 }] } },
        "GET /v1/runs/first": { "json": { "id": "first", "entries": lines } },
        "GET /v1/runs/first/episodes": { "json": { "episodes": [episode] } },
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
    ]
}

pub(crate) fn show(browser: &Browser, (hash, wanted): &(String, &str)) {
    browser.view(hash);
    browser.wait(hash, &format!("return document.querySelector('main {wanted}')"));
}

fn stubbed() -> Option<(Home, Server, Browser)> {
    let home = Home::with_documents();
    let server = Server::start(&home, &[]);
    let browser = Browser::open(&server, "/")?;
    browser.stub(&answers());
    Some((home, server, browser))
}

#[test]
fn an_answer_leads_to_its_trace() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    let Some(browser) = Browser::open(&server, "/") else { return };
    browser.ask(QUESTION);
    browser.click(".tools-row a");
    browser.wait("the view is there", "return document.querySelector('main h1')");
    let trace = browser.run("return location.hash.split('/').at(-1)");
    if has(&server, &format!("/v1/traces/{}", trace.as_str().unwrap())) {
        browser.wait("the turns", "return document.querySelector('.timeline .turn')");
        assert_eq!(browser.text("main h1"), QUESTION);
        assert!(browser.text(".timeline").contains("The policy wrote"));
        assert!(browser.text(".timeline").contains("lexical"));
    } else {
        assert!(browser.text("main").contains("The service has nothing here"), "{}", browser.text("main"));
    }
}

#[test]
fn curators_see_the_documents_that_there_are() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    let Some(browser) = Browser::open(&server, "/#/curate") else { return };
    if !has(&server, "/v1/documents") {
        browser.wait(
            "it is said",
            "return document.querySelector('main').innerText.includes('The service has nothing here')",
        );
        return;
    }
    browser.wait("the documents", "return document.querySelectorAll('.documents tbody tr').length === 4");
    assert!(browser.text(".documents").contains("Metformin"));
    browser.click(".documents tbody a");
    browser.wait("its text", "return document.querySelector('.document .passage-text')");
}

#[test]
fn an_empty_home_has_no_runs() {
    let home = Home::with_documents();
    let server = Server::start(&home, &[]);
    let Some(browser) = Browser::open(&server, "/#/runs") else { return };
    let said = if has(&server, "/v1/runs") { "There are no runs yet" } else { "The service has nothing here" };
    browser.wait("it is said", &format!("return document.querySelector('main').innerText.includes({})", json!(said)));
}

#[test]
fn a_trace_tells_who_wrote_what() {
    let Some((_home, _server, browser)) = stubbed() else { return };
    show(&browser, &places()[0]);
    let turns = browser.run("return document.querySelectorAll('.turn').length");
    assert!(turns.as_u64() > Some(1), "{turns}");
    let told = browser.text(".timeline");
    for part in ["The policy wrote", "The environment wrote", "<search>", "lexical", "The end"] {
        assert!(told.contains(part), "{part} is missing in {told}");
    }
    assert_eq!(browser.run("return document.querySelector('.times rect').getAttribute('x')"), json!("0"));
}

#[test]
fn ten_thousand_documents_are_read_page_by_page() {
    let Some((_home, _server, browser)) = stubbed() else { return };
    show(&browser, &places()[2]);
    let rows = || browser.run("return document.querySelectorAll('.documents tbody tr').length");
    assert_eq!(rows(), json!(50));
    assert!(browser.text(".documents").contains("Trial 1 <b>of</b> something"));
    let mut more = answers();
    more["GET /v1/documents"]["json"] = documents(51);
    browser.stub(&more);
    browser.run("document.querySelectorAll('.pages button')[1].click()");
    browser.wait("the second page", "return document.querySelector('.pages .hint').textContent === '51 to 100'");
    assert_eq!(rows(), json!(50));
    let path = browser.run("return window.asked.at(-1).path");
    assert!(path.as_str().unwrap().contains("after=pubmed%3A00050"), "{path}");
    // an act asks for its reason and tells the ids
    browser.click(".documents tbody input");
    browser.wait("what can be done", "return !document.querySelector('.chosen').hidden");
    browser.run(
        "[...document.querySelectorAll('.chosen button')].find((one) => one.textContent === 'Quarantine').click()",
    );
    browser.click("#act-reason");
    browser.keys("wrong table");
    browser.run("document.querySelector('dialog[open] form').requestSubmit()");
    browser.wait("it is done", "return !document.querySelector('dialog[open]')");
    let body = browser.run("return window.asked.find((one) => one.name === 'POST /v1/documents/quarantine').body");
    assert_eq!(body, json!({ "ids": ["pubmed:00051"], "reason": "wrong table" }));
}

#[test]
fn snapshots_and_their_jobs_are_shown_and_used() {
    let Some((_home, _server, browser)) = stubbed() else { return };
    show(&browser, &places()[4]);
    assert_eq!(browser.run("return document.querySelector('.job progress').value"), json!(400));
    let told = browser.text("main");
    assert!(told.contains("answers now") && told.contains("10,000 documents"), "{told}");
    browser.click("[aria-label='Let it answer: snapshot s-1']");
    browser.wait("it is told", "return window.asked.some((one) => one.name === 'POST /v1/snapshots/s-1/use')");
}

#[test]
fn a_run_is_drawn_and_told_in_numbers() {
    let Some((_home, _server, browser)) = stubbed() else { return };
    show(&browser, &places()[8]);
    let told = browser.text("main");
    for part in ["At step 120 of 200", "grpo", "902 k", "a value was not finite", "step 100", "Reward"] {
        assert!(told.contains(part), "{part} is missing in {told}");
    }
    browser.run("const one = [...document.querySelectorAll('.chart')].find((chart) => chart.textContent.startsWith('Loss')); one.querySelector('details').open = true");
    browser.wait("the table", "return [...document.querySelectorAll('.chart tbody tr')].length === 120");
    browser.run("document.querySelector('form.controls').requestSubmit()");
    browser.wait("the episodes", "return document.querySelector('.piece')");
    browser.run("document.querySelector('.piece').open = true");
    browser.wait(
        "the terms",
        "return document.querySelector('.piece').innerText.includes('the gold answer stands in it')",
    );
    assert!(browser.text(".piece").contains("unknown"), "a value that nobody knows is not zero");
}
