//! What the page computes, apart from what it shows: places in text, streams, citations.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::harness::{Home, Server};

fn page() -> (Home, Server) {
    let home = Home::with_documents();
    let server = Server::start(&home, &[]);
    (home, server)
}

/// Runs a script in which `m` is a module of the page.
fn with(browser: &Browser, module: &str, script: &str) -> Value {
    browser.run(&format!("return import('/assets/{module}').then((m) => {{ {script} }})"))
}

#[test]
fn bytes_are_found_in_text_of_any_script() {
    let (_home, server) = page();
    let Some(browser) = Browser::open(&server, "/") else { return };
    for text in ["plain", "eGFR < 30 mL/min/1.73 m²", "β-блокатор", "𝜇g of 药 \u{1f9ea}!", ""] {
        let found = with(
            &browser,
            "quote.js",
            &format!(
                "const t = {}; const n = new TextEncoder().encode(t).length; \
             return Array.from({{ length: n + 2 }}, (_, at) => m.indexOfByte(t, at))",
                json!(text)
            ),
        );
        let mut expected = vec![json!(-1); text.len() + 2];
        let mut units = 0;
        for (at, character) in text.char_indices() {
            expected[at] = json!(units);
            units += character.len_utf16();
        }
        expected[text.len()] = json!(units);
        assert_eq!(found, json!(expected), "{text}");
    }
    let text = "Älter als 65: é. Dose 5 µg. Dose 5 µg.";
    let quote = "Dose 5 µg.";
    let start = text.rfind(quote).unwrap() + 100;
    let locate =
        |citation: Value| with(&browser, "quote.js", &format!("return m.locate({}, 100, {citation})", json!(text)));
    let last =
        json!([text.rfind("Dose").map(|at| text[..at].encode_utf16().count()).unwrap(), text.encode_utf16().count()]);
    assert_eq!(locate(json!({ "quote": quote, "start": start, "end": start + quote.len() })), last);
    // a place that does not hold the quote is not believed, and a quote that is not there is not marked
    let first = text.find("Dose").map(|at| text[..at].encode_utf16().count()).unwrap();
    assert_eq!(locate(json!({ "quote": quote, "start": start + 1, "end": start + quote.len() }))[0], json!(first));
    assert_eq!(locate(json!({ "quote": "elsewhere" })), Value::Null);
}

#[test]
fn a_stream_is_read_however_it_is_cut() {
    let (_home, server) = page();
    let Some(browser) = Browser::open(&server, "/") else { return };
    let text = ": hello\nevent: turn\r\ndata: {\"turn\":1}\r\n\r\nid: 3\ndata: a\ndata:b\n\ndata: lost";
    let expected = json!([{ "event": "turn", "data": "{\"turn\":1}" }, { "event": "message", "data": "a\nb" }]);
    for size in [1, 2, 3, 7, 1_000] {
        let found = with(
            &browser,
            "sse.js",
            &format!(
                "const t = {}; const feed = m.decoder(); const all = []; \
             for (let at = 0; at < t.length; at += {size}) all.push(...feed(t.slice(at, at + {size}))); return all",
                json!(text)
            ),
        );
        assert_eq!(found, expected, "cut into {size}");
    }
}

#[test]
fn citations_come_in_the_forms_others_read() {
    let (_home, server) = page();
    let Some(browser) = Browser::open(&server, "/") else { return };
    let work = json!([
        { "label": "E1", "document": "pubmed:1", "title": "Dose & {risk}", "journal": "Lancet", "year": 2021, "pmid": "123",
          "doi": "10.1000/x1", "authors": ["Doe J", "Roe R"], "quote": "It is so." },
        { "label": "E2", "document": "pubmed:1", "title": "Dose & {risk}", "journal": "Lancet", "year": 2021, "quote": "Twice." },
        { "label": "E3", "document": "mine:2", "title": "No journal", "quote": "Thrice.", "pmid": "javascript:1", "doi": "evil" },
    ]);
    let make = |name: &str| with(&browser, "cite.js", &format!("return m.{name}({work})")).as_str().unwrap().to_owned();
    assert_eq!(
        make("vancouver"),
        "1. Doe J, Roe R. Dose & {risk}. Lancet. 2021. doi:10.1000/x1. PMID: 123.\n2. No journal."
    );
    let ris = make("ris");
    assert!(
        ris.starts_with("TY  - JOUR\r\nTI  - Dose & {risk}\r\nAU  - Doe J\r\nAU  - Roe R\r\nPY  - 2021\r\n"),
        "{ris}"
    );
    assert!(ris.contains("N1  - \"Twice.\"") && ris.matches("ER  - ").count() == 2, "{ris}");
    let bibtex = make("bibtex");
    assert!(
        bibtex.starts_with("@article{pubmed_1,\n  title = {{Dose \\& \\{risk\\}}},\n  author = {Doe J and Roe R}"),
        "{bibtex}"
    );
    let links =
        with(&browser, "cite.js", &format!("return {work}.map((one) => m.links(one).map((link) => link.href))"));
    assert_eq!(links, json!([["https://pubmed.ncbi.nlm.nih.gov/123/", "https://doi.org/10.1000/x1"], [], []]));
    let corrected = with(
        &browser,
        "understood.js",
        "return [m.inWords('Is aspirin safe in adults?', { population: 'adults' }, { population: 'children', outcome: 'bleeding' }), \
                 m.inWords('Is aspirin safe in adults?', { population: 'adults' }, {}), \
                 m.inWords('Is it safe with lithium?', { intervention: 'it' }, { intervention: 'valproate' }), \
                 m.inWords('Is it safe?', {}, {})]",
    );
    let expected = [
        "Is aspirin safe in children, as to bleeding?",
        "Is aspirin safe?",
        "Is valproate safe with lithium?",
        "Is it safe?",
    ];
    assert_eq!(corrected, json!(expected));
}

