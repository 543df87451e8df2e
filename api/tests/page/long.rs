//! Ten thousand documents in the curators' list: the page stays small however far one scrolls, and each row is reached.

use std::fs;
use std::time::Duration;

use serde_json::json;

use crate::browser::{Browser, tell};
use crate::harness::{Home, Server};

/// What the home holds besides the documents that a test adds.
const BEFORE: usize = 4;
/// Milliseconds until the first row is there: ten times what it takes on a machine that does nothing else.
const PATIENT_ROW: f64 = 3_000.0;
/// Elements of the whole page, at any time.
const MOST_ELEMENTS: u64 = 1_000;

fn holding(count: usize) -> (Home, Server) {
    let home = Home::with_documents();
    let line = |number: usize| {
        let title = format!(
            "Trial {number} of an intervention in adults with a condition that takes many words to be told in full"
        );
        json!({ "id": format!("{number:05}"), "title": title, "text": format!("Trial {number} compared an intervention with usual care.") })
            .to_string()
            + "\n"
    };
    let file = home.path().join("trials.jsonl");
    fs::write(&file, (0..count).map(line).collect::<String>()).unwrap();
    home.run(&["corpus", "add", "--format", "jsonl", file.to_str().unwrap()]);
    let server = Server::start(&home, &[]);
    (home, server)
}

fn rows(browser: &Browser) -> u64 {
    browser.run("return document.querySelectorAll('.documents tr[data-place]').length").as_u64().unwrap()
}

fn elements(browser: &Browser) -> u64 {
    browser.run("return document.querySelectorAll('*').length").as_u64().unwrap()
}

/// Scrolls until the list has no more.
fn to_the_end(browser: &Browser) {
    browser.wait(
        "the end of the list",
        "window.scrollTo(0, document.documentElement.scrollHeight); \
         return !document.querySelector('.said').innerText.startsWith('The first')",
    );
    browser.run("window.scrollTo(0, document.documentElement.scrollHeight)");
}

#[test]
fn ten_thousand_documents_keep_the_page_small() {
    let (_home, server) = holding(10_000);
    let Some(browser) = Browser::open(&server, "/") else { return };
    let first = browser.run(
        "const from = performance.now(); location.hash = '#/curate'; \
         return new Promise((done) => { const look = () => document.querySelector('.documents tr[data-place]') \
         ? done(performance.now() - from) : setTimeout(look, 1); look(); })",
    );
    tell(&format!("the first row of ten thousand after {first} ms"));
    assert!(first.as_f64().unwrap() < PATIENT_ROW, "{first}");
    assert!(browser.text(".said").starts_with("The first 200 "), "{}", browser.text(".said"));
    let began = elements(&browser);
    to_the_end(&browser);
    let last =
        "return [...document.querySelectorAll('.documents tr[data-place]')].at(-1)?.innerText.includes('Trial 9999 ')";
    browser.wait("the last row", last);
    let ended = elements(&browser);
    tell(&format!("{began} elements at the beginning, {ended} at the end, {} rows", rows(&browser)));
    assert!(ended < MOST_ELEMENTS && began < MOST_ELEMENTS, "{began}, {ended}");
    // what a screen reader is told is how many there are, and which this is
    let told = browser.run(
        "const table = document.querySelector('.documents'); \
         return [table.getAttribute('aria-rowcount'), [...table.querySelectorAll('tr[data-place]')].at(-1).getAttribute('aria-rowindex')]",
    );
    let all = (10_000 + BEFORE + 1).to_string();
    assert_eq!(told, json!([all, all]));
    assert_eq!(browser.text(".said"), "10,004 documents");
    // in the middle there are rows where one looks
    browser.run("window.scrollTo(0, document.documentElement.scrollHeight / 2)");
    browser.wait(
        "rows in the middle",
        "return document.elementFromPoint(innerWidth / 2, innerHeight / 2)?.closest('tr[data-place]')",
    );
    assert!(elements(&browser) < MOST_ELEMENTS);
    // one is found by the service, not by scrolling
    browser.click("#documents-text");
    browser.keys("Trial 7341");
    browser.wait("it is found", "return document.querySelector('.said').innerText.startsWith('1 document')");
    assert!(browser.text(".documents tbody").contains("Trial 7341 of"));
}

