//! [`Arm`]: what a policy is given beside the question.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use agent::Budget;
use agent::policy::Policy;
use agent::protocol::Profile;
use retriever::{Fixed, Query, Retrieve};

use super::Item;
use crate::evaluation::{self, Asked, Exam};
use crate::question::Question;
use crate::recipe::Retriever;
use crate::retrieval::{Empty, Searched};
use crate::rollout::{Cached, Score};
use crate::{Result, at_once};

/// Queries whose hits are remembered, and chunks whose text is.
const REMEMBERED: usize = 100_000;

/// What a policy is given beside the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arm {
    /// Nothing: it answers at once.
    Closed,
    /// What comes along with the question: a search finds nothing else.
    Context,
    /// The index.
    Rag,
    /// The index, whose searches find other documents: what is left of an answer is chance.
    Shuffled,
}

impl Arm {
    /// Every arm.
    pub const ALL: [Self; 4] = [Self::Closed, Self::Context, Self::Rag, Self::Shuffled];

    /// As written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Context => "context",
            Self::Rag => "rag",
            Self::Shuffled => "shuffled",
        }
    }

    /// Whether it searches an index.
    pub fn searches(self) -> bool {
        matches!(self, Self::Rag | Self::Shuffled)
    }
}

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Arm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|arm| arm.as_str() == text);
        known.ok_or_else(|| format!("`{text}` is no arm: {}", Self::ALL.map(Self::as_str).join(", ")))
    }
}

/// On what terms questions are asked.
#[derive(Clone, Copy)]
pub struct Terms<'a> {
    /// The bounds of an episode.
    pub budget: Budget,
    /// Its grammar.
    pub profile: Profile,
    /// Episodes under way at once.
    pub at_once: usize,
    /// Decides what is random in a policy.
    pub seed: u64,
    /// What answers are worth.
    pub score: &'a Score<'a>,
    /// Time since a moment of the caller's choice.
    pub clock: &'a (dyn Fn() -> Duration + Sync),
}

/// What `policy` answers in `arm`, in the order of `items`; `library` is the index.
///
/// # Errors
/// Those of the episodes and of the rewards.
pub fn ask(
    policy: &dyn Policy,
    library: &dyn Retrieve,
    arm: Arm,
    items: &[Item],
    terms: &Terms<'_>,
) -> Result<Vec<Asked>> {
    let query = Query::new("");
    let turns = if arm == Arm::Closed { 0 } else { terms.budget.turns };
    let terms = Terms { budget: Budget { turns, ..terms.budget }, ..*terms };
    let questions: Vec<Question> = items.iter().map(|item| item.question.clone()).collect();
    match arm {
        Arm::Closed => evaluation::ask(&terms.exam(policy, &Empty, &query), &questions),
        Arm::Context => {
            let one = |number: usize| {
                let library = Fixed::of_documents(items[number].contexts.iter().cloned());
                let exam = terms.exam(policy, &library, &query);
                evaluation::ask(&Exam { at_once: 1, ..exam }, &questions[number..=number])
            };
            Ok(at_once::each(items.len(), terms.at_once, |number, _| one(number))?.concat())
        }
        Arm::Rag | Arm::Shuffled => {
            let how = if arm == Arm::Rag { Retriever::True } else { Retriever::Shuffled };
            let searched = Searched::new(library, how, &questions)?;
            let cached = Cached::new(&searched, REMEMBERED);
            evaluation::ask(&terms.exam(policy, &cached, &query), &questions)
        }
    }
}

impl<'a> Terms<'a> {
    fn exam(&self, policy: &'a dyn Policy, retriever: &'a dyn Retrieve, query: &'a Query) -> Exam<'a> {
        let Self { budget, profile, at_once, seed, score, clock } = *self;
        Exam { policy, retriever, query, budget, profile, at_once, seed, score, clock }
    }
}

impl fmt::Debug for Terms<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terms").field("budget", &self.budget).field("profile", &self.profile).finish_non_exhaustive()
    }
}
