//! The web page: `GET /` for browsers, and what it is made of under `/assets/`, from the program itself.
//!
//! **Invariants.** Nothing here comes from outside the program, and the policy on content lets nothing else in: no
//! other origin, no script or style in line. The page holds no data; it asks the service for everything.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::error::{ApiError, Code};
use super::wire::Failure;

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                              img-src 'self' data:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'";

static PAGE: LazyLock<File> =
    LazyLock::new(|| File::new("index.html", "text/html; charset=utf-8", include_bytes!("../../page/index.html")));

static ASSETS: LazyLock<Vec<File>> = LazyLock::new(|| {
    vec![
        File::new("acts.js", SCRIPT, include_bytes!("../../page/acts.js")),
        File::new("adding.js", SCRIPT, include_bytes!("../../page/adding.js")),
        File::new("answer.js", SCRIPT, include_bytes!("../../page/answer.js")),
        File::new("api.js", SCRIPT, include_bytes!("../../page/api.js")),
        File::new("app.js", SCRIPT, include_bytes!("../../page/app.js")),
        File::new("ask.css", STYLE, include_bytes!("../../page/ask.css")),
        File::new("ask.js", SCRIPT, include_bytes!("../../page/ask.js")),
        File::new("base.css", STYLE, include_bytes!("../../page/base.css")),
        File::new("chart.js", SCRIPT, include_bytes!("../../page/chart.js")),
        File::new("cite.js", SCRIPT, include_bytes!("../../page/cite.js")),
        File::new("composer.js", SCRIPT, include_bytes!("../../page/composer.js")),
        File::new("curate.js", SCRIPT, include_bytes!("../../page/curate.js")),
        File::new("document.js", SCRIPT, include_bytes!("../../page/document.js")),
        File::new("documents.js", SCRIPT, include_bytes!("../../page/documents.js")),
        File::new("dom.js", SCRIPT, include_bytes!("../../page/dom.js")),
        File::new("evidence.js", SCRIPT, include_bytes!("../../page/evidence.js")),
        File::new("exchange.js", SCRIPT, include_bytes!("../../page/exchange.js")),
        File::new("filters.js", SCRIPT, include_bytes!("../../page/filters.js")),
        File::new("history.js", SCRIPT, include_bytes!("../../page/history.js")),
        File::new("icon.svg", IMAGE, include_bytes!("../../page/icon.svg")),
        File::new("marks.js", SCRIPT, include_bytes!("../../page/marks.js")),
        File::new("options.js", SCRIPT, include_bytes!("../../page/options.js")),
        File::new("past.js", SCRIPT, include_bytes!("../../page/past.js")),
        File::new("quote.js", SCRIPT, include_bytes!("../../page/quote.js")),
        File::new("records.js", SCRIPT, include_bytes!("../../page/records.js")),
        File::new("runs.js", SCRIPT, include_bytes!("../../page/runs.js")),
        File::new("snapshots.js", SCRIPT, include_bytes!("../../page/snapshots.js")),
        File::new("sse.js", SCRIPT, include_bytes!("../../page/sse.js")),
        File::new("theme.js", SCRIPT, include_bytes!("../../page/theme.js")),
        File::new("trace.js", SCRIPT, include_bytes!("../../page/trace.js")),
        File::new("traces.js", SCRIPT, include_bytes!("../../page/traces.js")),
        File::new("trail.js", SCRIPT, include_bytes!("../../page/trail.js")),
        File::new("understood.js", SCRIPT, include_bytes!("../../page/understood.js")),
        File::new("verify.js", SCRIPT, include_bytes!("../../page/verify.js")),
        File::new("views.css", STYLE, include_bytes!("../../page/views.css")),
        File::new("windowed.js", SCRIPT, include_bytes!("../../page/windowed.js")),
        File::new("words.js", SCRIPT, include_bytes!("../../page/words.js")),
    ]
});

/// A file of the page.
struct File {
    name: &'static str,
    media_type: &'static str,
    content: &'static [u8],
    /// Of its content, so that a new program never meets an old script.
    tag: HeaderValue,
}

