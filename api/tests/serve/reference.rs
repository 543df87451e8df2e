//! The page about the interface: whole, without scripts, with nothing from elsewhere, and readable by all.

use base64::Engine as _;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::client::Client;
use crate::harness::{Home, Server};

const VOID: [&str; 3] = ["!doctype", "meta", "br"];

/// Tags in order, each closed by its own, and the ids and links in them.
#[track_caller]
fn tags(html: &str) -> (Vec<String>, Vec<String>, Vec<String>) {
    let (mut open, mut names, mut ids, mut links) = (Vec::<&str>::new(), Vec::new(), Vec::new(), Vec::new());
    let mut rest = html;
    while let Some((_, after)) = rest.split_once('<') {
        let (tag, after) = after.split_once('>').unwrap();
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "closed before its end");
            continue;
        }
        let name = tag.split_whitespace().next().unwrap();
        names.push(name.to_owned());
        if !VOID.contains(&name) {
            open.push(name);
        }
        let attribute = |key: &str| {
            tag.split_once(&format!(" {key}=\"")).map(|(_, rest)| rest.split('"').next().unwrap().to_owned())
        };
        ids.extend(attribute("id"));
        links.extend(attribute("href"));
    }
    assert!(open.is_empty(), "never closed: {open:?}");
    (names, ids, links)
}

#[test]
fn the_page_tells_of_every_route_and_schema() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    let client = Client::new(&server);
    let page = client.get("/reference");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let document = client.get("/openapi.json").ok();
    let (names, ids, links) = tags(&page.text);
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let heading = format!("<code>{} {path}</code></h3>", method.to_uppercase());
            assert_eq!(page.text.matches(&heading).count(), 1, "{heading}");
            assert!(ids.iter().any(|id| operation["operationId"] == **id));
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(ids.contains(&format!("schema-{name}")), "{name}");
        for field in schema["properties"].as_object().into_iter().flat_map(|fields| fields.keys()) {
            assert!(page.text.contains(&format!("<th scope=\"row\"><code>{field}</code></th>")), "{name}.{field}");
        }
    }
    let mut once = ids.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), ids.len(), "an id comes twice");
    for link in &links {
        let target = link.strip_prefix('#');
        assert!(
            target.map_or(link == "/openapi.json", |id| ids.iter().any(|known| known == id)),
            "{link} leads nowhere"
        );
    }
    for absent in ["script", "img", "iframe", "link", "form", "object"] {
        assert!(!names.iter().any(|name| name == absent), "{absent}");
    }
    for elsewhere in ["http://", "https://", "//cdn", " onclick", "url("] {
        assert!(!page.text.contains(elsewhere), "{elsewhere}");
    }
    for present in [
        "<html lang=\"en\">",
        "<main>",
        "<nav aria-label=",
        "class=\"skip\"",
        "<caption>",
        "scope=\"col\"",
        "no medical advice",
    ] {
        assert!(page.text.contains(present), "{present}");
    }
    let headings: Vec<_> = names.iter().filter(|name| ["h1", "h2", "h3"].contains(&name.as_str())).collect();
    assert_eq!((headings[0].as_str(), headings.iter().filter(|name| **name == "h1").count()), ("h1", 1));
}

#[test]
fn a_browser_takes_the_pages_own_style_and_nothing_else() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    let page = Client::new(&server).get("/reference");
    let style = page.text.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    let mut child = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(style.as_bytes()).unwrap();
    let told = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let digits = told.split(' ').next().unwrap().as_bytes();
    let bytes: Vec<_> =
        digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect();
    let hash = base64::engine::general_purpose::STANDARD.encode(bytes);
    let policy = page.header("content-security-policy").unwrap();
    assert_eq!(
        policy,
        format!(
            "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
    );
}
