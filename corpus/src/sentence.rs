//! Sentences of medical prose: `1.73`, `e.g.`, `Fig. 2`, `vs.`, `J. Smith` and `S. aureus` end none.
//!
//! A line end always ends a sentence, since normalised text has line ends only where the source
//! meant them. Doubtful stops do not end one: two sentences quoted together harm less than half a one.

use std::ops::Range;

/// Words before a stop that ends no sentence, in lower case.
const ABBREVIATIONS: [&str; 40] = [
    "al", "approx", "art", "ca", "cf", "ch", "cit", "co", "corp", "dept", "dr", "drs", "ed", "eds", "eq", "eqs", "etc",
    "fig", "figs", "inc", "jr", "ltd", "mr", "mrs", "ms", "mt", "pp", "prof", "ref", "refs", "resp", "sec", "sect",
    "sp", "spp", "sr", "st", "tab", "vol", "vs",
];
/// Words before a stop that ends no sentence if a number follows.
const BEFORE_NUMBERS: [&str; 19] = [
    "apr", "aug", "dec", "feb", "jan", "jul", "jun", "mar", "max", "min", "no", "nos", "nov", "nr", "oct", "p", "sep",
    "sept", "suppl",
];
/// Abbreviations that may well end a sentence: they do if one of [`STARTERS`] follows.
const OFTEN_LAST: [&str; 6] = ["al", "co", "corp", "etc", "inc", "ltd"];
/// Words that hardly follow an abbreviation inside a sentence.
const STARTERS: [&str; 28] = [
    "A",
    "After",
    "All",
    "Among",
    "An",
    "Although",
    "At",
    "Both",
    "Conclusion",
    "During",
    "For",
    "Here",
    "However",
    "In",
    "It",
    "No",
    "Of",
    "On",
    "Our",
    "Patients",
    "Results",
    "The",
    "There",
    "These",
    "They",
    "This",
    "To",
    "We",
];
/// Words whose single capital after them is a name of its own: `vitamin C. The …`.
const LETTERED: [&str; 20] = [
    "appendix",
    "arm",
    "class",
    "cohort",
    "coenzyme",
    "factor",
    "figure",
    "grade",
    "group",
    "haemophilia",
    "hemophilia",
    "hepatitis",
    "influenza",
    "panel",
    "phase",
    "protein",
    "stage",
    "table",
    "type",
    "vitamin",
];

/// Spans of the sentences of `text`, in order; together they hold every character that is not blank.
pub fn sentences(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut from = 0;
    std::iter::from_fn(move || {
        from += text[from..].len() - text[from..].trim_start().len();
        if from == text.len() {
            return None;
        }
        let (start, end) = (from, end_of_sentence(text, from));
        from = end;
        Some(start..start + text[start..end].trim_end().len())
    })
}

/// Where the sentence that starts at `start` ends: past its stop and closing marks.
fn end_of_sentence(text: &str, start: usize) -> usize {
    let mut from = start;
    while let Some(found) = text[from..].find(['.', '!', '?', '\n']) {
        let at = from + found;
        if text[at..].starts_with('\n') {
            return at;
        }
        let closed = text[at + 1..].trim_start_matches(['"', '\'', ')', ']', '”', '’', '»', '.', '!', '?']);
        // What closes the stop is looked at once, however long a row of dots is.
        from = text.len() - closed.len();
        if !closed.starts_with(char::is_whitespace) {
            continue;
        }
        let next = closed.trim_start_matches([' ', '\u{a0}']);
        let is_stop = match next.chars().next() {
            None | Some('\n') => true,
            Some(c) if c.is_lowercase() => false,
            Some(_) => !text[at..].starts_with('.') || !is_abbreviation(&text[start..at], next),
        };
        if is_stop {
            return from;
        }
    }
    text.len()
}

