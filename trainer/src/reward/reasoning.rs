//! Depth and coherence: whether thoughts make use of what was found, and follow from what came before.
//!
//! Neither counts words: a long thought is worth no more than a short one, and a copied passage is no
//! thought.

use std::collections::BTreeSet;

use agent::Trace;
use agent::trace::Author;

use agent::check::words::content;

/// Words of the evidence that a thought must bring in to be a step.
const NEW: usize = 2;
/// Words in a row that are copied where they stand so in the evidence.
const RUN: usize = 8;
/// Words below which a step is too short to tell.
const TELLING: usize = 3;
/// Share of a step's words that must have come before for it to follow.
const TAKEN_UP: f64 = 0.25;

type Words = BTreeSet<String>;

/// What the policy wrote in one turn, and what it had read by then.
struct Turn<'a> {
    thought: &'a str,
    /// Its queries, or its answer.
    action: Vec<&'a str>,
    /// Evidence found in turns before.
    read: Vec<&'a str>,
}

fn turns(trace: &Trace) -> Vec<Turn<'_>> {
    let mut turns = Vec::new();
    let own = trace.segments.iter().filter(|segment| segment.author == Author::Policy);
    let last = own.clone().map(|segment| segment.turn).max();
    for segment in own {
        let found =
            trace.searches.iter().filter(|search| search.turn < segment.turn).flat_map(|search| &search.evidence);
        let mut action: Vec<&str> = trace
            .searches
            .iter()
            .filter(|search| search.turn == segment.turn)
            .map(|search| search.query.as_str())
            .collect();
        if last == Some(segment.turn) && trace.answer.is_answered() {
            action.push(&trace.answer.text);
        }
        turns.push(Turn {
            thought: trace.profile.thought(&segment.text),
            action,
            read: found.filter_map(|label| Some(trace.ledger.get(*label)?.text.as_str())).collect(),
        });
    }
    turns
}

/// The share of the documents that must be read for which a thought brings in something new from what was found.
pub(super) fn depth(trace: &Trace, hops: u8) -> (f64, String) {
    let mut known: Words = content(&trace.question).into_iter().collect();
    let mut steps = 0_usize;
    for Turn { thought, action, read } in turns(trace) {
        let evidence: Words = read.iter().flat_map(|text| content(text)).collect();
        let words = content(thought);
        let new =
            words.iter().filter(|word| evidence.contains(*word) && !known.contains(*word)).collect::<BTreeSet<_>>();
        steps += usize::from(new.len() >= NEW && !is_copied(&words, &read));
        known.extend(words);
        known.extend(action.into_iter().flat_map(content));
    }
    let needed = usize::from(hops).max(1);
    (steps.min(needed) as f64 / needed as f64, format!("{steps} thoughts bring in what was found, {needed} are needed"))
}

/// Whether half or more of the runs of a thought stand so in what was read.
fn is_copied(words: &[String], read: &[&str]) -> bool {
    let read: Vec<Vec<String>> = read.iter().map(|text| content(text)).collect();
    let passages: BTreeSet<&[String]> = read.iter().flat_map(|text| text.windows(RUN)).collect();
    let copied = words.windows(RUN).filter(|run| passages.contains(run)).count();
    copied > 0 && 2 * copied >= words.windows(RUN).count()
}

/// Below 0 for the share of thoughts, queries and answers that take up nothing of what came before.
pub(super) fn coherence(trace: &Trace) -> (f64, String) {
    let mut before: Words = content(&trace.question).into_iter().collect();
    let (mut steps, mut loose) = (0_usize, 0_usize);
    for Turn { thought, action, read } in turns(trace) {
        before.extend(read.iter().flat_map(|text| content(text)));
        for step in std::iter::once(thought).chain(action) {
            let words: Words = content(step).into_iter().collect();
            if words.len() >= TELLING {
                let taken = words.intersection(&before).count();
                steps += 1;
                loose += usize::from((taken as f64) < TAKEN_UP * words.len() as f64);
            }
            before.extend(words);
        }
    }
    (0.0 - loose as f64 / steps.max(1) as f64, format!("{loose} of {steps} steps take up nothing that came before"))
}
