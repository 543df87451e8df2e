//! [`foreign`]: names in a sentence that its sources do not have, nor anything like them.
//!
//! How much a word tells and what it is like is read off the table of the bundled static encoder: a name (a drug, a disease, a test)
//! tells several times what a common word does, `renal` is like `kidney`, and one drug is not like another. So a sentence that
//! keeps the words of its source and names another drug is seen, and one that says `renal` for `kidney` is left alone.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use retriever::embed::StaticEncoder;

use super::words::is_number;
use crate::matching::{is_stop_word, stem, words};

/// What a name tells at least.
const NAME: f32 = 1.2;
/// What a word tells at least that may stand for a name.
const WORD: f32 = 0.5;
/// Cosine from which on two words are alike.
const ALIKE: f32 = 0.6;
/// Letters at their beginning that relatives such as `diabetes` and `diabetic` have in common at least.
const ROOT: usize = 5;
/// Letters at their end that they differ in at most: `penicillin` and `penicillamine` are no relatives.
const ENDING: usize = 3;
/// British spellings, which the table knows less well, and American ones.
const SPELLINGS: [(&str, &str); 8] = [
    ("aem", "em"),
    ("caec", "cec"),
    ("foet", "fet"),
    ("gynae", "gyne"),
    ("oede", "ede"),
    ("oeso", "eso"),
    ("paed", "ped"),
    ("rrhoe", "rrhe"),
];

static TABLE: LazyLock<StaticEncoder> =
    LazyLock::new(|| retriever::embed::bundled().expect("the bundled encoder is part of the program"));

/// The names of `sentence` that none of `sources` has, nor a relative, nor a word that is like them; each once, in lower case.
pub(crate) fn foreign<'a>(sentence: &str, sources: impl Iterator<Item = &'a str>) -> Vec<String> {
    let theirs: BTreeSet<String> = sources.flat_map(parts).collect();
    let stems: BTreeSet<String> = theirs.iter().map(|word| stem(word)).collect();
    let mut found: Vec<String> = Vec::new();
    for word in parts(sentence) {
        let is_said = is_number(&word) || is_stop_word(&word) || stems.contains(&stem(&word));
        if is_said || found.contains(&word) || theirs.iter().any(|other| are_related(&word, other)) {
            continue;
        }
        let own = Word::of(&word);
        if own.length < NAME {
            continue;
        }
        let is_like = |other: &String| {
            let other = Word::of(other);
            other.length >= WORD && own.cosine(&other) >= ALIKE
        };
        if !theirs.iter().any(is_like) {
            found.push(word);
        }
    }
    found
}

/// The words of `text` in lower case and one spelling, compounds in parts.
fn parts(text: &str) -> impl Iterator<Item = String> {
    let folded = |part: &str| {
        let spelt =
            |word: String, (from, to): &(&str, &str)| if word.contains(from) { word.replace(from, to) } else { word };
        SPELLINGS.iter().fold(part.to_lowercase(), spelt)
    };
    words(text).flat_map(|word| word.split(['-', '/'])).filter(|part| !part.is_empty()).map(folded)
}

/// Whether two words differ in their endings alone.
fn are_related(one: &str, other: &str) -> bool {
    let common = one.chars().zip(other.chars()).take_while(|(left, right)| left == right).count();
    let longer = one.chars().count().max(other.chars().count());
    common >= ROOT && longer - common <= ENDING
}

/// A word's row, and how long it is.
struct Word {
    row: Vec<f32>,
    length: f32,
}

impl Word {
    fn of(word: &str) -> Self {
        let row = TABLE.word(word);
        let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        Self { row, length }
    }

    fn cosine(&self, other: &Self) -> f32 {
        let product: f32 = self.row.iter().zip(&other.row).map(|(left, right)| left * right).sum();
        product / (self.length * other.length).max(f32::MIN_POSITIVE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_drug_is_foreign_and_another_word_for_the_same_is_not() {
        let found = |sentence: &str, source: &str| foreign(sentence, [source].into_iter());
        let source = "Apixaban is avoided in children, in diabetes and in severe kidney disease.";
        assert_eq!(found("Warfarin is avoided in severe kidney disease.", source), ["warfarin"]);
        assert_eq!(found("Apixaban is avoided in severe psoriasis.", source), ["psoriasis"]);
        for alike in [
            "Apixaban is usually avoided in severe renal impairment.",
            "In diabetic patients apixaban should not be prescribed.",
            "In paediatric patients apixaban is avoided.",
            "",
        ] {
            assert!(found(alike, source).is_empty(), "{alike}: {:?}", found(alike, source));
        }
        assert_eq!(foreign("Lithium is lithium, 500 mg of it", std::iter::empty()), ["lithium"]);
    }
}
