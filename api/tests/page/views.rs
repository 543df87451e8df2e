//! Traces, curation and runs, laid out from what a service would answer.

use serde_json::json;

use crate::browser::Browser;
use crate::harness::{Home, Server};
use crate::stubs::{answers, documents, places, show};

fn stubbed() -> Option<(Home, Server, Browser)> {
    let home = Home::with_documents();
    let server = Server::start(&home, &[]);
    let browser = Browser::open(&server, "/")?;
    browser.stub(&answers());
    Some((home, server, browser))
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
