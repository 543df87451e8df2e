//! The sentences that answer: at most four, from at most three documents, each quoted as it stands; or
//! none, when they cover too little of what was asked.

use std::collections::BTreeSet;

use retriever::evidence::Label;

use super::aspect::Aspects;
use super::bridge::{Bridge, bridges, is_named};
use super::decompose::{Need, Via};
use super::pool::{Line, Pool, Target, has, stems};
use super::subject::Subjects;
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
/// What it costs a sentence to speak of a case that was not asked for.
const EXCEPTION: f64 = 0.1;
/// What a sentence of the kind that is asked for is worth.
const CUE: f64 = 0.12;

/// What the evidence carries.
#[derive(Debug)]
pub(super) struct Selection {
    pub(super) cited: Vec<Cited>,
    /// Parts of the question that it does not carry.
    pub(super) unmet: Vec<String>,
    /// Whether the last part is among them.
    pub(super) misses_last: bool,
}

/// The answer to the needs that are met, or `None` when the evidence carries none.
pub(super) fn answer(needs: &[Need], pool: &Pool) -> Option<Selection> {
    let mut chosen: Vec<&Line> = Vec::new();
    let mut unmet = Vec::new();
    let mut misses_last = false;
    for need in needs {
        let mut is_met = false;
        let (lines, meets) = meet(need, pool);
        for line in lines {
            let documents: BTreeSet<_> = chosen.iter().map(|line| line.document).chain([line.document]).collect();
            let repeats = chosen.iter().any(|known| known.text == line.text);
            if !repeats && documents.len() <= MAX_DOCUMENTS && chosen.len() < MAX_SENTENCES {
                chosen.push(line);
                is_met = true;
            }
            is_met |= repeats;
        }
        misses_last = !(is_met && meets);
        if misses_last {
            unmet.push(need.asked.clone());
        }
    }
    // A comparison needs both sides; parts of a conjunction stand alone.
    let compared = needs.iter().any(|need| need.side.is_some());
    if chosen.is_empty() || (compared && !unmet.is_empty()) {
        return None;
    }
    let cited = chosen.into_iter().map(|line| cite(line.text.clone(), line.label)).collect();
    Some(Selection { cited, unmet, misses_last })
}

/// Queries for needs that nothing found meets yet: what they are about, or what the first evidence names, and the words that
/// evidence may speak of it in.
pub(super) fn reworded(needs: &[Need], pool: &Pool) -> Vec<String> {
    let mut queries: Vec<String> = Vec::new();
    for need in needs.iter().filter(|need| !meet(need, pool).1) {
        let said = Aspects::of(&need.text).words();
        let named = need
            .via
            .as_ref()
            .and_then(|via| bridges(via, pool).into_iter().find_map(|bridge| bridge.names.into_iter().next()));
        let subjects = Subjects::required(&need.text);
        let subject = named.unwrap_or_else(|| subjects.text());
        // A drug's own page has what no page on the condition has.
        let topic = Some(subjects.topic()).filter(Subjects::is_of_drug).map(|topic| topic.text());
        let words = [Some(format!("{subject} {said}")), topic.map(|topic| format!("{topic} {said}")), Some(subject)];
        for query in words.into_iter().flatten().map(|query| query.trim().to_owned()) {
            if !queries.contains(&query) {
                queries.push(query);
            }
        }
    }
    queries
}

fn cite(text: String, label: Label) -> Cited {
    Cited { text, cites: vec![label] }
}

/// The sentences for one need, and whether they meet all of it. Those that a bridge leads to come last.
fn meet<'a>(need: &Need, pool: &'a Pool) -> (Vec<&'a Line>, bool) {
    let plain = |text: &str| {
        let lines = direct(&Need { text: text.to_owned(), via: None, ..need.clone() }, pool);
        let is_met = !lines.is_empty();
        (lines, is_met)
    };
    match &need.via {
        None => plain(&need.text),
        Some(via) => match cross(need, via, pool) {
            Some(lines) => (lines, true),
            None if via.within => plain(&need.text),
            // The thing is named all the same; what was asked of it stays open.
            None if via.asked => (plain(&via.description).0, false),
            None => (Vec::new(), false),
        },
    }
}

