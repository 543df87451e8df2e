//! Traces, curation and runs, laid out from what a service would answer.

use serde_json::json;

use crate::browser::{Browser, ENTER, ESCAPE, TAB};
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
fn the_evidence_of_a_trace_opens_with_its_quote() {
    let Some((_home, _server, browser)) = stubbed() else { return };
    show(&browser, &places()[0]);
    let quote = browser.run("return document.querySelector('.turn.end .prose').firstChild.textContent");
    browser.click(".turn.end .chip");
    browser.wait("the quote is marked", "return document.querySelector('#evidence[open] mark')");
    let marked = browser.run("return document.querySelector('#evidence mark').textContent");
    assert_eq!(marked, quote);
    // the service does not have this chunk any more
    browser.wait(
        "it is told",
        "return document.querySelector('#evidence .banner')?.innerText.includes('does not hold this passage now')",
    );
    browser.keys(ESCAPE);
    browser.wait("the focus is back", "return document.activeElement.matches('.turn.end .chip')");
}

#[test]
fn what_cannot_be_taken_back_is_asked_twice() {
    let Some((_home, _server, browser)) = stubbed() else { return };
    show(&browser, &places()[1]);
    let mut known = answers();
    let id = browser.run("return document.querySelector('.item a').href.split('/').at(-1)");
    known[format!("DELETE /v1/traces/{}", id.as_str().unwrap())] = json!({ "json": {} });
    browser.stub(&known);
    let erased = "return window.asked.some((one) => one.name.startsWith('DELETE'))";
    browser.click(".item > button");
    assert_eq!(browser.text(".item > button"), "Erase for good?");
    browser.keys(TAB);
    assert_eq!(browser.text(".item > button"), "Erase", "who goes on has not said yes");
    assert_eq!(browser.run(erased), json!(false));
    browser.click(".item > button");
    browser.click(".item > button");
    browser.wait("it is gone", "return !document.querySelector('.item')");
    assert_eq!(browser.run(erased), json!(true));
}

#[test]
fn one_key_is_asked_for_however_many_wait() {
    let Some((_home, _server, browser)) = stubbed() else { return };
    let mut guarded = answers();
    for name in ["GET /v1/documents", "GET /v1/collections"] {
        guarded[name]["wanted"] = json!("Bearer k-1");
    }
    browser.stub(&guarded);
    browser.view("#/curate");
    let boxes = || browser.run("return document.querySelectorAll('dialog[open]').length");
    browser.wait("a key is asked for", "return document.querySelector('dialog[open] #key-field')");
    browser.keys("k-2");
    browser.keys(ENTER);
    let refused = "return document.querySelector('dialog[open]')?.innerText.includes('did not accept')";
    browser.wait("another is asked for", refused);
    assert_eq!(boxes(), json!(1));
    browser.keys(ESCAPE);
    browser
        .wait("it is told", "return document.querySelector('main .failed')?.innerText.includes('asks for an API key')");
    // a key that was refused is not kept
    assert_eq!(browser.run("return [sessionStorage.length, document.querySelector('#key').hidden]"), json!([0, true]));
    browser.click(".failed button");
    browser.wait("a key is asked for", "return document.querySelector('dialog[open] #key-field')");
    browser.keys("k-1");
    browser.keys(ENTER);
    browser.wait("the documents", "return document.querySelector('tr[data-place]')");
    browser.wait("and the collections", "return document.querySelector('.card')");
    assert_eq!(boxes(), json!(0));
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
    for part in [
        "At step 120 of 200",
        "grpo",
        "902 k",
        "a value was not finite",
        "step 100",
        "Reward",
        "The same at every step: seconds update 0.1.",
    ] {
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
