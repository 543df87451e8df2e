//! Asking: an answer as it streams, its evidence, the keyboard alone, what is remembered.

use serde_json::{Value, json};

use crate::browser::{Browser, ENTER, ESCAPE, TAB};
use crate::harness::{Home, QUESTION, Server};

fn served() -> (Home, Server) {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    (home, server)
}

/// The answer that the service itself gives.
fn answer(server: &Server) -> Value {
    server.ask(QUESTION).ok()
}

/// What the passage has to show for a sentence of an answer: its own quote, or that of the citation.
fn quote(answer: &Value, label: &str) -> String {
    let citation = answer["citations"].as_array().unwrap().iter().find(|citation| citation["label"] == label).unwrap();
    let judged = &answer["sentences"][0]["verdict"]["quote"];
    let text = if judged["label"] == label { &judged["text"] } else { &citation["quote"] };
    text.as_str().unwrap().to_owned()
}

#[test]
fn an_answer_is_shown_with_its_evidence() {
    let (_home, server) = served();
    let Some(browser) = Browser::open(&server, "/") else { return };
    let expected = answer(&server);
    browser.ask(QUESTION);
    let sentences =
        browser.run("return [...document.querySelectorAll('.sentence-text')].map((one) => one.textContent)");
    let texts: Vec<_> =
        expected["sentences"].as_array().unwrap().iter().map(|sentence| sentence["text"].clone()).collect();
    assert_eq!(sentences, json!(texts));
    let chips = browser.run("return [...document.querySelectorAll('.sentence .chip')].map((one) => one.textContent)");
    let cites: Vec<_> = expected["sentences"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|sentence| sentence["cites"].as_array().unwrap().clone())
        .collect();
    assert_eq!(chips, json!(cites));
    assert!(browser.text(".sentence .verdict").contains("Supported"));
    // the searches stay to be read
    assert!(browser.text(".trail summary").contains("search"), "{}", browser.text(".trail"));
    assert!(browser.run("return document.querySelectorAll('.steps .step').length").as_u64() > Some(0));

    let label = cites[0].as_str().unwrap();
    browser.click(".sentence .chip");
    browser.wait("the passage is marked", "return document.querySelector('#evidence[open] mark')?.textContent");
    assert_eq!(
        browser.run("return document.querySelector('#evidence mark').textContent"),
        json!(quote(&expected, label))
    );
    let chunk = expected["citations"][0]["chunk"].as_str().unwrap();
    let text = server.get(&format!("/v1/chunks/{chunk}")).ok()["text"].clone();
    assert_eq!(browser.run("return document.querySelector('.passage-text').textContent"), text);
    assert_eq!(browser.text("#evidence h2"), expected["citations"][0]["title"].as_str().unwrap());
    browser.keys(ESCAPE);
    browser.wait("the evidence is closed", "return !document.querySelector('#evidence').open");
    browser.wait("the focus is back where it was", "return document.activeElement.matches('.sentence .chip')");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn the_keyboard_alone_is_enough() {
    let (_home, server) = served();
    let Some(browser) = Browser::open(&server, "/") else { return };
    browser.run("document.activeElement.blur()");
    browser.keys("/");
    assert_eq!(browser.run("return document.activeElement.id"), json!("question"));
    browser.keys(QUESTION);
    browser.keys(ENTER);
    browser.answered();
    let tab_to = |selector: &str| {
        let is_there = format!("return document.activeElement.matches({})", json!(selector));
        for _ in 0..30 {
            browser.keys(TAB);
            if browser.run(&is_there) == json!(true) {
                return;
            }
        }
        panic!("no way to {selector} by Tab: {}", browser.run("return document.activeElement.outerHTML"));
    };
    // reading goes on at the question, so that its answer is next
    assert_eq!(browser.run("return document.activeElement.textContent"), json!(QUESTION));
    tab_to(".sentence .chip");
    browser.keys(ENTER);
    browser.wait(
        "the evidence is open",
        "return document.querySelector('#evidence').open && document.activeElement.id === 'evidence-title'",
    );
    tab_to(".passage");
    browser.keys(ESCAPE);
    browser.wait("the focus is back", "return document.activeElement.matches('.sentence .chip')");
    tab_to(".copies button");
    tab_to("#question");
}

#[test]
fn what_was_asked_is_remembered_until_it_is_to_be_forgotten() {
    let (_home, server) = served();
    let Some(browser) = Browser::open(&server, "/") else { return };
    browser.ask(QUESTION);
    browser.go(&server.url("/"));
    browser.wait("it is listed", "return document.querySelector('.recent a')");
    assert_eq!(browser.text(".recent a"), QUESTION);
    browser.click(".recent a");
    browser.wait("its answer is there", "return document.querySelector('.sentence-text')");
    assert!(browser.text(".trail").contains("Answered"));
    browser.click(".sentence .chip");
    browser.wait("its evidence too", "return document.querySelector('#evidence[open] mark')");
    browser.view("#/history");
    browser.wait("the history", "return document.querySelector('.item')");
    browser.click("#past-kept");
    browser.wait("nothing is kept", "return !document.querySelector('.item')");
    assert_eq!(browser.run("return localStorage.getItem('anamnesis.history')"), Value::Null);
    browser.view("#/");
    browser.click("#question");
    browser.ask(QUESTION);
    assert_eq!(browser.run("return localStorage.getItem('anamnesis.history')"), Value::Null);
}

#[test]
fn no_answer_is_said_with_its_reason() {
    let (_home, server) = served();
    let Some(browser) = Browser::open(&server, "/") else { return };
    browser.ask("Who won the football world cup of 1954?");
    let told = browser.text(".abstained");
    assert!(told.contains("The evidence does not carry an answer"), "{told}");
    assert_eq!(browser.run("return document.querySelectorAll('.sentence').length"), json!(0));
}

#[test]
fn filters_narrow_what_is_asked() {
    let (_home, server) = served();
    let Some(browser) = Browser::open(&server, "/") else { return };
    browser.stub(&json!({}));
    browser.click(".composer .ghost");
    browser.click("#filter-from");
    browser.keys("20x9");
    browser.click("#question");
    browser.keys(QUESTION);
    browser.keys(ENTER);
    assert!(
        browser
            .wait("a refusal", "return document.querySelector('.trouble').textContent")
            .as_str()
            .unwrap()
            .contains("four digits")
    );
    browser.run(
        "document.querySelector('#filter-from').value = '1990'; document.querySelector('#filters [value=rct]').click()",
    );
    browser.click("#question");
    browser.keys(ENTER);
    browser.answered();
    let body = browser.run("return window.asked.find((one) => one.name === 'POST /v1/ask').body");
    assert_eq!(body["filter"], json!({ "from": "1990", "levels": ["rct"] }));
    assert!(browser.text(".scope").contains("from 1990"), "{}", browser.text(".scope"));
    assert!(browser.text(".abstained").contains("does not carry"), "no document here is a trial");
}

#[test]
fn how_to_answer_is_chosen_and_remembered() {
    let (_home, server) = served();
    let Some(browser) = Browser::open(&server, "/") else { return };
    browser.stub(&json!({}));
    browser.click(".composer .ghost");
    browser.click("#filters [value=strike]");
    browser.click("#filters [value=quick]");
    browser.click("#filters [name=sure]");
    browser.run("document.querySelector('#filter-topics').value = 'Heart Failure; Diabetes Mellitus, Type 2'");
    browser.ask(QUESTION);
    let body = browser.run("return window.asked.find((one) => one.name === 'POST /v1/ask').body");
    assert_eq!(body["unsupported"], "strike");
    assert_eq!(body["budget"], json!({ "turns": 1 }));
    let filter = json!({ "mesh": ["Heart Failure", "Diabetes Mellitus, Type 2"], "statuses": ["ok", "corrected"] });
    assert_eq!(body["filter"], filter);
    let scope = browser.text(".scope");
    for part in ["no expressions of concern", "Heart Failure", "taken out", "one round"] {
        assert!(scope.contains(part), "{part} is missing in {scope}");
    }
    // options outlive the page, filters do not
    browser.go(&server.url("/"));
    browser.wait("the page is there", "return document.querySelector('.composer')");
    let count = browser.text(".composer .count");
    browser.click(".composer .ghost");
    assert_eq!(count, "2");
    assert_eq!(browser.run("return document.querySelector('#filters [value=strike]').checked"), json!(true));
    assert_eq!(browser.run("return document.querySelector('#filters [name=sure]').checked"), json!(false));
    browser.click(".filters > .row .ghost");
    assert_eq!(browser.run("return document.querySelector('#filters [value=mark]').checked"), json!(true));
    browser.stub(&json!({}));
    browser.ask(QUESTION);
    let body = browser.run("return window.asked.find((one) => one.name === 'POST /v1/ask').body");
    assert_eq!(body, json!({ "question": QUESTION, "stream": true }));
}

#[test]
fn a_follow_up_is_asked_even_of_a_service_that_knows_none() {
    let (_home, server) = served();
    let Some(browser) = Browser::open(&server, "/") else { return };
    browser.ask(QUESTION);
    let trace = server.ask(QUESTION).ok()["trace_id"].clone();
    assert!(trace.is_string());
    browser.stub(&json!({}));
    browser.ask("What is monitored during treatment with lithium?");
    assert_eq!(browser.run("return document.querySelectorAll('.exchange').length"), json!(2));
    let asked = browser.run("return window.asked.filter((one) => one.name === 'POST /v1/ask').map((one) => one.body)");
    assert!(asked[0]["follows"].is_string(), "{asked}");
    assert!(
        browser.run("return document.querySelectorAll('.exchange:last-child .sentence').length").as_u64() > Some(0)
    );
    if asked.as_array().unwrap().len() > 1 {
        assert_eq!(asked[1].get("follows"), None);
        assert!(browser.text(".exchange:last-child .trouble-place").contains("takes no follow-ups"));
    }
}
