//! [`ask`]: one question to one trace.
//!
//! The episode is a state machine. A turn is an act of the policy and the parser's reading of it:
//!
//! ```text
//! searching --search, something new--> searching
//! searching --search, nothing new; or its budget spent; or a second fault--> final
//! searching --a first fault--> searching, corrected
//! searching, final --answer or abstention--> done
//! searching, final --an answer that is not borne out, once--> final, to be mended
//! final --anything else--> done, with the draft if there is one, else abstained for lack of budget
//! ```
//!
//! Cancellation and the clock are looked at between steps. Nothing a policy or a document writes can
//! widen the filter or raise the budget: both are read from the caller's [`Ask`] alone.

mod leave;
mod search;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::Duration;

use retriever::evidence::{Label, estimate_tokens};
use retriever::{Evidence, Ledger, Query, Retrieve, STAGE};

use crate::judge::Reading;
use crate::policy::Policy;
use crate::protocol::{self, AbstainCode, Action, Fault, Parser, Profile, Progress, TokenParser, Turn};
use crate::review::{Reviewed, Terms};
use crate::risk::is_cry_for_help;
use crate::session::{Act, ActLimits, Observation, Session, Task};
use crate::trace::{Author, Search, Segment, StopReason, Timings, VERSION, milliseconds};
use crate::{Answer, Budget, Cancel, Earlier, Error, Event, Result, Trace, TraceId};

/// A question and the terms it is asked on.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The question, as the user wrote it.
    pub question: String,
    /// What it goes on from, where it is a follow-up.
    pub earlier: Option<Earlier>,
    /// What may be evidence; also which arms look and how they are fused. Text and `k` are not used.
    pub query: Query,
    /// The bounds of the episode.
    pub budget: Budget,
    /// The grammar the policy writes in.
    pub profile: Profile,
    /// Seed of whatever is random in the policy.
    pub seed: u64,
    /// When the episode begins; with `salt` it makes the trace's id.
    pub started: jiff::Timestamp,
    /// Tells episodes of the same millisecond apart: any bytes, such as a counter or random ones.
    pub salt: Vec<u8>,
    /// Whether somebody listens to the text as it is written. Where many episodes run at once, waking each for
    /// each of its tokens costs more than a small model does.
    pub is_heard: bool,
    /// How the answer is reviewed before it leaves; not at all unless given.
    pub review: Option<Terms>,
}

impl Ask {
    /// A question on the default terms: no filter, the default budget and profile, seed 0, a listener, and no review.
    pub fn new(question: impl Into<String>, started: jiff::Timestamp) -> Self {
        Self {
            question: question.into(),
            earlier: None,
            query: Query::new(""),
            budget: Budget::default(),
            profile: Profile::default(),
            seed: 0,
            started,
            salt: Vec::new(),
            is_heard: true,
            review: None,
        }
    }
}

/// Turns without a valid action that an episode survives.
const CORRECTIONS: u32 = 2;
/// Tokens kept back for the final turn.
const FINAL_TOKENS: usize = 512;

/// Asks `policy` the question of `task`, with `retriever` to search in. `clock` gives the time since a
/// moment of the caller's choice and never runs backwards; `events` hears what happens as it happens,
/// and last of all [`Event::Final`] or [`Event::Error`].
///
/// # Errors
/// When the task is no question, retrieval or the policy fails, or the caller cancels. What the policy
/// writes badly is no error.
pub fn ask(
    task: &Ask,
    policy: &dyn Policy,
    retriever: &dyn Retrieve,
    clock: &dyn Fn() -> Duration,
    cancel: &Cancel,
    events: &mut dyn FnMut(Event),
) -> Result<Trace> {
    let outcome = task.budget.check().and_then(|()| {
        let earlier = task.earlier.as_ref().map(|earlier| current(earlier, retriever)).transpose()?;
        let open = Task {
            question: &task.question,
            earlier: earlier.as_ref(),
            budget: &task.budget,
            profile: task.profile,
            seed: task.seed,
            started: task.started,
        };
        let session = policy.open(&open)?;
        let evidence = earlier.map(|earlier| earlier.evidence).unwrap_or_default();
        Episode::new(task, session, evidence, retriever, clock, cancel, events).run()
    });
    match outcome {
        Ok(done) => {
            let trace = done.into_trace(task, policy, retriever.snapshot().to_owned());
            events(Event::Final {
                trace_id: trace.id.clone(),
                question: trace.question.clone(),
                snapshot: trace.snapshot.clone(),
                answer: trace.answer.clone(),
                stop: trace.stop,
                timings: trace.timings,
            });
            Ok(trace)
        }
        Err(error) => {
            events(Event::Error { message: error.to_string() });
            Err(error)
        }
    }
}

