//! Text to terms, without breaking what medicine writes: `HbA1c`, `IL-6`, `β-blocker`, `1.73 m²`, `CD4+`.
//!
//! * lower case; diacritics and compatibility forms folded (`m²` is `m2`); possessive `'s` dropped;
//! * Greek letters spelt out as terms of their own (`β-blocker` is `beta blocker`, `TNFα` is `tnf
//!   alpha`), the micro sign before a unit as `u` (`µg` is `ug`);
//! * decimal and scientific numbers whole (`1.73`, `10^-3`), thousands commas dropped (`1,000`);
//! * a hyphenated code is one term and its parts (`IL-6` is `il6`, `il`, `6`), so that it is found
//!   written either way; a trailing plus is a term beside the code (`CD4+` is `cd4+`, `cd4`);
//! * English stop words dropped and English words of four letters or more stemmed, but nothing that
//!   holds a digit.

use std::collections::HashMap;

use frostem::{Algorithm, Stemmer};
use tantivy::tokenizer::{Token, TokenStream, Tokenizer};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Name and version, kept in the manifest: a snapshot is searched with the analyzer it was built with.
pub const NAME: &str = "medical-en-1";

/// Longer terms are cut: they are no words, and tantivy has a limit.
const MAX_TERM_CHARS: usize = 64;

/// Words whose stems are remembered, so that memory stays bounded.
const MAX_STEMS: usize = 1 << 16;

const STOP_WORDS: [&str; 33] = [
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it", "no", "not", "of",
    "on", "or", "such", "that", "the", "their", "then", "there", "these", "they", "this", "to", "was", "will", "with",
];

/// Turns text into terms. Holds a cache of stems, hence `&mut`.
pub struct Analyzer {
    stemmer: Stemmer,
    stems: HashMap<String, String>,
    terms: Terms,
    folded: Vec<char>,
}

/// Terms one after another, without an allocation each.
#[derive(Clone, Debug, Default)]
struct Terms {
    text: String,
    ends: Vec<usize>,
}

impl Terms {
    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    fn get(&self, at: usize) -> Option<&str> {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.ends.get(at).map(|&end| &self.text[start..end])
    }
}

impl Default for Analyzer {
    fn default() -> Self {
        Self {
            stemmer: Stemmer::new(Algorithm::English),
            stems: HashMap::new(),
            terms: Terms::default(),
            folded: Vec::new(),
        }
    }
}

impl Clone for Analyzer {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl std::fmt::Debug for Analyzer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(NAME)
    }
}

impl Analyzer {
    /// The terms of `text`, in order, with repetitions.
    pub fn terms(&mut self, text: &str) -> impl Iterator<Item = &str> {
        self.analyse(text);
        (0..self.terms.ends.len()).filter_map(|at| self.terms.get(at))
    }

    fn analyse(&mut self, text: &str) {
        self.terms.clear();
        let mut folded = std::mem::take(&mut self.folded);
        fold(text, &mut folded);
        let mut rest = &folded[..];
        while let Some(start) = rest.iter().position(|c| c.is_alphanumeric()) {
            rest = &rest[start..];
            let letters = rest.iter().take_while(|c| c.is_ascii_lowercase()).count();
            let joins = |c: &char| c.is_alphanumeric() || matches!(c, '-' | '+');
            let length = if letters > 0 && !rest.get(letters).is_some_and(joins) {
                // By far the most of any text: a word and nothing that could make it more.
                self.word(&rest[..letters]);
                letters
            } else {
                let length = compound(rest);
                let plus = rest.get(length) == Some(&'+') && !rest.get(length + 1).is_some_and(|c| c.is_alphanumeric());
                self.compound(&rest[..length], plus);
                length
            };
            rest = &rest[length..];
            let possessive = rest.starts_with(&['\'', 's']) && !rest.get(2).is_some_and(|c| c.is_alphanumeric());
            rest = &rest[if possessive { 2 } else { 0 }..];
        }
        self.folded = folded;
    }

    /// The terms of hyphenated parts, perhaps with a plus behind.
    fn compound(&mut self, whole: &[char], plus: bool) {
        let exponent = whole.windows(2).any(|pair| pair[0] == '^');
        if exponent {
            return self.push(whole.iter().copied());
        }
        let coded = whole.iter().any(char::is_ascii_digit) && whole.iter().any(|c| c.is_alphabetic());
        let joined = whole.contains(&'-') && coded;
        if joined {
            self.push(whole.iter().copied().filter(|&c| c != '-'));
        }
        if plus && whole.iter().any(|c| c.is_alphabetic()) {
            self.push(whole.iter().copied().filter(|&c| c != '-').chain(['+']));
        }
        for part in whole.split(|&c| c == '-') {
            for part in split_greek(part) {
                match part {
                    Part::Plain(part) => self.word(part),
                    Part::Greek(name) => self.push(name.chars()),
                }
            }
        }
    }