#[test]
fn rows_are_chosen_by_mouse_and_keyboard_and_the_focus_stays() {
    let (_home, server) = holding(450);
    let Some(browser) = Browser::open(&server, "/#/curate") else { return };
    browser.wait("the list", "return document.querySelector('tr[data-place] input')");
    browser.click("tr[data-place='1'] input");
    to_the_end(&browser);
    browser.wait("the last row", "return document.querySelector(\"tr[data-place='453']\")");
    // scrolled away, the row that has the focus is there, and the arrow keys go on from it
    let focused = || browser.run("return document.activeElement.closest('tr')?.dataset.place ?? null");
    assert_eq!(focused(), json!("1"));
    browser.keys(DOWN);
    browser.keys(DOWN);
    assert_eq!(focused(), json!("3"));
    browser.wait(
        "it is seen",
        "const box = document.activeElement.getBoundingClientRect(); return box.top > 0 && box.bottom < innerHeight",
    );
    // with the shift key, all in between
    browser.run("document.querySelector(\"tr[data-place='6'] input\").dispatchEvent(new MouseEvent('click', { bubbles: true, shiftKey: true }))");
    assert!(browser.text(".chosen strong").starts_with("6 chosen"), "{}", browser.text(".chosen"));
    browser.run(
        "[...document.querySelectorAll('.chosen button')].find((one) => one.textContent === 'Quarantine').click()",
    );
    browser.click("#act-reason");
    browser.keys("wrong table");
    browser.run("document.querySelector('dialog[open] form').requestSubmit()");
    browser.wait("it is done", "return document.querySelectorAll('.withdrawn').length === 6");
    assert_eq!(browser.run("return document.querySelector('.chosen').hidden"), json!(true));
    // the filter is part of the address, and holds when one comes back from a document
    browser.run("const state = document.querySelector('#documents-state'); state.value = 'standing:quarantined'; state.dispatchEvent(new Event('change'))");
    browser.wait("those in quarantine", "return document.querySelector('.said').innerText.startsWith('6 documents')");
    browser.click("tr[data-place='5'] a");
    browser.wait("the document", "return document.querySelector('.document .banner')");
    browser.click(".crumb a");
    browser.wait("the same list", "return document.querySelector('.said')?.innerText.startsWith('6 documents')");
    assert_eq!(browser.run("return document.querySelector('#documents-state').value"), json!("standing:quarantined"));
    browser.click(".said button");
    browser.wait("all of them", "return document.querySelector('.said').innerText.startsWith('The first 200')");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn one_comes_back_to_where_one_was() {
    let (_home, server) = holding(450);
    let Some(browser) = Browser::open(&server, "/#/curate") else { return };
    browser.wait("the list", "return document.querySelector('tr[data-place]')");
    to_the_end(&browser);
    let seen = browser.wait(
        "a late row",
        "const place = document.elementFromPoint(innerWidth / 2, innerHeight / 2)?.closest('tr[data-place]')?.dataset.place; \
         return Number(place) > 400 && place",
    );
    let row = format!("tr[data-place='{}']", seen.as_str().unwrap());
    browser.run(&format!("document.querySelector(\"{row} a\").click()"));
    browser.wait("the document", "return document.querySelector('.document-title')");
    browser.run("history.back()");
    let is_seen = format!(
        "const box = document.querySelector(\"{row}\")?.getBoundingClientRect(); \
         return box && box.top > 0 && box.bottom < innerHeight"
    );
    browser.wait("the row is seen again", &is_seen);
    // what fails while one scrolls is told, and can be tried again
    browser.view("#/traces");
    browser.wait("another view", "return !document.querySelector('.documents')");
    browser.view("#/curate");
    browser.wait("the list", "return document.querySelector('tr[data-place]')");
    let fault = json!({ "request_id": "r", "code": "overloaded", "message": "busy" });
    browser.stub(&json!({ "GET /v1/documents": { "status": 429, "json": fault } }));
    browser.run("window.scrollTo(0, document.documentElement.scrollHeight)");
    browser.wait("it is told", "return document.querySelector('.said').innerText.includes('busy')");
    browser.stub(&json!({}));
    browser.click(".said button");
    std::thread::sleep(Duration::from_millis(50));
    to_the_end(&browser);
    assert_eq!(browser.text(".said"), "454 documents");
}

/// The arrow key, as WebDriver writes it.
const DOWN: &str = "\u{e015}";
