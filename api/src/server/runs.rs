//! `/v1/runs`: runs of training, their curves and their episodes.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::{Extension, Json};

use super::Service;
use super::caller::Caller;
use super::error::{ApiError, Code};
use super::params::{self, Params};
use super::wire::{Episodes, EpisodesParams, Failure, Run, RunCard, RunPage, RunParams, RunsParams};
use crate::runs::{self, Fault, Runs};

/// List runs of training.
///
/// Those in the home's folder `runs`, by name, a page at a time: `next` is what `after` takes.
#[utoipa::path(
    get,
    path = "/v1/runs",
    operation_id = "runs",
    tag = "runs",
    params(RunsParams),
    responses(
        (status = 200, description = "a page of runs", body = RunPage),
        (status = 400, description = "the request is not in order", body = Failure),
        (status = 429, description = "overloaded: try again after `Retry-After` seconds", body = Failure),
        (status = 504, description = "it took too long", body = Failure),
    ),
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    Params(asked): Params<RunsParams>,
) -> Result<Json<RunPage>, ApiError> {
    let limit = params::limit(asked.limit)?;
    if let Some(after) = asked.after.as_deref().filter(|after| !runs::is_name(after)) {
        return Err(ApiError::invalid(format!("after: `{after}` is no name of a run")));
    }
    let runs = Runs::new(service.home.runs());
    let found = service.work(move |cancel| {
        let mut cards = Vec::new();
        for id in runs.list(asked.after.as_deref(), limit as usize + 1).map_err(Fault::from)? {
            cancel.check()?;
            let told = |stage: Option<&str>| Ok::<_, Fault>(runs::progress(&runs.folder(&id, stage)?)?);
            let stages = runs.stages(&id).map_err(Fault::from)?;
            let stages = stages.into_iter().map(|name| told(Some(&name)).map(|progress| (name, progress)));
            let (progress, stages) = (told(None)?, stages.collect::<Result<_, Fault>>()?);
            cards.push(RunCard::new(id, progress, stages));
        }
        Ok(cards)
    });
    let (runs, next) = params::page(found.await?, limit, |card| card.id().to_owned());
    Ok(Json(RunPage { runs, next }))
}

/// Read a run.
///
/// What its journal holds: steps and measures, thinned out evenly to `points`, and what a person should know.
#[utoipa::path(
    get,
    path = "/v1/runs/{id}",
    operation_id = "run",
    tag = "runs",
    params(("id" = String, Path, description = "the run: the name of its folder"), RunParams),
    responses(
        (status = 200, description = "the run", body = Run),
        (status = 400, description = "the request is not in order", body = Failure),
        (status = 404, description = "no run, or no stage of it, is called so", body = Failure),
        (status = 413, description = "the journal is too large to be told", body = Failure),
        (status = 429, description = "overloaded: try again after `Retry-After` seconds", body = Failure),
        (status = 504, description = "it took too long", body = Failure),
    ),
)]
pub(super) async fn one(
    State(service): State<Arc<Service>>,
    id: Result<Path<String>, PathRejection>,
    Params(asked): Params<RunParams>,
) -> Result<Json<Run>, ApiError> {
    let points = match asked.points {
        Some(points) if !(2..=5_000).contains(&points) => {
            return Err(ApiError::invalid(format!("points: {points} given, 2 to 5000 are allowed")));
        }
        points => points.unwrap_or(500) as usize,
    };
    let (id, runs) = (named(id)?, Runs::new(service.home.runs()));
    let run = service.work(move |_| {
        let folder = runs.folder(&id, asked.stage.as_deref())?;
        let stages = runs.stages(&id).map_err(Fault::from)?;
        Ok(Run::new(id, asked.stage, stages, runs::journal(&folder)?, points))
    });
    Ok(Json(run.await?))
}

/// Read episodes of a step.
///
/// As they were kept: who wrote what, what was found, what it was worth and why.
#[utoipa::path(
    get,
    path = "/v1/runs/{id}/episodes",
    tag = "runs",
    params(("id" = String, Path, description = "the run: the name of its folder"), EpisodesParams),
    responses(
        (status = 200, description = "a page of episodes", body = Episodes),
        (status = 400, description = "the request is not in order", body = Failure),
        (status = 404, description = "no run is called so, or it has kept no such episodes", body = Failure),
        (status = 413, description = "an episode is too large to be told", body = Failure),
        (status = 429, description = "overloaded: try again after `Retry-After` seconds", body = Failure),
        (status = 504, description = "it took too long", body = Failure),
    ),
)]
pub(super) async fn episodes(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    Params(asked): Params<EpisodesParams>,
) -> Result<Json<Episodes>, ApiError> {
    // what an episode found is of all collections
    caller.needs_all()?;
    let limit = params::bounded("limit", asked.limit, 10, 50)? as usize;
    let (id, runs) = (named(id)?, Runs::new(service.home.runs()));
    let after = asked.after.unwrap_or_default() as usize;
    let found = service.work(move |_| {
        let folder = runs.folder(&id, asked.stage.as_deref())?;
        Ok(runs::episodes(&folder, asked.step, after, limit)?)
    });
    Ok(Json(found.await?.into()))
}

fn named(id: Result<Path<String>, PathRejection>) -> Result<String, ApiError> {
    id.map(|Path(id)| id).map_err(|_| ApiError::new(Code::NotFound, "no run is called so"))
}

impl From<Fault> for ApiError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unknown(what) => Self::new(Code::NotFound, what),
            Fault::TooLarge(what) => Self::new(Code::TooLarge, what),
            Fault::Damaged(cause) => Self::internal(&cause),
        }
    }
}
