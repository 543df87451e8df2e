//! Dates in a patient's life, and ages over 89. Plain years, and dates of studies, are none.

use std::sync::LazyLock;

use regex::Regex;

use super::{Identifier, Kind, around, has_word, pattern};

struct Patterns {
    date: Regex,
    day: Regex,
    age: Regex,
    aged: Regex,
}

const MONTH: &str = "(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)";

static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| Patterns {
    date: pattern(&format!(
        r"\b(?:[0-9]{{1,2}}/[0-9]{{1,2}}/(?:[0-9]{{4}}|[0-9]{{2}})|[0-9]{{1,2}}\.[0-9]{{1,2}}\.[0-9]{{4}}|[0-9]{{1,2}}-[0-9]{{1,2}}-[0-9]{{4}}|[0-9]{{4}}[-/][0-9]{{1,2}}[-/][0-9]{{1,2}}|[0-9]{{1,2}}(?:st|nd|rd|th)?[ -](?:of )?{MONTH}\.?,?[ -](?:[0-9]{{4}}|'?[0-9]{{2}}\b)|{MONTH}\.? [0-9]{{1,2}}(?:st|nd|rd|th)?,? [0-9]{{4}})\b"
    )),
    // without a year only where it is said whose day it is
    day: pattern(&format!(
        r"(?i-u:\b(?:born|admitted|discharged|died|dob|birthday|seen|presented|operated|visit|appointment)) (?:is |was )?(?:on |in clinic on |in the clinic on )?((?:[0-9]{{1,2}}(?:st|nd|rd|th)? (?:of )?{MONTH}|{MONTH} [0-9]{{1,2}}(?:st|nd|rd|th)?|[0-9]{{1,2}}/[0-9]{{1,2}}))\b"
    )),
    age: pattern(
        r"\b(9[0-9]|1[0-2][0-9])(?:[- ]?(?i-u:years?|yrs?|yr|y\.?)[- ]?(?i-u:old|of age|o)|[- ]?(?i-u:y/o|yo|y\.o\.))\b",
    ),
    aged: pattern(r"\b(?i-u:aged?|age is|age was|age of|age:|turned|is now)[ :]{0,2}(9[0-9]|1[0-2][0-9])\b"),
});

/// Words that make a date one of a life, whatever else the sentence says.
const OWN: &[&str] = &[
    "dob",
    "born",
    "birth",
    "birthday",
    "birthdate",
    "admitted",
    "discharged",
    "deceased",
    "died",
    "appointment",
    "mrn",
    "operated",
];
/// Words that say that one person is spoken of …
const PERSON: &[&str] = &[
    "patient", "pt", "my", "mr", "mrs", "ms", "he", "she", "his", "her", "him", "i", "me", "mother", "father", "wife",
    "husband", "son", "daughter", "seen", "visit", "visited", "client", "name",
];
/// … and that many are, or a paper is.
const STUDY: &[&str] = &[
    "study",
    "studies",
    "trial",
    "trials",
    "patients",
    "participants",
    "subjects",
    "searched",
    "search",
    "database",
    "databases",
    "enrolled",
    "recruited",
    "published",
    "cohort",
    "cohorts",
    "guideline",
    "guidelines",
    "approved",
    "review",
    "reviews",
    "women",
    "men",
    "adults",
    "people",
    "individuals",
    "medline",
];

pub(super) fn find(text: &str, found: &mut Vec<Identifier>) {
    let patterns = &*PATTERNS;
    for hit in patterns.date.find_iter(text) {
        let sentence = around(text, &hit.range(), 160);
        let is_own = has_word(sentence, OWN) || sentence.contains("D.O.B");
        if is_own || (has_word(sentence, PERSON) && !has_word(sentence, STUDY)) {
            found.push(Identifier { kind: Kind::Date, span: hit.range() });
        }
    }
    for hit in patterns.day.captures_iter(text).filter_map(|hit| hit.get(1)) {
        if !has_word(around(text, &hit.range(), 160), STUDY) {
            found.push(Identifier { kind: Kind::Date, span: hit.range() });
        }
    }
    for hit in patterns.age.captures_iter(text).chain(patterns.aged.captures_iter(text)) {
        let (Some(whole), Some(age)) = (hit.get(0), hit.get(1)) else { continue };
        let rest =
            text[whole.end()..text.floor_char_boundary((whole.end() + 24).min(text.len()))].trim_start().to_lowercase();
        let before =
            text[text.ceil_char_boundary(whole.start().saturating_sub(24))..whole.start()].trim_end().to_lowercase();
        let is_bound = [
            "or ",
            "and older",
            "and over",
            "and above",
            "to ",
            "years or",
            "years and",
            "-",
            "–",
            "%",
            "days",
            "day",
            "months",
        ]
        .iter()
        .any(|word| rest.starts_with(word))
            || [
                "over", "above", "under", "below", "than", "to", "least", "≥", ">", "between", "and", "-", "–",
                "within",
            ]
            .iter()
            .any(|word| before.ends_with(word));
        if !is_bound && !has_word(around(text, &whole.range(), 80), STUDY) {
            found.push(Identifier { kind: Kind::Age, span: age.range() });
        }
    }
}
