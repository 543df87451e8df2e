//! `/v1/snapshots` and `/v1/jobs`: which snapshots there are, and jobs that make or choose one.

use std::path::Path as FilePath;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use indexes::SnapshotId;
use retriever::embed::BUNDLED;

use super::Service;
use super::body::Body;
use super::caller::Caller;
use super::error::{ApiError, Code};
use super::wire::{BuildRequest, Failure, Job, JobKind, Jobs, Snapshot, Snapshots};
use crate::building::{Building, Step};
use crate::home::Home;

/// List snapshots.
#[utoipa::path(
    get,
    path = "/v1/snapshots",
    operation_id = "snapshots",
    tag = "snapshots",
    responses(
        (status = 200, description = "all snapshots, newest first", body = Snapshots),
        (status = 429, description = "overloaded: try again after `Retry-After` seconds", body = Failure),
        (status = 504, description = "it took too long", body = Failure),
    ),
)]
pub(super) async fn list(State(service): State<Arc<Service>>) -> Result<Json<Snapshots>, ApiError> {
    let home = service.home.clone();
    let listed = service.work(move |_| home.snapshots().list().map_err(|error| ApiError::internal(&error))).await?;
    let current = listed.iter().find(|listed| listed.current).map(|listed| listed.id.to_string());
    Ok(Json(Snapshots { current, snapshots: listed.into_iter().rev().map(Snapshot::from).collect() }))
}

/// Build a snapshot.
///
/// Of everything in the corpus that may be evidence. The current one answers until the new one is verified and swapped
/// in, within about a second of the end of the job. A key that is bound to collections is refused, since a snapshot is of all.
#[utoipa::path(
    post,
    path = "/v1/snapshots",
    tag = "snapshots",
    request_body = BuildRequest,
    responses(
        (status = 202, description = "the job: `/v1/jobs/{id}` tells how far it is", body = Job),
        (status = 400, description = "the request is not in order", body = Failure),
        (status = 404, description = "no encoder is called so", body = Failure),
        (status = 409, description = "another job is under way: the message names it", body = Failure),
        (status = 415, description = "the body is not JSON by its media type", body = Failure),
        (status = 429, description = "overloaded: try again after `Retry-After` seconds", body = Failure),
    ),
)]
pub(super) async fn build(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    Body(request): Body<BuildRequest>,
) -> Result<(StatusCode, Json<Job>), ApiError> {
    caller.needs_all()?;
    let home = service.home.clone();
    let asked = request.encoder;
    let encoder = service.work(move |_| encoder(&home, asked)).await?;
    let vectors = request.vectors.unwrap_or_default().into();
    let home = service.home.clone();
    let job = service.jobs.start(JobKind::BuildSnapshot, &caller.name, move |handle| {
        let building = Building::of(&home, &encoder)?;
        handle.at(Step { stage: "indexing", count: Some((0, building.chunks())) });
        let manifest = building.run(vectors, &handle.stop, &mut |step| handle.at(step))?;
        Ok(manifest.id.to_string())
    })?;
    Ok((StatusCode::ACCEPTED, Json(job)))
}

/// Answer from another snapshot.
///
/// It is verified first, and answers within about a second of the end of the job. A key that is bound to collections is
/// refused, since a snapshot is of all.
#[utoipa::path(
    post,
    path = "/v1/snapshots/{id}/use",
    tag = "snapshots",
    params(("id" = String, Path, description = "the snapshot")),
    responses(
        (status = 202, description = "the job: `/v1/jobs/{id}` tells how far it is", body = Job),
        (status = 404, description = "no snapshot is called so", body = Failure),
        (status = 409, description = "another job is under way: the message names it", body = Failure),
        (status = 429, description = "overloaded: try again after `Retry-After` seconds", body = Failure),
    ),
)]
pub(super) async fn choose(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
) -> Result<(StatusCode, Json<Job>), ApiError> {
    caller.needs_all()?;
    let unknown = || ApiError::new(Code::NotFound, "no snapshot is called so");
    let id = id.ok().and_then(|Path(id)| SnapshotId::parse(&id)).ok_or_else(unknown)?;
    let (home, wanted) = (service.home.clone(), id.clone());
    let listed = service.work(move |_| home.snapshots().list().map_err(|error| ApiError::internal(&error))).await?;
    if !listed.iter().any(|listed| listed.id == wanted) {
        return Err(unknown());
    }
    let home = service.home.clone();
    let job = service.jobs.start(JobKind::UseSnapshot, &caller.name, move |handle| {
        handle.at(Step { stage: "verifying", count: None });
        Ok(home.snapshots().rollback(Some(id))?.to_string())
    })?;
    Ok((StatusCode::ACCEPTED, Json(job)))
}

