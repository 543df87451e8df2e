//! The curators' verbs, and the log of what they did.

use corpus::DocumentId;
use corpus::store::{Affected, AuditRow};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::document::{DocumentName, name, reason};
use super::{Standing, Status};
use crate::server::error::ApiError;

/// Documents that one request may change.
const MAX_IDS: usize = 1_000;

/// Documents to change, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CurateRequest {
    /// Documents, by their whole ids: 1 to 1000. All are changed, or none.
    #[schema(min_items = 1, max_items = 1_000, example = json!(["pubmed:12345"]))]
    ids: Vec<DocumentName>,
    /// Why, for the audit log.
    #[schema(min_length = 1, max_length = 2_000, pattern = r"\S")]
    reason: String,
}

/// Documents to put a tag on, or to take it off.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TagRequest {
    /// Documents, by their whole ids: 1 to 1000. All are changed, or none.
    #[schema(min_items = 1, max_items = 1_000, example = json!(["pubmed:12345"]))]
    ids: Vec<DocumentName>,
    /// Why, for the audit log.
    #[schema(min_length = 1, max_length = 2_000, pattern = r"\S")]
    reason: String,
    /// The tag.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
    )]
    tag: String,
}

impl CurateRequest {
    /// The documents and the reason.
    ///
    /// # Errors
    /// With the field that is not in order.
    pub(crate) fn checked(self) -> Result<(Vec<DocumentId>, String), ApiError> {
        reason(&self.reason)?;
        Ok((ids(&self.ids)?, self.reason))
    }
}

impl TagRequest {
    /// The documents, the reason and the tag.
    ///
    /// # Errors
    /// With the field that is not in order.
    pub(crate) fn checked(self) -> Result<(Vec<DocumentId>, String, String), ApiError> {
        reason(&self.reason)?;
        name("tag", &self.tag)?;
        Ok((ids(&self.ids)?, self.reason, self.tag))
    }
}

fn ids(given: &[DocumentName]) -> Result<Vec<DocumentId>, ApiError> {
    if given.is_empty() || given.len() > MAX_IDS {
        return Err(ApiError::invalid(format!("ids: {} given, 1 to {MAX_IDS} are allowed", given.len())));
    }
    let one = |(index, name): (usize, &DocumentName)| {
        name.to_domain().ok_or_else(|| ApiError::invalid(format!("ids[{index}]: no document id: write `pubmed:12345`")))
    };
    given.iter().enumerate().map(one).collect()
}

/// What came of a verb.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Changed {
    /// Documents that are other than before; those that were so already are not counted.
    pub(crate) changed: u64,
    /// Those of the documents to restore that are no evidence still, since they are retracted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) retracted: Vec<String>,
}

/// Which acts to list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditParams {
    /// Only on this document.
    #[param(pattern = r"^[^:]+:[\s\S]+$")]
    pub(crate) document: Option<String>,
    /// Acts of a page; 50 unless given.
    #[param(minimum = 1, maximum = 200)]
    pub(crate) limit: Option<u32>,
    /// Go on behind this act: `next` of the page before.
    pub(crate) after: Option<i64>,
}

/// A page of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ActPage {
    /// Latest first.
    pub(crate) acts: Vec<Act>,
    /// What `after` takes for the next page; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<i64>,
}

/// Who did what to which document, when and why.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Act {
    /// Counts up by one an act.
    pub(crate) number: i64,
    /// When, RFC 3339.
    at: String,
    /// Who acted.
    who: String,
    /// What was done.
    #[schema(example = "quarantine")]
    verb: String,
    /// The document; none where the act was on a collection.
    document: Option<String>,
    /// What held before.
    before: Option<String>,
    /// What holds after.
    after: Option<String>,
    /// Why.
    reason: String,
}

impl From<AuditRow> for Act {
    fn from(row: AuditRow) -> Self {
        let AuditRow { number, at, who, verb, document, before, after, reason } = row;
        Self { number, at, who, verb, document: document.map(|id| id.to_string()), before, after, reason }
    }
}

/// Which affected answers to list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct AffectedParams {
    /// Answers of a page; 50 unless given.
    #[param(minimum = 1, maximum = 200)]
    pub(crate) limit: Option<u32>,
    /// Go on behind this trace: `next` of the page before.
    #[param(pattern = "^[0-9A-HJKMNP-TV-Z]{26}$")]
    pub(crate) after: Option<String>,
}

/// Stored answers that cite what was withdrawn or questioned since.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AffectedPage {
    /// Newest first.
    pub(crate) affected: Vec<AffectedAnswer>,
    /// What `after` takes for the next page; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// A stored answer that is no longer what it was.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AffectedAnswer {
    /// The trace: `/v1/traces/{id}` has the answer.
    trace: String,
    /// When it was asked, RFC 3339.
    created: String,
    /// Who asked.
    caller: String,
    /// What was asked.
    question: String,
    /// What it cites and should not, or not so plainly.
    documents: Vec<ChangedDocument>,
}

/// A cited document that is retracted, quarantined or removed now, or of concern when it was not.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangedDocument {
    /// The document.
    id: String,
    /// May be empty.
    title: String,
    /// What publishers and registries say of it now.
    status: Status,
    /// What curators decided.
    standing: Standing,
    /// What publishers and registries said when it was cited.
    cited_status: Status,
}

impl From<Affected> for AffectedAnswer {
    fn from(affected: Affected) -> Self {
        let document = |one: corpus::store::ChangedDocument| ChangedDocument {
            id: one.id.to_string(),
            title: one.title,
            status: one.status.into(),
            standing: one.standing.into(),
            cited_status: one.cited_status.into(),
        };
        Self {
            trace: affected.trace.id,
            created: affected.trace.created,
            caller: affected.trace.caller,
            question: affected.trace.question,
            documents: affected.documents.into_iter().map(document).collect(),
        }
    }
}
