//! Demonstrations on trials: a search in one of several wordings, then what the passage says, and the answer.
//!
//! The wordings are drawn evenly, so that a policy begins with all of them; which of them finds more is for
//! reinforcement to tell.

use std::sync::Arc;

use agent::protocol::{AbstainCode, Action, Cited};
use corpus::{Document, DocumentId};
use retriever::{Evidence, Fixed, Retrieve};

use super::{Samples, Trial, Wording};
use crate::draw::{Draw, Purpose};
use crate::evaluation::given::Given;
use crate::task::demonstration::{Rule, sample};
use crate::task::scratch::quote::{from_shared, quote};
use crate::task::scratch::reading::{Reader, say, search};

/// Share of the words of what annotators marked that a quote must hold.
const HELD: f64 = 0.6;

/// With the real retriever: of each question the first wording, in an order of its own, that finds its passage.
pub(super) fn found(reader: &Reader, seed: u64, retriever: &dyn Retrieve, trials: &[&Trial]) -> Samples {
    let mut draw = Draw::new(seed, Purpose::Wording, 0);
    let mut samples = Vec::new();
    for trial in trials {
        let mut wordings = Wording::ALL;
        draw.shuffle(&mut wordings);
        for wording in wordings {
            let trace = reader.play(&trial.text, retriever, rule(wording.of(trial), trial))?;
            if trace.answer.is_answered() && trace.faults.is_empty() {
                samples.push(sample(&trace)?);
                break;
            }
        }
    }
    Ok(samples)
}

/// Where each search finds what annotators marked, and nothing else: one for each mark.
pub(super) fn spans(reader: &Reader, seed: u64, trials: &[&Trial]) -> Samples {
    let mut draw = Draw::new(seed, Purpose::Wording, 1);
    let mut samples = Vec::new();
    for trial in trials {
        for (number, span) in trial.evidence.iter().enumerate() {
            let key = span.passages.first().cloned().unwrap_or_else(|| format!("{}-{number}", trial.id));
            let document = Document::plain(DocumentId::new("passages", &key), &trial.intervention, &span.text);
            let library = Given::new(Fixed::of_documents([document]).into_chunks());
            let wording = Wording::ALL[draw.below(Wording::ALL.len())];
            let mut marked = (*trial).clone();
            marked.evidence = vec![super::trial::Span { text: span.text.clone(), passages: vec![key] }];
            let trace = reader.play(&trial.text, &library, rule(wording.of(trial), &marked))?;
            if trace.answer.is_answered() && trace.faults.is_empty() {
                samples.push(sample(&trace)?);
            }
        }
    }
    Ok(samples)
}

/// Without a search: the conclusion alone.
pub(super) fn closed(reader: &Reader, trials: &[&Trial]) -> Samples {
    let conclude = |trial: &&Trial| {
        let text = trial.label.conclusion();
        let answer = say(&Action::Answer(vec![Cited { text, cites: Vec::new() }]));
        let rule: Rule = Arc::new(move |_, _| answer.clone());
        sample(&reader.play(&trial.text, &Given::default(), rule)?)
    };
    trials.iter().map(conclude).collect()
}

/// Searches for `query`; then quotes what was marked and concludes, or abstains where it is not there.
fn rule(query: String, trial: &Trial) -> Rule {
    let trial = trial.clone();
    Arc::new(move |turn, shown| {
        if turn == 0 {
            return search(&query);
        }
        let answer = shown.iter().find_map(|evidence| answer(&trial, evidence));
        let text = String::new();
        let action = answer.unwrap_or(Action::Abstain { code: AbstainCode::Insufficient, text });
        say(&action)
    })
}

/// What the evidence says, where it holds what was marked.
fn answer(trial: &Trial, evidence: &Evidence) -> Option<Action> {
    let key = evidence.document.key();
    let marked = trial.evidence.iter().filter(|span| span.passages.iter().any(|passage| passage == key));
    let quotes = marked.filter_map(|span| Some((quote(&evidence.text, &span.text)?, span)));
    let ((text, _), span) = quotes.filter(|((_, held), _)| *held >= HELD).max_by(|a, b| a.0.1.total_cmp(&b.0.1))?;
    let text = from_shared(text, &trial.outcome, &span.text, HELD);
    let cites = vec![evidence.label];
    Some(Action::Answer(vec![
        Cited { text: text.to_owned(), cites: cites.clone() },
        Cited { text: trial.label.conclusion(), cites },
    ]))
}
