//! [`replay`]: an episode again, from its trace, and the first place where it goes another way.
//!
//! The extractive policy is run again. A sampled policy is not: what it wrote is read back to the loop,
//! so that the protocol, the retriever and the answer are repeated whatever the endpoint does today.

use std::sync::Arc;
use std::time::Duration;

use retriever::Retrieve;
use serde::{Deserialize, Serialize};

use crate::policy::{Extractive, Policy, Scripted};
use crate::protocol::is_repair;
use crate::review::{Reviewed, Terms};
use crate::session::{Act, Tokens};
use crate::trace::{Author, CHECKED, QUOTED, Segment, StopReason};
use crate::{Ask, Cancel, Earlier, Error, Judge, Result, Trace};

/// An episode repeated.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// The new trace.
    pub trace: Trace,
    /// Where the two part, if they do.
    pub difference: Option<Difference>,
}

/// The first place where a replay is not what was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// What differs: `snapshot`, `segment 3`, `search 2`, `evidence`, `answer`, `stop`.
    pub at: String,
    /// As recorded.
    pub recorded: String,
    /// As it is now.
    pub now: String,
}

/// Repeats the episode of `recorded` on `retriever`, on the recorded terms; `judge` is the scorer that reviewed it, where one
/// did.
///
/// # Errors
/// As [`crate::ask::ask`]; also [`Error::Trace`] when the trace holds no turn to repeat, and [`Error::Input`] when another
/// scorer reviewed it.
pub fn replay(
    recorded: &Trace,
    retriever: &dyn Retrieve,
    judge: Option<Arc<Judge>>,
    clock: &dyn Fn() -> Duration,
    cancel: &Cancel,
) -> Result<Replay> {
    let task = Ask {
        question: recorded.question.clone(),
        earlier: Earlier::before(recorded),
        query: recorded.query.clone(),
        budget: recorded.budget,
        profile: recorded.profile,
        seed: recorded.seed,
        started: recorded.started,
        salt: Vec::new(),
        is_heard: false,
        review: terms(recorded, judge)?,
    };
    let scripted;
    let policy: &dyn Policy = if recorded.policy == Extractive.name() {
        &Extractive
    } else {
        scripted = script(recorded)?;
        &scripted
    };
    let mut trace = crate::ask::ask(&task, policy, retriever, clock, cancel, &mut |_| {})?;
    trace.id = recorded.id.clone();
    trace.policy.clone_from(&recorded.policy);
    read_as_recorded(recorded, &mut trace);
    let difference = difference(recorded, &trace)?;
    Ok(Replay { trace, difference })
}

/// The terms that `recorded` was reviewed on.
fn terms(recorded: &Trace, judge: Option<Arc<Judge>>) -> Result<Option<Terms>> {
    let Some(Reviewed { unsupported, repair, judge: fingerprint }) = &recorded.reviewed else {
        return Ok(None);
    };
    let judge = match (fingerprint, judge) {
        (None, _) => None,
        (Some(fingerprint), Some(judge)) if judge.fingerprint() == fingerprint => Some(judge),
        (Some(fingerprint), judge) => {
            let given =
                judge.map_or("none was given".to_owned(), |judge| format!("that given is {:.12}", judge.fingerprint()));
            return Err(Error::Input(format!(
                "{} was reviewed by the scorer {fingerprint:.12}, {given}: name its folder with --judge",
                recorded.id
            )));
        }
    };
    // whether there was time to mend is not repeated: the record tells
    let asked = |segment: &Segment| segment.author == Author::Environment && is_repair(&segment.text);
    let repair = *repair && recorded.segments.iter().any(asked);
    Ok(Some(Terms { unsupported: *unsupported, repair, judge }))
}

fn script(recorded: &Trace) -> Result<Scripted> {
    let turns: Vec<_> = recorded.segments.iter().filter(|segment| segment.author == Author::Policy).map(act).collect();
    // An episode that refuses at once has no turn.
    if turns.is_empty() && recorded.stop != StopReason::Abstained {
        return Err(Error::Trace(format!("{} holds no turn of its policy", recorded.id)));
    }
    Ok(Scripted::of_acts(turns))
}

/// What was kept of a turn. Its ids stand for its text as a whole, so that one piece carries the text
/// and the others none.
fn act(segment: &Segment) -> Act {
    let tokens = segment.token_ids.clone().map(|ids| {
        let mut pieces = vec![Vec::new(); ids.len()];
        if let Some(last) = pieces.last_mut() {
            *last = segment.text.clone().into_bytes();
        }
        Tokens {
            ids,
            pieces,
            logprobs: segment.logprobs.clone().unwrap_or_default(),
            version: segment.version.unwrap_or_default(),
        }
    });
    Act { text: segment.text.clone(), tokens, ..Act::default() }
}

