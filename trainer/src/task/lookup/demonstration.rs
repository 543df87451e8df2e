//! Demonstrations on formularies: one name after another is searched for, what each document says is told again, and the
//! last one answers.

use std::sync::Arc;

use agent::Ask;
use agent::policy::Local;
use agent::protocol::{AbstainCode, Action, Cited, SearchQuery, render};
use nn::Tokenizer;
use retriever::Fixed;

use super::{BUDGET, Formulary};
use crate::data::question::{Gold, Question};
use crate::reward::Rewards;
use crate::task::demonstration::{self, Rule};
use crate::{Error, Result, Sample};

/// So many demonstrations on `editions` in turn, of which `two_hop` take two documents, spread evenly.
pub(super) fn samples(
    local: &Local,
    tokenizer: Tokenizer,
    editions: &[Formulary],
    count: usize,
    two_hop: usize,
) -> Result<Vec<Sample>> {
    let tokenizer = Arc::new(tokenizer);
    let mut samples = Vec::with_capacity(count);
    for (number, formulary) in editions.iter().enumerate() {
        // The first editions take what does not divide.
        let share = |of: usize| of / editions.len() + usize::from(number < of % editions.len());
        let library = Fixed::of_documents(formulary.documents());
        let (two, one) = (formulary.sample(2, share(two_hop)), formulary.sample(1, share(count - two_hop)));
        for (question, steps) in one.iter().chain(&two) {
            samples.push(sample(local, &tokenizer, formulary, &library, (question, steps))?);
        }
    }
    if samples.len() < count {
        let what = format!("{count} demonstrations, but the editions have only {} questions", samples.len());
        return Err(Error::Input(format!("{what}: allow more drugs or editions")));
    }
    Ok(samples)
}

fn sample(
    local: &Local,
    tokenizer: &Arc<Tokenizer>,
    formulary: &Formulary,
    library: &Fixed,
    (question, steps): (&Question, &[String]),
) -> Result<Sample> {
    let names = question.documents.iter().filter_map(|key| formulary.drug(key.parse().ok()?));
    let queries: Vec<_> = names.map(|drug| drug.name.clone()).collect();
    let document = question.documents.last().cloned().unwrap_or_default();
    let answer = match &question.gold {
        Gold::Exact(answers) => answers.first().cloned().unwrap_or_default(),
        _ => String::new(),
    };
    let task = Ask { budget: BUDGET, ..Ask::new(question.question.as_str(), jiff::Timestamp::UNIX_EPOCH) };
    let (profile, steps) = (task.profile, steps.to_vec());
    let rule: Rule = Arc::new(move |turn, shown| {
        let last = shown.iter().rfind(|evidence| evidence.document.key() == document);
        let action = match (queries.get(turn), last) {
            (Some(query), _) => Action::Search(vec![SearchQuery::words(query)]),
            (None, Some(evidence)) => Action::Answer(vec![Cited { text: answer.clone(), cites: vec![evidence.label] }]),
            (None, None) => Action::Abstain { code: AbstainCode::Insufficient, text: String::new() },
        };
        // To say the fact first is to find it by words that stand next to it: easier than to jump to its value.
        let thought = turn.checked_sub(1).and_then(|read| steps.get(read));
        let thought = thought.map_or_else(String::new, |fact| format!("<think>{fact}</think>"));
        thought + &render(profile, &action)
    });
    let trace = demonstration::play(local, tokenizer, &task, library, rule)?;
    let worth = Rewards::default().score(&[(question, &trace)])?.remove(0);
    if worth.terms.iter().any(|term| term.value < 0.0) || worth.terms[..4].iter().any(|term| term.value < 1.0) {
        return Err(Error::Shape(format!("the demonstration of {} is not perfect: {worth:?}", question.id)));
    }
    demonstration::sample(&trace)
}
