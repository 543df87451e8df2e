//! `/v1/documents` and `/v1/collections`: what the corpus holds, and more of it.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::{Extension, Json};
use corpus::DocumentId;
use corpus::reader::{self, Options, Record};
use corpus::store::Listing;

use super::Service;
use super::body::Body;
use super::caller::Caller;
use super::error::{ApiError, Code};
use super::guard::RequestId;
use super::params::{self, Params};
use super::wire::{
    AddRequest, Added, Collection, Collections, Document, DocumentCard, DocumentPage, DocumentParams, Failure, Rejected,
};

/// Acts on a document that are told with it.
const ACTS: u32 = 50;
/// Rejected records that are told; more are counted, and `anamnesis corpus rejected` lists them.
const REJECTS: usize = 100;

/// List documents.
///
/// In order of ids, a page at a time: `next` is what `after` takes.
#[utoipa::path(
    get,
    path = "/v1/documents",
    operation_id = "documents",
    tag = "corpus",
    params(DocumentParams),
    responses(
        (status = 200, description = "a page of documents", body = DocumentPage),
        (status = 400, description = "the request is not in order", body = Failure),
        (status = 429, description = "overloaded: try again after `Retry-After` seconds", body = Failure),
        (status = 504, description = "it took too long", body = Failure),
    ),
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    Params(asked): Params<DocumentParams>,
) -> Result<Json<DocumentPage>, ApiError> {
    let limit = params::limit(asked.limit)?;
    for (field, text) in [("collection", &asked.collection), ("tag", &asked.tag), ("text", &asked.text)] {
        params::short(field, text.as_deref())?;
    }
    let after = asked.after.as_deref().map(|after| {
        DocumentId::parse(after).ok_or_else(|| ApiError::invalid(format!("after: `{after}` is no document id")))
    });
    let listing = Listing {
        collection: asked.collection,
        within: None,
        status: asked.status.map(Into::into),
        standing: asked.standing.map(Into::into),
        tag: asked.tag,
        text: asked.text,
        after: after.transpose()?,
        limit: Some(limit + 1),
    };
    let found = service.read(caller, move |view| view.list(listing)).await?;
    let (documents, next) = params::page(found, limit, |row| row.id.to_string());
    Ok(Json(DocumentPage { documents: documents.into_iter().map(DocumentCard::from).collect(), next }))
}

/// Read a document.
///
/// Of any status and standing, with its text, its sections, and what was done to it.
#[utoipa::path(
    get,
    path = "/v1/documents/{id}",
    operation_id = "document",
    tag = "corpus",
    params(("id" = String, Path, description = "the document's id, such as `pubmed:12345`; `/` in it as `%2F`")),
    responses(
        (status = 200, description = "the document", body = Document),
        (status = 404, description = "no document is called so", body = Failure),
        (status = 429, description = "overloaded: try again after `Retry-After` seconds", body = Failure),
        (status = 504, description = "it took too long", body = Failure),
    ),
)]
pub(super) async fn one(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Document>, ApiError> {
    let unknown = || ApiError::new(Code::NotFound, "no document is called so");
    let id = id.ok().and_then(|Path(id)| DocumentId::parse(&id)).ok_or_else(unknown)?;
    let found = service.read(caller, move |view| {
        let found = view.document(&id)?;
        found.map(|stored| Ok(Document::new(stored, view.acts(Some(&id), None, ACTS)?.0))).transpose()
    });
    found.await?.map(Json).ok_or_else(unknown)
}

/// Add documents.
///
/// What cannot be read is set aside with its position and the reason, and the rest is kept. The same again changes
/// nothing; a newer version replaces an older one. Added documents answer from the next snapshot on.
#[utoipa::path(
    post,
    path = "/v1/documents",
    tag = "corpus",
    request_body = AddRequest,
    responses(
        (status = 200, description = "what became of the records", body = Added),
        (status = 400, description = "the request is not in order", body = Failure),
        (status = 413, description = "the body is too large", body = Failure),
        (status = 415, description = "the body is not JSON by its media type", body = Failure),
        (status = 429, description = "overloaded: try again after `Retry-After` seconds", body = Failure),
        (status = 503, description = "another writer has the home, or it is read-only", body = Failure),
        (status = 504, description = "it took too long", body = Failure),
        (status = 507, description = "the disk is full, or refuses to be written", body = Failure),
    ),
)]
pub(super) async fn add(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    Extension(request_id): Extension<RequestId>,
    Body(request): Body<AddRequest>,
) -> Result<Json<Added>, ApiError> {
    let AddRequest { collection, format, content, reason, source } = request.checked()?;
    let source = source.unwrap_or_else(|| collection.clone());
    let options = Options { format: format.map(Into::into), map: None, source: Some(source) };
    if caller.collections.as_ref().is_some_and(|own| !own.contains(&collection)) {
        return Err(ApiError::new(Code::NotFound, "collection: no such collection is yours"));
    }
    let bound = caller.clone();
    let added = service.write(caller, move |store| {
        let name = format!("request {}", request_id.0);
        let mut rejected = Vec::new();
        let records: Vec<_> = reader::open_bytes(&name, content.into_bytes(), &options)?.collect();
        for record in &records {
            let id = match record {
                Ok(Record::Document(document)) => &document.id,
                Ok(Record::Delete(id)) => id,
                Err(set_aside) => {
                    if rejected.len() < REJECTS {
                        rejected.push(Rejected::from(set_aside));
                    }
                    continue;
                }
            };
            // an id that is taken elsewhere would be replaced, and be read from then on
            if store.collections_of(id)?.is_some_and(|names| !bound.may_change(&names)) {
                let message = format!("`{id}` belongs to a collection that is not yours: nothing was added");
                return Err(ApiError::new(Code::NotFound, message));
            }
        }
        let counts = store.ingest_because(&collection, &reason, records.into_iter())?;
        Ok(Added::new(counts, rejected))
    });
    Ok(Json(added.await?))
}

/// List collections.
#[utoipa::path(
    get,
    path = "/v1/collections",
    tag = "corpus",
    responses(
        (status = 200, description = "all collections, by name", body = Collections),
        (status = 429, description = "overloaded: try again after `Retry-After` seconds", body = Failure),
        (status = 504, description = "it took too long", body = Failure),
    ),
)]
pub(super) async fn collections(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Collections>, ApiError> {
    #[expect(clippy::redundant_closure_for_method_calls, reason = "the method alone is not general over lifetimes")]
    let found = service.read(caller, |view| view.collections()).await?;
    Ok(Json(Collections { collections: found.into_iter().map(Collection::from).collect() }))
}
