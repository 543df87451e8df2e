//! `GET /reference`: the interface as a page for people, made from `openapi.json` without scripts.

mod schema;

use std::fmt::Write;
use std::sync::LazyLock;

use agent::NOTICE;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use serde_json::{Map, Value};

use self::schema::{named, shown};
use super::access;
use super::probe::OPENAPI;

/// Its hash is in the policy below: a browser takes this style and no other.
const STYLE: &str = include_str!("reference/style.css");
const POLICY: HeaderValue = HeaderValue::from_static(concat!(
    "default-src 'none'; style-src 'sha256-",
    include_str!("reference/style.sha256"),
    "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
));

static PAGE: LazyLock<String> = LazyLock::new(|| {
    let document = serde_json::from_str(OPENAPI).expect("the interface is checked in as the program writes it");
    page(&document)
});

/// Read about the interface.
///
/// Every route with its parameters, bodies and responses, and every schema, as one page without scripts.
#[utoipa::path(
    get,
    path = "/reference",
    tag = "service",
    responses((status = 200, description = "a page", body = String, content_type = "text/html")),
)]
pub(super) async fn reference() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    (headers, PAGE.as_str())
}

fn page(document: &Value) -> String {
    let routes = routes(document);
    let info = &document["info"];
    let (title, version) = (prose(&info["title"]), prose(&info["version"]));
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}: reference</title>\n<style>{STYLE}</style>\n\
         </head>\n<body>\n<a class=\"skip\" href=\"#routes\">To the routes</a>\n<header>\n<h1>{title} {version}</h1>\n\
         <p>{}</p>\n<p>For programs: <a href=\"/openapi.json\">openapi.json</a></p>\n</header>\n",
        prose(&info["description"])
    );
    html.push_str("<nav aria-label=\"Routes\">\n<ul>\n");
    for route in &routes {
        // writing to a string cannot fail
        let _ =
            writeln!(html, "<li><a href=\"#{}\"><code>{}</code></a> {}</li>", route.anchor, route.name, route.summary);
    }
    html.push_str("</ul>\n</nav>\n<main>\n<h2 id=\"routes\">Routes</h2>\n");
    html.extend(routes.iter().map(|route| route.html.as_str()));
    html.push_str("<h2 id=\"schemas\">Schemas</h2>\n");
    for (name, schema) in object(&document["components"]["schemas"]) {
        html.push_str(&named(name, schema));
    }
    let _ = write!(html, "</main>\n<footer>\n<p>{}</p>\n</footer>\n</body>\n</html>\n", escape(NOTICE));
    html
}

struct Route {
    anchor: String,
    name: String,
    summary: String,
    html: String,
}

fn routes(document: &Value) -> Vec<Route> {
    let mut routes = Vec::new();
    for (path, methods) in object(&document["paths"]) {
        routes.extend(object(methods).iter().map(|(method, operation)| route(path, method, operation)));
    }
    routes
}

fn route(path: &str, method: &str, operation: &Value) -> Route {
    let anchor = escape(operation["operationId"].as_str().unwrap_or(path));
    let name = escape(&format!("{} {path}", method.to_uppercase()));
    let summary = prose(&operation["summary"]);
    let mut html = format!(
        "<section aria-labelledby=\"{anchor}\">\n<h3 id=\"{anchor}\"><code>{name}</code></h3>\n<p>{summary}</p>\n"
    );
    if !operation["description"].is_null() {
        let _ = writeln!(html, "<p>{}</p>", prose(&operation["description"]));
    }
    let _ = writeln!(html, "<p>Who may use it: {}.</p>", access::described(method, path));
    let parameters = list(&operation["parameters"]);
    if !parameters.is_empty() {
        let rows = parameters.iter().map(|parameter| {
            let need = if parameter["required"] == true { "required" } else { "optional" };
            let place = format!("{}, {need}", parameter["in"].as_str().unwrap_or_default());
            [code(&parameter["name"]), escape(&place), shown(&parameter["schema"]), prose(&parameter["description"])]
        });
        html.push_str(&table("Parameters", ["Name", "Where", "Type", "Meaning"], rows));
    }
    for (media_type, body) in object(&operation["requestBody"]["content"]) {
        let _ = writeln!(html, "<p>Body (<code>{}</code>): {}</p>", escape(media_type), shown(&body["schema"]));
    }
    let rows = object(&operation["responses"]).iter().map(|(status, response)| {
        let bodies: Vec<_> = object(&response["content"])
            .iter()
            .map(|(media_type, body)| format!("{} as <code>{}</code>", shown(&body["schema"]), escape(media_type)))
            .collect();
        [format!("<code>{}</code>", escape(status)), prose(&response["description"]), bodies.join(", or ")]
    });
    html.push_str(&table("Responses", ["Status", "Meaning", "Body"], rows));
    html.push_str("</section>\n");
    Route { anchor, name, summary, html }
}

/// A table with a caption and headed columns; the first cell of a row is its head.
fn table<const N: usize>(caption: &str, heads: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut html = format!("<table>\n<caption>{caption}</caption>\n<thead><tr>");
    for head in heads {
        let _ = write!(html, "<th scope=\"col\">{head}</th>");
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        html.push_str("<tr>");
        for (at, cell) in row.iter().enumerate() {
            let _ =
                if at == 0 { write!(html, "<th scope=\"row\">{cell}</th>") } else { write!(html, "<td>{cell}</td>") };
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>\n</table>\n");
    html
}

fn object(value: &Value) -> &Map<String, Value> {
    static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
    value.as_object().unwrap_or(&NONE)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn code(value: &Value) -> String {
    format!("<code>{}</code>", escape(value.as_str().unwrap_or_default()))
}

/// Text with code between backticks, as the comments that it comes from have it.
fn prose(value: &Value) -> String {
    let text = escape(value.as_str().unwrap_or_default());
    let mut parts = text.split('`');
    let mut html = parts.next().unwrap_or_default().to_owned();
    for (at, part) in parts.enumerate() {
        html.push_str(if at % 2 == 0 { "<code>" } else { "</code>" });
        html.push_str(part);
    }
    if text.matches('`').count() % 2 == 1 {
        html.push_str("</code>");
    }
    html
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_described_is_text_and_nothing_else() {
        assert_eq!(prose(&json!("a `b` <c> & `d`")), "a <code>b</code> &lt;c&gt; &amp; <code>d</code>");
        assert_eq!(prose(&json!("a `b")), "a <code>b</code>");
        let hostile = json!({
            "info": { "title": "<script>" },
            "paths": { "/\"><img>": { "get": { "operationId": "\"x", "summary": "<b>", "responses": { "<i>": {} } } } },
            "components": { "schemas": { "<u>": { "description": "<s>", "properties": { "<em>": { "type": "<q>" } } } } },
        });
        let html = page(&hostile);
        for tag in ["<script", "<img", "<b>", "<i>", "<u>", "<s>", "<em>", "<q>"] {
            assert!(!html.contains(tag), "{tag} in {html}");
        }
    }
}
