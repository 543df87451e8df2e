//! [`Pool`]: the evidence seen, sentence by sentence, and how much of a need a sentence covers.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use corpus::sentence::sentences;
use retriever::Evidence;
use retriever::evidence::Label;

use super::aspect::spaced;
use super::subject::{asked_outright, is_generic, is_numbered};
use super::vocabulary::{SHORTEST_ROOT, Vocabulary, concept, fold, is_form, kin};
use crate::matching::{stem, words};

/// Evidence in the order it was seen.
#[derive(Debug, Default)]
pub(super) struct Pool {
    evidence: Vec<Evidence>,
    pub(super) lines: Vec<Line>,
    /// In how many sentences a stem stands.
    frequency: BTreeMap<String, usize>,
}

/// A sentence of evidence.
#[derive(Debug)]
pub(super) struct Line {
    /// The evidence's label.
    pub(super) label: Label,
    /// Place of its document among those seen.
    pub(super) document: usize,
    /// Place in its chunk, from 0.
    pub(super) position: usize,
    /// As it stands in the chunk, trimmed.
    pub(super) text: String,
    /// The same, one name for what has several.
    pub(super) canonical: String,
    /// `canonical` in lower case, one blank before each word.
    pub(super) spaced: String,
    /// The title of the section in the same way.
    pub(super) over: String,
    /// Stems of the sentence before it in its chunk.
    pub(super) before: BTreeSet<String>,
    /// Stems of `canonical`.
    pub(super) stems: BTreeSet<String>,
    /// Stems of the document's title.
    pub(super) title: BTreeSet<String>,
    /// Stems of the title of the section.
    pub(super) heading: BTreeSet<String>,
}

/// Stems to be covered, each with its weight; the weights sum to one.
#[derive(Debug, Default)]
pub(super) struct Target {
    pub(super) weights: BTreeMap<String, f64>,
}

/// The content of `text`: stems, one for what means the same. A number that is part of a name is a stem with it: `type 2`.
pub(super) fn stems(text: &str) -> BTreeSet<String> {
    let folded = fold(text);
    let mut stems: BTreeSet<_> = crate::matching::stems(&folded).into_iter().map(concept).collect();
    let parts: Vec<_> = words(&folded).flat_map(|word| word.split('-')).collect();
    let numbered = parts.windows(2).filter(|pair| is_numbered(pair[0], pair[1]));
    stems.extend(numbered.map(|pair| pair.join(" ")));
    stems
}

/// Words of questions that say little about what is asked.
const VAGUE: &[&str] = &[
    "adult",
    "become",
    "best",
    "case",
    "choice",
    "common",
    "done",
    "drug",
    "first",
    "get",
    "give",
    "given",
    "happen",
    "help",
    "key",
    "kind",
    "line",
    "long",
    "main",
    "make",
    "many",
    "most",
    "much",
    "need",
    "often",
    "patient",
    "people",
    "person",
    "show",
    "soon",
    "start",
    "take",
    "taken",
    "test",
    "treatment",
    "type",
    "use",
    "used",
    "using",
    "usual",
    "usually",
    "widely",
    "woman",
    "women",
];
/// What a vague word weighs beside another of equal frequency.
const VAGUE_WEIGHT: f64 = 0.2;
/// What a word weighs that asks, qualifies or says of which kind the answer is: evidence has its own words for it.
const GENERIC_WEIGHT: f64 = 0.3;
/// Added to a frequency, so that a word never seen is not worth everything.
const SMOOTHING: f64 = 2.0;
/// What a word counts that stands in the title or heading of the sentence's document, not in it.
const TITLE_WEIGHT: f64 = 0.7;

impl Pool {
    /// Keeps evidence, once.
    pub(super) fn add(&mut self, evidence: &Evidence) {
        if !self.evidence.iter().any(|known| known.label == evidence.label) {
            self.evidence.push(evidence.clone());
        }
    }

