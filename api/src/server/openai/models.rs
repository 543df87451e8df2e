//! `GET /v1/models`: the agent, and the encoders that embed.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use retriever::embed::BUNDLED;

use super::AGENT;
use super::embeddings::ENCODER;
use super::refusal::Refusal;
use crate::server::Service;
use crate::server::wire::openai::{Model, Models, OpenAiFailure};

/// List what requests may name as their model.
///
/// `anamnesis` answers questions; `anamnesis-encoder` (where the index has vectors) and `static` embed texts.
#[utoipa::path(
    get,
    path = "/v1/models",
    operation_id = "models",
    tag = "openai",
    responses((status = 200, description = "the models", body = Models)),
)]
pub(in crate::server) async fn list(State(service): State<Arc<Service>>) -> Json<Models> {
    Json(Models { object: "list", data: models(&service) })
}

/// Look up one of them.
#[utoipa::path(
    get,
    path = "/v1/models/{model}",
    operation_id = "model",
    tag = "openai",
    params(("model" = String, Path, description = "its name")),
    responses(
        (status = 200, description = "the model", body = Model),
        (status = 404, description = "no model is called so", body = OpenAiFailure),
    ),
)]
pub(in crate::server) async fn one(
    State(service): State<Arc<Service>>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<Model>, Refusal> {
    let found = name.ok().and_then(|Path(name)| models(&service).into_iter().find(|model| model.id == name));
    found.map(Json).ok_or_else(|| Refusal::unknown_model("no model is called so: GET /v1/models lists those there are"))
}

fn models(service: &Service) -> Vec<Model> {
    let model = |id: &str, created| Model { id: id.to_owned(), object: "model", created, owned_by: AGENT };
    let pinned = service.current.pin().ok();
    let built = pinned.as_ref().map_or(0, |pinned| pinned.pinned().manifest().created.as_second());
    let mut models = vec![model(AGENT, built)];
    if pinned.is_some_and(|pinned| pinned.encoder().is_some()) {
        models.push(model(ENCODER, built));
    }
    models.push(model(BUNDLED, 0));
    models
}
