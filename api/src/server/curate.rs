//! `POST /v1/documents/VERB`, `/v1/audit` and `/v1/affected`: what curators do, did, and what follows.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use corpus::{DocumentId, Status, Store};

use super::Service;
use super::body::Body;
use super::caller::Caller;
use super::error::{ApiError, Code};
use super::params::{self, Params};
use super::view::View;
use super::wire::{
    Act, ActPage, AffectedAnswer, AffectedPage, AffectedParams, AuditParams, Changed, CurateRequest, Failure,
    TagRequest,
};

type Asked = State<Arc<Service>>;
type Answered = Result<Json<Changed>, ApiError>;

/// Set documents aside.
///
/// They are no evidence until they are restored; at once, whatever snapshot answers.
#[utoipa::path(
    post,
    path = "/v1/documents/quarantine",
    tag = "curation",
    request_body = CurateRequest,
    responses(
        (status = 200, description = "how many documents changed", body = Changed),
        (status = 400, description = "the request is not in order", body = Failure),
        (status = 404, description = "a document is not there; none was changed", body = Failure),
        (status = 503, description = "another writer has the home, or it is read-only", body = Failure),
        (status = 507, description = "the disk is full, or refuses to be written", body = Failure),
    ),
)]
pub(super) async fn quarantine(
    service: Asked,
    Extension(caller): Extension<Caller>,
    Body(request): Body<CurateRequest>,
) -> Answered {
    let (ids, reason) = request.checked()?;
    change(service, caller, ids, move |store, ids| Ok(store.quarantine(ids, &reason)?)).await
}

/// Take documents out.
///
/// They are no evidence until they are restored; at once, and from every later snapshot.
#[utoipa::path(
    post,
    path = "/v1/documents/remove",
    tag = "curation",
    request_body = CurateRequest,
    responses(
        (status = 200, description = "how many documents changed", body = Changed),
        (status = 400, description = "the request is not in order", body = Failure),
        (status = 404, description = "a document is not there; none was changed", body = Failure),
        (status = 503, description = "another writer has the home, or it is read-only", body = Failure),
        (status = 507, description = "the disk is full, or refuses to be written", body = Failure),
    ),
)]
pub(super) async fn remove(
    service: Asked,
    Extension(caller): Extension<Caller>,
    Body(request): Body<CurateRequest>,
) -> Answered {
    let (ids, reason) = request.checked()?;
    change(service, caller, ids, move |store, ids| Ok(store.remove(ids, &reason)?)).await
}

/// Bring documents back that were set aside or taken out.
///
/// One that is retracted stays so, and is named under `retracted`: `/v1/documents/reinstate` takes that back.
#[utoipa::path(
    post,
    path = "/v1/documents/restore",
    tag = "curation",
    request_body = CurateRequest,
    responses(
        (status = 200, description = "how many documents changed", body = Changed),
        (status = 400, description = "the request is not in order", body = Failure),
        (status = 404, description = "a document is not there; none was changed", body = Failure),
        (status = 503, description = "another writer has the home, or it is read-only", body = Failure),
        (status = 507, description = "the disk is full, or refuses to be written", body = Failure),
    ),
)]
pub(super) async fn restore(
    service: Asked,
    Extension(caller): Extension<Caller>,
    Body(request): Body<CurateRequest>,
) -> Answered {
    let (ids, reason) = request.checked()?;
    let asked = ids.clone();
    let restore = move |store: &mut Store, ids: &[DocumentId]| Ok(store.restore(ids, &reason)?);
    let Json(done) = change(service.clone(), caller.clone(), ids, restore).await?;
    let retracted = service.read(caller, move |view| view.retracted(&asked)).await?;
    Ok(Json(Changed { retracted: retracted.iter().map(ToString::to_string).collect(), ..done }))
}

/// Take back that documents are retracted or of concern.
///
/// They are evidence again, at once where the snapshot that answers holds them. What a curator, a registry or their
/// source has said so far is overruled; a registry that is read later, and a source that comes to say worse, count again.
#[utoipa::path(
    post,
    path = "/v1/documents/reinstate",
    tag = "curation",
    request_body = CurateRequest,
    responses(
        (status = 200, description = "how many documents changed", body = Changed),
        (status = 400, description = "the request is not in order", body = Failure),
        (status = 404, description = "a document is not there; none was changed", body = Failure),
        (status = 503, description = "another writer has the home, or it is read-only", body = Failure),
        (status = 507, description = "the disk is full, or refuses to be written", body = Failure),
    ),
)]
pub(super) async fn reinstate(
    service: Asked,
    Extension(caller): Extension<Caller>,
    Body(request): Body<CurateRequest>,
) -> Answered {
    let (ids, reason) = request.checked()?;
    change(service, caller, ids, move |store, ids| Ok(store.reinstate(ids, &reason)?)).await
}

/// Mark documents as retracted.
///
/// They are never evidence again; at once, whatever snapshot answers. `/v1/affected` lists answers that cited them.
#[utoipa::path(
    post,
    path = "/v1/documents/retract",
    tag = "curation",
    request_body = CurateRequest,
    responses(
        (status = 200, description = "how many documents changed", body = Changed),
        (status = 400, description = "the request is not in order", body = Failure),
        (status = 404, description = "a document is not there; none was changed", body = Failure),
        (status = 503, description = "another writer has the home, or it is read-only", body = Failure),
        (status = 507, description = "the disk is full, or refuses to be written", body = Failure),
    ),
)]
pub(super) async fn retract(
    service: Asked,
    Extension(caller): Extension<Caller>,
    Body(request): Body<CurateRequest>,
) -> Answered {
    let (ids, reason) = request.checked()?;
    change(service, caller, ids, move |store, ids| Ok(store.set_status(ids, Status::Retracted, &reason)?)).await
}