/// Does the stop after `before` belong to its last word, `next` being what follows?
fn is_abbreviation(before: &str, next: &str) -> bool {
    let word_start = before
        .rfind(|c: char| !(c.is_alphanumeric() || c == '.'))
        .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
    let word = &before[word_start..];
    let next_word: &str = next.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    let is_number_next = next.starts_with(|c: char| c.is_ascii_digit());
    // The number of a list item: `1. Take …`.
    if word_start == 0 && word.len() <= 3 && !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()) {
        return true;
    }
    if word.contains('.') {
        // `e.g`, `i.v`, `U.S`, but not `1.73` or `end.Next`.
        let is_dotted =
            word.split('.').all(|part| part.chars().count() <= 2 && !part.contains(|c: char| c.is_numeric()));
        return is_dotted && !STARTERS.contains(&next_word);
    }
    let mut letters = word.chars();
    if let (Some(letter), None) = (letters.next(), letters.next())
        && letter.is_alphabetic()
    {
        let previous = before[..word_start].trim_end().rsplit(|c: char| !c.is_alphanumeric()).next();
        let is_lettered = previous.is_some_and(|word| LETTERED.contains(&word.to_lowercase().as_str()));
        return if letter.is_uppercase() { !is_lettered } else { is_number_next };
    }
    let word = word.to_lowercase();
    if ABBREVIATIONS.contains(&word.as_str()) {
        return !(OFTEN_LAST.contains(&word.as_str()) && STARTERS.contains(&next_word));
    }
    is_number_next && BEFORE_NUMBERS.contains(&word.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(text: &str) -> Vec<&str> {
        sentences(text).map(|span| &text[span]).collect()
    }

    #[test]
    fn cuts_at_sentence_ends() {
        assert_eq!(
            split("One two. Three four! Five? \"Six.\" Seven"),
            ["One two.", "Three four!", "Five?", "\"Six.\"", "Seven"]
        );
        assert_eq!(
            split("It fell (p < 0.05). In 2010 it rose. 45 patients died."),
            ["It fell (p < 0.05).", "In 2010 it rose.", "45 patients died."]
        );
        assert_eq!(split("line one\nline two\n\nline three."), ["line one", "line two", "line three."]);
        assert_eq!(split("Take vitamin D. It helps."), ["Take vitamin D.", "It helps."]);
        assert_eq!(split("as in Smith et al. The trial"), ["as in Smith et al.", "The trial"]);
        assert_eq!(split("given i.v. The dose"), ["given i.v.", "The dose"]);
        assert_eq!(split("βeta-blockers help. Übelkeit follows."), ["βeta-blockers help.", "Übelkeit follows."]);
    }

    #[test]
    fn keeps_what_only_looks_like_an_end() {
        for text in [
            "an eGFR below 30 mL/min/1.73 m² (see Fig. 2)",
            "drugs, e.g. Metformin or i.e. Glucophage",
            "placebo vs. Metformin",
            "Dr. J. R. Smith of St. Mary",
            "by J. Smith",
            "found S. aureus and E. coli",
            "Smith et al. (2010) and Jones et al. [4]",
            "on No. 5 and Dec. 12",
            "the U.S. Food and Drug Administration",
            "p. 12",
            "about 3.5 mg. q.d.",
            "1. Take the tablet",
        ] {
            assert_eq!(split(text), [text]);
        }
    }

    #[test]
    fn a_hostile_text_takes_no_longer() {
        for part in [".", "a. ", ". ", "a.", "A. B ", "\" "] {
            assert!(sentences(&part.repeat(300_000)).count() > 0);
        }
    }

    proptest! {
        #[test]
        fn spans_are_ordered_and_hold_everything(text in "[a-zA-Z0-9 .!?\\n()\"éβ²…]{0,200}") {
            let mut end = 0;
            let mut held = 0;
            for span in sentences(&text) {
                prop_assert!(span.start >= end && span.start < span.end);
                prop_assert!(text[end..span.start].trim().is_empty());
                prop_assert_eq!(text[span.clone()].trim(), &text[span.clone()]);
                held += span.len();
                end = span.end;
            }
            prop_assert!(text[end..].trim().is_empty());
            prop_assert!(held <= text.len());
        }
    }
}
