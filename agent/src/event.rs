//! [`Event`]: what happens in an episode, told as it happens.

use retriever::evidence::Label;
use retriever::{Evidence, Hit};
use serde::{Deserialize, Serialize};

use crate::check::Finding;
use crate::trace::{StopReason, Timings};
use crate::{Answer, Citation, TraceId};

/// One event. The last of an episode is `final`, which repeats the whole answer, so that a listener who
/// comes back needs nothing else; or `error`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A turn begins.
    Turn {
        /// From 1.
        turn: u32,
        /// Whether a search would be heard.
        may_search: bool,
    },
    /// The policy writes: the next piece of its turn, thoughts and tags and all, checked by nobody yet.
    Text {
        /// The turn.
        turn: u32,
        /// Whole characters.
        text: String,
    },
    /// A query is asked.
    Query {
        /// The turn.
        turn: u32,
        /// The query with its modifiers.
        query: String,
    },
    /// What a query found.
    Hits {
        /// The turn.
        turn: u32,
        /// The query with its modifiers.
        query: String,
        /// Best first, each explained.
        hits: Vec<Hit>,
    },
    /// What of it is evidence.
    Evidence {
        /// The turn.
        turn: u32,
        /// The query with its modifiers.
        query: String,
        /// New evidence.
        evidence: Vec<Evidence>,
        /// Labels of evidence that was shown before.
        known: Vec<Label>,
    },
    /// The next sentence of the answer.
    Answer {
        /// The sentence.
        text: String,
        /// What it cites.
        cites: Vec<Label>,
    },
    /// What a sentence cites says of it.
    Verdict {
        /// Its place in the answer, from 1.
        sentence: usize,
        /// By rule, or by a scorer.
        finding: Finding,
    },
    /// A work the answer cites.
    Citation {
        /// The work and the quote.
        citation: Citation,
    },
    /// Something a reader should know.
    Warning {
        /// In words.
        message: String,
    },
    /// The end.
    Final {
        /// Name of the trace.
        trace_id: TraceId,
        /// The question.
        question: String,
        /// The pinned snapshot.
        snapshot: String,
        /// The whole answer.
        answer: Answer,
        /// Why it ended.
        stop: StopReason,
        /// Where the time went.
        timings: Timings,
    },
    /// The episode failed.
    Error {
        /// In words.
        message: String,
    },
}
