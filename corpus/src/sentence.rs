//! Sentences of medical prose: `1.73`, `e.g.`, `Fig. 2`, `vs.`, `J. Smith` and `S. aureus` end none.
//!
//! A citation behind the stop belongs to the sentence that it ends (`…was seen.[15,18] In …`, `…the group.1–3 Patients …`).
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

/// Bytes that are looked at for a citation behind a stop.
const CITATION_BYTES: usize = 48;

/// Spans of the sentences of `text`, in order; together they hold every character that is not blank.
pub fn sentences(text: &str) -> impl Iterator<Item = Range<usize>> {
    spans(text, citation)
}

/// The same, but a stop with a citation behind it ends none: what chunks have been cut by ever since, so that a document cut
/// again has the chunks, and their ids, that stores and indexes hold.
pub(crate) fn uncited_sentences(text: &str) -> impl Iterator<Item = Range<usize>> {
    spans(text, |_, _| 0)
}

/// Spans of sentences, where `citation` tells how many bytes behind a stop are one.
fn spans(text: &str, citation: fn(&str, &str) -> usize) -> impl Iterator<Item = Range<usize>> {
    let mut from = 0;
    std::iter::from_fn(move || {
        from += text[from..].len() - text[from..].trim_start().len();
        if from == text.len() {
            return None;
        }
        let (start, end) = (from, end_of_sentence(text, from, citation));
        from = end;
        Some(start..start + text[start..end].trim_end().len())
    })
}

/// Where the sentence that starts at `start` ends: past its stop, closing marks and citation.
fn end_of_sentence(text: &str, start: usize, citation: fn(&str, &str) -> usize) -> usize {
    let mut from = start;
    while let Some(found) = text[from..].find(['.', '!', '?', '\n']) {
        let at = from + found;
        if text[at..].starts_with('\n') {
            return at;
        }
        let closed = text[at + 1..].trim_start_matches(['"', '\'', ')', ']', '”', '’', '»', '.', '!', '?']);
        // What closes the stop is looked at once, however long a row of dots is.
        from = text.len() - closed.len();
        let cited = citation(&text[start..at], closed);
        let behind = &closed[cited..];
        if !behind.is_empty() && !behind.starts_with(char::is_whitespace) {
            continue;
        }
        let next = behind.trim_start_matches([' ', '\u{a0}']);
        let is_stop = match next.chars().next() {
            None | Some('\n') => true,
            Some(c) if c.is_lowercase() => false,
            Some(_) => !text[at..].starts_with('.') || !is_abbreviation(&text[start..at], next),
        };
        if is_stop {
            return from + cited;
        }
    }
    text.len()
}

/// Bytes of the citation that `rest`, what follows the stop after `before`, begins with: numbers in brackets, in superscript, or
/// bare. Bare ones follow a word (`1.73` and `2.1 Methods` are numbers of their own) and no abbreviation (`Fig.2`).
fn citation(before: &str, rest: &str) -> usize {
    const JOINTS: [char; 7] = [',', '-', '–', '—', '‐', '‑', '⁻'];
    let near = &rest[..rest.floor_char_boundary(CITATION_BYTES)];
    let is_superscript = |c: char| matches!(c, '⁰' | '¹' | '²' | '³' | '⁴'..='⁹');
    let raised = near.find(|c: char| !is_superscript(c) && !JOINTS.contains(&c)).unwrap_or(near.len());
    if near.starts_with(is_superscript) {
        return raised;
    }
    let close = match near.chars().next() {
        Some('[') => Some(']'),
        Some('(') => Some(')'),
        _ => None,
    };
    if let Some(close) = close {
        let numbers = near[1..].split(close).next().unwrap_or_default();
        let is_numbers = numbers.starts_with(|c: char| c.is_ascii_digit())
            && numbers.chars().all(|c| c.is_ascii_digit() || c == ' ' || JOINTS.contains(&c));
        return if is_numbers && near.len() > numbers.len() + 1 { numbers.len() + 2 } else { 0 };
    }
    let length = near.find(|c: char| !c.is_ascii_digit() && !JOINTS.contains(&c)).unwrap_or(near.len());
    let numbers = &near[..length];
    let is_short = numbers.split(JOINTS).all(|number| (1..=3).contains(&number.len()));
    let opens = near[length..].trim_start_matches([' ', '\u{a0}']).chars().next();
    let follows_word = before.ends_with(|c: char| c.is_alphabetic() || matches!(c, ')' | '%'));
    let is_cited = is_short
        && follows_word
        && opens.is_none_or(|c| c == '\n' || c.is_uppercase())
        && !is_abbreviation(before, numbers);
    if is_cited { length } else { 0 }
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
    fn a_citation_behind_the_stop_ends_the_sentence_with_it() {
        for (text, parts) in [
            (
                "There was no association.[1518] In a meta-analysis it rose.",
                ["There was no association.[1518]", "In a meta-analysis it rose."],
            ),
            ("It fell in one group.1–3 Patients died.", ["It fell in one group.1–3", "Patients died."]),
            ("It fell.[1, 2, 5-7] Patients died.", ["It fell.[1, 2, 5-7]", "Patients died."]),
            ("It fell (by 5%).12,13 The rest rose.", ["It fell (by 5%).12,13", "The rest rose."]),
            ("It fell.¹⁻³ The rest rose.", ["It fell.¹⁻³", "The rest rose."]),
            ("It fell.(4) The rest rose.", ["It fell.(4)", "The rest rose."]),
        ] {
            assert_eq!(split(text), parts);
            assert_eq!(uncited_sentences(text).count(), 1, "chunks are cut as ever: {text}");
        }
        for text in [
            "below 30 mL/min/1.73 M in all",
            "as Fig.2 Shows and No.5 Tells",
            "a dose of 0.5 Grams",
            "in section 2.1 Methods",
            "a p.12 Value",
            "of S.1 And others",
            "seen.[see 4] in all",
            "seen.[4] in all",
            "by Smith et al.[4] Such work",
            "at the year.2010 Then",
            "it rose.[",
            "it rose.[4",
        ] {
            assert_eq!(split(text), [text]);
        }
    }

    #[test]
    fn a_hostile_text_takes_no_longer() {
        for part in [".", "a. ", ". ", "a.", "A. B ", "\" ", "a.[1", "a.1-", "a.1 A", ".[", ".¹"] {
            assert!(sentences(&part.repeat(300_000)).count() > 0);
        }
    }

    proptest! {
        #[test]
        fn spans_are_ordered_and_hold_everything(text in "[a-zA-Z0-9 .!?\\n()\\[\\]\"éβ²…–,]{0,200}") {
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
