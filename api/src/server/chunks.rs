//! `GET /v1/chunks/{id}`: what a citation points to.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::{Extension, Json};
use corpus::ChunkId;

use super::Service;
use super::caller::Caller;
use super::error::{ApiError, Code};
use super::wire::{Chunk, Failure};

/// Read a chunk.
///
/// Whatever snapshot cited it. A chunk whose document was retracted, removed or set aside since is gone.
#[utoipa::path(
    get,
    path = "/v1/chunks/{id}",
    tag = "retrieval",
    params(("id" = String, Path, description = "the chunk's id: 24 hexadecimal digits")),
    responses(
        (status = 200, description = "the chunk with its document's metadata", body = Chunk),
        (status = 404, description = "no chunk is called so", body = Failure),
        (status = 410, description = "its document was retracted, removed or set aside", body = Failure),
        (status = 429, description = "overloaded: try again after `Retry-After` seconds", body = Failure),
        (status = 504, description = "it took too long", body = Failure),
    ),
)]
pub(super) async fn chunk(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Chunk>, ApiError> {
    let unknown = || ApiError::new(Code::NotFound, "no chunk is called so");
    let id: ChunkId = id.ok().and_then(|Path(id)| id.parse().ok()).ok_or_else(unknown)?;
    let found = service.read(caller, move |view| view.chunk(id)).await?.ok_or_else(unknown)?;
    Ok(Json(found.into()))
}
