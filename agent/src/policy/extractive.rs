//! The extractive policy: no model at all. It takes the question apart by rule, follows up on what the
//! first evidence names, and answers in quoted sentences; or says that the evidence does not carry one.
//!
//! * [`decompose`]: comparative, conjunctive and two-hop questions become needs;
//! * [`follow`]: a follow-up question as one that can be understood alone;
//! * [`pool`]: the evidence seen, sentence by sentence, and how much of a need a sentence covers;
//! * [`bridge`]: what the first evidence names, when a need describes a thing instead of naming it;
//! * [`select`]: the sentences that answer, or none;
//! * [`vocabulary`]: abbreviations and lay names of common conditions and drugs.
//!
//! The rules and weights were tuned on the `dev` half of the starter questions alone.

mod bridge;
mod decompose;
mod follow;
mod pool;
mod select;
mod vocabulary;

use std::ops::ControlFlow;

use decompose::Need;
use nn::Sampling;
use pool::Pool;
use vocabulary::Vocabulary;

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
    step: Step,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Nothing was asked yet.
    Open,
    /// The first queries were asked.
    FollowUp,
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
        let text = render(self.profile, &self.next(limits.may_search));
        let _ = on_text(&text);
        Ok(Act { text, ..Act::default() })
    }
}

impl Reading {
    fn next(&mut self, may_search: bool) -> Action {
        if self.needs.is_empty() {
            return abstain(AbstainCode::NeedsClarification);
        }
        if may_search && self.step != Step::Answer {
            let queries = match self.step {
                Step::Open => decompose::first_queries(&self.needs),
                Step::FollowUp | Step::Answer => {
                    self.pool.index(&self.vocabulary);
                    bridge::follow_ups(&self.needs, &self.pool, &self.vocabulary)
                }
            };
            self.step = if self.step == Step::Open { Step::FollowUp } else { Step::Answer };
            if !queries.is_empty() {
                let queries = queries.iter().take(self.queries).map(|query| SearchQuery::words(query));
                return Action::Search(queries.collect());
            }
        }
        self.pool.index(&self.vocabulary);
        select::answer(&self.needs, &self.pool).map_or_else(|| abstain(AbstainCode::Insufficient), Action::Answer)
    }
}

fn abstain(code: AbstainCode) -> Action {
    Action::Abstain { code, text: code.text().to_owned() }
}

#[cfg(test)]
mod tests;
