//! [`Earlier`]: the episode that a follow-up question goes on from.

use retriever::Evidence;
use retriever::evidence::estimate_tokens;
use serde::{Deserialize, Serialize};

use crate::{Trace, TraceId};

/// Tokens of evidence that a follow-up begins with: what was cited comes first, then what was found last. Without a bound a
/// long conversation would carry all that it ever read.
const TOKENS: usize = 6_000;

/// What a follow-up question goes on from. Its evidence keeps its labels: it is the beginning of the new ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Earlier {
    /// The episode; none where nothing of it is known but its question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceId>,
    /// What was asked.
    pub question: String,
    /// What was answered, without labels; nothing where that is not known.
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
        let mut evidence = trace.ledger.entries().to_vec();
        let is_cited = |one: &Evidence| trace.answer.citations.iter().any(|citation| citation.label == one.label);
        let mut order: Vec<usize> = (0..evidence.len()).rev().collect();
        order.sort_by_key(|place| !is_cited(&evidence[*place]));
        let mut room = TOKENS;
        for place in order {
            let cost = estimate_tokens(&evidence[place].text);
            match room.checked_sub(cost) {
                Some(left) => room = left,
                None => evidence[place].withdraw(),
            }
        }
        Self {
            trace: Some(trace.id.clone()),
            question: trace.question.clone(),
            answer: trace.answer.text.clone(),
            labels: evidence.len(),
            evidence,
        }
    }

    /// An episode of which only the question is known: that of somebody who says so. It brings no evidence.
    pub fn asked(question: impl Into<String>) -> Self {
        Self { trace: None, question: question.into(), answer: String::new(), evidence: Vec::new(), labels: 0 }
    }

    /// What `trace` went on from, if it was a follow-up.
    pub fn before(trace: &Trace) -> Option<Self> {
        let earlier = trace.follows.as_ref()?;
        let evidence = trace.ledger.entries().iter().take(earlier.labels).cloned().collect();
        Some(Self { evidence, ..earlier.clone() })
    }
}
