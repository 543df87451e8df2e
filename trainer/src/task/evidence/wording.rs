//! [`Wording`]: ways to ask an index about a trial, and how often each finds it.

use retriever::{Query, Retrieve};
use serde::Serialize;

use super::{BUDGET, Trial};
use crate::Result;

/// How a question on a trial is searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wording {
    /// The whole question, as it was asked.
    Question,
    /// Intervention, comparator and outcome.
    Three,
    /// Intervention and outcome.
    Two,
    /// Intervention, outcome, and what a result says.
    Result,
}

impl Wording {
    /// Every wording.
    pub const ALL: [Self; 4] = [Self::Question, Self::Three, Self::Two, Self::Result];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Question => "question",
            Self::Three => "three",
            Self::Two => "two",
            Self::Result => "result",
        }
    }

    /// The query.
    pub fn query(self, question: &str, intervention: &str, comparator: &str, outcome: &str) -> String {
        match self {
            Self::Question => question.to_owned(),
            Self::Three => format!("{intervention} {comparator} {outcome}"),
            Self::Two => format!("{intervention} {outcome}"),
            Self::Result => format!("{intervention} {outcome} significant difference"),
        }
    }

    /// The query on a trial.
    pub(super) fn of(self, trial: &Trial) -> String {
        self.query(&trial.text, &trial.intervention, &trial.comparator, &trial.outcome)
    }
}

/// How often a wording finds a passage that holds the answer, within the hits of an episode.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Found {
    /// The wording.
    pub wording: Wording,
    /// Share of the questions to train on.
    pub train: f64,
    /// Share of the questions to measure by.
    pub heldout: f64,
}

/// Asks each question in each wording.
pub(super) fn measure(retriever: &dyn Retrieve, train: &[&Trial], heldout: &[&Trial]) -> Result<Vec<Found>> {
    let share = |wording: Wording, trials: &[&Trial]| -> Result<f64> {
        let mut found = 0;
        for trial in trials {
            let query = Query { k: BUDGET.hits_per_query, ..Query::new(wording.of(trial)) };
            let hits = retriever.retrieve(&query).map_err(agent::Error::from)?;
            let gold = trial.passages();
            found += usize::from(hits.iter().any(|hit| gold.contains(hit.document.key())));
        }
        Ok(found as f64 / trials.len().max(1) as f64)
    };
    let one = |wording| Ok(Found { wording, train: share(wording, train)?, heldout: share(wording, heldout)? });
    Wording::ALL.into_iter().map(one).collect()
}
