//! Traces, curation and runs, laid out from what a service would answer.

use serde_json::json;

use crate::browser::Browser;
use crate::harness::{Home, Server};
use crate::stubs::{answers, places, show};

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
