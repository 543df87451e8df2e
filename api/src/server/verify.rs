//! `POST /v1/verify`: any text against the corpus, sentence by sentence.

use std::sync::Arc;

use agent::phi::Admitted;
use agent::review;
use axum::extract::State;
use axum::{Extension, Json};
use retriever::{Query, Retrieve};

use super::Service;
use super::body::Body;
use super::caller::Caller;
use super::error::ApiError;
use super::scoped::Scoped;
use super::wire::{Failure, Verified, VerifyRequest, VerifyResponse};

/// Judge a text.
///
/// Each sentence is searched for, and held against what is found: supported, contradicted or neither, with the sentence of the
/// literature that says so. Neither says only that this corpus does not bear it out.
#[utoipa::path(
    post,
    path = "/v1/verify",
    tag = "answers",
    request_body = VerifyRequest,
    responses(
        (status = 200, description = "a verdict for each sentence", body = VerifyResponse),
        (status = 400, description = "the request is not in order", body = Failure),
        (status = 413, description = "the body is too large", body = Failure),
        (status = 415, description = "the body is not JSON by its media type", body = Failure),
        (status = 422, description = "the text holds identifiers of a person, and the service refuses such", body = Failure),
        (status = 429, description = "overloaded: try again after `Retry-After` seconds", body = Failure),
        (status = 503, description = "no index is open", body = Failure),
        (status = 504, description = "it took too long", body = Failure),
    ),
)]
pub(super) async fn verify(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    Body(request): Body<VerifyRequest>,
) -> Result<Json<VerifyResponse>, ApiError> {
    let (text, query) = request.into_domain()?;
    let Admitted { text, warning } = service.phi.admit(&text, false)?;
    let query = Query { filter: caller.scope(query.filter), ..query };
    let retriever = Scoped::new(service.current.pin()?, &caller);
    let judge = service.review.judge.clone();
    let response = service.work(move |cancel| {
        let verified = review::verify(&text, &query, &retriever, judge.as_deref(), cancel)?;
        let sentences = verified.iter().map(Verified::from).collect();
        Ok::<_, ApiError>(VerifyResponse::new(retriever.snapshot().to_owned(), sentences, Vec::from_iter(warning)))
    });
    Ok(Json(response.await?))
}
