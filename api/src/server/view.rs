//! [`View`]: the corpus as one caller may read it.
//!
//! Handlers read the corpus by nothing else, so that none can forget to ask. What a caller may not read is for them as if it
//! did not exist, and a document that others share is shown without the names of their collections.

use corpus::store::{Affected, AuditRow, ChunkInContext, Collection, Listing, Row, Stored, TraceListing, TraceRow};
use corpus::{ChunkId, DocumentId, Standing, Status, Store};

use super::caller::Caller;
use super::error::{ApiError, Code};
use super::params;

/// What of a store a caller may read.
#[derive(Debug)]
pub(super) struct View<'a> {
    store: &'a Store,
    caller: &'a Caller,
}

impl<'a> View<'a> {
    pub(super) fn new(store: &'a Store, caller: &'a Caller) -> Self {
        Self { store, caller }
    }

    /// The document called `id`, of any status and standing.
    pub(super) fn document(&self, id: &DocumentId) -> Result<Option<Stored>, ApiError> {
        let found = self.store.document(id)?.filter(|stored| self.caller.may_read(&stored.collections));
        Ok(found.map(|mut stored| {
            self.caller.narrow(&mut stored.collections);
            stored
        }))
    }

    /// The one document that `name` can mean, as long as it may be evidence; none where there is no such one, or more.
    ///
    /// # Errors
    /// [`Code::Gone`] where it may not be evidence any more.
    pub(super) fn named(&self, name: &str) -> Result<Option<Stored>, ApiError> {
        let ids = self.store.resolve(name)?.into_iter().map(|id| Ok(self.may_read(&id)?.then_some(id)));
        let ids = ids.filter_map(Result::transpose).collect::<Result<Vec<_>, ApiError>>()?;
        let [id] = ids.as_slice() else { return Ok(None) };
        let found = self.document(id)?;
        if let Some(stored) = &found {
            not_gone("this document", stored.document.status, stored.standing)?;
        }
        Ok(found)
    }

    /// The chunk called `id`, as long as its document may be evidence.
    ///
    /// # Errors
    /// [`Code::Gone`] where it may not be any more.
    pub(super) fn chunk(&self, id: ChunkId) -> Result<Option<ChunkInContext>, ApiError> {
        let found = self.store.chunks(&[id])?.pop().flatten();
        let Some(mut found) = found.filter(|found| self.caller.may_read(&found.document.collections)) else {
            return Ok(None);
        };
        not_gone("the document of this chunk", found.document.status, found.document.standing)?;
        self.caller.narrow(&mut found.document.collections);
        Ok(Some(found))
    }

    /// Documents, in order of ids.
    pub(super) fn list(&self, listing: Listing) -> Result<Vec<Row>, ApiError> {
        if listing.collection.as_ref().is_some_and(|name| !self.caller.may_read(std::slice::from_ref(name))) {
            return Ok(Vec::new());
        }
        let mut rows = self.store.list(&Listing { within: self.caller.collections.clone(), ..listing })?;
        for row in &mut rows {
            self.caller.narrow(&mut row.collections);
        }
        Ok(rows)
    }

    /// Collections, by name.
    pub(super) fn collections(&self) -> Result<Vec<Collection>, ApiError> {
        let mut found = self.store.collections()?;
        found.retain(|one| self.caller.may_read(std::slice::from_ref(&one.name)));
        Ok(found)
    }

    /// At most `limit` acts, latest first, before that of the number `before` where it is given: on the document `id`, or on
    /// all; and the number to go on behind, where there are more. An act on no document, or on one that is gone, is shown to
    /// those who may read all.
    pub(super) fn acts(
        &self,
        id: Option<&DocumentId>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<(Vec<AuditRow>, Option<i64>), ApiError> {
        let found = self.store.audit_page(id, before, limit + 1)?;
        let (mut found, next) = params::page(found, limit, |row| row.number);
        if self.caller.collections.is_some() {
            let shown = found.into_iter().map(|row| {
                let may_read = row.document.as_ref().map_or(Ok(false), |id| self.may_read(id))?;
                Ok(may_read.then_some(row))
            });
            found = shown.filter_map(Result::transpose).collect::<Result<_, ApiError>>()?;
        }
        Ok((found, next))
    }

    /// At most `limit` answers of anybody that cite what was withdrawn since, newest first, older ones than `after` where it is
    /// given; and the name to go on behind, where there are more. Of the documents those are told that the caller may read;
    /// answers that cite none of them are left out.
    pub(super) fn affected(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<(Vec<Affected>, Option<String>), ApiError> {
        let found = self.store.affected(after, limit + 1)?;
        let (mut found, next) = params::page(found, limit, |one| one.trace.id.clone());
        if self.caller.collections.is_some() {
            for one in &mut found {
                let documents = std::mem::take(&mut one.documents).into_iter();
                let shown = documents.map(|document| Ok(self.may_read(&document.id)?.then_some(document)));
                one.documents = shown.filter_map(Result::transpose).collect::<Result<_, ApiError>>()?;
            }
            found.retain(|one| !one.documents.is_empty());
        }
        Ok((found, next))
    }

    /// Stored answers, newest first: of others too, and of the caller whom `listing` names, for those who see all.
    pub(super) fn traces(&self, listing: TraceListing) -> Result<Vec<TraceRow>, ApiError> {
        let caller = if self.caller.sees_all() { listing.caller } else { Some(self.caller.name.clone()) };
        Ok(self.store.traces(&TraceListing { caller, ..listing })?)
    }

    /// The stored answer called `id`, with what lists say of it.
    pub(super) fn trace(&self, id: &str) -> Result<Option<(TraceRow, String)>, ApiError> {
        Ok(self.store.trace(id)?.filter(|(row, _)| self.caller.may_see(&row.caller)))
    }

    /// What the caller was last told as what hashes to `hash`: its trace as JSON.
    pub(super) fn told(&self, hash: &[u8; 32]) -> Result<Option<String>, ApiError> {
        Ok(self.store.trace_told(&self.caller.name, hash)?)
    }

    /// Those of `ids` that the caller may read and that are retracted.
    pub(super) fn retracted(&self, ids: &[DocumentId]) -> Result<Vec<DocumentId>, ApiError> {
        let found = self.store.retracted(ids)?.into_iter();
        found.filter_map(|id| self.may_read(&id).map(|may| may.then_some(id)).transpose()).collect()
    }

    /// Whether the document called `id` is there and the caller's to change.
    pub(super) fn may_change(&self, id: &DocumentId) -> Result<bool, ApiError> {
        Ok(self.store.collections_of(id)?.is_some_and(|names| self.caller.may_change(&names)))
    }

    fn may_read(&self, id: &DocumentId) -> Result<bool, ApiError> {
        Ok(self.caller.collections.is_none()
            || self.store.collections_of(id)?.is_some_and(|names| self.caller.may_read(&names)))
    }
}

/// Refuses what may not be evidence any more.
fn not_gone(what: &str, status: Status, standing: Standing) -> Result<(), ApiError> {
    let why = match (status, standing) {
        (Status::Retracted, _) => "was retracted",
        (_, Standing::Active) => return Ok(()),
        _ => "was withdrawn by its curators",
    };
    Err(ApiError::new(Code::Gone, format!("{what} {why}")))
}
