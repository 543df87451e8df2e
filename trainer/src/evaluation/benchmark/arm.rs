//! [`Arm`]: what a policy is given beside the question.

use std::fmt;
use std::str::FromStr;

use agent::Budget;
use retriever::Fixed;

use super::Item;
use crate::data::question::Question;
use crate::evaluation::{self, Asked, Exam};
use crate::recipe::Retriever;
use crate::retrieval::{Empty, Searched};
use crate::rollout::Cached;
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

/// What `exam.policy` answers in `arm`, in the order of `items`; `exam.retriever` is the index.
///
/// # Errors
/// Those of the episodes and of the rewards.
pub fn ask(exam: &Exam<'_>, arm: Arm, items: &[Item]) -> Result<Vec<Asked>> {
    let turns = if arm == Arm::Closed { 0 } else { exam.budget.turns };
    let exam = Exam { budget: Budget { turns, ..exam.budget }, ..*exam };
    let questions: Vec<Question> = items.iter().map(|item| item.question.clone()).collect();
    match arm {
        Arm::Closed => evaluation::ask(&Exam { retriever: &Empty, ..exam }, &questions),
        Arm::Context => {
            let one = |number: usize| {
                let library = Fixed::of_documents(items[number].contexts.iter().cloned());
                evaluation::ask(&Exam { retriever: &library, at_once: 1, ..exam }, &questions[number..=number])
            };
            Ok(at_once::each(items.len(), exam.at_once, |number, _| one(number))?.concat())
        }
        Arm::Rag | Arm::Shuffled => {
            let how = if arm == Arm::Rag { Retriever::True } else { Retriever::Shuffled };
            let searched = Searched::new(exam.retriever, how, &questions)?;
            evaluation::ask(&Exam { retriever: &Cached::new(&searched, REMEMBERED), ..exam }, &questions)
        }
    }
}