    /// One part: a number, a code or a word.
    fn word(&mut self, part: &[char]) {
        let start = self.terms.text.len();
        self.push(part.iter().copied());
        let term = &self.terms.text[start..];
        if !term.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return;
        }
        // Stop words are remembered as words without a stem.
        let stem = if let Some(stem) = self.stems.get(term) {
            stem
        } else {
            if self.stems.len() >= MAX_STEMS {
                self.stems.clear();
            }
            let stem = match STOP_WORDS.binary_search(&term) {
                Ok(_) => String::new(),
                Err(_) if term.len() < 4 => term.to_owned(),
                Err(_) => self.stemmer.stem(term).to_string(),
            };
            self.stems.entry(term.to_owned()).or_insert(stem)
        };
        self.terms.text.truncate(start);
        self.terms.text.push_str(stem);
        self.terms.ends.pop();
        if !stem.is_empty() {
            self.terms.ends.push(self.terms.text.len());
        }
    }

    fn push(&mut self, chars: impl Iterator<Item = char>) {
        let before = self.terms.text.len();
        let chars = chars.filter(|&c| c != ',').take(MAX_TERM_CHARS);
        self.terms.text.extend(chars);
        if self.terms.text.len() > before {
            self.terms.ends.push(self.terms.text.len());
        }
    }
}

/// Lower case, without diacritics, dashes as `-`, primes as `'`.
fn fold(text: &str, out: &mut Vec<char>) {
    out.clear();
    for c in text.chars() {
        match c {
            _ if c.is_ascii() => out.push(c.to_ascii_lowercase()),
            '\u{b5}' => out.push('μ'),
            '\u{2010}'..='\u{2015}' | '\u{2212}' => out.push('-'),
            '\u{2018}' | '\u{2019}' | '\u{2032}' => out.push('\''),
            'ß' => out.extend(['s', 's']),
            'æ' | 'Æ' => out.extend(['a', 'e']),
            'œ' | 'Œ' => out.extend(['o', 'e']),
            'ø' | 'Ø' => out.push('o'),
            'ł' | 'Ł' => out.push('l'),
            'đ' | 'Đ' => out.push('d'),
            _ => out.extend(std::iter::once(c).nfkd().filter(|&c| !is_combining_mark(c)).flat_map(char::to_lowercase)),
        }
    }
    // Before a unit mu is the micro sign, whichever of its two characters it is.
    for at in 0..out.len() {
        let unit = out.get(at + 1).is_some_and(char::is_ascii_alphabetic);
        if out[at] == 'μ' && unit && (at == 0 || !out[at - 1].is_alphabetic()) {
            out[at] = 'u';
        }
    }
}

/// The length of the compound that `text` begins with: alphanumeric runs joined by single hyphens,
/// decimal points, thousands commas and exponents. A possessive `'s` ends it.
fn compound(text: &[char]) -> usize {
    let at = |index: usize| text.get(index).copied().unwrap_or(' ');
    let digit = |index: usize| at(index).is_ascii_digit();
    let mut end = 1;
    loop {
        end += match at(end) {
            c if c.is_alphanumeric() => 1,
            '-' if at(end + 1).is_alphanumeric() => 1,
            '.' if digit(end - 1) && digit(end + 1) => 1,
            ',' if digit(end - 1) && (1..4).all(|ahead| digit(end + ahead)) && !digit(end + 4) => 1,
            '^' if digit(end - 1) && (digit(end + 1) || at(end + 1) == '-' && digit(end + 2)) => 2,
            _ => return end,
        };
    }
}

enum Part<'a> {
    Plain(&'a [char]),
    Greek(&'static str),
}

/// Cuts Greek letters out of a part that also holds others, or that is a single one. A word written
/// in Greek stays a word.
fn split_greek(part: &[char]) -> impl Iterator<Item = Part<'_>> {
    let word = part.len() > 1 && part.iter().all(|&c| greek(c).is_some() || !c.is_ascii());
    let mut rest = part;
    std::iter::from_fn(move || {
        let first = *rest.first()?;
        if let (Some(name), false) = (greek(first), word) {
            rest = &rest[1..];
            return Some(Part::Greek(name));
        }
        let length =
            if word { rest.len() } else { rest.iter().position(|&c| greek(c).is_some()).unwrap_or(rest.len()) };
        let (head, tail) = rest.split_at(length);
        rest = tail;
        Some(Part::Plain(head))
    })
}

