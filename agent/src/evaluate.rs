//! [`evaluate`]: how often the documents that hold an answer are among those cited.

use corpus::DocumentId;
use corpus::starter::Question;
use serde::{Deserialize, Serialize};

use crate::{Result, Trace};

/// Documents of an answer that count; more are not looked at, so that citing everything gains nothing.
pub const DOCUMENTS: usize = 3;

/// Every question's outcome, and the shares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// One for each question, in order.
    pub cases: Vec<Case>,
    /// By split and hops, splits in order of name.
    pub summary: Vec<Row>,
}

/// What became of one question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// The question's id.
    pub id: String,
    /// Its half.
    pub split: String,
    /// How many documents it takes.
    pub hops: u32,
    /// Whether there was an answer.
    pub answered: bool,
    /// The first [`DOCUMENTS`] documents cited.
    pub cited: Vec<DocumentId>,
    /// Whether the document that holds the final fact is among them.
    pub cited_gold: bool,
    /// Whether all supporting documents are.
    pub cited_all: bool,
    /// How long it took, in milliseconds.
    pub ms: f64,
}

/// Shares of one split and number of hops.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The half.
    pub split: String,
    /// How many documents a question takes.
    pub hops: u32,
    /// How many questions.
    pub questions: usize,
    /// Share answered.
    pub answered: f64,
    /// Share answered that cites the document holding the final fact.
    pub cited_gold: f64,
    /// Share answered that cites all supporting documents.
    pub cited_all: f64,
    /// Share abstained.
    pub abstained: f64,
}

/// Asks each question by `ask` and compares what the answers cite with what supports them.
///
/// # Errors
/// The first that `ask` gives.
pub fn evaluate(questions: &[Question], ask: &mut dyn FnMut(&Question) -> Result<Trace>) -> Result<Report> {
    let cases = questions.iter().map(|question| Ok(case(question, &ask(question)?))).collect::<Result<Vec<_>>>()?;
    Ok(Report { summary: summarise(&cases), cases })
}

/// What `trace` came to on `question`.
pub fn case(question: &Question, trace: &Trace) -> Case {
    let cited: Vec<_> = trace.answer.documents().into_iter().take(DOCUMENTS).cloned().collect();
    let is_cited = |gold: &String| cited.iter().any(|document| document.key() == gold || document.as_str() == gold);
    let answered = trace.answer.is_answered();
    Case {
        id: question.id.clone(),
        split: question.split.to_string(),
        hops: question.hops.into(),
        answered,
        cited_gold: answered && question.documents.last().is_some_and(is_cited),
        cited_all: answered && !question.documents.is_empty() && question.documents.iter().all(is_cited),
        cited,
        ms: trace.timings.total_ms,
    }
}

fn summarise(cases: &[Case]) -> Vec<Row> {
    let mut groups: Vec<_> = cases.iter().map(|case| (case.split.clone(), case.hops)).collect();
    groups.sort();
    groups.dedup();
    let row = |(split, hops): (String, u32)| {
        let group: Vec<_> = cases.iter().filter(|case| case.split == split && case.hops == hops).collect();
        let share =
            |of: &dyn Fn(&Case) -> bool| group.iter().filter(|case| of(case)).count() as f64 / group.len() as f64;
        Row {
            questions: group.len(),
            answered: share(&|case| case.answered),
            cited_gold: share(&|case| case.cited_gold),
            cited_all: share(&|case| case.cited_all),
            abstained: share(&|case| !case.answered),
            split,
            hops,
        }
    };
    groups.into_iter().map(row).collect()
}
