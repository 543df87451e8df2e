//! [`Query`]: what to look for, in which arms, under which filter.

use std::fmt;
use std::str::FromStr;

use indexes::Filter;
use serde::{Deserialize, Serialize};

use crate::Error;

/// One search. [`Query::new`] gives the defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Query {
    /// The words, as the asker wrote them.
    pub text: String,
    /// How many hits at most.
    pub k: usize,
    /// Which arms look.
    pub arm: Arm,
    /// How two arms become one list.
    pub fusion: Fusion,
    /// Which chunks may be hits at all.
    pub filter: Filter,
    /// How many chunks of one document may be hits; 0 is no limit.
    pub per_document: usize,
}

impl Query {
    /// Hybrid search for `text` without a filter: 10 hits, at most 3 of one document.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            k: 10,
            arm: Arm::Hybrid,
            fusion: Fusion::default(),
            filter: Filter::default(),
            per_document: 3,
        }
    }
}

/// A way of finding chunks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arm {
    /// BM25 over words.
    Lexical,
    /// Nearest vectors.
    Vector,
    /// Both, fused. Falls back to words alone on a snapshot without vectors, and says so.
    #[default]
    Hybrid,
}

/// How two ranked lists become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fusion {
    /// Each arm's scores scaled to \[0, 1\] within its list, then a convex combination by the
    /// encoder's weight (Bruch et al. 2023, <https://arxiv.org/abs/2210.11934>).
    #[default]
    MinMax,
    /// Reciprocal rank with k = 60 (Cormack et al. 2009).
    Rrf,
}

impl FromStr for Arm {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "lexical" => Ok(Self::Lexical),
            "vector" => Ok(Self::Vector),
            "hybrid" => Ok(Self::Hybrid),
            _ => Err(Error::Input(format!("`{name}` is no arm: lexical, vector or hybrid"))),
        }
    }
}

impl FromStr for Fusion {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "minmax" => Ok(Self::MinMax),
            "rrf" => Ok(Self::Rrf),
            _ => Err(Error::Input(format!("`{name}` is no fusion: minmax or rrf"))),
        }
    }
}

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lexical => "lexical",
            Self::Vector => "vector",
            Self::Hybrid => "hybrid",
        })
    }
}