impl File {
    fn new(name: &'static str, media_type: &'static str, content: &'static [u8]) -> Self {
        let tag = format!("\"{}\"", blake3::hash(content).to_hex());
        Self { name, media_type, content, tag: HeaderValue::try_from(tag).expect("hexadecimal digits in quotes") }
    }

    /// The file, or that the client's copy is still good.
    fn serve(&self, headers: &HeaderMap) -> Response {
        let common = [
            (header::ETAG, self.tag.clone()),
            // the copy is asked about every time: the address stays when the program changes
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        ];
        if has_copy(headers, &self.tag) {
            return (StatusCode::NOT_MODIFIED, common).into_response();
        }
        let own = [
            (header::CONTENT_TYPE, HeaderValue::from_static(self.media_type)),
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        ];
        (common, own, self.content).into_response()
    }
}

/// Whether a browser asks, for a person to read.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    listed(headers, &header::ACCEPT)
        .filter_map(|part| part.split(';').next())
        .any(|essence| essence.trim().eq_ignore_ascii_case("text/html"))
}

/// The page.
pub(super) fn page(headers: &HeaderMap) -> Response {
    let mut response = PAGE.serve(headers);
    let own = response.headers_mut();
    own.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_POLICY));
    own.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    response
}

/// Read a part of the page.
#[utoipa::path(
    get,
    path = "/assets/{name}",
    tag = "service",
    params(("name" = String, Path, description = "the file's name")),
    responses(
        (status = 200, description = "a script, a style or an image"),
        (status = 304, description = "the copy that `If-None-Match` names is still good"),
        (status = 404, description = "the page has no such part", body = Failure),
    ),
)]
pub(super) async fn asset(name: Result<Path<String>, PathRejection>, headers: HeaderMap) -> Result<Response, ApiError> {
    let name = name.map(|Path(name)| name).unwrap_or_default();
    let found = ASSETS.iter().find(|file| file.name == name);
    Ok(found.ok_or_else(|| ApiError::new(Code::NotFound, "the page has no such part"))?.serve(&headers))
}

fn has_copy(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    listed(headers, &header::IF_NONE_MATCH)
        .map(|known| known.trim().trim_start_matches("W/"))
        .any(|known| known == "*" || known.as_bytes() == tag.as_bytes())
}

/// The members of a header that is a list.
fn listed<'h>(headers: &'h HeaderMap, name: &header::HeaderName) -> impl Iterator<Item = &'h str> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn with(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn the_page_is_for_those_who_ask_for_html() {
        for (accept, expect) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
            ("application/json, Text/HTML;q=0.5", true),
            ("*/*", false),
            ("application/json", false),
            ("text/html-sandboxed", false),
        ] {
            assert_eq!(is_wanted(&with(header::ACCEPT, accept)), expect, "{accept}");
        }
        assert!(!is_wanted(&HeaderMap::new()));
    }

    #[test]
    fn a_copy_is_good_while_its_tag_is() {
        let file = File::new("a", SCRIPT, b"let a;");
        assert_eq!(file.serve(&HeaderMap::new()).status(), StatusCode::OK);
        let tag = file.tag.to_str().unwrap();
        for known in [tag.to_owned(), format!("W/{tag}"), format!("\"old\", {tag}"), "*".to_owned()] {
            let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::try_from(known).unwrap())]);
            assert_eq!(file.serve(&headers).status(), StatusCode::NOT_MODIFIED);
        }
        assert_eq!(file.serve(&with(header::IF_NONE_MATCH, "\"old\"")).status(), StatusCode::OK);
    }

    #[test]
    fn every_file_of_the_folder_is_served_and_the_page_names_no_other() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/page");
        let on_disk: BTreeSet<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != PAGE.name)
            .collect();
        assert_eq!(on_disk, ASSETS.iter().map(|file| file.name.to_owned()).collect());
        let page = std::str::from_utf8(PAGE.content).unwrap();
        assert!(page.contains(agent::NOTICE));
        for part in page.split("/assets/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(on_disk.contains(name), "the page names {name}");
        }
    }
}
