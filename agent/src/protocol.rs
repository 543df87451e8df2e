//! The grammar of an episode: what a policy may do in a turn, and what the environment writes back.
//!
//! ```text
//! turn        = text , ( search | answer | abstain ) ;
//! search      = "<search>" , query , { NL , query } , "</search>" ;
//! query       = text , { " @" , key , ":" , value } ;
//! answer      = "<answer>" , { sentence , cites } , "</answer>" ;
//! cites       = "[E" , int , "]" , { "[E" , int , "]" } ;
//! abstain     = '<abstain reason="' , code , '">' , text , "</abstain>" ;
//! information = "<information>" , { evidence } , "</information>" ;      (environment only)
//! ```
//!
//! The tags are Search-R1's, with abstention added; [`Profile`] names two other spellings of the same
//! actions. Thinking is plain text to the parser, in or out of `<think>`: the first complete action of
//! a turn counts wherever it stands, because chat templates open `<think>` unseen.

mod parse;
mod profile;
mod query;
mod render;
mod token;

use std::fmt;
use std::str::FromStr;

use retriever::evidence::Label;
use serde::{Deserialize, Serialize};

pub use parse::{Parser, Progress, Turn, parse};
pub use profile::Profile;
pub use query::{Modifier, SearchQuery};
pub use render::{asked, correction, escape, force_final, information, is_repair, render, repair, system_prompt};
pub use token::TokenParser;

/// What a policy did in a turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Look for something, one to a few queries at once.
    Search(Vec<SearchQuery>),
    /// Answer, in sentences with what they cite.
    Answer(Vec<Cited>),
    /// Say that no answer will come, and why.
    Abstain {
        /// The kind of reason.
        code: AbstainCode,
        /// The reason in words; may be empty.
        text: String,
    },
}

/// A part of an answer and the evidence it cites. Never empty text; labels as written, known or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cited {
    /// One sentence, or as many as the policy wrote before a cite.
    pub text: String,
    /// What follows it, each label once.
    pub cites: Vec<Label>,
}

/// Why no answer is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AbstainCode {
    /// The evidence does not carry an answer.
    Insufficient,
    /// The evidence contradicts itself.
    Conflicting,
    /// The question is not one for this service.
    OutOfScope,
    /// An answer could do harm.
    Unsafe,
    /// The question does not say enough.
    NeedsClarification,
    /// The budget ended first.
    Budget,
}

impl AbstainCode {
    /// Every code.
    pub const ALL: [Self; 6] =
        [Self::Insufficient, Self::Conflicting, Self::OutOfScope, Self::Unsafe, Self::NeedsClarification, Self::Budget];

    /// The code as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Insufficient => "insufficient",
            Self::Conflicting => "conflicting",
            Self::OutOfScope => "out_of_scope",
            Self::Unsafe => "unsafe",
            Self::NeedsClarification => "needs_clarification",
            Self::Budget => "budget",
        }
    }

    /// What a reader is told.
    pub fn text(self) -> &'static str {
        match self {
            Self::Insufficient => "no evidence found covers the question well enough",
            Self::Conflicting => "the evidence found contradicts itself",
            Self::OutOfScope => "the question is not one for this service",
            Self::Unsafe => "an answer could do harm",
            Self::NeedsClarification => "the question does not say enough to be looked up",
            Self::Budget => "no answer was reached within the budget",
        }
    }
}

impl fmt::Display for AbstainCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for AbstainCode {
    type Err = Fault;

    fn from_str(code: &str) -> Result<Self, Fault> {
        Self::ALL.into_iter().find(|known| known.as_str() == code).ok_or(Fault::UnknownAbstainCode)
    }
}

/// `text` on one line, without what cannot be seen.
fn single_spaced(text: &str) -> String {
    corpus::text::normalise(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A malformed move: data that costs reward, never an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// A tag inside an open action, a closing tag without its opening, or an action never closed.
    MalformedTag,
    /// The policy wrote what only the environment may write; the turn is cut there.
    EnvironmentTag,
    /// More queries than a turn may hold; the first ones count.
    TooManyQueries,
    /// A search without words.
    EmptyQuery,
    /// A query longer than [`SearchQuery::MAX_BYTES`]; its beginning counts.
    LongQuery,
    /// A modifier this grammar does not know; it stays in the query as text.
    UnknownModifier,
    /// An answer without words.
    EmptyAnswer,
    /// An abstention whose code is not known; `insufficient` is taken.
    UnknownAbstainCode,
    /// The turn ended without an action.
    NoAction,
    /// The turn is longer than [`Parser::MAX_BYTES`].
    LongTurn,
    /// A search when search was over.
    SearchDisabled,
    /// A query this episode asked before; it is not asked again.
    DuplicateQuery,
    /// A label that the ledger never gave out; it is struck.
    UnknownLabel,
    /// A part of an answer that cites nothing.
    Uncited,
}

impl Fault {
    /// What a correction tells the policy.
    pub fn advice(self) -> &'static str {
        match self {
            Self::MalformedTag => "a tag was opened inside another, or never closed",
            Self::EnvironmentTag => "only the environment writes evidence",
            Self::TooManyQueries => "there were too many queries",
            Self::EmptyQuery => "the search had no words",
            Self::LongQuery => "a query was too long",
            Self::UnknownModifier => "a query modifier is not known",
            Self::EmptyAnswer => "the answer had no words",
            Self::UnknownAbstainCode => "the reason to abstain is not known",
            Self::NoAction => "there was no action",
            Self::LongTurn => "the turn was too long",
            Self::SearchDisabled => "search is over",
            Self::DuplicateQuery => "the query was asked before",
            Self::UnknownLabel => "a cited label does not exist",
            Self::Uncited => "a sentence cited nothing",
        }
    }
}