/// List jobs.
#[utoipa::path(
    get,
    path = "/v1/jobs",
    tag = "snapshots",
    responses((status = 200, description = "the last fifty, latest first", body = Jobs)),
)]
pub(super) async fn jobs(State(service): State<Arc<Service>>) -> Json<Jobs> {
    Json(Jobs { jobs: service.jobs.list() })
}

/// Watch a job.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}",
    tag = "snapshots",
    params(("id" = String, Path, description = "the job")),
    responses(
        (status = 200, description = "how it stands", body = Job),
        (status = 404, description = "no job is called so since the service began", body = Failure),
    ),
)]
pub(super) async fn job(
    State(service): State<Arc<Service>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Job>, ApiError> {
    let found = id.ok().and_then(|Path(id)| service.jobs.get(&id));
    found.map(Json).ok_or_else(no_job)
}

/// Cancel a job.
///
/// It ends at its next step, and nothing has changed then; until then it is `running`. A graph of vectors that is being
/// linked is linked to the end first.
#[utoipa::path(
    delete,
    path = "/v1/jobs/{id}",
    tag = "snapshots",
    params(("id" = String, Path, description = "the job")),
    responses(
        (status = 200, description = "how it stood when it was told", body = Job),
        (status = 404, description = "no job is called so since the service began", body = Failure),
    ),
)]
pub(super) async fn cancel(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Job>, ApiError> {
    caller.needs_all()?;
    let found = id.ok().and_then(|Path(id)| service.jobs.cancel(&id));
    found.map(Json).ok_or_else(no_job)
}

fn no_job() -> ApiError {
    ApiError::new(Code::NotFound, "no job is called so since the service began")
}

/// What the encoder that is asked for is opened by: nothing outside the home's own folder of models.
fn encoder(home: &Home, asked: Option<String>) -> Result<String, ApiError> {
    let Some(name) = asked else {
        let current = home.snapshots().list().map_err(|error| ApiError::internal(&error))?;
        let manifest = current.into_iter().find(|listed| listed.current).and_then(|listed| listed.manifest.ok());
        let Some(manifest) = manifest else { return Ok(BUNDLED.to_owned()) };
        return Ok(manifest.encoder.map_or_else(|| "none".to_owned(), |card| card.name));
    };
    if name == "none" || name == BUNDLED {
        return Ok(name);
    }
    let is_plain = FilePath::new(&name).file_name().is_some_and(|last| last == name.as_str());
    let path = home.models().join(&name);
    match path.to_str() {
        Some(path) if is_plain && FilePath::new(path).try_exists().unwrap_or(false) => Ok(path.to_owned()),
        _ => Err(ApiError::new(
            Code::NotFound,
            "encoder: neither `static`, `none` nor a folder under the home's `models`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoder_is_named_and_never_a_path() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(Some(folder.path().join("home"))).unwrap();
        std::fs::create_dir_all(home.models().join("minilm")).unwrap();
        std::fs::create_dir_all(folder.path().join("outside")).unwrap();
        let told = |name: &str| encoder(&home, Some(name.to_owned()));
        assert_eq!(told("none").unwrap(), "none");
        assert!(told("minilm").unwrap().ends_with("models/minilm"));
        assert_eq!(encoder(&home, None).unwrap(), BUNDLED);
        let outside = folder.path().join("outside").display().to_string();
        for name in ["", ".", "..", "../../outside", "minilm/../../../outside", "minilm/", "other", &outside] {
            assert!(told(name).is_err(), "{name}");
        }
    }
}
