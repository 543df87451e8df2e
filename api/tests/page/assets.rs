//! What the page is made of, without a browser: sizes, headers, copies.

use std::path::Path;

use crate::browser::tell;
use crate::harness::{Home, Server};

/// Bytes of all files together.
const MOST: u64 = 300_000;

#[test]
fn the_page_is_small() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("page");
    let sizes = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
    let total: u64 = sizes.sum();
    tell(&format!("the page has {total} bytes"));
    assert!(total < MOST, "{total}");
}

#[test]
fn nothing_names_another_place_to_load_from() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("page");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for banned in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "@import",
            "style=\"",
            " onclick=",
        ] {
            assert!(!text.contains(banned), "{} has {banned}", path.display());
        }
    }
}

#[test]
fn browsers_get_the_page_and_programs_the_list() {
    let home = Home::with_documents();
    let server = Server::start(&home, &[]);
    let get = |path: &str, headers: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n");
        let (status, response) = server.raw(&request);
        (status, response.to_lowercase())
    };
    let (status, page) = get("/", "accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n");
    assert_eq!(status, 200, "{page}");
    assert!(page.contains("content-type: text/html; charset=utf-8") && page.contains("<!doctype html>"), "{page}");
    for needed in [
        "default-src 'none'",
        "script-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "nosniff",
    ] {
        assert!(page.contains(needed), "{needed} is missing in {page}");
    }
    assert!(!page.contains("unsafe-"), "{page}");
    assert!(page.contains("vary: accept") && page.contains("cache-control: no-cache"), "{page}");
    let (_, list) = get("/", "accept: */*\r\n");
    assert!(list.contains("content-type: application/json") && list.contains("vary: accept"), "{list}");

    for (name, media_type) in [("app.js", "text/javascript"), ("base.css", "text/css"), ("icon.svg", "image/svg+xml")] {
        let path = format!("/assets/{name}");
        let (status, first) = get(&path, "");
        assert!(status == 200 && first.contains(&format!("content-type: {media_type}")), "{first}");
        let tag = first.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();
        assert!(tag.starts_with('"'), "{tag} is not strong");
        let (status, again) = get(&path, &format!("if-none-match: {tag}\r\n"));
        assert!(status == 304 && again.ends_with("\r\n\r\n"), "{again}");
    }
    for nothing in
        ["/assets/none.js", "/assets/../Cargo.toml", "/assets/%2e%2e%2fCargo.toml", "/assets/index.html", "/assets/"]
    {
        assert_eq!(get(nothing, "").0, 404, "{nothing}");
    }
}
