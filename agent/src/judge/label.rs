//! [`Label`]: what evidence says about a claim.

use serde::{Deserialize, Serialize};

/// What evidence says about a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    /// That it is so.
    Support,
    /// That it is not so.
    Contradict,
    /// Neither.
    Neutral,
}

impl Label {
    /// All, in the order in which probabilities stand.
    pub const ALL: [Self; 3] = [Self::Support, Self::Contradict, Self::Neutral];

    /// Its name in a model's `config.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Support => "support",
            Self::Contradict => "contradict",
            Self::Neutral => "neutral",
        }
    }

    /// The label that goes by `name` in models and data sets of natural language inference.
    pub fn from_name(name: &str) -> Option<Self> {
        match name.trim().to_lowercase().as_str() {
            "support" | "supports" | "supported" | "entailment" | "entails" | "entailed" => Some(Self::Support),
            "contradict" | "contradicts" | "contradicted" | "contradiction" | "refute" | "refutes" | "refuted" => {
                Some(Self::Contradict)
            }
            "neutral" | "nei" | "not enough info" | "not_enough_info" => Some(Self::Neutral),
            _ => None,
        }
    }
}
