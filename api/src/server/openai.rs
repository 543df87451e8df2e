//! The interface of OpenAI, for clients that speak it: the model `anamnesis` is the agent.
//!
//! * `chat`, `completions`: questions, answered whole or as a stream;
//! * `embeddings`, `models`: vectors of texts, and what can be named;
//! * `transcript`: an answer as one text with labels; `stream`: the same sentence by sentence;
//! * `parameters`: what of OpenAI's many fields has an effect here; `refusal`: errors in its envelope.
//!
//! **Invariant.** What a message says is a question and nothing else: it sets no filter, no budget and no tool.

pub(super) mod chat;
pub(super) mod completions;
pub(super) mod embeddings;
pub(super) mod models;
mod parameters;
mod refusal;
mod stream;
mod transcript;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use super::Service;
use refusal::Refusal;
pub(super) use refusal::envelope;

/// The agent's name among the models.
const AGENT: &str = "anamnesis";

/// The routes.
pub(super) fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/v1/models", get(models::list))
        .route("/v1/models/{model}", get(models::one))
        .route("/v1/chat/completions", post(chat::complete))
        .route("/v1/completions", post(completions::complete))
        .route("/v1/embeddings", post(embeddings::embed))
}

/// Whether errors on `route` are told in OpenAI's envelope, whoever raises them.
pub(super) fn is_route(route: &str) -> bool {
    matches!(route, "/v1/chat/completions" | "/v1/completions" | "/v1/embeddings") || route.starts_with("/v1/models")
}

/// Refuses a name that is not the agent's.
fn check_agent(model: &str) -> Result<(), Refusal> {
    if model == AGENT {
        return Ok(());
    }
    Err(Refusal::unknown_model(&format!("no model called so answers questions: name `{AGENT}`")))
}