/// What the next turn may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Searching,
    Final,
}

struct Episode<'a> {
    task: &'a Ask,
    session: Box<dyn Session>,
    retriever: &'a dyn Retrieve,
    clock: &'a dyn Fn() -> Duration,
    cancel: &'a Cancel,
    events: &'a mut dyn FnMut(Event),
    opened: Duration,
    phase: Phase,
    turn: u32,
    corrections: u32,
    tokens: usize,
    /// What the last act left open.
    unmet: Vec<String>,
    asked: Vec<String>,
    /// Evidence of the earlier episode that no search of this one has found yet: finding it is news.
    unfound: BTreeSet<Label>,
    /// An answer that the policy was asked to mend.
    draft: Option<Answer>,
    /// Who reads the evidence, as the terms of the review have it.
    reading: Reading<'a>,
    record: Record,
}

/// What of an episode enters its trace.
struct Record {
    opening: Option<Vec<u32>>,
    segments: Vec<Segment>,
    searches: Vec<Search>,
    ledger: Ledger,
    faults: Vec<(u32, Fault)>,
    timings: Timings,
}

/// An episode that is over.
struct Done {
    record: Record,
    answer: Answer,
    stop: StopReason,
}

impl<'a> Episode<'a> {
    fn new(
        task: &'a Ask,
        session: Box<dyn Session>,
        evidence: Vec<Evidence>,
        retriever: &'a dyn Retrieve,
        clock: &'a dyn Fn() -> Duration,
        cancel: &'a Cancel,
        events: &'a mut dyn FnMut(Event),
    ) -> Self {
        let record = Record {
            opening: session.opening().map(<[u32]>::to_vec),
            segments: Vec::new(),
            searches: Vec::new(),
            ledger: Ledger::going_on(evidence, task.budget.evidence_tokens),
            faults: Vec::new(),
            timings: Timings::default(),
        };
        Self {
            task,
            session,
            retriever,
            clock,
            cancel,
            events,
            opened: clock(),
            phase: Phase::Searching,
            turn: 0,
            corrections: 0,
            tokens: 0,
            unmet: Vec::new(),
            asked: Vec::new(),
            unfound: record.ledger.entries().iter().map(|evidence| evidence.label).collect(),
            draft: None,
            reading: Reading::new(task.review.as_ref().and_then(|terms| terms.judge.as_deref())),
            record,
        }
    }

