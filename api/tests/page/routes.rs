//! Traces, curation and runs, as the service has them. Where it has no such route the page says so in a plain sentence,
//! and the test that it did not look further.

use std::fs;

use serde_json::json;

use crate::browser::{Browser, skip};
use crate::harness::{Home, QUESTION, Server, eventually};
use crate::stubs;

/// Whether the service answers `path`; says so where it has no such route.
fn has(server: &Server, path: &str) -> bool {
    let is_there = server.get(path).status != 404;
    if !is_there {
        skip(&format!("the service has no {path}"));
    }
    is_there
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
fn a_document_is_set_aside_and_what_cited_it_is_found() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    let Some(browser) = Browser::open(&server, "/") else { return };
    if !has(&server, "/v1/documents") {
        return;
    }
    browser.ask(QUESTION);
    browser.view("#/curate/document/documents%3Ametformin");
    browser.wait("its text", "return document.querySelector('.document .passage-text')");
    browser.run(
        "[...document.querySelectorAll('.document button')].find((one) => one.textContent === 'Quarantine').click()",
    );
    browser.click("#act-reason");
    browser.keys("its table is wrong");
    browser.run("document.querySelector('dialog[open] form').requestSubmit()");
    browser.wait(
        "it is set aside",
        "return document.querySelector('.document .banner')?.innerText.includes('no evidence now')",
    );
    assert!(browser.text(".document table").contains("its table is wrong"));
    assert!(browser.text(".document .banner").contains("Its table is wrong"), "{}", browser.text(".document .banner"));
    browser.view("#/curate/affected");
    browser.wait("the answer is found", "return document.querySelector('.part .item a')");
    assert_eq!(browser.text(".part .item a"), QUESTION);
    browser.view("#/curate/audit");
    browser.wait(
        "the act is on record",
        "return document.querySelector('.part tbody')?.innerText.includes('its table is wrong')",
    );
    // a passage that is set aside is told as such where it was cited
    browser.view("#/");
    browser.click(".sentence .chip");
    browser.wait(
        "it is told as gone",
        "return document.querySelector('#evidence .banner')?.innerText.includes('evidence no longer')",
    );
}

#[test]
fn documents_are_added_and_what_was_rejected_is_told() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    let Some(browser) = Browser::open(&server, "/#/curate") else { return };
    if !has(&server, "/v1/documents") {
        return;
    }
    browser.wait("the documents", "return document.querySelectorAll('.documents tbody tr').length === 4");
    browser.click(".spread .primary");
    let lines =
        r#"{"id":"gout","title":"Gout","text":"Colchicine is a first-line treatment of acute gout."}\nnonsense"#;
    browser.run(&format!(
        "for (const [id, value] of [['content', {}], ['collection', 'mine'], ['reason', 'asked for']]) document.querySelector('#add-' + id).value = value",
        json!(lines.replace("\\n", "\n"))
    ));
    browser.run("document.querySelector('dialog[open] form').requestSubmit()");
    browser.wait(
        "it is told",
        "return document.querySelector('dialog[open] [role=status]').innerText.includes('1 document added')",
    );
    assert!(browser.text("dialog[open]").contains("1 rejected"), "{}", browser.text("dialog[open]"));
    browser.run("document.querySelector('dialog[open]').close()");
    browser.wait("it is listed", "return document.querySelectorAll('.documents tbody tr').length === 5");
    browser.wait("its collection too", "return document.querySelector('.collections').innerText.includes('mine')");
}

#[test]
fn a_snapshot_is_built_while_one_looks_on() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    let Some(browser) = Browser::open(&server, "/#/curate/snapshots") else { return };
    if !has(&server, "/v1/snapshots") {
        return;
    }
    let before = server.snapshot().unwrap();
    browser.wait("the snapshots", "return document.querySelector('.level-guideline')");
    browser.click(".spread .primary");
    browser.wait("the job is over", "return document.querySelector('.job .verdict.good')");
    browser.wait("the new snapshot is listed", "return document.querySelectorAll('.item:not(.job)').length === 2");
    // the service looks once a second which one is current
    eventually("the new one answers", || server.snapshot().as_ref() != Some(&before));
    browser.click(&format!("[aria-label='Let it answer: snapshot {before}']"));
    let answers = format!(
        "return document.querySelector('.level-guideline').parentElement.innerText.includes({})",
        json!(before)
    );
    browser.wait("the old one answers again", &answers);
}

#[test]
fn a_run_is_read_from_its_journal() {
    let home = Home::with_documents();
    let folder = home.path().join("runs/first");
    fs::create_dir_all(folder.join("traces")).unwrap();
    let lines: Vec<_> = stubs::journal().iter().map(ToString::to_string).collect();
    fs::write(folder.join("journal.jsonl"), lines.join("\n") + "\n").unwrap();
    fs::write(folder.join("traces/step-00000120.jsonl"), format!("{}\n", stubs::episode())).unwrap();
    let server = Server::start(&home, &[]);
    let Some(browser) = Browser::open(&server, "/#/runs") else { return };
    if !has(&server, "/v1/runs") {
        return;
    }
    browser.click(".item-main");
    browser.wait("its curves", "return document.querySelector('.chart path')");
    let told = browser.text("main");
    for part in ["At step 120 of 200", "a value was not finite", "Gradient norm"] {
        assert!(told.contains(part), "{part} is missing in {told}");
    }
    browser.run("document.querySelector('form.controls').requestSubmit()");
    browser.wait("its episodes", "return document.querySelector('.piece')");
    browser.run("document.querySelector('.piece').open = true");
    browser.wait(
        "the terms",
        "return document.querySelector('.piece').innerText.includes('the gold answer stands in it')",
    );
}
