//! Closed sets of names, as clients write and read them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How strong a kind of study a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Level {
    /// A practice guideline.
    Guideline,
    /// A systematic review or meta-analysis.
    SystematicReview,
    /// A randomised controlled trial.
    Rct,
    /// A cohort, case-control or other observational study.
    Observational,
    /// A case report or series.
    CaseReport,
    /// A narrative review, editorial, letter or comment.
    Opinion,
    /// A preprint.
    Preprint,
    /// A textbook or encyclopaedia entry.
    Reference,
    /// Nothing tells.
    Unclassified,
}

impl From<corpus::Level> for Level {
    fn from(level: corpus::Level) -> Self {
        match level {
            corpus::Level::Guideline => Self::Guideline,
            corpus::Level::SystematicReview => Self::SystematicReview,
            corpus::Level::Rct => Self::Rct,
            corpus::Level::Observational => Self::Observational,
            corpus::Level::CaseReport => Self::CaseReport,
            corpus::Level::Opinion => Self::Opinion,
            corpus::Level::Preprint => Self::Preprint,
            corpus::Level::Reference => Self::Reference,
            corpus::Level::Unclassified => Self::Unclassified,
        }
    }
}

impl From<Level> for corpus::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Guideline => Self::Guideline,
            Level::SystematicReview => Self::SystematicReview,
            Level::Rct => Self::Rct,
            Level::Observational => Self::Observational,
            Level::CaseReport => Self::CaseReport,
            Level::Opinion => Self::Opinion,
            Level::Preprint => Self::Preprint,
            Level::Reference => Self::Reference,
            Level::Unclassified => Self::Unclassified,
        }
    }
}

/// What publishers and registries say of a document. `retracted` is never found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Status {
    /// Nothing is known against it.
    Ok,
    /// An erratum or a corrected republication exists.
    Corrected,
    /// An expression of concern exists: show it with a banner.
    Concern,
    /// Retracted.
    Retracted,
}

impl From<corpus::Status> for Status {
    fn from(status: corpus::Status) -> Self {
        match status {
            corpus::Status::Ok => Self::Ok,
            corpus::Status::Corrected => Self::Corrected,
            corpus::Status::Concern => Self::Concern,
            corpus::Status::Retracted => Self::Retracted,
        }
    }
}

impl From<Status> for corpus::Status {
    fn from(status: Status) -> Self {
        match status {
            Status::Ok => Self::Ok,
            Status::Corrected => Self::Corrected,
            Status::Concern => Self::Concern,
            Status::Retracted => Self::Retracted,
        }
    }
}

/// What curators decided about a document. Only what is `active` is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Standing {
    /// In use.
    Active,
    /// Set aside until somebody looks.
    Quarantined,
    /// Taken out; can be restored.
    Removed,
}

impl From<corpus::Standing> for Standing {
    fn from(standing: corpus::Standing) -> Self {
        match standing {
            corpus::Standing::Active => Self::Active,
            corpus::Standing::Quarantined => Self::Quarantined,
            corpus::Standing::Removed => Self::Removed,
        }
    }
}

impl From<Standing> for corpus::Standing {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Active => Self::Active,
            Standing::Quarantined => Self::Quarantined,
            Standing::Removed => Self::Removed,
        }
    }
}

/// Which arms look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Arm {
    /// BM25 over words.
    Lexical,
    /// Nearest vectors.
    Vector,
    /// Both, fused.
    Hybrid,
}

impl From<retriever::Arm> for Arm {
    fn from(arm: retriever::Arm) -> Self {
        match arm {
            retriever::Arm::Lexical => Self::Lexical,
            retriever::Arm::Vector => Self::Vector,
            retriever::Arm::Hybrid => Self::Hybrid,
        }
    }
}

impl From<Arm> for retriever::Arm {
    fn from(arm: Arm) -> Self {
        match arm {
            Arm::Lexical => Self::Lexical,
            Arm::Vector => Self::Vector,
            Arm::Hybrid => Self::Hybrid,
        }
    }
}

/// How two arms become one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Fusion {
    /// Scores scaled to \[0, 1\] within each arm's list, then a convex combination.
    MinMax,
    /// Reciprocal rank, k = 60.
    Rrf,
}

impl From<Fusion> for retriever::Fusion {
    fn from(fusion: Fusion) -> Self {
        match fusion {
            Fusion::MinMax => Self::MinMax,
            Fusion::Rrf => Self::Rrf,
        }
    }
}
