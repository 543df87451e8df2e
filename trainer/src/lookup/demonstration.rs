//! Demonstrations: episodes that a rule plays, through the same loop, protocol and tokens as a policy's.
//!
//! What the environment writes is read by the local policy's own session, and what the rule writes is
//! encoded like it, so that a demonstration is to the id what the model would see.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use agent::policy::{Local, Policy};
use agent::protocol::{AbstainCode, Action, Cited, Profile, SearchQuery, render};
use agent::{Act, ActLimits, Ask, Cancel, Finish, Observation, Session, Task, Tokens};
use nn::{Sampling, Tokenizer};
use retriever::Fixed;
use retriever::evidence::Label;

use super::{BUDGET, Formulary};
use crate::question::{Gold, Question};
use crate::reward::{RewardConfig, reward};
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
        for question in one.iter().chain(&two) {
            samples.push(sample(local, &tokenizer, formulary, &library, question)?);
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
    question: &Question,
) -> Result<Sample> {
    let names = question.documents.iter().filter_map(|key| formulary.drug(key.parse().ok()?));
    let answer = match &question.gold {
        Gold::Exact(answers) => answers.first().cloned().unwrap_or_default(),
        _ => String::new(),
    };
    let rule = Rule {
        local,
        tokenizer: Arc::clone(tokenizer),
        queries: names.map(|drug| drug.name.clone()).collect(),
        document: question.documents.last().cloned().unwrap_or_default(),
        answer,
    };
    let task = Ask { budget: BUDGET, ..Ask::new(question.question.as_str(), jiff::Timestamp::UNIX_EPOCH) };
    let trace = agent::ask::ask(&task, &rule, library, &|| Duration::ZERO, &Cancel::new(), &mut |_| {})?;
    let worth = reward(&RewardConfig::default(), question, &trace);
    if worth.terms.iter().any(|term| term.value < 0.0) || worth.terms[..4].iter().any(|term| term.value < 1.0) {
        return Err(Error::Shape(format!("the demonstration of {} is not perfect: {worth:?}", question.id)));
    }
    let (ids, mask) =
        trace.sequence().ok_or_else(|| Error::Shape(format!("the demonstration of {} has no ids", question.id)))?;
    Ok(Sample { ids, mask })
}

/// Searches for one name after another, then answers from the last document.
struct Rule<'a> {
    local: &'a Local,
    tokenizer: Arc<Tokenizer>,
    queries: Vec<String>,
    document: String,
    answer: String,
}

impl Policy for Rule<'_> {
    fn name(&self) -> String {
        "demonstration".to_owned()
    }

    fn sampling(&self) -> Option<Sampling> {
        None
    }

    fn open(&self, task: &Task<'_>) -> agent::Result<Box<dyn Session>> {
        Ok(Box::new(Play {
            reading: self.local.open(task)?,
            tokenizer: Arc::clone(&self.tokenizer),
            profile: task.profile,
            queries: self.queries.iter().rev().cloned().collect(),
            document: self.document.clone(),
            answer: self.answer.clone(),
            found: None,
        }))
    }
}

struct Play {
    reading: Box<dyn Session>,
    tokenizer: Arc<Tokenizer>,
    profile: Profile,
    /// The next one last.
    queries: Vec<String>,
    document: String,
    answer: String,
    found: Option<Label>,
}

impl Session for Play {
    fn opening(&self) -> Option<&[u32]> {
        self.reading.opening()
    }

    fn observe(&mut self, observation: &Observation<'_>) -> agent::Result<Option<Vec<u32>>> {
        if let Observation::Information { found, .. } = observation {
            let mut evidence = found.iter().flat_map(|found| &found.evidence);
            if let Some(evidence) = evidence.find(|evidence| evidence.document.key() == self.document) {
                self.found = Some(evidence.label);
            }
        }
        self.reading.observe(observation)
    }

    fn act(
        &mut self,
        _: &ActLimits,
        _: &Cancel,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> agent::Result<Act> {
        let action = match (self.queries.pop(), self.found) {
            (Some(query), _) => Action::Search(vec![SearchQuery::words(&query)]),
            (None, Some(label)) => Action::Answer(vec![Cited { text: self.answer.clone(), cites: vec![label] }]),
            (None, None) => Action::Abstain { code: AbstainCode::Insufficient, text: String::new() },
        };
        let text = render(self.profile, &action);
        let _ = on_text(&text);
        let (ids, all) = (self.tokenizer.encode_text(&text)?, self.tokenizer.pieces());
        let pieces = ids.iter().map(|id| all.get(*id).to_vec()).collect();
        let logprobs = vec![0.0; ids.len()];
        Ok(Act { text, tokens: Some(Tokens { ids, pieces, logprobs, version: 0 }), finish: Finish::Stop })
    }
}
