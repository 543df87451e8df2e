//! [`play`]: episodes that a rule plays, through the same loop, protocol and tokens as a policy's.
//!
//! What the environment writes is read by the local policy's own session, and what the rule writes is
//! encoded like it, so that a demonstration is to the id what the model would see.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use agent::policy::{Local, Policy};
use agent::{Act, ActLimits, Ask, Cancel, Finish, Observation, Session, Task, Tokens, Trace};
use nn::{Sampling, Tokenizer};
use retriever::{Evidence, Retrieve};

use crate::{Error, Result, Sample};

/// What is written next, after so many turns and with this evidence shown, the latest last.
pub(crate) type Rule = Arc<dyn Fn(usize, &[Evidence]) -> String + Send + Sync>;

/// Plays `task` by `rule`, with `retriever` to search in; `local` reads, and `tokenizer` is its own.
///
/// # Errors
/// Those of the episode.
pub(crate) fn play(
    local: &Local,
    tokenizer: &Arc<Tokenizer>,
    task: &Ask,
    retriever: &dyn Retrieve,
    rule: Rule,
) -> Result<Trace> {
    let player = Player { local, tokenizer: Arc::clone(tokenizer), rule };
    Ok(agent::ask::ask(task, &player, retriever, &|| Duration::ZERO, &Cancel::new(), &mut |_| {})?)
}

/// What an episode has to teach.
///
/// # Errors
/// [`Error::Shape`] for one without ids.
pub(crate) fn sample(trace: &Trace) -> Result<Sample> {
    let fault = || Error::Shape(format!("the demonstration of `{}` has no ids", trace.question));
    let (ids, mask) = trace.sequence().ok_or_else(fault)?;
    Ok(Sample { ids, mask })
}

struct Player<'a> {
    local: &'a Local,
    tokenizer: Arc<Tokenizer>,
    rule: Rule,
}

impl Policy for Player<'_> {
    fn name(&self) -> String {
        "demonstration".to_owned()
    }

    fn sampling(&self) -> Option<Sampling> {
        None
    }

    fn open(&self, task: &Task<'_>) -> agent::Result<Box<dyn Session>> {
        let (tokenizer, rule) = (Arc::clone(&self.tokenizer), Arc::clone(&self.rule));
        Ok(Box::new(Playing { reading: self.local.open(task)?, tokenizer, rule, turns: 0, shown: Vec::new() }))
    }
}

struct Playing {
    reading: Box<dyn Session>,
    tokenizer: Arc<Tokenizer>,
    rule: Rule,
    turns: usize,
    shown: Vec<Evidence>,
}

impl Session for Playing {
    fn opening(&self) -> Option<&[u32]> {
        self.reading.opening()
    }

    fn observe(&mut self, observation: &Observation<'_>) -> agent::Result<Option<Vec<u32>>> {
        if let Observation::Information { found, .. } = observation {
            self.shown.extend(found.iter().flat_map(|found| &found.evidence).map(|evidence| (*evidence).clone()));
        }
        self.reading.observe(observation)
    }

    fn act(
        &mut self,
        _: &ActLimits,
        _: &Cancel,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> agent::Result<Act> {
        let text = (self.rule)(self.turns, &self.shown);
        self.turns += 1;
        let _ = on_text(&text);
        let (ids, all) = (self.tokenizer.encode_text(&text)?, self.tokenizer.pieces());
        let pieces = ids.iter().map(|id| all.get(*id).to_vec()).collect();
        let logprobs = vec![0.0; ids.len()];
        Ok(Act {
            text,
            tokens: Some(Tokens { ids, pieces, logprobs, version: 0 }),
            finish: Finish::Stop,
            ..Act::default()
        })
    }
}
