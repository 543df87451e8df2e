//! What every route does before its handler is asked, told in the interface's description: which routes ask for a key and what
//! they answer without, and what becomes of bodies that are too large or no JSON.

use axum::http::Method;
use utoipa::Modify;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response, ResponseBuilder};

use super::{Found, Who, find};
use crate::server::openai;

const SCHEME: &str = "key";
/// What routes answer whose caller is not let in.
const KEY: [(&str, &str); 3] = [
    ("401", "the service has keys, and there is no right one: see `WWW-Authenticate`"),
    ("403", "the key's role does not reach here, or the page that asks is of another origin"),
    ("429", "too often: try again after `Retry-After` seconds"),
];
/// What routes answer whose body is not read.
const BODY: [(&str, &str); 3] = [
    ("408", "the body came too slowly"),
    ("413", "the body is too large"),
    ("415", "the body is not JSON by its media type"),
];

/// Adds it.
#[derive(Debug)]
pub(in crate::server) struct Keyed;

impl Modify for Keyed {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(SCHEME, SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
        for (path, item) in &mut document.paths.paths {
            let operations = [
                (Method::GET, &mut item.get),
                (Method::POST, &mut item.post),
                (Method::PUT, &mut item.put),
                (Method::PATCH, &mut item.patch),
                (Method::DELETE, &mut item.delete),
            ];
            for (method, operation) in operations {
                let Some(operation) = operation else { continue };
                let envelope = if openai::is_route(path) { "OpenAiFailure" } else { "Failure" };
                if let Found::Rule(rule) = find(&method, path)
                    && rule.who != Who::Open
                {
                    operation.security = Some(vec![SecurityRequirement::new(SCHEME, Vec::<String>::new())]);
                    answers(operation, envelope, &KEY);
                }
                if operation.request_body.is_some() {
                    answers(operation, envelope, &BODY);
                }
            }
        }
    }
}

fn answers(operation: &mut Operation, envelope: &str, refusals: &[(&str, &str)]) {
    for (status, description) in refusals {
        let refusal = || refusal(description, envelope);
        operation.responses.responses.entry((*status).to_owned()).or_insert_with(refusal);
    }
}

fn refusal(description: &str, envelope: &str) -> RefOr<Response> {
    let envelope = Content::new(Some(Ref::from_schema_name(envelope)));
    ResponseBuilder::new().description(description).content("application/json", envelope).build().into()
}
