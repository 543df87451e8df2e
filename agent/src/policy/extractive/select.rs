//! The sentences that answer: at most four, from at most three documents, each quoted as it stands; or
//! none, when they cover too little of what was asked.

use std::collections::BTreeSet;

use retriever::evidence::Label;

use super::bridge::{Bridge, bridges, is_named};
use super::decompose::{Need, Via};
use super::pool::{Line, Pool, Target, stems};
use crate::matching::words;
use crate::protocol::Cited;

/// Sentences of an answer.
const MAX_SENTENCES: usize = 4;
/// Documents of an answer.
const MAX_DOCUMENTS: usize = 3;
/// A second sentence for a need scores at least this share of the first.
const SECOND: f64 = 0.85;
/// The share of a need, by weight, that its answer must cover.
const FLOOR: f64 = 0.48;
/// The same of a need of few words, since half of two words is one word.
const SHORT_FLOOR: f64 = 0.7;
/// Words of such a need.
const SHORT: usize = 2;
/// The same, of what remains once the bridge or the side of a comparison is settled.
const REST_FLOOR: f64 = 0.2;
/// What a document named by the bridge is worth to its sentences.
const NAMED: f64 = 0.6;
/// What a sentence of the kind that is asked for is worth.
const CUE: f64 = 0.12;

/// The answer to all needs, or `None` when the evidence does not carry one.
pub(super) fn answer(needs: &[Need], pool: &Pool) -> Option<Vec<Cited>> {
    let mut chosen: Vec<&Line> = Vec::new();
    let mut met = 0;
    for need in needs {
        let lines = meet(need, pool);
        met += usize::from(!lines.is_empty());
        for line in lines {
            let documents: BTreeSet<_> = chosen.iter().map(|line| line.document).chain([line.document]).collect();
            let repeats = chosen.iter().any(|known| known.text == line.text);
            if !repeats && documents.len() <= MAX_DOCUMENTS && chosen.len() < MAX_SENTENCES {
                chosen.push(line);
            }
        }
    }
    // A comparison needs both sides; parts of a conjunction stand alone.
    let compared = needs.iter().any(|need| need.side.is_some());
    if chosen.is_empty() || (compared && met < needs.len()) {
        return None;
    }
    Some(chosen.into_iter().map(|line| cite(line.text.clone(), line.label)).collect())
}

fn cite(text: String, label: Label) -> Cited {
    Cited { text, cites: vec![label] }
}

/// The sentences that meet one need, best last when a bridge leads to them.
fn meet<'a>(need: &Need, pool: &'a Pool) -> Vec<&'a Line> {
    match &need.via {
        Some(via) => cross(need, via, pool).unwrap_or_else(|| direct(need, pool)),
        None => direct(need, pool),
    }
}

/// The best sentences for a need that names what it is about.
fn direct<'a>(need: &Need, pool: &'a Pool) -> Vec<&'a Line> {
    let target = pool.target(&need.text, &BTreeSet::new());
    let about: BTreeSet<_> = need.side.as_deref().map(stems).unwrap_or_default();
    let score = |line: &Line| {
        let side = if about.is_empty() || !about.iter().all(|stem| line.title.contains(stem)) { 0.0 } else { NAMED };
        target.coverage(line) * 0.6 + target.within(&line.stems) * 0.4 + cue(&need.text, line) + side
            - line.position as f64 * 0.002
    };
    let is_about = |line: &&Line| {
        about.is_empty() || about.iter().any(|stem| line.title.contains(stem) || line.stems.contains(stem))
    };
    let ranked = rank(pool.lines.iter().filter(is_about), score);
    let floor = match (about.is_empty(), target.weights.len()) {
        (true, ..=SHORT) => SHORT_FLOOR,
        (true, _) => FLOOR,
        (false, _) => REST_FLOOR,
    };
    match ranked.first() {
        Some((_, first)) if covered(&target, &[first]) >= floor => nearly_best(&ranked),
        _ => Vec::new(),
    }
}

/// The best line, and a second one that is nearly as good.
fn nearly_best<'a>(ranked: &[(f64, &'a Line)]) -> Vec<&'a Line> {
    let Some((best, first)) = ranked.first() else {
        return Vec::new();
    };
    let second = ranked.iter().skip(1).find(|(score, line)| *score >= best * SECOND && line.text != first.text);
    std::iter::once(*first).chain(second.map(|(_, line)| *line)).collect()
}

/// Share of a target that lines cover together.
fn covered(target: &Target, lines: &[&Line]) -> f64 {
    let has = |stem: &String| {
        lines.iter().any(|line| line.stems.contains(stem) || line.title.contains(stem) || line.heading.contains(stem))
    };
    target.weights.iter().filter(|(stem, _)| has(stem)).map(|(_, weight)| weight).sum()
}

fn rank<'a>(lines: impl Iterator<Item = &'a Line>, score: impl Fn(&Line) -> f64) -> Vec<(f64, &'a Line)> {
    let mut ranked: Vec<_> = lines.map(|line| (score(line), line)).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    ranked
}