    /// Cuts all evidence into sentences. Done after each observation, since what it explains may change
    /// how earlier sentences read.
    pub(super) fn index(&mut self, vocabulary: &Vocabulary) {
        self.lines.clear();
        self.frequency.clear();
        let mut documents = Vec::new();
        for evidence in &self.evidence {
            let document = documents.iter().position(|known| *known == &evidence.document).unwrap_or_else(|| {
                documents.push(&evidence.document);
                documents.len() - 1
            });
            let set = |text: &str| stems(&vocabulary.canonical(text));
            let (title, heading) = (set(&evidence.title), set(&evidence.heading));
            let mut before = BTreeSet::new();
            for (position, span) in sentences(&evidence.text).enumerate() {
                let text = evidence.text[span].trim().to_owned();
                let canonical = vocabulary.canonical(&text);
                let stems = stems(&canonical);
                for stem in &stems {
                    *self.frequency.entry(stem.clone()).or_default() += 1;
                }
                let (spaced, over) = (spaced(&canonical), spaced(&evidence.heading));
                let before = std::mem::replace(&mut before, stems.clone());
                let (title, heading) = (title.clone(), heading.clone());
                self.lines.push(Line {
                    label: evidence.label,
                    document,
                    position,
                    text,
                    canonical,
                    spaced,
                    over,
                    before,
                    stems,
                    title,
                    heading,
                });
            }
        }
    }

    /// What `text` asks to be covered, less what is in `without`.
    pub(super) fn target(&self, text: &str, without: &BTreeSet<String>) -> Target {
        let named = stems(&asked_outright(text));
        let mut weights = BTreeMap::new();
        for stem in stems(text) {
            if !without.contains(&stem) {
                let share = match (is_vague(&stem), is_generic(&stem)) {
                    (true, _) => VAGUE_WEIGHT,
                    (_, true) => GENERIC_WEIGHT,
                    _ if !named.contains(&stem) => GENERIC_WEIGHT,
                    _ => 1.0,
                };
                let weight = self.rarity(&stem) * share;
                weights.insert(stem, weight);
            }
        }
        let total: f64 = weights.values().sum();
        for weight in weights.values_mut() {
            *weight /= total;
        }
        Target { weights }
    }

    /// Inverse frequency of a stem among the sentences seen.
    fn rarity(&self, stem: &str) -> f64 {
        let frequency = self.frequency.get(stem).copied().unwrap_or(0) as f64;
        (1.0 + self.lines.len() as f64 / (frequency + SMOOTHING)).ln()
    }
}

impl Target {
    /// Share of the target that `line` covers, its title and heading counting less: 0 to 1.
    pub(super) fn coverage(&self, line: &Line) -> f64 {
        let covered = self.weights.iter().map(|(stem, weight)| {
            if has(&line.stems, stem) {
                *weight
            } else if has(&line.title, stem) || has(&line.heading, stem) {
                weight * TITLE_WEIGHT
            } else {
                0.0
            }
        });
        covered.sum()
    }

    /// Share of the target that a sentence itself covers.
    pub(super) fn within(&self, stems: &BTreeSet<String>) -> f64 {
        self.weights.iter().filter(|(stem, _)| has(stems, stem)).map(|(_, weight)| weight).sum()
    }

    /// Whether nothing is left to cover.
    pub(super) fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }
}

/// Whether one of `stems` names what `wanted` names.
pub(super) fn has(stems: &BTreeSet<String>, wanted: &str) -> bool {
    if stems.contains(wanted) || kin(wanted).is_some_and(|kin| kin.iter().any(|stem| stems.contains(stem))) {
        return true;
    }
    // Forms of one word begin alike: only those are looked at.
    let Some(beginning) = wanted.get(..SHORTEST_ROOT) else { return false };
    let mut alike = stems
        .range::<str, _>((Bound::Included(beginning), Bound::Unbounded))
        .take_while(|stem| stem.starts_with(beginning));
    alike.any(|stem| is_form(stem, wanted))
}

pub(super) fn is_vague(known: &str) -> bool {
    VAGUE.iter().any(|word| concept(stem(word)) == known)
}