/// Put a tag on documents.
#[utoipa::path(
    post,
    path = "/v1/documents/tag",
    tag = "curation",
    request_body = TagRequest,
    responses(
        (status = 200, description = "how many documents changed", body = Changed),
        (status = 400, description = "the request is not in order", body = Failure),
        (status = 404, description = "a document is not there; none was changed", body = Failure),
        (status = 503, description = "another writer has the home, or it is read-only", body = Failure),
        (status = 507, description = "the disk is full, or refuses to be written", body = Failure),
    ),
)]
pub(super) async fn tag(
    service: Asked,
    Extension(caller): Extension<Caller>,
    Body(request): Body<TagRequest>,
) -> Answered {
    let (ids, reason, tag) = request.checked()?;
    change(service, caller, ids, move |store, ids| Ok(store.tag(ids, &tag, &reason)?)).await
}

/// Take a tag off documents.
#[utoipa::path(
    post,
    path = "/v1/documents/untag",
    tag = "curation",
    request_body = TagRequest,
    responses(
        (status = 200, description = "how many documents changed", body = Changed),
        (status = 400, description = "the request is not in order", body = Failure),
        (status = 404, description = "a document is not there; none was changed", body = Failure),
        (status = 503, description = "another writer has the home, or it is read-only", body = Failure),
        (status = 507, description = "the disk is full, or refuses to be written", body = Failure),
    ),
)]
pub(super) async fn untag(
    service: Asked,
    Extension(caller): Extension<Caller>,
    Body(request): Body<TagRequest>,
) -> Answered {
    let (ids, reason, tag) = request.checked()?;
    change(service, caller, ids, move |store, ids| Ok(store.untag(ids, &tag, &reason)?)).await
}

/// Does `work` to documents that are all there, and all the caller's to change.
async fn change(
    State(service): Asked,
    caller: Caller,
    ids: Vec<DocumentId>,
    work: impl FnOnce(&mut Store, &[DocumentId]) -> Result<u64, ApiError> + Send + 'static,
) -> Answered {
    let bound = caller.clone();
    let changed = service.write(caller, move |store| {
        let view = View::new(store, &bound);
        for id in &ids {
            if !view.may_change(id)? {
                return Err(ApiError::new(
                    Code::NotFound,
                    format!("no document is called `{id}`: nothing was changed"),
                ));
            }
        }
        work(store, &ids)
    });
    Ok(Json(Changed { changed: changed.await?, retracted: Vec::new() }))
}

/// List what was done.
///
/// Latest first, a page at a time: `next` is what `after` takes. A key that is bound to collections is shown what was done to
/// their documents; pages may then be shorter.
#[utoipa::path(
    get,
    path = "/v1/audit",
    tag = "curation",
    params(AuditParams),
    responses(
        (status = 200, description = "a page of the audit log", body = ActPage),
        (status = 400, description = "the request is not in order", body = Failure),
        (status = 429, description = "overloaded: try again after `Retry-After` seconds", body = Failure),
        (status = 504, description = "it took too long", body = Failure),
    ),
)]
pub(super) async fn audit(
    State(service): Asked,
    Extension(caller): Extension<Caller>,
    Params(asked): Params<AuditParams>,
) -> Result<Json<ActPage>, ApiError> {
    let limit = params::limit(asked.limit)?;
    let document = asked.document.map(|id| {
        DocumentId::parse(&id).ok_or_else(|| ApiError::invalid(format!("document: `{id}` is no document id")))
    });
    let document = document.transpose()?;
    let (acts, next) = service.read(caller, move |view| view.acts(document.as_ref(), asked.after, limit)).await?;
    Ok(Json(ActPage { acts: acts.into_iter().map(Act::from).collect(), next }))
}

/// List answers that need a second look.
///
/// Stored answers, newest first, that cite a document which is retracted, quarantined or removed now, or of concern now
/// and was not: each with these documents. Curators see the answers of all callers here, since they are to be told; a key
/// that is bound to collections sees those that cite documents of its own.
#[utoipa::path(
    get,
    path = "/v1/affected",
    tag = "curation",
    params(AffectedParams),
    responses(
        (status = 200, description = "a page of answers", body = AffectedPage),
        (status = 400, description = "the request is not in order", body = Failure),
        (status = 429, description = "overloaded: try again after `Retry-After` seconds", body = Failure),
        (status = 504, description = "it took too long", body = Failure),
    ),
)]
pub(super) async fn affected(
    State(service): Asked,
    Extension(caller): Extension<Caller>,
    Params(asked): Params<AffectedParams>,
) -> Result<Json<AffectedPage>, ApiError> {
    let limit = params::limit(asked.limit)?;
    let after = super::traces::cursor(asked.after)?;
    let (found, next) = service.read(caller, move |view| view.affected(after.as_deref(), limit)).await?;
    Ok(Json(AffectedPage { affected: found.into_iter().map(AffectedAnswer::from).collect(), next }))
}
