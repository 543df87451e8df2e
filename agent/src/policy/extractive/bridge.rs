//! What the first evidence names, when a need describes a thing instead of naming it.
//!
//! `what must be monitored in a patient taking | the first-line drug for bipolar disorder`: the sentence
//! that best covers the description is `The first-line drug for … bipolar disorder is lithium`. A copula
//! parts it; the side away from the description names the bridge. Names are tried as they stand, and
//! a document whose title is among them holds what the follow-up asks for.

use std::collections::BTreeSet;

use super::decompose::{Need, Via};
use super::pool::{Line, Pool, stems};
use super::subject::{Subjects, is_generic};
use super::vocabulary::Vocabulary;
use crate::matching::{is_stop_word, words};

/// A sentence that may name what a need describes.
#[derive(Debug)]
pub(super) struct Bridge<'a> {
    pub(super) line: &'a Line,
    /// How well it fits the description: 0 to a little over 1.
    pub(super) fit: f64,
    /// Names it gives, best first.
    pub(super) names: Vec<String>,
}

/// Sentences looked at for one description.
const BRIDGES: usize = 4;
/// A sentence that fits less than this share of the best does not name it.
const NEAR_BEST: f64 = 0.75;
/// Share of the condition that a sentence must name, or its document's title.
const ABOUT: f64 = 0.5;
/// Stems of descriptions that say what kind of thing is described, not what it is for.
const KINDS: &[&str] = &[
    "agent",
    "alpha",
    "assay",
    "blocker",
    "blood",
    "choic",
    "conventional",
    "diagnos",
    "drug",
    "inhibitor",
    "initial",
    "prefer",
    "procedur",
    "reference",
    "regimen",
    "standard",
    "system",
    "test",
    "treat",
    "usual",
];
/// Words that part a sentence into what is described and what it is.
const COPULAS: &[&str] = &[" is ", " are ", " was ", " were ", " uses ", " by "];
/// What parts names from each other and from the rest.
const BREAKS: &[&str] = &[
    " after ",
    " and ",
    " as ",
    " at ",
    " because ",
    " before ",
    " but ",
    " by ",
    " during ",
    " for ",
    " from ",
    " given ",
    " in ",
    " is ",
    " of ",
    " on ",
    " or ",
    " such as ",
    " than ",
    " that ",
    " then ",
    " to ",
    " unless ",
    " until ",
    " when ",
    " which ",
    " with ",
    " without ",
];
/// Words that begin a name without being part of it.
const OPENERS: &[&str] = &[
    "alone",
    "also",
    "based",
    "best",
    "combined",
    "confirmed",
    "daily",
    "diagnosed",
    "direct",
    "first",
    "first-line",
    "high-dose",
    "immediate",
    "inhaled",
    "initial",
    "intravenous",
    "long-term",
    "low-dose",
    "made",
    "oral",
    "preferred",
    "recommended",
    "single",
    "started",
    "the",
    "together",
    "topical",
    "treated",
    "treatment",
    "usually",
    "weekly",
    "widely",
];

/// Queries that follow up on the first evidence: each description with what it turned out to be; and
/// needs whose words evidence has since explained.
pub(super) fn follow_ups(needs: &[Need], pool: &Pool, vocabulary: &Vocabulary) -> Vec<String> {
    let mut queries: Vec<String> = Vec::new();
    for need in needs {
        let Some(via) = &need.via else {
            let explained = vocabulary.canonical(&need.text);
            if explained != need.text {
                queries.push(explained);
            }
            continue;
        };
        let bridges = bridges(via, pool);
        // The first name of each sentence, then the second: the best sentence may name several.
        let names = (0..2).flat_map(|index| bridges.iter().filter_map(move |bridge| bridge.names.get(index)));
        for name in names {
            let query = [via.before.as_str(), name, via.after.as_str()].join(" ");
            let query = query.split_whitespace().collect::<Vec<_>>().join(" ");
            if !queries.iter().any(|known| known.eq_ignore_ascii_case(&query)) {
                queries.push(query);
            }
        }
    }
    queries
}

