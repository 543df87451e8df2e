//! A text held against the literature: marks, evidence, reasons, and what goes wrong.

use serde_json::{Value, json};

use crate::browser::{Browser, ENTER, ESCAPE};
use crate::harness::{Home, Server};

const TEXT: &str = "Metformin is the first-line drug for type 2 diabetes. Warfarin is contraindicated in 12 mg. \
                    The moon is made of cheese.";

/// What a service would answer that contradicts, supports, and finds nothing.
pub(crate) fn verified(browser: &Browser) {
    let citation = |label: &str| {
        json!({ "label": label, "chunk": "c1", "document": format!("pubmed:{label}"), "pmid": "26378978", "doi": null, "title": "Empagliflozin and outcomes",
                "year": 2015, "journal": "N Engl J Med", "level": "rct", "status": "concern", "quote": "It lowers the risk.", "start": 0, "end": 19 })
    };
    let quote = |label: &str| json!({ "label": label, "text": "It lowers the risk.", "start": 0, "end": 19 });
    let found = json!({ "snapshot": "s-1", "notice": "For research only.", "warnings": ["A name was taken out of the text."], "sentences": [
        { "text": "It lowers the risk.", "start": 0, "end": 19, "verdict": { "label": "support", "by": "scorer", "confidence": 0.9, "missing": [], "quote": quote("E1") }, "citation": citation("E1") },
        { "text": "It raises the risk.", "start": 20, "end": 39, "verdict": { "label": "contradict", "by": "rules", "missing": [],
          "concern": "says `raises` where its source says `lowers`", "quote": quote("E2") }, "citation": citation("E2") },
        { "text": "It is blue.", "start": 40, "end": 51 } ] });
    browser.stub(&json!({ "POST /v1/verify": { "json": found } }));
    browser.view("#/verify");
    browser.wait("the view", "return document.querySelector('#verify-text')");
    browser.run("document.querySelector('#verify-text').value = 'It lowers the risk. It raises the risk. It is blue.'; document.querySelector('.verify form').requestSubmit()");
    browser.wait("the verdicts", "return document.querySelector('.verified h2')");
}

#[test]
fn a_text_is_verified_sentence_by_sentence() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    let Some(browser) = Browser::open(&server, "/") else { return };
    let expected = server.post("/v1/verify", &json!({ "text": TEXT })).ok();
    browser.click(".bar [data-view=verify]");
    browser.click("#verify-text");
    browser.keys(TEXT);
    // with both keys at once, as one who writes would
    browser.run("document.querySelector('#verify-text').dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', ctrlKey: true, bubbles: true }))");
    browser.wait("the verdicts", "return document.querySelector('.verified h2')");
    assert_eq!(browser.run("return document.activeElement === document.querySelector('.verified h2')"), json!(true));
    assert!(browser.text(".verified h2").starts_with("3 sentences: 1 supported"), "{}", browser.text(".verified h2"));
    let sentences = expected["sentences"].as_array().unwrap();
    let texts: Vec<_> = sentences.iter().map(|one| one["text"].clone()).collect();
    assert_eq!(
        browser.run("return [...document.querySelectorAll('.verified .sentence-text')].map((one) => one.textContent)"),
        json!(texts)
    );
    let words = |one: &Value| match one["verdict"]["label"].as_str() {
        Some("support") => "Supported",
        Some("contradict") => "Contradicted",
        Some(_) if one["verdict"]["quote"].is_object() => "Not borne out",
        _ => "Nothing found",
    };
    let marks: Vec<_> = sentences.iter().map(words).collect();
    assert_eq!(
        browser
            .run("return [...document.querySelectorAll('.verified .sentence .verdict')].map((one) => one.textContent)"),
        json!(marks)
    );
    assert!(marks.contains(&"Nothing found"), "{marks:?}");
    // the passage opens where the sentence rests on it
    browser.click(".verified .chip");
    browser.wait("the quote is marked", "return document.querySelector('#evidence[open] mark')");
    let marked = browser.run("return document.querySelector('#evidence mark').textContent");
    assert_eq!(marked, sentences[0]["verdict"]["quote"]["text"]);
    assert!(browser.text("#evidence").contains("The sentence it was found for"), "{}", browser.text("#evidence"));
    browser.keys(ESCAPE);
    browser.wait("the focus is back", "return document.activeElement.matches('.verified .chip')");
    // another view and back: the text and its verdicts are still there
    browser.view("#/history");
    browser.wait("another view", "return document.querySelector('#past-find')");
    browser.view("#/verify");
    browser.wait("the verdicts", "return document.querySelector('.verified h2')");
    assert_eq!(browser.run("return document.querySelector('#verify-text').value"), json!(TEXT));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn reasons_and_evidence_stand_with_each_sentence() {
    let home = Home::with_documents();
    let server = Server::start(&home, &[]);
    let Some(browser) = Browser::open(&server, "/") else { return };
    verified(&browser);
    let told = browser.text(".verified");
    for part in [
        "3 sentences: 1 supported, 1 contradicted, 1 without any evidence near",
        "A name was taken out of the text.",
        "Says “raises” where what was found says “lowers”.",
        "Empagliflozin and outcomes",
        "Expression of concern",
        "Nothing found",
    ] {
        assert!(told.contains(part), "{part} is missing in {told}");
    }
    assert_eq!(browser.run("return document.querySelectorAll('.verified .beside blockquote').length"), json!(2));
    assert_eq!(browser.text("#notice"), "For research only.");
}

#[test]
fn what_goes_wrong_is_told_and_a_long_check_can_be_stopped() {
    let home = Home::with_documents();
    let server = Server::start(&home, &[]);
    let Some(browser) = Browser::open(&server, "/#/verify") else { return };
    browser.click(".verify form .primary");
    assert!(browser.text(".verify .failed").contains("Paste a text first."));
    assert_eq!(browser.run("return document.activeElement.id"), json!("verify-text"));
    browser.keys("It helps.");
    // the service itself has no index here
    browser.click(".verify form .primary");
    browser.wait(
        "it is told",
        "return document.querySelector('.verify .failed')?.innerText.includes('anamnesis index build')",
    );
    browser.run("document.querySelector('.verify details').open = true");
    browser.click("#verify-from");
    browser.keys("20x9");
    browser.keys(ENTER);
    browser.wait(
        "the year is refused",
        "return document.querySelector('.verify .failed')?.innerText.includes('four digits')",
    );
    assert_eq!(browser.run("return document.activeElement.id"), json!("verify-from"));
    browser.run("document.querySelector('#verify-from').value = '2019'");
    browser.stub(&json!({ "POST /v1/verify": { "endless": "" } }));
    browser.click(".verify form .primary");
    browser.wait("it is being looked up", "return document.querySelector('.verified[aria-busy=true]')");
    let body = browser.run("return window.asked.find((one) => one.name === 'POST /v1/verify').body");
    assert_eq!(body, json!({ "text": "It helps.", "filter": { "from": "2019" } }));
    browser.click(".verify .stop");
    browser.wait("it is stopped", "return document.querySelector('.verify .failed')?.innerText.includes('Stopped.')");
    assert_eq!(browser.run("return document.querySelector('.verify form .primary').hidden"), json!(false));
}
