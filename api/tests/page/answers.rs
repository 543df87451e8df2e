//! All that an answer may hold, as a service sends it that does more than quote: each part is shown, in words.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::browser::{Browser, ENTER};
use crate::harness::{Home, Server};

fn page() -> (Home, Server) {
    let home = Home::with_documents();
    let server = Server::start(&home, &[]);
    (home, server)
}

/// An answer with everything.
pub(crate) fn full() -> Value {
    let citation = |label: &str, chunk: &str, level: &str, status: &str| {
        json!({ "label": label, "chunk": chunk, "document": format!("pubmed:{label}"), "pmid": "26378978", "doi": "10.1056/NEJMoa1504720",
                "title": format!("Empagliflozin and outcomes, part {label}"), "year": 2015, "journal": "N Engl J Med", "level": level,
                "status": status, "quote": "The hazard ratio was 0.86.", "start": 8, "end": 34, "authors": ["Zinman B", "Wanner C"] })
    };
    json!({
        "outcome": "partial", "abstained": false, "answer": "It lowers the risk. It cures. It is safe.",
        "sentences": [
            { "text": "It lowers the risk.", "cites": ["E1"], "standing": "kept",
              "verdict": { "label": "support", "by": "scorer", "confidence": 0.93, "missing": [], "quote": { "label": "E1", "text": "The hazard ratio was 0.86.", "start": 8, "end": 34 } } },
            { "text": "It raises the risk.", "cites": ["E2"], "standing": "marked", "found_later": true,
              "verdict": { "label": "contradict", "by": "rules", "missing": [], "concern": "says `raises` where its source says `lowers`" } },
            { "text": "The dose is 25 mg.", "cites": ["E1", "E2"], "standing": "marked",
              "verdict": { "label": "neutral", "by": "rules", "missing": ["25 mg"] } },
        ],
        "struck": [{ "text": "It cures everything.", "why": "its source does not say this" }],
        "citations": [citation("E1", "c1", "rct", "ok"), citation("E2", "c2", "guideline", "concern")],
        "conflicts": [{ "text": "Whether it helps the old is disputed.", "sides": [
            { "says": "answer", "label": "E1", "level": "rct", "year": 2015, "quote": "It helped." },
            { "says": "against", "label": "E2", "level": "guideline", "year": 2019, "quote": "It did not." } ] }],
        "understood": { "population": "adults with type 2 diabetes", "intervention": "empagliflozin" },
        "marks": { "evidence": { "grade": "moderate", "reasons": ["one trial"] }, "support": { "grade": "part", "share": 0.33, "reasons": ["two sentences are not borne out"] } },
        "risks": [{ "class": "dose", "line": "Check doses against the label." }, { "class": "emergency", "line": "Call for help." }],
        "wider": ["What lowers cardiovascular risk?"], "trace_id": "01M80XSHQZKGPF9FET8FZ2JKS9", "snapshot": "s-1",
        "timings": { "total_ms": 1234.5, "policy_ms": 1000.0, "retrieval_ms": 100.0 }, "warnings": ["One source was left out."],
        "notice": "For research only.",
    })
}

/// A stream that ends with `answer`.
pub(crate) fn stream(answer: &Value) -> String {
    let item = json!({ "label": "E1", "chunk": "c1", "document": "pubmed:E1", "pmid": null, "title": "Empagliflozin and outcomes, part E1",
                       "heading": "Results", "year": 2015, "journal": "N Engl J Med", "level": "rct", "status": "ok", "text": "Result: The hazard ratio was 0.86. More." });
    let mut events = vec![
        ("turn", json!({ "turn": 1, "may_search": true })),
        ("query", json!({ "turn": 1, "query": "empagliflozin outcomes @from:2015" })),
        (
            "hits",
            json!({ "turn": 1, "query": "empagliflozin outcomes @from:2015", "hits": [{ "chunk": "c1" }, { "chunk": "c2" }] }),
        ),
        (
            "evidence",
            json!({ "turn": 1, "query": "empagliflozin outcomes @from:2015", "evidence": [item], "known": [] }),
        ),
        ("colour", json!({ "hue": 3 })),
    ];
    for sentence in answer["sentences"].as_array().into_iter().flatten() {
        events.push(("answer", json!({ "text": sentence["text"], "cites": sentence["cites"] })));
    }
    events.push(("final", answer.clone()));
    events.iter().fold(String::new(), |mut text, (name, data)| {
        write!(text, "event: {name}\ndata: {data}\n\n").unwrap();
        text
    })
}

