//! May a document be evidence? [`Status`] is what publishers say, [`Standing`] what curators say.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

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

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = Error;

            fn from_str(name: &str) -> Result<Self, Error> {
                Self::ALL.iter().copied().find(|value| value.as_str() == name).ok_or_else(|| {
                    let names: Vec<_> = Self::ALL.iter().map(|value| value.as_str()).collect();
                    Error::Input(format!("`{name}` is none of {}", names.join(", ")))
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
