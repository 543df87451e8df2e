//! What the table says, told in the interface's description: which routes ask for a key, and what they
//! answer without.

use axum::http::Method;
use utoipa::Modify;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response, ResponseBuilder};

use super::{Found, Who, find};

const SCHEME: &str = "key";

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
                if let (Some(operation), Found::Rule(rule)) = (operation, find(&method, path))
                    && rule.who != Who::Open
                {
                    ask_for_key(operation);
                }
            }
        }
    }
}

fn ask_for_key(operation: &mut Operation) {
    operation.security = Some(vec![SecurityRequirement::new(SCHEME, Vec::<String>::new())]);
    for (status, description) in [
        ("401", "the service has keys, and there is no right one: see `WWW-Authenticate`"),
        ("403", "the key's role does not reach here, or the page that asks is of another origin"),
        ("429", "too often: try again after `Retry-After` seconds"),
    ] {
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| refusal(description));
    }
}

fn refusal(description: &str) -> RefOr<Response> {
    let envelope = Content::new(Some(Ref::from_schema_name("Failure")));
    ResponseBuilder::new().description(description).content("application/json", envelope).build().into()
}