/// A replay reads with no tokenizer and samples nothing: what the environment writes again has the ids
/// it had, and what the policy wrote was chosen as it was.
fn read_as_recorded(recorded: &Trace, now: &mut Trace) {
    now.opening.clone_from(&recorded.opening);
    now.sampling = recorded.sampling;
    now.reviewed.clone_from(&recorded.reviewed);
    if recorded.version < QUOTED {
        now.answer.citations.iter_mut().for_each(|citation| citation.doi = None);
    }
    for sentence in &mut now.answer.sentences {
        if recorded.version < CHECKED {
            sentence.finding = None;
        } else if recorded.version < QUOTED
            && let Some(finding) = &mut sentence.finding
        {
            finding.quote = None;
        }
    }
    for (recorded, now) in recorded.segments.iter().zip(&mut now.segments) {
        if now.author == recorded.author {
            now.version = recorded.version;
        }
        if now.author == Author::Environment && now.author == recorded.author && now.text == recorded.text {
            now.token_ids.clone_from(&recorded.token_ids);
        }
    }
}

fn difference(recorded: &Trace, now: &Trace) -> Result<Option<Difference>> {
    let differ =
        |at: String, recorded: String, now: String| (recorded != now).then_some(Difference { at, recorded, now });
    let count = recorded.segments.len().max(now.segments.len());
    let segment = |trace: &Trace, index: usize| {
        trace.segments.get(index).map_or_else(|| "(none)".to_owned(), |segment| segment.text.clone())
    };
    let search = |trace: &Trace, index: usize| {
        let found = trace.searches.get(index).map(|search| {
            let hits: Vec<_> = search.hits.iter().map(|hit| format!("{} {}", hit.chunk, hit.score)).collect();
            format!("{}: {}", search.query, hits.join(", "))
        });
        found.unwrap_or_else(|| "(none)".to_owned())
    };
    let json = |trace: &Trace| serde_json::to_string(&trace.answer).map_err(|error| Error::Trace(error.to_string()));
    let searches = recorded.searches.len().max(now.searches.len());
    let first = differ("snapshot".to_owned(), recorded.snapshot.clone(), now.snapshot.clone())
        .or_else(|| {
            (0..searches)
                .find_map(|index| differ(format!("search {}", index + 1), search(recorded, index), search(now, index)))
        })
        .or_else(|| {
            (0..count).find_map(|index| {
                differ(format!("segment {}", index + 1), segment(recorded, index), segment(now, index))
            })
        });
    Ok(match first {
        Some(first) => Some(first),
        None => differ("answer".to_owned(), json(recorded)?, json(now)?)
            .or_else(|| differ("stop".to_owned(), format!("{:?}", recorded.stop), format!("{:?}", now.stop))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use retriever::Fixed;

    fn library(text: &str) -> Fixed {
        Fixed::new([
            ("metformin", "Metformin", text),
            ("lithium", "Lithium", "Lithium is contraindicated in dehydration."),
        ])
    }

    fn episode(policy: &dyn Policy, retriever: &dyn Retrieve) -> Trace {
        let task = Ask::new("When is metformin contraindicated?", jiff::Timestamp::UNIX_EPOCH);
        crate::ask::ask(&task, policy, retriever, &|| Duration::ZERO, &Cancel::new(), &mut |_| {}).unwrap()
    }

    fn again(trace: &Trace, retriever: &dyn Retrieve) -> Option<String> {
        let stored = Trace::from_json(&trace.to_json().unwrap()).unwrap();
        replay(&stored, retriever, None, &|| Duration::ZERO, &Cancel::new())
            .unwrap()
            .difference
            .map(|difference| difference.at)
    }

    #[test]
    fn the_same_library_gives_the_same_episode() {
        let library = library("Metformin is contraindicated in acidosis.");
        let scripted = Scripted::new(["<search>metformin</search>", "<answer>Not in acidosis. [E1]</answer>"]);
        for policy in [&Extractive as &dyn Policy, &scripted] {
            assert_eq!(again(&episode(policy, &library), &library), None);
        }
    }

    #[test]
    fn every_bit_of_a_number_outlives_its_storage() {
        let mut trace = episode(&Extractive, &library("Metformin is contraindicated in acidosis."));
        let hit = trace.searches[0].hits[0].clone();
        // fused scores as they come: sums of thirds, sevenths and the like
        let scores = (1..3_000_u32).map(|at| 0.65 * (f64::from(at) / 7_919.0) + 0.35 / f64::from(60 + at % 41));
        trace.searches[0].hits = scores.map(|score| retriever::Hit { score, ..hit.clone() }).collect();
        assert_eq!(Trace::from_json(&trace.to_json().unwrap()).unwrap(), trace);
    }

    #[test]
    fn a_changed_library_is_noticed() {
        let trace = episode(&Extractive, &library("Metformin is contraindicated in acidosis."));
        assert_eq!(again(&trace, &library("Metformin is contraindicated in shock.")).as_deref(), Some("search 1"));
    }
}