    fn run(mut self) -> Result<Done> {
        if self.task.review.is_some() && is_cry_for_help(&self.task.question) {
            let abstention =
                Answer::abstained(AbstainCode::Unsafe, "this needs a person, not an answer from literature");
            return self.leave(abstention, StopReason::Abstained);
        }
        loop {
            self.cancel.check()?;
            if self.time_left().is_zero() {
                return self
                    .unfinished(StopReason::Time, "the time for this question was spent before an answer was found");
            }
            self.turn += 1;
            let spent =
                self.tokens + FINAL_TOKENS.min(self.task.budget.generated_tokens) > self.task.budget.generated_tokens;
            if self.phase == Phase::Searching && (self.turn > self.task.budget.turns || (spent && self.tokens > 0)) {
                self.force_final()?;
            }
            let turn = match self.act() {
                // an answer that could not be mended is still an answer
                Err(Error::Cancelled) => return Err(Error::Cancelled),
                Err(_) if self.draft.is_some() => {
                    self.warn("the answer could not be mended: it is told as it was drafted".to_owned());
                    return self.no_final();
                }
                acted => acted?,
            };
            self.record.faults.extend(turn.faults.iter().map(|fault| (self.turn, *fault)));
            match (turn.action, self.phase) {
                (Some(Action::Answer(cited)), _) => {
                    let mut answer = self.draft(&cited)?;
                    answer.unmet = std::mem::take(&mut self.unmet);
                    if !self.asks_to_mend(&answer)? {
                        let answer = self.better(answer);
                        return self.leave(answer, StopReason::Answered);
                    }
                }
                (Some(Action::Abstain { code, text }), _) => {
                    // A policy's reason is a claim that nothing bears out: it stays in the trace.
                    let text = if self.task.review.is_some() { code.text().to_owned() } else { text };
                    return self.unanswered(Answer::abstained(code, text), StopReason::Abstained);
                }
                (Some(Action::Search(queries)), Phase::Searching) => {
                    if !self.search(&queries)? {
                        self.force_final()?;
                    }
                }
                (Some(Action::Search(_)), Phase::Final) => {
                    self.record.faults.push((self.turn, Fault::SearchDisabled));
                    return self.no_final();
                }
                (None, Phase::Searching) => self.correct(&turn.faults)?,
                (None, Phase::Final) => return self.no_final(),
            }
        }
    }

