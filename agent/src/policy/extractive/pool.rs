//! [`Pool`]: the evidence seen, sentence by sentence, and how much of a need a sentence covers.

use std::collections::{BTreeMap, BTreeSet};

use corpus::sentence::sentences;
use retriever::Evidence;
use retriever::evidence::Label;

use super::vocabulary::{Vocabulary, concept};
use crate::matching::stem;

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

/// The content of `text`: stems, one for what means the same.
pub(super) fn stems(text: &str) -> BTreeSet<String> {
    crate::matching::stems(text).into_iter().map(concept).collect()
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
            for (position, span) in sentences(&evidence.text).enumerate() {
                let text = evidence.text[span].trim().to_owned();
                let canonical = vocabulary.canonical(&text);
                let stems = stems(&canonical);
                for stem in &stems {
                    *self.frequency.entry(stem.clone()).or_default() += 1;
                }
                let (title, heading) = (title.clone(), heading.clone());
                self.lines.push(Line {
                    label: evidence.label,
                    document,
                    position,
                    text,
                    canonical,
                    stems,
                    title,
                    heading,
                });
            }
        }
    }

    /// What `text` asks to be covered, less what is in `without`.
    pub(super) fn target(&self, text: &str, without: &BTreeSet<String>) -> Target {
        let mut weights = BTreeMap::new();
        for stem in stems(text) {
            if !without.contains(&stem) {
                let weight = self.rarity(&stem) * if is_vague(&stem) { VAGUE_WEIGHT } else { 1.0 };
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
            if line.stems.contains(stem) {
                *weight
            } else if line.title.contains(stem) || line.heading.contains(stem) {
                weight * TITLE_WEIGHT
            } else {
                0.0
            }
        });
        covered.sum()
    }

    /// Share of the target that a sentence itself covers.
    pub(super) fn within(&self, stems: &BTreeSet<String>) -> f64 {
        self.weights.iter().filter(|(stem, _)| stems.contains(*stem)).map(|(_, weight)| weight).sum()
    }

    /// Whether nothing is left to cover.
    pub(super) fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }
}

pub(super) fn is_vague(known: &str) -> bool {
    VAGUE.iter().any(|word| concept(stem(word)) == known)
}
