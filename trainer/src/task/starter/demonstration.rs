//! Demonstrations on the starter corpus: the question is searched for, then, where its document was not found, what
//! that document is about; the answer quotes the sentence that holds the fact.

use std::sync::Arc;

use agent::protocol::{AbstainCode, Action, Cited};
use corpus::starter::Question;
use retriever::{Evidence, Retrieve};

use crate::task::demonstration::{Rule, sample};
use crate::task::scratch::quote::{from_shared, quote};
use crate::task::scratch::reading::{Reader, say, search};
use crate::{Result, Sample};

/// Share of the words of the answer that a quote must hold.
const HELD: f64 = 0.5;

/// One for each question whose answer was found.
pub(super) fn samples(reader: &Reader, retriever: &dyn Retrieve, questions: &[Question]) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    for question in questions {
        let trace = reader.play(&question.question, retriever, rule(question))?;
        if trace.answer.is_answered() && trace.faults.is_empty() {
            samples.push(sample(&trace)?);
        }
    }
    Ok(samples)
}

fn rule(question: &Question) -> Rule {
    let question = question.clone();
    Arc::new(move |turn, shown| {
        if turn == 0 {
            return search(question.question.trim_end_matches('?'));
        }
        match (answer(&question, shown), question.documents.last()) {
            (Some(action), _) => say(&action),
            (None, Some(key)) if turn == 1 => search(&key.replace('-', " ")),
            (None, _) => {
                let action = Action::Abstain { code: AbstainCode::Insufficient, text: String::new() };
                say(&action)
            }
        }
    })
}

/// The sentence that holds the answer, of a document that has it.
fn answer(question: &Question, shown: &[Evidence]) -> Option<Action> {
    let last = question.documents.last()?;
    let known = shown.iter().filter(|evidence| evidence.document.key() == last);
    let quotes = known.filter_map(|evidence| Some((quote(&evidence.text, &question.answer)?, evidence.label)));
    let ((text, _), label) = quotes.filter(|((_, held), _)| *held >= HELD).max_by(|a, b| a.0.1.total_cmp(&b.0.1))?;
    let text = from_shared(text, &question.question, &question.answer, HELD).to_owned();
    Some(Action::Answer(vec![Cited { text, cites: vec![label] }]))
}