fn greek(c: char) -> Option<&'static str> {
    Some(match c {
        'α' => "alpha",
        'β' => "beta",
        'γ' => "gamma",
        'δ' => "delta",
        'ε' => "epsilon",
        'ζ' => "zeta",
        'η' => "eta",
        'θ' => "theta",
        'ι' => "iota",
        'κ' => "kappa",
        'λ' => "lambda",
        'μ' => "mu",
        'ν' => "nu",
        'ξ' => "xi",
        'ο' => "omicron",
        'π' => "pi",
        'ρ' => "rho",
        'σ' | 'ς' => "sigma",
        'τ' => "tau",
        'υ' => "upsilon",
        'φ' => "phi",
        'χ' => "chi",
        'ψ' => "psi",
        'ω' => "omega",
        _ => return None,
    })
}

/// The terms of one text, as tantivy wants them.
#[derive(Debug)]
pub struct Stream<'a> {
    terms: &'a Terms,
    next: usize,
    token: Token,
}

impl TokenStream for Stream<'_> {
    fn advance(&mut self) -> bool {
        let Some(term) = self.terms.get(self.next) else {
            return false;
        };
        self.token.text.clear();
        self.token.text.push_str(term);
        self.token.position = self.next;
        self.next += 1;
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

impl Tokenizer for Analyzer {
    type TokenStream<'a> = Stream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Stream<'a> {
        self.analyse(text);
        Stream { terms: &self.terms, next: 0, token: Token::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn terms(text: &str) -> Vec<String> {
        Analyzer::default().terms(text).map(str::to_owned).collect()
    }

    #[test]
    fn medicine_survives() {
        for (text, expected) in [
            ("HbA1c, p53", "hba1c p53"),
            ("IL-6", "il6 il 6"),
            ("IL6", "il6"),
            ("CD4+ T cells", "cd4+ cd4 t cell"),
            ("Na+/K+", "na+ na k+ k"),
            ("β-blockers", "beta blocker"),
            ("TNF-α or TNFα", "tnf alpha tnf alpha"),
            ("α1-antitrypsin", "α1antitrypsin alpha 1 antitrypsin"),
            ("eGFR < 30 mL/min/1.73 m²", "egfr 30 ml min 1.73 m2"),
            ("5 mg/mL", "5 mg ml"),
            ("50 µg twice", "50 ug twice"),
            ("10^-3 and 2^8", "10^-3 2^8"),
            ("12,500 patients", "12500 patient"),
            ("COVID-19 (SARS-CoV-2)", "covid19 covid 19 sarscov2 sar cov 2"),
            ("Crohn's disease", "crohn diseas"),
            ("Crohn\u{2019}s disease", "crohn diseas"),
            ("double-blind", "doubl blind"),
            ("naïve Sjögren", "naiv sjogren"),
            ("Ménière’s", "menier"),
            ("1.5-fold. 3.", "1.5fold 1.5 fold 3"),
            ("the is of", ""),
            ("", ""),
            ("λόγος", "λογος"),
        ] {
            assert_eq!(terms(text).join(" "), expected, "{text}");
        }
    }

    #[test]
    fn words_of_one_stem_meet_and_codes_are_left_alone() {
        assert_eq!(terms("treatments treated")[0], "treatment");
        assert_eq!(terms("diabetes diabetic").len(), 2);
        assert_eq!(terms("ACEs"), ["ace"]);
        assert_eq!(terms("T4s"), ["t4s"]);
    }

    #[test]
    fn a_hyphen_does_not_hide_a_code() {
        for (query, text) in [("IL6", "serum IL-6"), ("covid19", "COVID\u{2011}19"), ("CD4", "CD4+")] {
            let text = terms(text);
            assert!(terms(query).iter().any(|term| text.contains(term)), "{query}");
        }
    }

    #[test]
    fn stop_words_are_sorted() {
        assert!(STOP_WORDS.is_sorted());
    }

    proptest! {
        #[test]
        fn is_total_and_terms_are_bounded(text in "\\PC{0,60}|[a-zA-Z0-9αβµ+.,^' -]{0,60}") {
            for term in terms(&text) {
                prop_assert!(!term.is_empty() && term.chars().count() <= MAX_TERM_CHARS + 1);
                prop_assert!(!term.contains(char::is_whitespace));
            }
        }
    }
}