/// The best sentences for a need that names what it is about.
fn direct<'a>(need: &Need, pool: &'a Pool) -> Vec<&'a Line> {
    let subjects = need.side.as_deref().map_or_else(|| Subjects::required(&need.text), Subjects::of);
    let aspects = Aspects::of(&need.text);
    let target = pool.target(&need.text, &BTreeSet::new());
    let about: BTreeSet<_> = need.side.as_deref().map(stems).unwrap_or_default();
    let score = |line: &Line| {
        let side = if about.is_empty() || !about.iter().all(|stem| line.title.contains(stem)) { 0.0 } else { NAMED };
        let exception = if aspects.is_of_amount() && subjects.is_narrower(line) { EXCEPTION } else { 0.0 };
        target.coverage(line) * 0.6 + target.within(&line.stems) * 0.4 + cue(&need.text, line) + side
            - exception
            - line.position as f64 * 0.002
    };
    let is_about =
        |line: &&Line| subjects.are_named_by(line, aspects.is_of_amount()) && aspects.are_said_by(line, &subjects);
    let floor = match (about.is_empty(), target.weights.len()) {
        (true, ..=SHORT) => SHORT_FLOOR,
        (true, _) => FLOOR,
        (false, _) => REST_FLOOR,
    };
    let is_enough = |line: &&Line| covered(&target, &[line], &aspects) >= floor;
    nearly_best(&rank(pool.lines.iter().filter(is_about).filter(is_enough), score))
}

/// The best line, and a second one that is nearly as good.
fn nearly_best<'a>(ranked: &[(f64, &'a Line)]) -> Vec<&'a Line> {
    let Some((best, first)) = ranked.first() else {
        return Vec::new();
    };
    let second = ranked.iter().skip(1).find(|(score, line)| *score >= best * SECOND && line.text != first.text);
    std::iter::once(*first).chain(second.map(|(_, line)| *line)).collect()
}

/// Share of a target that lines cover together. What asks for an aspect is covered by any words that speak of it; what an amount is
/// for, by the sentence before.
fn covered(target: &Target, lines: &[&Line], aspects: &Aspects) -> f64 {
    let said = aspects.stems();
    let is_there = |line: &&Line, stem: &str| {
        let around = [&line.stems, &line.title, &line.heading];
        around.into_iter().any(|stems| has(stems, stem)) || (aspects.is_of_amount() && has(&line.before, stem))
    };
    let has = |stem: &String| lines.iter().any(|line| is_there(line, stem));
    target.weights.iter().filter(|(stem, _)| said.contains(*stem) || has(stem)).map(|(_, weight)| weight).sum()
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
    let (about, asked) = (Subjects::of(via.condition()), Subjects::required(&need.text));
    let aspects = Aspects::of(&format!("{} {}", via.before, via.after));
    let (named, amount) = (Subjects::of(&format!("{} {}", via.description, need.text)), aspects.is_of_amount());
    let mut best: Option<(f64, Vec<&Line>)> = None;
    for bridge in bridges(via, pool).into_iter().filter(|bridge| about.are_mostly_named_by(bridge.line)) {
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
        let rest = asked.without(&settled);
        let others = pool.lines.iter().filter(|line| {
            // The page of what the bridge names, be the bridge on it or on another.
            let is_page = !line.title.is_empty() && line.title.iter().all(|stem| bridge.line.stems.contains(stem));
            let is_of = is_page || about.are_named_by(line, false);
            relation(&bridge, line) > 0.0
                && is_of
                && line.text != bridge.line.text
                && rest.are_named_by(line, amount)
                && !(amount && named.is_narrower(line))
                && aspects.are_said_by(line, &asked)
        });
        let ranked = rank(others, score);
        let found = nearly_best(&ranked);
        let Some(first) = found.first() else { continue };
        // What asks for an aspect was seen to: `how much` has no words of its own that evidence could have.
        let is_rest_met = !aspects.is_empty() || covered(&target, &[first], &aspects) >= REST_FLOOR;
        if covered(&whole, &[bridge.line, first], &aspects) < FLOOR || !is_rest_met {
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