pub(crate) fn asked(browser: &Browser, answer: &Value) {
    let chunk = json!({ "id": "c1", "document": "pubmed:E1", "start": 0, "end": 40, "text": "Result: The hazard ratio was 0.86. More.", "title": "Empagliflozin and outcomes, part E1",
                        "heading": "Results", "pmid": "26378978", "pmcid": null, "doi": "10.1056/NEJMoa1504720", "url": null, "date": "2015-11", "journal": "N Engl J Med", "level": "rct", "status": "ok" });
    let gone = json!({ "status": 410, "json": { "request_id": "r", "code": "gone", "message": "the document of this chunk was retracted" } });
    browser.stub(&json!({ "POST /v1/ask": { "events": stream(answer) }, "GET /v1/chunks/c1": { "json": chunk }, "GET /v1/chunks/c2": gone }));
    browser.ask("Does empagliflozin help adults with type 2 diabetes?");
}

#[test]
fn every_part_of_an_answer_is_shown() {
    let (_home, server) = page();
    let Some(browser) = Browser::open(&server, "/") else { return };
    asked(&browser, &full());
    let marks =
        browser.run("return [...document.querySelectorAll('.sentence .verdict')].map((one) => one.textContent)");
    assert_eq!(marks, json!(["Supported", "Contradicts its source", "Not borne out by its source"]));
    let concerns = browser.run(
        "return [...document.querySelectorAll('.sentence .concern')].map((one) => one.hidden ? '' : one.textContent)",
    );
    assert!(concerns[1].as_str().unwrap().starts_with("Says “raises” where its source says “lowers”"), "{concerns}");
    assert_eq!(concerns[2], "Not in its source: 25 mg.");
    browser.run("for (const one of document.querySelectorAll('.answer details')) one.open = true");
    browser.wait("what was understood can be changed", "return document.querySelector('.understood')");
    let text = browser.text(".answer");
    for part in [
        "answers a part",
        "Dosing. Check doses",
        "Emergency. Call for help.",
        "One sentence was struck",
        "It cures everything.",
        "Its source does not say this",
        "Where the evidence disagrees",
        "What the answer goes by",
        "It helped.",
        "What speaks against it",
        "It did not.",
        "2019",
        "Guideline",
        "Moderate",
        "One trial",
        "Some sentences",
        "33 %",
        "Who",
        "Compared with",
        "Expression of concern",
        "PMID 26378978",
        "You could also ask",
        "One source was left out.",
        "1.2 s",
    ] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    assert_eq!(browser.text("#notice"), "For research only.");
    assert_eq!(browser.run("return document.querySelectorAll('#notice').length"), json!(1));

    // the quote of a citation is marked where its bytes are; what was withdrawn since is said
    browser.click(".sentence .chip");
    browser.wait(
        "the quote is marked",
        "return document.querySelector('#evidence mark')?.textContent === 'The hazard ratio was 0.86.'",
    );
    assert!(browser.text("#evidence").contains("doi:10.1056/NEJMoa1504720"));
    browser.click("#evidence [data-step='1']");
    browser.wait(
        "it is told as gone",
        "return document.querySelector('#evidence .banner')?.innerText.includes('evidence no longer')",
    );

    // what was understood can be corrected, in words
    browser.run("document.querySelector('[data-part=population]').value = 'children'; document.querySelector('.understood').requestSubmit()");
    assert_eq!(
        browser.run("return document.querySelector('#question').value"),
        json!("Does empagliflozin help children?")
    );
}

