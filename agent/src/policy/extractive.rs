//! The extractive policy: no model at all. It takes the question apart by rule, follows up on what the
//! first evidence names, and answers in quoted sentences; or says that the evidence does not carry one.
//!
//! * [`decompose`]: comparative, conjunctive and two-hop questions become needs;
//! * [`follow`]: a follow-up question as one that can be understood alone;
//! * [`pool`]: the evidence seen, sentence by sentence, and how much of a need a sentence covers;
//! * [`bridge`]: what the first evidence names, when a need describes a thing instead of naming it;
//! * [`subject`]: what a question is about, and whether a sentence is about it: the first condition on any sentence;
//! * [`aspect`]: what is asked of it, and whether a sentence speaks of that: the second;
//! * [`select`]: the sentences that answer, or none, and the parts of the question that they leave open;
//! * [`vocabulary`]: abbreviations and lay names of common conditions and drugs.
//!
//! The rules and weights were tuned on the `dev` half of the starter questions alone.

mod aspect;
mod bridge;
mod decompose;
mod follow;
mod pool;
mod select;
mod subject;
mod vocabulary;

use std::ops::ControlFlow;

use decompose::Need;
use nn::Sampling;
use pool::Pool;
use vocabulary::{Vocabulary, both_spellings};

use crate::policy::Policy;
use crate::protocol::{AbstainCode, Action, Profile, SearchQuery, render};
use crate::session::{Act, ActLimits, Observation, Session, Task};
use crate::{Cancel, Result};

/// The policy without a model. Deterministic: equal evidence gives equal answers, whatever the seed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extractive;

impl Policy for Extractive {
    fn name(&self) -> String {
        "extractive".to_owned()
    }

    fn sampling(&self) -> Option<Sampling> {
        None
    }

    fn open(&self, task: &Task<'_>) -> Result<Box<dyn Session>> {
        let mut vocabulary = Vocabulary::default();
        let whole = task.earlier.and_then(|earlier| follow::standalone(earlier, task.question));
        let needs = decompose::decompose(whole.as_deref().unwrap_or(task.question), &vocabulary);
        let mut pool = Pool::default();
        for evidence in task.earlier.iter().flat_map(|earlier| &earlier.evidence).filter(|one| !one.is_withdrawn()) {
            vocabulary.learn(&evidence.text);
            pool.add(evidence);
        }
        Ok(Box::new(Reading {
            profile: task.profile,
            queries: task.budget.queries_per_turn,
            vocabulary,
            needs,
            pool,
            goes_on: whole.is_some(),
            step: Step::Open,
        }))
    }
}

/// A session: what is needed, what was read, and what comes next.
struct Reading {
    profile: Profile,
    queries: usize,
    vocabulary: Vocabulary,
    needs: Vec<Need>,
    pool: Pool,
    /// Whether it goes on from an earlier episode: what comes before the last need was answered there.
    goes_on: bool,
    step: Step,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Nothing was asked yet.
    Open,
    /// The first queries were asked.
    FollowUp,
    /// What they named was asked for.
    Reword,
    /// Everything was asked.
    Answer,
}

impl Session for Reading {
    fn opening(&self) -> Option<&[u32]> {
        None
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<Option<Vec<u32>>> {
        match observation {
            Observation::Information { found, .. } => {
                for evidence in found.iter().flat_map(|found| &found.evidence) {
                    self.vocabulary.learn(&evidence.text);
                    self.pool.add(evidence);
                }
            }
            Observation::Correction(_) | Observation::ForceFinal(_) | Observation::Repair(_) => {
                self.step = Step::Answer;
            }
        }
        Ok(None)
    }

    fn act(
        &mut self,
        limits: &ActLimits,
        cancel: &Cancel,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Act> {
        cancel.check()?;
        let (action, unmet) = self.next(limits.may_search);
        let text = render(self.profile, &action);
        let _ = on_text(&text);
        Ok(Act { text, unmet, ..Act::default() })
    }
}

impl Reading {
    /// The next action, and the parts of the question that it leaves open.
    fn next(&mut self, may_search: bool) -> (Action, Vec<String>) {
        if self.needs.is_empty() {
            return (abstain(AbstainCode::NeedsClarification), Vec::new());
        }
        while may_search && self.step != Step::Answer {
            let queries = self.queries();
            if !queries.is_empty() {
                let queries = queries.iter().take(self.queries).map(|query| SearchQuery::words(&both_spellings(query)));
                return (Action::Search(queries.collect()), Vec::new());
            }
        }
        self.read();
        match select::answer(&self.needs, &self.pool) {
            // Saying again what was said before answers no further question.
            Some(found) if !(self.goes_on && found.misses_last) => (Action::Answer(found.cited), found.unmet),
            _ => (abstain(AbstainCode::Insufficient), Vec::new()),
        }
    }

    /// The queries of this step; the next step is the one after it.
    fn queries(&mut self) -> Vec<String> {
        if self.step != Step::Open {
            self.read();
        }
        let (queries, next) = match self.step {
            Step::Open => (decompose::first_queries(&self.needs), Step::FollowUp),
            Step::FollowUp => (bridge::follow_ups(&self.needs, &self.pool, &self.vocabulary), Step::Reword),
            Step::Reword | Step::Answer => (select::reworded(&self.needs, &self.pool), Step::Answer),
        };
        self.step = next;
        queries
    }

    /// Reads the evidence so far, with what it has explained itself.
    fn read(&mut self) {
        self.pool.index(&self.vocabulary);
        for need in &mut self.needs {
            need.explain(&self.vocabulary);
        }
    }
}

fn abstain(code: AbstainCode) -> Action {
    Action::Abstain { code, text: code.text().to_owned() }
}

#[cfg(test)]
mod tests;
