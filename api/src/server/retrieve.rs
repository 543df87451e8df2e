//! `POST /v1/retrieve` and `POST /retrieve`: hits for a batch of queries, in two forms.

use std::sync::Arc;

use agent::Cancel;
use agent::phi::{Admitted, Handling};
use axum::extract::State;
use axum::{Extension, Json};
use corpus::store::ChunkInContext;
use retriever::{Query, Retrieve};

use super::Service;
use super::body::Body;
use super::caller::Caller;
use super::error::ApiError;
use super::scoped::Scoped;
use super::wire::{
    Batch, Failure, Hit, RetrieveRequest, Retrieved, SearchR1Document, SearchR1Hit, SearchR1Request, SearchR1Response,
    SearchR1Result,
};

/// Search for chunks.
///
/// Hits for each query in the order of the queries, each with what its score is made of.
#[utoipa::path(
    post,
    path = "/v1/retrieve",
    tag = "retrieval",
    request_body = RetrieveRequest,
    responses(
        (status = 200, description = "hits for each query", body = Retrieved),
        (status = 400, description = "the request is not in order", body = Failure),
        (status = 413, description = "the body is too large", body = Failure),
        (status = 415, description = "the body is not JSON by its media type", body = Failure),
        (status = 422, description = "a query holds identifiers of a person, and the service refuses such", body = Failure),
        (status = 429, description = "overloaded: try again after `Retry-After` seconds", body = Failure),
        (status = 503, description = "no index is open", body = Failure),
        (status = 504, description = "it took too long", body = Failure),
    ),
)]
pub(super) async fn retrieve(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    Body(request): Body<RetrieveRequest>,
) -> Result<Json<Retrieved>, ApiError> {
    let with_text = request.wants_text();
    let batch = request.into_batch()?;
    let found = search(&service, &caller, batch, move |hit, found| Hit::new(hit, found, with_text)).await?;
    let (snapshot, results, warnings) = found;
    Ok(Json(Retrieved { snapshot, results, warnings }))
}

/// Search as Search-R1's retrieval server does.
///
/// Request and response are Search-R1's, so that its trainer and others that speak its form can use this
/// retriever.
#[utoipa::path(
    post,
    path = "/retrieve",
    tag = "retrieval",
    request_body = SearchR1Request,
    responses(
        (status = 200, description = "hits for each query", body = SearchR1Response),
        (status = 400, description = "the request is not in order", body = Failure),
        (status = 413, description = "the body is too large", body = Failure),
        (status = 415, description = "the body is not JSON by its media type", body = Failure),
        (status = 422, description = "a query holds identifiers of a person, and the service refuses such", body = Failure),
        (status = 429, description = "overloaded: try again after `Retry-After` seconds", body = Failure),
        (status = 503, description = "no index is open", body = Failure),
        (status = 504, description = "it took too long", body = Failure),
    ),
)]
pub(super) async fn search_r1(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    Body(request): Body<SearchR1Request>,
) -> Result<Json<SearchR1Response>, ApiError> {
    let with_scores = request.wants_scores();
    let batch = request.into_batch()?;
    let shape = move |hit: &retriever::Hit, found| {
        let document = SearchR1Document::from(found);
        if with_scores {
            SearchR1Result::Scored(SearchR1Hit { document, score: hit.score })
        } else {
            SearchR1Result::Plain(document)
        }
    };
    let (_, result, _) = search(&service, &caller, batch, shape).await?;
    Ok(Json(SearchR1Response { result }))
}

/// The snapshot, the hits of each query, shaped, and what whoever asks should know.
type Searched<T> = (String, Vec<Vec<T>>, Vec<String>);

/// Runs a batch on one worker.
async fn search<T: Send + 'static>(
    service: &Arc<Service>,
    caller: &Caller,
    batch: Batch,
    shape: impl Fn(&retriever::Hit, ChunkInContext) -> T + Send + 'static,
) -> Result<Searched<T>, ApiError> {
    let retriever = Scoped::new(service.current.pin()?, caller);
    let snapshot = retriever.snapshot().to_owned();
    let phi = service.phi;
    let work = move |cancel: &Cancel| run(&retriever, batch, phi, cancel, &shape);
    let (results, warnings) = service.work(work).await?;
    Ok((snapshot, results, warnings))
}

/// Runs a batch on this thread; gives the hits of each query, shaped.
///
/// # Errors
/// When the retriever fails, or it was cancelled.
pub(super) fn run<T>(
    retriever: &dyn Retrieve,
    batch: Batch,
    phi: Handling,
    cancel: &Cancel,
    shape: &dyn Fn(&retriever::Hit, ChunkInContext) -> T,
) -> Result<(Vec<Vec<T>>, Vec<String>), ApiError> {
    let Batch { queries, common } = batch;
    let mut query = common;
    let (mut results, mut warnings) = (Vec::with_capacity(queries.len()), Vec::new());
    for text in queries {
        cancel.check()?;
        // encoders run on this machine
        let Admitted { text, warning } = phi.admit(&text, false)?;
        warnings.extend(warning.filter(|warning| !warnings.contains(warning)));
        query.text = text;
        results.push(one(retriever, &query, shape)?);
    }
    Ok((results, warnings))
}

fn one<T>(
    retriever: &dyn Retrieve,
    query: &Query,
    shape: &dyn Fn(&retriever::Hit, ChunkInContext) -> T,
) -> Result<Vec<T>, ApiError> {
    let hits = retriever.retrieve(query)?;
    let chunks: Vec<_> = hits.iter().map(|hit| hit.chunk).collect();
    let found = retriever.read(&chunks)?;
    // what was withdrawn between the two steps is left out
    Ok(hits.iter().zip(found).filter_map(|(hit, found)| found.map(|found| shape(hit, found))).collect())
}
