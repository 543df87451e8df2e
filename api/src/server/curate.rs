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
    change(service, caller, ids, move |store, ids| Ok(store.restore(ids, &reason)?)).await
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
        for id in &ids {
            let collections = store.collections_of(id)?;
            if !collections.is_some_and(|names| bound.may_change(&names)) {
                return Err(ApiError::new(
                    Code::NotFound,
                    format!("no document is called `{id}`: nothing was changed"),
                ));
            }
        }
        work(store, &ids)
    });
    Ok(Json(Changed { changed: changed.await? }))
}

/// Whether an act on `document` may be shown; one on no document, or on one that is gone, is for those who may read all.
fn may_read(store: &Store, caller: &Caller, document: Option<&DocumentId>) -> Result<bool, ApiError> {
    let Some(id) = document else { return Ok(false) };
    Ok(store.collections_of(id)?.is_some_and(|names| caller.may_read(&names)))
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
    let page = service.read(move |store| {
        let mut found = store.audit_page(document.as_ref(), asked.after, limit + 1)?;
        let has_more = found.len() > limit as usize;
        found.truncate(limit as usize);
        let next = found.last().filter(|_| has_more).map(|row| row.number);
        let mut acts = Vec::with_capacity(found.len());
        for row in found {
            if caller.collections.is_none() || may_read(store, &caller, row.document.as_ref())? {
                acts.push(Act::from(row));
            }
        }
        Ok(ActPage { acts, next })
    });
    Ok(Json(page.await?))
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
    let page = service.read(move |store| {
        let found = store.affected(after.as_deref(), limit + 1)?;
        let (mut found, next) = params::page(found, limit, |one| one.trace.id.clone());
        if caller.collections.is_some() {
            for one in &mut found {
                let mut shown = Vec::new();
                for document in std::mem::take(&mut one.documents) {
                    if may_read(store, &caller, Some(&document.id))? {
                        shown.push(document);
                    }
                }
                one.documents = shown;
            }
            found.retain(|one| !one.documents.is_empty());
        }
        Ok(AffectedPage { affected: found.into_iter().map(AffectedAnswer::from).collect(), next })
    });
    Ok(Json(page.await?))
}