#[test]
fn an_abstention_and_a_question_back_lead_further() {
    let (_home, server) = page();
    let Some(browser) = Browser::open(&server, "/") else { return };
    let nearest = full()["citations"].clone();
    let mut answer = json!({ "outcome": "abstained", "abstained": true, "reason": "insufficient", "answer": "Nothing covers it.", "sentences": [], "citations": [],
        "nearest": nearest, "wider": ["What lowers cardiovascular risk?"], "trace_id": "01M80XSHQZKGPF9FET8FZ2JKS9", "snapshot": "s-1",
        "timings": { "total_ms": 1.0, "policy_ms": 1.0, "retrieval_ms": 0.0 }, "notice": "For research only." });
    asked(&browser, &answer);
    let text = browser.text(".answer");
    for part in [
        "The evidence does not carry an answer",
        "Nothing covers it.",
        "The nearest evidence",
        "Empagliflozin and outcomes, part E1",
    ] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    browser.click(".suggested");
    browser.wait("the wider question is asked", "return document.querySelectorAll('.exchange').length === 2");
    browser.answered();
    assert_eq!(browser.text(".exchange:last-child .asked"), "What lowers cardiovascular risk?");

    answer["outcome"] = json!("clarify");
    answer["reason"] = json!("needs_clarification");
    answer["suggestion"] = json!("For adults or for children?");
    asked(&browser, &answer);
    let text = browser.text(".exchange:last-child .abstained");
    assert!(text.contains("One thing first") && text.contains("For adults or for children?"), "{text}");
}

#[test]
fn a_question_can_be_stopped_and_what_was_told_stays() {
    let (_home, server) = page();
    let Some(browser) = Browser::open(&server, "/") else { return };
    let whole = stream(&full());
    let begun = whole.split("event: final").next().unwrap();
    browser.stub(&json!({ "POST /v1/ask": { "endless": begun } }));
    browser.click("#question");
    browser.keys("Does it help?");
    browser.keys(ENTER);
    browser.wait("it is being answered", "return document.querySelectorAll('.sentence').length === 3");
    assert_eq!(
        browser
            .run("return [document.querySelector('.trail').open, document.querySelector('[aria-busy=true]') !== null]"),
        json!([true, true])
    );
    browser.click(".stop");
    browser.answered();
    assert!(browser.text(".trouble-place").contains("Stopped."), "{}", browser.text(".trouble-place"));
    assert_eq!(browser.run("return document.querySelectorAll('.sentence').length"), json!(3));
    // half an answer is not kept as one
    assert_eq!(browser.run("return localStorage.getItem('anamnesis.history')"), Value::Null);
    assert!(
        browser.run("return !document.querySelector('[type=submit]').hidden") == json!(true),
        "the next one can be asked"
    );
}

#[test]
fn what_fails_is_told_and_a_key_is_asked_for() {
    let (_home, server) = page();
    let Some(browser) = Browser::open(&server, "/") else { return };
    // the service itself has no index here
    browser.ask("Anything?");
    assert!(browser.text(".exchange .failed").contains("anamnesis index build"), "{}", browser.text(".exchange"));
    browser.stub(&json!({ "POST /v1/ask": { "events": "event: turn\ndata: {\"turn\":1,\"may_search\":true}\n\n" } }));
    browser.ask("Anything?");
    assert!(browser.text(".exchange:last-child .failed").contains("ended before the answer was whole"));
    // asked again it takes the place of what failed
    let exchanges = || browser.run("return document.querySelectorAll('.exchange').length");
    let before = exchanges();
    browser.stub(&json!({ "POST /v1/ask": { "events": stream(&full()) } }));
    browser.click(".exchange:last-child .again button");
    browser.wait("it is answered", "return document.querySelector('.exchange:last-child .sentence')");
    browser.answered();
    assert_eq!(exchanges(), before);
    // and what fails does not break the thread
    browser.stub(&json!({ "POST /v1/ask": { "status": 500, "json": { "request_id": "r-9", "code": "internal", "message": "a fault" } } }));
    browser.ask("And then?");
    assert!(browser.text(".exchange:last-child .failed").contains("Request r-9"));
    browser.stub(&json!({ "POST /v1/ask": { "events": stream(&full()) } }));
    browser.ask("And then?");
    let body = browser.run("return window.asked.find((one) => one.name === 'POST /v1/ask').body");
    assert_eq!(body["follows"], full()["trace_id"]);
    browser.stub(&json!({ "POST /v1/ask": { "wanted": "Bearer k-1", "events": stream(&full()) } }));
    browser.click("#question");
    browser.keys("Anything?");
    browser.keys(ENTER);
    browser.wait("a key is asked for", "return document.querySelector('dialog[open] #key-field')");
    browser.keys("k-1");
    browser.keys(ENTER);
    browser.answered();
    assert!(browser.text(".exchange:last-child .sentences").contains("It lowers the risk."));
    assert_eq!(
        browser.run("return [sessionStorage.getItem('anamnesis.key'), localStorage.getItem('anamnesis.key')]"),
        json!(["k-1", null])
    );
}
