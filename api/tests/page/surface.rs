//! The page on its devices: a phone, light and dark, how soon it is there, whom it speaks to.

use serde_json::json;

use crate::browser::{Browser, tell};
use crate::harness::{Home, QUESTION, Server};

/// Milliseconds until something is seen: ten times what it takes on a machine that does nothing else.
const PATIENT_PAINT: f64 = 3_000.0;

fn served() -> (Home, Server) {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    (home, server)
}

#[test]
fn a_phone_needs_no_sideways_scroll() {
    let (_home, server) = served();
    let Some(browser) = Browser::open(&server, "/") else { return };
    browser.resize(360, 740);
    let fits = |what: &str| {
        let wide = browser.run(
            "return [...document.querySelectorAll('body *')].filter((one) => one.getBoundingClientRect().right > 361 \
             && !one.closest('.wide, .unseen, .skip')).map((one) => one.className).slice(0, 5)",
        );
        let width = browser.run("return document.documentElement.scrollWidth");
        assert!(width.as_u64() <= Some(360), "{what}: {width} {wide}");
    };
    fits("the welcome");
    browser.click(".composer .ghost");
    fits("the filters");
    browser.ask(QUESTION);
    fits("the answer");
    browser.click(".sentence .chip");
    browser.wait("the sheet is open", "return document.querySelector('#evidence:modal')");
    fits("the evidence");
    browser.click("[aria-label='Close the evidence']");
    for view in ["#/verify", "#/history", "#/curate", "#/runs", "#/traces"] {
        browser.view(view);
        browser.wait(view, "return document.querySelector('main h1')");
        fits(view);
    }
}

#[test]
fn dark_is_dark_by_system_and_by_choice() {
    let (_home, server) = served();
    let Some(browser) = Browser::open(&server, "/") else { return };
    let paper = "return getComputedStyle(document.documentElement).backgroundColor";
    browser.prefer("light");
    let light = browser.run(paper);
    browser.prefer("dark");
    let dark = browser.run(paper);
    assert_ne!(light, dark);
    // the switch goes from the system's choice to light, then to dark
    browser.click("#theme");
    assert_eq!(browser.run(paper), light);
    browser.go(&server.url("/"));
    browser.wait("the page is there", "return document.querySelector('main').childElementCount > 0");
    assert_eq!(browser.run(paper), light, "the choice outlives a reload");
    browser.prefer("light");
    browser.click("#theme");
    assert_eq!(browser.run(paper), dark);
    browser.click("#theme");
    assert_eq!(browser.run(paper), light);
}

#[test]
fn it_is_there_at_once_and_speaks_to_its_service_alone() {
    let (_home, server) = served();
    let Some(browser) = Browser::open(&server, "/") else { return };
    let paint = browser
        .wait("something is painted", "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime");
    tell(&format!("first contentful paint after {paint} ms"));
    assert!(paint.as_f64().unwrap() < PATIENT_PAINT, "{paint}");
    browser.ask(QUESTION);
    browser.click(".sentence .chip");
    browser.wait("the evidence", "return document.querySelector('#evidence[open] mark')");
    for view in ["#/verify", "#/history", "#/curate", "#/runs", "#/traces", "#/"] {
        browser.view(view);
        browser.wait(view, "return document.querySelector('main h1, main h2')");
    }
    let elsewhere = "return performance.getEntriesByType('resource').map((one) => one.name) \
                     .filter((name) => !name.startsWith(location.origin + '/') && !name.startsWith('data:'))";
    assert_eq!(browser.run(elsewhere), json!([]));
    let bytes = browser
        .run("return performance.getEntriesByType('resource').reduce((sum, one) => sum + one.decodedBodySize, 0)");
    tell(&format!("all that was fetched has {bytes} bytes"));
    assert!(
        browser.run("return document.querySelectorAll('a[target=_blank]:not([rel~=noreferrer])').length") == json!(0)
    );
}
