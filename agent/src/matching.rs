//! Words, and how much two texts have in common: what quotes and the extractive policy rank by.

use std::collections::BTreeSet;

/// Words that carry no content in a question or a sentence.
const STOP_WORDS: &[&str] = &[
    "a", "about", "all", "also", "an", "and", "any", "are", "as", "at", "be", "been", "being", "but", "by", "can",
    "could", "did", "do", "does", "during", "each", "either", "for", "from", "had", "has", "have", "he", "her", "his",
    "how", "i", "if", "in", "into", "is", "it", "its", "may", "me", "might", "must", "my", "no", "nor", "not", "of",
    "on", "or", "our", "out", "over", "per", "shall", "she", "should", "so", "some", "such", "than", "that", "the",
    "their", "them", "then", "there", "these", "they", "this", "those", "to", "under", "up", "upon", "us", "very",
    "was", "we", "were", "what", "when", "where", "whether", "which", "while", "who", "whom", "whose", "why", "will",
    "with", "within", "without", "would", "you", "your",
];

/// Whether `word` (lower case) carries no content.
pub(crate) fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.binary_search(&word).is_ok()
}

/// The words of `text` as written: letters and digits, with the marks that hold them together inside
/// (`first-line`, `1.73`, `Sjögren's`).
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && !matches!(c, '-' | '.' | '\'' | '’' | '/' | '%'))
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric() && c != '%'))
        .filter(|word| !word.is_empty())
}

/// The stems of the content words of `text`, in order, repeats kept. Compounds give their parts:
/// `first-line` is `first` and `line`.
pub(crate) fn stems(text: &str) -> Vec<String> {
    words(text)
        .flat_map(|word| word.split(['-', '/']))
        .map(str::to_lowercase)
        .filter(|word| !word.is_empty() && !is_stop_word(word))
        .map(|word| stem(&word))
        .collect()
}

/// A light stem: plural and verb endings off, so that `monitored` meets `monitoring` and `diagnoses`
/// meets `diagnosed`. Never shorter than four letters; words with digits stay as they are.
pub(crate) fn stem(word: &str) -> String {
    let word = word.strip_suffix("'s").or_else(|| word.strip_suffix("’s")).unwrap_or(word);
    if word.len() < 4 || word.bytes().any(|byte| !byte.is_ascii_alphabetic()) {
        return word.to_owned();
    }
    // Longest first. What a suffix leaves is completed so that its relatives meet.
    const SUFFIXES: &[(&str, &str)] = &[
        ("ications", "ic"),
        ("ication", "ic"),
        ("icated", "ic"),
        ("icates", "ic"),
        ("icate", "ic"),
        ("ically", "ic"),
        ("nesses", ""),
        ("ations", ""),
        ("ation", ""),
        ("ating", ""),
        ("ated", ""),
        ("ates", ""),
        ("ative", ""),
        ("ments", ""),
        ("ment", ""),
        ("ively", ""),
        ("ities", ""),
        ("ity", ""),
        ("ness", ""),
        ("ings", ""),
        ("ing", ""),
        ("ions", ""),
        ("ion", ""),
        ("ive", ""),
        ("ied", ""),
        ("ies", ""),
        ("sses", "ss"),
        ("oses", "os"),
        ("osis", "os"),
        ("osed", "os"),
        ("ed", ""),
        ("ate", ""),
        ("es", ""),
        ("ly", ""),
        ("al", ""),
        ("e", ""),
        ("y", ""),
        ("s", ""),
    ];
    if word.ends_with("ss") || word.ends_with("us") {
        return word.to_owned();
    }
    let found = SUFFIXES.iter().find(|(suffix, end)| {
        let shortest = if suffix.len() > 3 { 4 } else { 3 };
        word.ends_with(suffix) && word.len() - suffix.len() + end.len() >= shortest
    });
    let Some((suffix, end)) = found else {
        return word.to_owned();
    };
    let mut stem = word[..word.len() - suffix.len()].to_owned();
    stem.push_str(end);
    // Doubled by the suffix: `stopped` meets `stop`.
    let bytes = stem.as_bytes();
    if let [.., a, b] = bytes
        && a == b
        && !matches!(b, b'l' | b's' | b'z' | b'a' | b'e' | b'i' | b'o' | b'u')
        && stem.len() > 3
    {
        stem.pop();
    }
    stem
}

/// How much of `wanted` `text` holds: the share of its distinct stems.
pub(crate) fn overlap(wanted: &BTreeSet<String>, text: &str) -> f64 {
    let have: BTreeSet<_> = stems(text).into_iter().collect();
    wanted.intersection(&have).count() as f64 / wanted.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_words_are_sorted() {
        assert!(STOP_WORDS.is_sorted());
    }

    #[test]
    fn relatives_meet() {
        for family in [
            &["monitoring", "monitored", "monitor"][..],
            &["contraindicated", "contraindication", "contraindications"],
            &["diagnosed", "diagnosis", "diagnoses"],
            &["stopped", "stop", "stopping"],
            &["drugs", "drug"],
            &["treatment", "treated", "treat", "treatments"],
            &["therapies", "therapy"],
            &["dose", "doses", "dosed", "dosing"],
        ] {
            let stems: BTreeSet<_> = family.iter().map(|word| stem(word)).collect();
            assert_eq!(stems.len(), 1, "{family:?} -> {stems:?}");
        }
        assert_ne!(stem("lithium"), stem("little"));
        assert_eq!(stem("hba1c"), "hba1c");
    }

    #[test]
    fn compounds_give_their_parts() {
        assert_eq!(stems("The first-line drug, 1.73 m²"), ["first", "lin", "drug", "1.73", "m²"]);
    }
}