/// The sentence that names what a need describes, and the best sentence about what it names.
fn cross<'a>(need: &Need, via: &Via, pool: &'a Pool) -> Option<Vec<&'a Line>> {
    let described = stems(&via.description);
    let whole = pool.target(&format!("{} {}", via.description, need.text), &BTreeSet::new());
    let mut best: Option<(f64, Vec<&Line>)> = None;
    for bridge in bridges(via, pool) {
        // What the bridge covers is settled; the rest is asked of what it names.
        let settled: BTreeSet<_> = described
            .iter()
            .filter(|stem| bridge.line.stems.contains(*stem) || bridge.line.title.contains(*stem))
            .cloned()
            .collect();
        let target = pool.target(&need.text, &settled);
        if target.is_empty() {
            continue;
        }
        let score = |line: &Line| {
            let named = relation(&bridge, line);
            target.coverage(line) * 0.6 + target.within(&line.stems) * 0.4 + cue(&need.text, line) + named
                - line.position as f64 * 0.002
        };
        let others = pool.lines.iter().filter(|line| relation(&bridge, line) > 0.0 && line.text != bridge.line.text);
        let ranked = rank(others, score);
        let found = nearly_best(&ranked);
        let Some(first) = found.first() else { continue };
        if covered(&whole, &[bridge.line, first]) < FLOOR || covered(&target, &[first]) < REST_FLOOR {
            continue;
        }
        let total = bridge.fit + score(first);
        if best.as_ref().is_none_or(|(known, _)| total > *known) {
            let lines = std::iter::once(bridge.line).chain(found).collect();
            best = Some((total, lines));
        }
    }
    best.map(|(_, lines)| lines)
}

/// How surely a line is about what the bridge names: its document's title is named there, or the line
/// itself has one of the names.
fn relation(bridge: &Bridge<'_>, line: &Line) -> f64 {
    if is_named(&line.title, bridge.line) {
        return NAMED;
    }
    let has = |name: &String| {
        let name = stems(name);
        !name.is_empty() && name.iter().all(|stem| line.stems.contains(stem) || line.title.contains(stem))
    };
    if bridge.names.iter().any(has) { NAMED / 2.0 } else { 0.0 }
}

/// What questions ask for, and the words or headings of sentences that say it.
const CUES: &[(&[&str], &[&str])] = &[
    (
        &["avoid", "contraindicated", "contraindication", "safe", "rules", "must not", "should not"],
        &["contraindicat", "avoid", "must not", "should not", "not recommended"],
    ),
    (&["monitor", "checked", "check", "measured"], &["monitor", "check", "measured"]),
    (
        &["first-line", "preferred", "of choice", "started first", "given first", "best treatment", "treated"],
        &["first-line", "preferred", "of choice", "first"],
    ),
    (
        &["side effect", "adverse", "complication", "cause"],
        &["adverse", "side effect", "cause", "complication", "risk"],
    ),
    (&["diagnos", "confirm", "detect"], &["diagnos", "confirm", "detect"]),
    (&["mechanism", "how does", "lower"], &["inhibit", "block", "bind", "convert", "act"]),
    (&["why"], &["because", "risk", "can cause", "so "]),
];

/// Words of questions that are answered by a number.
const QUANTITY: &[&str] = &[
    "how long",
    "how often",
    "how much",
    "how many",
    "how soon",
    "how large",
    "how high",
    "how quickly",
    "how old",
    "what dose",
    "dose",
    "threshold",
    "level",
    "count",
    "concentration",
    "score",
    "what age",
    "at what",
    "below what",
    "below which",
    "above which",
    "velocity",
    "target",
    "pressure",
    "how is",
    "value",
    "hours",
    "days",
    "percent",
    "rate",
];

fn cue(question: &str, line: &Line) -> f64 {
    let (question, sentence) = (question.to_lowercase(), line.canonical.to_lowercase());
    let said = CUES.iter().any(|(asked, said)| {
        asked.iter().any(|cue| question.contains(cue)) && said.iter().any(|cue| sentence.contains(cue))
    });
    let quantity = QUANTITY.iter().any(|cue| question.contains(cue));
    let number =
        quantity && words(&sentence).any(|word| word.starts_with(|c: char| c.is_ascii_digit()) || is_number(word));
    // `What is gout …`: `Gout is …`.
    let definition = ["what is ", "what are "].iter().any(|asked| {
        let thing = question.strip_prefix(asked).and_then(|rest| rest.split_whitespace().next());
        thing.is_some_and(|thing| sentence.starts_with(thing.trim_matches('?')))
    });
    [said, number, definition].into_iter().filter(|yes| *yes).count() as f64 * CUE
}

fn is_number(word: &str) -> bool {
    matches!(
        word,
        "one"
            | "two"
            | "three"
            | "four"
            | "five"
            | "six"
            | "seven"
            | "eight"
            | "nine"
            | "ten"
            | "twelve"
            | "once"
            | "twice"
            | "daily"
            | "weekly"
            | "monthly"
            | "yearly"
            | "annually"
            | "annual"
    )
}
