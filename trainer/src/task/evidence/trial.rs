//! [`Trial`]: a question on a trial, as its annotators left it.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::data::for_each_line;
use crate::data::question::{Gold, Question};
use crate::error::{Error, Result};

/// What an intervention did to an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// More than with the comparator.
    #[serde(rename = "significantly increased")]
    Increased,
    /// Less than with the comparator.
    #[serde(rename = "significantly decreased")]
    Decreased,
    /// Neither.
    #[serde(rename = "no significant difference")]
    Same,
}

impl Effect {
    /// Every effect, in the order of options.
    pub const ALL: [Self; 3] = [Self::Increased, Self::Decreased, Self::Same];

    /// As it is written in an answer.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Increased => "significantly increased",
            Self::Decreased => "significantly decreased",
            Self::Same => "no significant difference",
        }
    }

    /// The sentence that concludes an answer.
    pub(super) fn conclusion(self) -> String {
        let text = self.as_str();
        let (first, rest) = text.split_at(1);
        format!("{}{rest}.", first.to_uppercase())
    }
}

/// A question on a trial.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Trial {
    /// Its name, once in a file.
    #[serde(rename = "prompt_id")]
    pub id: String,
    /// What was given.
    pub intervention: String,
    /// What it was compared with.
    pub comparator: String,
    /// What was measured.
    pub outcome: String,
    /// The question in words.
    #[serde(rename = "question")]
    pub text: String,
    /// The answer.
    pub label: Effect,
    /// `train` or `validation`.
    pub split: String,
    /// What annotators marked.
    pub evidence: Vec<Span>,
}

/// A stretch of a trial report that carries the answer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Span {
    /// Word for word.
    pub text: String,
    /// Keys of the passages that hold it; empty where none does.
    pub passages: Vec<String>,
}

/// The question in words.
pub(super) fn question(intervention: &str, comparator: &str, outcome: &str) -> String {
    format!("What is the effect of {intervention} compared with {comparator} on {outcome}?")
}

impl Trial {
    /// Keys of all passages that hold what was marked.
    pub fn passages(&self) -> BTreeSet<&str> {
        self.evidence.iter().flat_map(|span| span.passages.iter().map(String::as_str)).collect()
    }

    /// As an episode asks it.
    pub fn question(&self) -> Question {
        let letter = match self.label {
            Effect::Increased => 'A',
            Effect::Decreased => 'B',
            Effect::Same => 'C',
        };
        Question {
            id: self.id.clone(),
            question: self.text.clone(),
            gold: Gold::Choice { letter, options: Effect::ALL.map(|effect| effect.as_str().to_owned()).into() },
            documents: self.passages().into_iter().map(str::to_owned).collect(),
            hops: 1,
        }
    }
}

/// Reads questions on trials, one JSON object a line; `.gz` is read directly.
///
/// # Errors
/// [`Error::Data`] with the line of what is no question, has an empty part or is there twice; [`Error::Io`] for an
/// unreadable file.
pub fn trials(path: &Path) -> Result<Vec<Trial>> {
    let (mut trials, mut names) = (Vec::new(), BTreeSet::new());
    for_each_line(path, |line, bytes| {
        let fault = |reason: String| Error::Data { file: path.to_owned(), line, reason };
        let trial: Trial =
            serde_json::from_slice(bytes).map_err(|error| fault(format!("is no question on a trial: {error}")))?;
        let parts = [&trial.id, &trial.intervention, &trial.comparator, &trial.outcome, &trial.text];
        if parts.iter().any(|part| part.trim().is_empty()) {
            return Err(fault("the id, the question or a part of it is empty".to_owned()));
        }
        if !names.insert(trial.id.clone()) {
            return Err(fault(format!("question `{}` is there twice", trial.id)));
        }
        trials.push(trial);
        Ok(())
    })?;
    if trials.is_empty() {
        return Err(Error::Data { file: path.to_owned(), line: 0, reason: "holds no question".to_owned() });
    }
    Ok(trials)
}