#[test]
fn a_mark_goes_with_its_sentence_wherever_it_is_pasted() {
    let (_home, server) = page();
    let Some(browser) = Browser::open(&server, "/") else { return };
    let answer = json!({ "notice": "For research only.", "citations": [], "sentences": [
        { "text": "It helps.", "cites": ["E1"], "verdict": { "label": "support", "missing": [] } },
        { "text": "It cures.", "cites": ["E1"], "verdict": { "label": "contradict", "missing": [], "concern": "says `cures` where its source says `harms`" } },
        { "text": "Take 25 mg.", "cites": [], "verdict": { "label": "neutral", "missing": ["25 mg"] } },
        { "text": "It is known.", "cites": [] } ] });
    let text = with(&browser, "cite.js", &format!("return m.plain('Does it help?', {answer})"));
    let expected = "Does it help?\n\nIt helps. [E1]\n\
                    It cures. [E1] (Contradicts its source: Says “cures” where its source says “harms”)\n\
                    Take 25 mg. (Not borne out by its source: Not in its source: 25 mg)\n\
                    It is known. (Cites nothing)\n\nFor research only.";
    assert_eq!(text, json!(expected));
}

#[test]
fn the_first_hit_is_no_evidence_where_nothing_is_near() {
    let (_home, server) = page();
    let Some(browser) = Browser::open(&server, "/") else { return };
    let citation = |label: &str| json!({ "label": label, "document": format!("d:{label}") });
    let quote = json!({ "label": "E2", "text": "Near.", "start": 0, "end": 5 });
    let found = json!({ "snapshot": "s", "notice": "n", "sentences": [
        { "text": "A.", "verdict": { "label": "support", "missing": [] }, "citation": citation("E1") },
        { "text": "B.", "verdict": { "label": "neutral", "missing": [], "quote": quote }, "citation": citation("E2") },
        { "text": "C.", "verdict": { "label": "neutral", "missing": [] }, "citation": citation("E3") },
        { "text": "D." } ] });
    let answer = with(&browser, "verify.js", &format!("return m.asAnswer({found})"));
    let cites: Vec<_> = answer["sentences"].as_array().unwrap().iter().map(|one| one["cites"].clone()).collect();
    assert_eq!(cites, [json!(["E1"]), json!(["E2"]), json!([]), json!([])]);
    assert!(answer["sentences"][2].get("verdict").is_none(), "{answer}");
    assert_eq!(answer["citations"].as_array().unwrap().len(), 2);
}

#[test]
fn a_file_is_known_by_its_name_and_beginning() {
    let (_home, server) = page();
    let Some(browser) = Browser::open(&server, "/") else { return };
    for (name, beginning, format) in [
        ("a.md", "# Metformin", "text"),
        ("a.xml", "<?xml version=\"1.0\"?><PubmedArticleSet><PubmedArticle>", "pubmed"),
        ("a.nxml", "<?xml version=\"1.0\"?>\n<!DOCTYPE article>\n<article article-type=\"x\">", "jats"),
        ("a.jsonl", "{\"text\": \"see <article >\"}", "jsonl"),
    ] {
        let found = with(&browser, "adding.js", &format!("return m.formatOf({}, {})", json!(name), json!(beginning)));
        assert_eq!(found, format, "{name}");
    }
}
