//! Every view, light and dark, before axe-core: nothing that shuts people out.

use serde_json::{Value, json};

use crate::answers;
use crate::browser::{Browser, skip, tell};
use crate::harness::{Home, Server};
use crate::stubs;
use crate::verify;

/// Where axe-core's `axe.min.js` lies.
const AXE: &str = "ANAMNESIS_AXE";

/// What shuts people out of what is shown now.
fn barriers(browser: &Browser) -> Vec<String> {
    let found = browser.run(
        "return axe.run(document, { resultTypes: ['violations'] }).then((result) => result.violations \
         .filter((one) => ['serious', 'critical'].includes(one.impact)) \
         .map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => node.html + ' ' + node.failureSummary).join(' | ')}`))",
    );
    serde_json::from_value(found).unwrap()
}

#[test]
fn no_view_shuts_anybody_out() {
    let Some(axe) = std::env::var_os(AXE) else {
        skip(&format!("{AXE} names no axe.min.js"));
        return;
    };
    let axe = std::fs::read_to_string(axe).unwrap();
    let home = Home::with_documents();
    let server = Server::start(&home, &[]);
    let Some(browser) = Browser::open(&server, "/") else { return };
    // the page's own policy lets no such script in, so it comes as the driver's
    browser.run(&axe);
    let mut faults = Vec::new();
    let mut looked = 0;
    let mut look = |what: &str| {
        for scheme in ["light", "dark"] {
            browser.prefer(scheme);
            looked += 1;
            faults.extend(barriers(&browser).into_iter().map(|fault| format!("{what}, {scheme}: {fault}")));
        }
    };
    browser.prefer("light");
    look("the welcome");
    browser.click(".composer .ghost");
    look("the filters");
    answers::asked(&browser, &answers::full());
    browser.run("for (const one of document.querySelectorAll('details')) one.open = true");
    look("an answer");
    browser.click(".sentence .chip");
    browser.wait("the evidence", "return document.querySelector('#evidence[open] mark')");
    look("the evidence beside it");
    browser.resize(360, 740);
    browser.wait("the column closes", "return !document.querySelector('#evidence').open");
    browser.click(".sentence .chip");
    browser.wait("the sheet", "return document.querySelector('#evidence:modal mark')");
    look("the evidence as a sheet");
    browser.click("[aria-label='Close the evidence']");
    look("an answer on a phone");
    browser.resize(1280, 900);
    browser.stub(&stubs::answers());
    for place in stubs::places() {
        stubs::show(&browser, &place);
        look(&place.0);
    }
    stubs::show(&browser, &("#/curate".to_owned(), ".documents tbody input"));
    browser.click(".documents tbody input");
    look("chosen documents");
    browser.click(".spread .primary");
    browser.wait("the form", "return document.querySelector('dialog[open] #add-content')");
    look("the form for documents");
    browser.run("document.querySelector('dialog[open]').close()");
    verify::verified(&browser);
    browser.run("document.querySelector('.verify details').open = true");
    look("a text that is verified");
    browser.click(".verified .chip");
    browser.wait("the evidence", "return document.querySelector('#evidence[open]')");
    look("its evidence");
    browser.stub(&json!({ "GET /v1/runs": { "wanted": "Bearer never", "json": Value::Null } }));
    browser.view("#/runs");
    browser.wait("a key is asked for", "return document.querySelector('dialog[open] #key-field')");
    look("the question for a key");
    tell(&format!("axe-core looked {looked} times"));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
