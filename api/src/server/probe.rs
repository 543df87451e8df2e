//! What the service says of itself: `/`, `/healthz`, `/readyz`, `/openapi.json`.

use std::sync::Arc;

use agent::NOTICE;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;
use retriever::Retrieve;

use super::error::ApiError;
use super::wire::{Failure, Health, Index};
use super::{Service, page};

/// The interface, as checked in.
pub(super) const OPENAPI: &str = include_str!("../../openapi.json");

/// Find your way.
///
/// A browser, which accepts `text/html`, is answered with the page.
#[utoipa::path(
    get,
    path = "/",
    tag = "service",
    responses((status = 200, description = "what is where", content((Index = "application/json"), (String = "text/html")))),
)]
pub(super) async fn index(headers: HeaderMap) -> impl IntoResponse {
    let answer = if page::is_wanted(&headers) { page::page(&headers) } else { Json(routes()).into_response() };
    ([(header::VARY, "accept")], answer)
}

fn routes() -> Index {
    Index {
        name: "anamnesis",
        version: env!("CARGO_PKG_VERSION"),
        routes: vec![
            "GET /: this list, or for a browser the page, which loads /assets/{name}",
            "POST /v1/ask: a question, answered with citations (JSON or server-sent events)",
            "POST /v1/verify: any text, held against the corpus sentence by sentence",
            "POST /v1/retrieve: hits for one query or several",
            "POST /retrieve: the same in the form of Search-R1",
            "GET /v1/chunks/{id}: what a citation points to",
            "POST /v1/chat/completions, /v1/completions, /v1/embeddings, GET /v1/models: for clients of OpenAI's interface",
            "POST /mcp: tools for other programs' models (Model Context Protocol)",
            "GET /v1/documents, /v1/documents/{id}, /v1/collections: what the corpus holds",
            "POST /v1/documents, and .../tag, untag, quarantine, restore, remove, retract, reinstate: curate it; GET /v1/audit: what was done",
            "GET /v1/snapshots, POST /v1/snapshots, POST /v1/snapshots/{id}/use: build and choose an index; /v1/jobs: how far that is",
            "GET and DELETE /v1/traces, /v1/traces/{id}: stored answers; GET /v1/affected: those that cite what was withdrawn since",
            "GET /v1/runs, /v1/runs/{id}, /v1/runs/{id}/episodes: runs of training",
            "GET /healthz: the process lives",
            "GET /readyz: an index is open",
            "GET /openapi.json: all of this for programs",
            "GET /reference: the same for people",
            "GET /metrics: what the service counts and measures",
        ],
        notice: NOTICE,
    }
}

/// Does the process live?
#[utoipa::path(get, path = "/healthz", tag = "service", responses((status = 200, description = "it does", body = Health)))]
pub(super) async fn health() -> Json<Health> {
    Json(Health { status: "ok", snapshot: None })
}

/// Is an index open?
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "service",
    responses(
        (status = 200, description = "it is", body = Health),
        (status = 503, description = "it is not: the message names the command that makes one", body = Failure),
    ),
)]
pub(super) async fn ready(State(service): State<Arc<Service>>) -> Result<Json<Health>, ApiError> {
    let snapshot = service.current.pin()?.snapshot().to_owned();
    Ok(Json(Health { status: "ready", snapshot: Some(snapshot) }))
}

/// Read this document.
#[utoipa::path(get, path = "/openapi.json", tag = "service", responses((status = 200, description = "OpenAPI 3.1")))]
pub(super) async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI)
}
