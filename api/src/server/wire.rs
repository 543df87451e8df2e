//! What goes over the wire: types of its own, so that a rename inside breaks no client.
//!
//! A field is added here when clients need it, and taken away never within `/v1`. Requests refuse
//! fields they do not know: a misspelt filter must not be a filter that is not there.

mod answer;
mod ask;
mod chunk;
mod curation;
mod document;
mod event;
mod job;
pub(crate) mod mcp;
mod names;
pub(crate) mod openai;
mod retrieve;
mod run;
mod snapshot;
mod trace;
mod verify;

use serde::Serialize;
use utoipa::ToSchema;

use super::error::Code;

pub(crate) use answer::{Answer, Citation, Verdict};
pub(crate) use ask::{AskRequest, Unsupported, fits, worded};
pub(crate) use chunk::Chunk;
pub(crate) use curation::{
    Act, ActPage, AffectedAnswer, AffectedPage, AffectedParams, AuditParams, Changed, CurateRequest, TagRequest,
};
pub(crate) use document::{
    AddRequest, Added, Collection, Collections, Document, DocumentCard, DocumentPage, DocumentParams, Rejected,
};
pub(crate) use event::{Event, Overlapping};
pub(crate) use job::{Job, JobKind, JobState, Jobs};
pub(crate) use names::{Arm, Fusion, Level, Standing, Status};
pub(crate) use retrieve::{
    Batch, Contribution, Filter, Hit, RetrieveRequest, Retrieved, SearchR1Document, SearchR1Hit, SearchR1Request,
    SearchR1Response, SearchR1Result,
};
pub(crate) use run::{Episodes, EpisodesParams, Run, RunCard, RunPage, RunParams, RunsParams};
pub(crate) use snapshot::{BuildRequest, Snapshot, Snapshots, VectorKind};
pub(crate) use trace::{EraseParams, Erased, StoredTrace, TraceCard, TracePage, TraceParams};
pub(crate) use verify::{Verified, VerifyRequest, VerifyResponse};

/// Every error, whatever the route.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Failure {
    /// Also in the header `x-request-id`; the log knows more under it.
    pub(crate) request_id: String,
    /// For programs: one of a closed set, never reworded.
    pub(crate) code: Code,
    /// For people.
    pub(crate) message: String,
}

/// What `/healthz` and `/readyz` answer when all is well.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`, or `ready`.
    pub(crate) status: &'static str,
    /// The snapshot that answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) snapshot: Option<String>,
}

/// What `/` answers: where to go from here.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Index {
    /// The service.
    pub(crate) name: &'static str,
    /// Its version.
    pub(crate) version: &'static str,
    /// Method, path and purpose of every route.
    pub(crate) routes: Vec<&'static str>,
    /// What every answer is, and what it is not.
    pub(crate) notice: &'static str,
}

/// How labels are written everywhere: `E7`.
fn labels(labels: &[retriever::evidence::Label]) -> Vec<String> {
    labels.iter().map(ToString::to_string).collect()
}