    /// One act of the policy, cut at its first complete action and recorded.
    fn act(&mut self) -> Result<Turn> {
        (self.events)(Event::Turn { turn: self.turn, may_search: self.phase == Phase::Searching });
        let budget = &self.task.budget;
        let left = budget.generated_tokens.saturating_sub(self.tokens);
        let max_tokens = match self.phase {
            // A search turn leaves the final turn something to write with.
            Phase::Searching => left.saturating_sub(FINAL_TOKENS).max(left.div_ceil(2)),
            Phase::Final => left,
        };
        let limits = ActLimits {
            max_tokens: max_tokens.max(1),
            time_left: self.time_left(),
            may_search: self.phase == Phase::Searching,
            is_heard: self.task.is_heard,
        };
        let mut heard = Parser::new(self.task.profile, budget.queries_per_turn);
        let (turn, events) = (self.turn, &mut self.events);
        let mut on_text = |piece: &str| {
            events(Event::Text { turn, text: piece.to_owned() });
            match heard.push(piece) {
                Progress::More => ControlFlow::Continue(()),
                Progress::Done => ControlFlow::Break(()),
            }
        };
        let _stage = tracing::info_span!(target: STAGE, "act", turn).entered();
        let before = (self.clock)();
        let mut act = self.session.act(&limits, self.cancel, &mut on_text)?;
        self.unmet = std::mem::take(&mut act.unmet);
        self.record.timings.policy_ms += milliseconds((self.clock)().saturating_sub(before));
        let (turn, segment) = read(self.task.profile, budget.queries_per_turn, self.turn, act);
        self.tokens += segment.token_ids.as_ref().map_or_else(|| estimate_tokens(&segment.text), Vec::len);
        self.record.segments.push(segment);
        Ok(turn)
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<()> {
        let token_ids = self.session.observe(observation)?;
        self.record.segments.push(environment(self.turn, observation.text().to_owned(), token_ids));
        Ok(())
    }

    fn force_final(&mut self) -> Result<()> {
        self.phase = Phase::Final;
        self.observe(&Observation::ForceFinal(&protocol::force_final(self.task.profile)))
    }

    fn correct(&mut self, faults: &[Fault]) -> Result<()> {
        self.corrections += 1;
        self.observe(&Observation::Correction(&protocol::correction(self.task.profile, faults)))?;
        if self.corrections < CORRECTIONS { Ok(()) } else { self.force_final() }
    }

    /// The forced final turn was no final turn.
    fn no_final(self) -> Result<Done> {
        let stop = match self.tokens >= self.task.budget.generated_tokens {
            _ if self.time_left().is_zero() => StopReason::Time,
            true => StopReason::Tokens,
            false => StopReason::NoFinal,
        };
        self.unfinished(stop, AbstainCode::Budget.text())
    }

    fn unfinished(self, stop: StopReason, reason: &str) -> Result<Done> {
        self.unanswered(Answer::abstained(AbstainCode::Budget, reason), stop)
    }

    fn warn(&mut self, message: String) {
        (self.events)(Event::Warning { message });
    }

    fn elapsed(&self) -> Duration {
        (self.clock)().saturating_sub(self.opened)
    }

    fn time_left(&self) -> Duration {
        Duration::from_millis(self.task.budget.wall_ms).saturating_sub(self.elapsed())
    }
}

/// The earlier episode as it may be used now: what was retracted, removed or set aside since keeps its label and loses its text.
fn current(earlier: &Earlier, retriever: &dyn Retrieve) -> Result<Earlier> {
    let ids: Vec<_> = earlier.evidence.iter().map(|evidence| evidence.chunk).collect();
    let mut earlier = earlier.clone();
    for (evidence, found) in earlier.evidence.iter_mut().zip(retriever.read(&ids)?) {
        match found {
            Some(found) => evidence.status = found.document.status,
            None => evidence.withdraw(),
        }
    }
    Ok(earlier)
}

fn environment(turn: u32, text: String, token_ids: Option<Vec<u32>>) -> Segment {
    Segment { turn, author: Author::Environment, text, token_ids, logprobs: None, version: None }
}

/// Reads an act: by token where it has tokens, so that the ids kept are the ids sampled; by text where
/// it has not.
fn read(profile: Profile, queries: usize, turn: u32, act: Act) -> (Turn, Segment) {
    let author = Author::Policy;
    if let Some(tokens) = act.tokens {
        let mut parser = TokenParser::new(profile, queries);
        for (id, piece) in tokens.ids.iter().zip(&tokens.pieces) {
            if parser.push(*id, piece) == Progress::Done {
                break;
            }
        }
        let (parsed, ids, text) = parser.finish();
        let mut logprobs = tokens.logprobs;
        logprobs.truncate(ids.len());
        let (token_ids, logprobs, version) = (Some(ids), Some(logprobs), Some(tokens.version));
        return (parsed, Segment { turn, author, text, token_ids, logprobs, version });
    }
    let parsed = protocol::parse(profile, queries, &act.text);
    let text = act.text[..parsed.end].to_owned();
    (parsed, Segment { turn, author, text, token_ids: None, logprobs: None, version: None })
}

impl Done {
    fn into_trace(self, task: &Ask, policy: &dyn Policy, snapshot: String) -> Trace {
        let Record { opening, segments, searches, ledger, faults, timings } = self.record;
        let salt = [task.seed.to_le_bytes().as_slice(), task.question.as_bytes(), &task.salt].concat();
        Trace {
            version: VERSION,
            id: TraceId::new(task.started, &salt),
            question: task.question.clone(),
            follows: task.earlier.clone(),
            policy: policy.name(),
            sampling: policy.sampling(),
            profile: task.profile,
            snapshot,
            seed: task.seed,
            started: task.started,
            query: task.query.clone(),
            budget: task.budget,
            reviewed: task.review.as_ref().map(Reviewed::from),
            opening,
            segments,
            searches,
            ledger,
            answer: self.answer,
            faults,
            stop: self.stop,
            timings,
        }
    }
}

#[cfg(test)]
mod tests;
