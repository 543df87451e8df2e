//! [`Earlier`]: the episode that a follow-up question goes on from.

use retriever::Evidence;
use serde::{Deserialize, Serialize};

use crate::{Trace, TraceId};

/// What a follow-up question goes on from. Its evidence keeps its labels: it is the beginning of the new ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Earlier {
    /// The episode.
    pub trace: TraceId,
    /// What was asked.
    pub question: String,
    /// What was answered, without labels.
    pub answer: String,
    /// All evidence of the episode, by label. A trace keeps it in its ledger alone.
    #[serde(skip)]
    pub evidence: Vec<Evidence>,
    /// How many entries of the new ledger are this evidence.
    pub labels: usize,
}

impl Earlier {
    /// The episode of `trace`.
    pub fn of(trace: &Trace) -> Self {
        let evidence = trace.ledger.entries().to_vec();
        Self {
            trace: trace.id.clone(),
            question: trace.question.clone(),
            answer: trace.answer.text.clone(),
            labels: evidence.len(),
            evidence,
        }
    }

    /// What `trace` went on from, if it was a follow-up.
    pub fn before(trace: &Trace) -> Option<Self> {
        let earlier = trace.follows.as_ref()?;
        let evidence = trace.ledger.entries().iter().take(earlier.labels).cloned().collect();
        Some(Self { evidence, ..earlier.clone() })
    }
}