/// The sentences that best fit a description, best first.
pub(super) fn bridges<'a>(via: &Via, pool: &'a Pool) -> Vec<Bridge<'a>> {
    let target = pool.target(&via.description, &BTreeSet::new());
    if target.is_empty() {
        return Vec::new();
    }
    let described = stems(&via.description);
    // The condition that the description is about: a sentence on another one names nothing.
    let condition: BTreeSet<_> =
        described.iter().filter(|stem| !is_generic(stem) && !KINDS.contains(&stem.as_str())).cloned().collect();
    let about = |line: &Line| {
        let covered = condition.iter().filter(|stem| line.stems.contains(*stem) || line.title.contains(*stem)).count();
        covered as f64 >= condition.len() as f64 * ABOUT
    };
    let mut bridges: Vec<_> = pool
        .lines
        .iter()
        .filter(|line| about(line))
        .map(|line| {
            let cue = if definitional(&line.canonical, &via.description) { 0.25 } else { 0.0 };
            let own = 0.5 * target.within(&line.stems);
            Bridge { line, fit: 0.5 * target.coverage(line) + own + cue, names: names(line, &described, &condition) }
        })
        .filter(|bridge| !bridge.names.is_empty())
        .collect();
    bridges.sort_by(|a, b| b.fit.total_cmp(&a.fit));
    let best = bridges.first().map_or(0.0, |bridge| bridge.fit);
    bridges.retain(|bridge| bridge.fit >= best * NEAR_BEST);
    bridges.truncate(BRIDGES);
    bridges
}

/// Whether a sentence says what kind of thing a description asks for.
fn definitional(sentence: &str, description: &str) -> bool {
    const CUES: &[(&[&str], &[&str])] = &[
        (
            &["first-line", "first", "preferred", "initial", "choice", "standard", "main", "usual"],
            &["first-line", "of choice", "preferred", "initial treatment", "standard treatment", "treatment of choice"],
        ),
        (
            &[
                "test",
                "assay",
                "imaging",
                "procedure",
                "investigation",
                "scan",
                "biopsy",
                "confirmatory",
                "diagnostic",
                "examination",
            ],
            &[
                "diagnosed",
                "confirmed",
                "confirms",
                "reference standard",
                "preferred test",
                "first test",
                "key test",
                "detected",
                "test for",
                "diagnosis of",
            ],
        ),
        (&["antidote"], &["antidote", "reverse"]),
    ];
    let (sentence, description) = (sentence.to_lowercase(), description.to_lowercase());
    CUES.iter().any(|(asked, said)| {
        words(&description).any(|word| asked.contains(&word)) && said.iter().any(|cue| sentence.contains(cue))
    })
}

/// Names in the part of a sentence that does not repeat the description.
fn names(line: &Line, described: &BTreeSet<String>, condition: &BTreeSet<String>) -> Vec<String> {
    let sentence = line.canonical.as_str();
    let repeats = |text: &str| stems(text).iter().filter(|stem| condition.contains(*stem)).count();
    let parted = COPULAS.iter().filter_map(|copula| sentence.find(copula).map(|at| (at, at + copula.len()))).min();
    let named = match parted {
        Some((end, start)) if repeats(&sentence[..end]) >= repeats(&sentence[start..]) => &sentence[start..],
        Some((end, _)) => &sentence[..end],
        None => sentence,
    };
    let mut names = Vec::new();
    for phrase in phrases(named) {
        let tokens: Vec<_> = words(phrase).collect();
        let is_opener = |word: &&str| {
            let word = word.to_lowercase();
            is_stop_word(&word) || OPENERS.binary_search(&word.as_str()).is_ok()
        };
        let start = tokens.iter().position(|word| !is_opener(word)).unwrap_or(tokens.len());
        let name = tokens[start..].join(" ");
        let known = stems(&name);
        let says_something =
            known.iter().any(|stem| !described.contains(stem) && stem.bytes().any(|byte| byte.is_ascii_alphabetic()));
        if says_something && !Subjects::of(&name).is_empty() && tokens.len() - start <= 6 && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Cuts at punctuation and at small words.
fn phrases(text: &str) -> Vec<&str> {
    let lower = text.to_ascii_lowercase();
    let mut cuts = vec![(0, 0)];
    cuts.extend(text.match_indices([',', ';', '(', ')', ':']).map(|(at, mark)| (at, at + mark.len())));
    for mark in BREAKS {
        // The blank that ends one small word may begin the next.
        cuts.extend(lower.match_indices(mark).map(|(at, mark)| (at, at + mark.len() - 1)));
    }
    cuts.push((text.len(), text.len()));
    cuts.sort_unstable();
    cuts.windows(2).filter(|pair| pair[0].1 < pair[1].0).map(|pair| &text[pair[0].1..pair[1].0]).collect()
}

/// Whether the title of `line`'s document is named in `sentence`.
pub(super) fn is_named(title: &BTreeSet<String>, sentence: &Line) -> bool {
    !title.is_empty() && title.iter().all(|stem| sentence.stems.contains(stem)) && *title != sentence.title
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted() {
        assert!(OPENERS.is_sorted());
    }
}
