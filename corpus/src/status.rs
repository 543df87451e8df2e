//! May a document be evidence? [`Status`] is what publishers say, [`Standing`] what curators say.

use serde::{Deserialize, Serialize};

use crate::Document;

macro_rules! names {
    ($type:ty { $($variant:ident = $name:literal),+ $(,)? }) => {
        impl $type {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name that is stored and shown.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::Error;

            fn from_str(name: &str) -> Result<Self, $crate::Error> {
                Self::ALL.iter().copied().find(|value| value.as_str() == name).ok_or_else(|| {
                    let names: Vec<_> = Self::ALL.iter().map(|value| value.as_str()).collect();
                    $crate::Error::Input(format!("`{name}` is none of {}", names.join(", ")))
                })
            }
        }
    };
}
pub(crate) use names;

/// What the publisher says of a document. Errata are not retractions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Nothing is known against it.
    #[default]
    Ok,
    /// An erratum or a corrected republication exists.
    Corrected,
    /// An expression of concern exists: shown with a banner.
    Concern,
    /// Retracted: never evidence.
    Retracted,
}

names!(Status { Ok = "ok", Corrected = "corrected", Concern = "concern", Retracted = "retracted" });

impl Status {
    /// What `document`'s own record says: links to notices about it, its publication types, its title.
    /// A notice about another document is not itself retracted or corrected by that.
    pub fn of_record(document: &Document) -> Self {
        if document.is_notice() {
            return Self::Ok;
        }
        let linked = document.corrections.iter().map(|link| match link.relation.as_str() {
            "RetractionIn" | "RetractedandRepublishedIn" | "retraction-forward" => Self::Retracted,
            "ExpressionOfConcernIn" | "PartialRetractionIn" | "concern-forward" => Self::Concern,
            "ErratumIn" | "CorrectedandRepublishedIn" | "correction-forward" => Self::Corrected,
            _ => Self::Ok,
        });
        let is_type = |name: &str| document.publication_types.iter().any(|own| own.eq_ignore_ascii_case(name));
        let title = document.title.to_lowercase();
        let titled = ["retracted:", "retracted article:", "[retracted"].iter().any(|start| title.starts_with(start));
        let own = if titled || is_type("Retracted Publication") || is_type("retracted-article") {
            Self::Retracted
        } else {
            Self::Ok
        };
        linked.max().unwrap_or_default().max(own)
    }
}

/// What this home's curators decided about a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// In use.
    #[default]
    Active,
    /// Set aside until somebody looks: never evidence.
    Quarantined,
    /// Taken out: never evidence, restorable.
    Removed,
}

names!(Standing { Active = "active", Quarantined = "quarantined", Removed = "removed" });
