//! `/v1/traces`: stored episodes, until their time is over or somebody erases them.

use std::sync::Arc;

use agent::TraceId;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::{Extension, Json};
use corpus::store::{Erase, TraceListing};

use super::Service;
use super::caller::Caller;
use super::error::{ApiError, Code};
use super::params::{self, Params};
use super::view::View;
use super::wire::{EraseParams, Erased, Failure, StoredTrace, TraceCard, TracePage, TraceParams};

/// List stored answers.
///
/// Newest first, a page at a time: `next` is what `after` takes.
#[utoipa::path(
    get,
    path = "/v1/traces",
    operation_id = "traces",
    tag = "traces",
    params(TraceParams),
    responses(
        (status = 200, description = "a page of traces", body = TracePage),
        (status = 400, description = "the request is not in order", body = Failure),
        (status = 429, description = "overloaded: try again after `Retry-After` seconds", body = Failure),
        (status = 504, description = "it took too long", body = Failure),
    ),
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    Params(asked): Params<TraceParams>,
) -> Result<Json<TracePage>, ApiError> {
    let limit = params::limit(asked.limit)?;
    params::short("caller", asked.caller.as_deref())?;
    let listing = TraceListing { caller: asked.caller, after: cursor(asked.after)?, limit: Some(limit + 1) };
    let found = service.read(caller, move |view| view.traces(listing)).await?;
    let (traces, next) = params::page(found, limit, |row| row.id.clone());
    Ok(Json(TracePage { traces: traces.into_iter().map(TraceCard::from).collect(), next }))
}

/// Read a stored answer.
///
/// The episode just as it was stored, in `trace`, beside what the list says of it.
#[utoipa::path(
    get,
    path = "/v1/traces/{id}",
    operation_id = "trace",
    tag = "traces",
    params(("id" = String, Path, description = "the trace, as the answer named it")),
    responses(
        (status = 200, description = "the episode, and what the list says of it", body = StoredTrace),
        (status = 404, description = "no trace is called so, or its time is over", body = Failure),
        (status = 429, description = "overloaded: try again after `Retry-After` seconds", body = Failure),
        (status = 504, description = "it took too long", body = Failure),
    ),
)]
pub(super) async fn one(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<StoredTrace>, ApiError> {
    let id = named(id)?;
    let found = service.read(caller, move |view| {
        let (row, episode) = view.trace(&id)?.ok_or_else(unknown)?;
        StoredTrace::new(row, episode)
    });
    Ok(Json(found.await?))
}

/// Erase a stored answer.
///
/// For good: what it held is overwritten.
#[utoipa::path(
    delete,
    path = "/v1/traces/{id}",
    tag = "traces",
    params(("id" = String, Path, description = "the trace, as the answer named it")),
    responses(
        (status = 200, description = "it is gone", body = Erased),
        (status = 404, description = "no trace is called so, or its time is over", body = Failure),
        (status = 503, description = "another writer has the home, or it is read-only", body = Failure),
        (status = 507, description = "the disk is full, or refuses to be written", body = Failure),
    ),
)]
pub(super) async fn erase(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Erased>, ApiError> {
    let id = named(id)?;
    let bound = caller.clone();
    let erased = service.write(caller, move |store| {
        View::new(store, &bound).trace(&id)?.ok_or_else(unknown)?;
        Ok(store.erase_traces(&Erase::Named(id))?)
    });
    Ok(Json(Erased { erased: erased.await? }))
}

/// Erase all stored answers of a caller.
///
/// For good: what they held is overwritten.
#[utoipa::path(
    delete,
    path = "/v1/traces",
    tag = "traces",
    params(EraseParams),
    responses(
        (status = 200, description = "how many there were", body = Erased),
        (status = 400, description = "the request is not in order", body = Failure),
        (status = 404, description = "that caller's traces are not yours to erase", body = Failure),
        (status = 503, description = "another writer has the home, or it is read-only", body = Failure),
        (status = 507, description = "the disk is full, or refuses to be written", body = Failure),
    ),
)]
pub(super) async fn erase_all(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    Params(EraseParams { caller: whose }): Params<EraseParams>,
) -> Result<Json<Erased>, ApiError> {
    params::short("caller", Some(&whose))?;
    if !caller.may_see(&whose) {
        return Err(ApiError::new(Code::NotFound, "caller: no traces of that caller are yours to erase"));
    }
    let erased = service.write(caller, move |store| Ok(store.erase_traces(&Erase::Caller(whose))?));
    Ok(Json(Erased { erased: erased.await? }))
}

fn unknown() -> ApiError {
    ApiError::new(Code::NotFound, "no trace is called so, or its time is over")
}

fn named(id: Result<Path<String>, PathRejection>) -> Result<String, ApiError> {
    let id = id.ok().and_then(|Path(id)| id.parse::<TraceId>().ok());
    id.map(String::from).ok_or_else(unknown)
}

/// A place in a list of traces.
pub(super) fn cursor(after: Option<String>) -> Result<Option<String>, ApiError> {
    let checked = after.map(|after| {
        let id = after.parse::<TraceId>();
        id.map(String::from).map_err(|_| ApiError::invalid(format!("after: `{after}` is no trace id")))
    });
    checked.transpose()
}
