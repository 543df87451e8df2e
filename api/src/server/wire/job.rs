//! Work that goes on while requests come and go.

use serde::Serialize;
use utoipa::ToSchema;

/// All jobs that are remembered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Jobs {
    /// Latest first.
    pub(crate) jobs: Vec<Job>,
}

/// A job. Jobs are remembered until the service ends.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Job {
    /// Its name.
    pub(crate) id: String,
    /// What it does.
    pub(crate) kind: JobKind,
    /// How it stands.
    pub(crate) state: JobState,
    /// What it is about just now, in a word.
    #[schema(example = "indexing")]
    pub(crate) stage: &'static str,
    /// Of `total`, where the stage can be counted.
    pub(crate) done: u64,
    /// 0 where the stage cannot be counted.
    pub(crate) total: u64,
    /// Why it failed, and what to do.
    pub(crate) message: Option<String>,
    /// The snapshot that it made or chose.
    pub(crate) result: Option<String>,
    /// Who began it.
    pub(crate) caller: String,
    /// When it was asked for, RFC 3339.
    pub(crate) created: String,
    /// When it began.
    pub(crate) started: Option<String>,
    /// When it ended.
    pub(crate) ended: Option<String>,
}

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum JobKind {
    /// Builds a snapshot and makes it the current one.
    BuildSnapshot,
    /// Verifies a snapshot and makes it the current one.
    UseSnapshot,
}

/// How a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum JobState {
    /// It will begin in a moment.
    Queued,
    /// It goes on.
    Running,
    /// It came to its end.
    Done,
    /// It could not; nothing has changed.
    Failed,
    /// It was stopped; nothing has changed.
    Cancelled,
}
