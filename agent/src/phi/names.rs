//! Names of persons: after a title, after who they are, or where a given name stands with what is said of
//! patients. A capital alone makes no name: diseases, scores and methods are named after people too.

use std::sync::LazyLock;

use regex::Regex;

use super::words::{ACTS, CARE, EPONYMS, GIVEN, NOUNS, PLACES, STOP};
use super::{Identifier, Kind, around, has_any, has_word, pattern};

struct Patterns {
    titled: Regex,
    clinician: Regex,
    introduced: Regex,
    labelled: Regex,
    person: Regex,
    pair: Regex,
}

/// A word of a name, and a name of up to four.
const WORD: &str = r"[A-ZÀ-ÖØ-Þ][A-Za-zÀ-ÖØ-öø-ÿ]*(?:['’-][A-Za-zÀ-ÖØ-öø-ÿ]+)*";

static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| {
    let name = format!(r"{WORD}(?:,? (?:(?:de|da|van|von|der|la|bin|al|el) )*(?:[A-Z]\.|{WORD})){{0,3}}");
    Patterns {
        titled: pattern(&format!(
            r"\b(?:Mr|Mrs|Ms|Miss|Mx|Herrn?|Frau|Monsieur|Madame|Mme|Señora?|Signora?)\b\.? (?:(?:Dr|Prof)\b\.? )*((?-u:[A-Z]\. )?{name}|(?:[A-Z]\. ?)+)|\b(?:mr|mrs|ms)\.? ([a-z]{{2,}}(?: [a-z]{{2,}})?)"
        )),
        clinician: pattern(&format!(r"\b(?:Dr|Doctor|Prof|Professor|Nurse)\b\.? ({name})")),
        introduced: pattern(&format!(
            r"(?i-u:\b(?:named|called|name is|name's|name was|name:|patient:|pt:|client:|i am|i'm|this is|regarding|re:|signed by|surname:|surname is|seen by|spoke to|spoke with)) ?({name})"
        )),
        labelled: pattern(&format!(
            r"(?i-u:\b(?:patient(?:'s)? name|full name|first name|last name|surname|next of kin|guardian|caregiver|emergency contact|mother's name|maiden name))(?: is|:| =|-)? ?:? ?({name})"
        )),
        person: pattern(
            r"\b(?i-u:patient|pt|client|resident|my (?:husband|wife|mother|mom|mum|father|dad|son|daughter|brother|sister|child|baby|friend|partner|grandmother|grandfather|grandson|granddaughter|aunt|uncle|cousin|neighbou?r|patient|colleague))\b,? (?:(?i-u:is|was) )?([A-Za-zÀ-ÖØ-öø-ÿ'’-]+)((?: [A-Z]\.)?(?: [A-Za-zÀ-ÖØ-öø-ÿ'’-]+)?)",
        ),
        pair: pattern(&name),
    }
});

pub(super) fn find(text: &str, found: &mut Vec<Identifier>) {
    let patterns = &*PATTERNS;
    let mut push = |text: &str, span: std::ops::Range<usize>| {
        if let Some(span) = trimmed(text, span) {
            found.push(Identifier { kind: Kind::Name, span });
        }
    };
    for hit in patterns.titled.captures_iter(text) {
        if let Some(name) = hit.get(1) {
            // "Will we miss …" in a title's capitals
            let before = before(text, name.start());
            if ["we miss", "to miss", "not miss", "you miss", "they miss", "may miss", "can miss"]
                .iter()
                .any(|verb| before.ends_with(verb))
            {
                continue;
            }
            push(text, name.range());
        } else if let Some(name) = hit.get(2) {
            let first = name.as_str().split(' ').next().unwrap_or_default();
            if !STOP.contains(first) {
                let second = name.as_str()[first.len()..].trim();
                let keeps = is_given(first) && !second.is_empty() && !is_common(second);
                let end = if keeps { name.end() } else { name.start() + first.len() };
                push(text, name.start()..end);
            }
        }
    }
    for name in patterns.clinician.captures_iter(text).filter_map(|hit| hit.get(1)) {
        if has_any(around(text, &name.range(), 120), |word| CARE.contains(word)) {
            push(text, name.range());
        }
    }
    for name in patterns.labelled.captures_iter(text).filter_map(|hit| hit.get(1)) {
        push(text, name.range());
    }
    for name in patterns.introduced.captures_iter(text).filter_map(|hit| hit.get(1)) {
        let first = name.as_str().split([' ', ',']).next().unwrap_or_default();
        if is_given(first)
            || (name.as_str().contains(' ')
                && has_word(around(text, &name.range(), 60), &["patient", "my", "mrn", "dob"])
                && is_plain(name.as_str()))
        {
            push(text, name.range());
        }
    }
    for hit in patterns.person.captures_iter(text) {
        let (Some(first), Some(rest)) = (hit.get(1), hit.get(2)) else { continue };
        let word = rest.as_str().trim();
        let is_surname = word.starts_with(char::is_uppercase) && is_plain(word);
        if is_given(first.as_str()) {
            let keeps = !word.is_empty() && !is_common(word);
            push(text, first.start()..if keeps { rest.end() } else { first.end() });
        } else if is_surname
            && is_plain(first.as_str())
            && first.as_str().starts_with(char::is_uppercase)
            && is_told(text, rest.end())
        {
            push(text, first.start()..rest.end());
        } else if first.as_str().starts_with(char::is_uppercase)
            && is_plain(first.as_str())
            && !is_noun(first.as_str())
            && is_subject(text, hit.get(0).map_or(0, |whole| whole.start()), first.end())
        {
            push(text, first.range());
        }
    }
    for hit in patterns.pair.find_iter(text) {
        let first = hit.as_str().split([' ', ',']).next().unwrap_or_default();
        let words = hit.as_str().split(' ').count();
        let is_known = is_given(first) && words > 1 && (is_told(text, hit.end()) || is_cared(text, hit.start()));
        // a name that is in no list, where what follows leaves little doubt
        let is_described = (2..=3).contains(&words) && is_plain(hit.as_str()) && is_introduced(text, hit.end());
        // Smith, John, 61M
        let second = hit.as_str().split_once(", ").map(|(_, rest)| rest.split([' ', ',']).next().unwrap_or_default());
        let is_reversed = second.is_some_and(is_given) && is_told(text, hit.end());
        // gout in John Smith
        let is_afflicted = (2..=3).contains(&words)
            && is_given(first)
            && before(text, hit.start()).ends_with(" in")
            && is_plain(hit.as_str())
            && !hit.as_str().split([' ', ',']).any(is_place);
        if is_known || is_described || is_reversed || is_afflicted {
            push(text, hit.range());
        }
    }
}

/// Whether what follows is said of a patient: an age, a birth, a record.
fn is_told(text: &str, end: usize) -> bool {
    let rest = after(text, end);
    let rest = rest.trim_start_matches([',', ' ', '(', ';']);
    let rest = rest.strip_prefix("is ").or_else(|| rest.strip_prefix("was ")).unwrap_or(rest);
    let rest = rest.strip_prefix("a ").or_else(|| rest.strip_prefix("an ")).unwrap_or(rest);
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let age = (1..=3).contains(&digits)
        && ["year", " year", "-year", "y", " y", "-y", "m", "f", ")", ","]
            .iter()
            .any(|unit| rest[digits..].starts_with(unit));
    age || [
        "dob",
        "d.o.b",
        "born",
        "mrn",
        "date of birth",
        "aged",
        "nhs",
        "ssn",
        "has ",
        "had ",
        "takes ",
        "lives",
        "my patient",
        "presented",
        "complains",
        "was admitted",
        "admitted",
    ]
    .iter()
    .any(|word| rest.starts_with(word))
}

/// Whether `Patient` with a capital, or `my patient`, stands at `start` and a verb said of persons at `end`.
fn is_subject(text: &str, start: usize, end: usize) -> bool {
    let is_person = text[start..].starts_with(['P', 'C', 'R']) || text[start..].starts_with("my ");
    let rest = after(text, end);
    let verb = rest.strip_prefix(' ').and_then(|rest| rest.split([' ', ',', '.', '?']).next());
    is_person && (verb.is_some_and(|verb| ACTS.contains(verb)) || is_introduced(text, end))
}

/// Whether a word is what `patient` stands before in a title, and nobody's name.
fn is_noun(word: &str) -> bool {
    let lower = word.to_lowercase();
    let suffixes = ["tion", "sion", "ment", "ness", "ity", "ship", "ics", "ism", "sis"];
    NOUNS.contains(lower.as_str()) || suffixes.iter().any(|suffix| lower.ends_with(suffix))
}

/// Whether a word is of a place, a house or a journal that is named as somebody could be.
fn is_place(word: &str) -> bool {
    let lower = word.to_lowercase();
    PLACES.contains(lower.as_str()) || EPONYMS.contains(lower.as_str())
}

/// Whether an age in years and what is so old, a birth or a record follows in apposition.
fn is_introduced(text: &str, end: usize) -> bool {
    let rest = after(text, end);
    let Some(rest) =
        [", a ", ", an ", ", ", " (", " is a ", " is an ", ", is a "].iter().find_map(|open| rest.strip_prefix(open))
    else {
        return false;
    };
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let unit = rest[digits..].trim_start_matches(['-', ' ']);
    ((1..=3).contains(&digits) && ["year", "yo ", "y/o", "yr"].iter().any(|known| unit.starts_with(known)))
        || ["dob", "d.o.b", "born ", "mrn", "nhs n", "ssn"].iter().any(|known| rest.starts_with(known))
}

/// The next few words, and the last few before, in lower case.
fn after(text: &str, end: usize) -> String {
    text[end..text.floor_char_boundary((end + 32).min(text.len()))].to_lowercase()
}

fn before(text: &str, start: usize) -> String {
    text[text.ceil_char_boundary(start.saturating_sub(32))..start].trim_end().to_lowercase()
}

/// Whether what stands before speaks of care for a person.
fn is_cared(text: &str, start: usize) -> bool {
    let before = before(text, start);
    [
        "patient",
        "patient is",
        "for",
        "treating",
        "saw",
        "examined",
        "admitted",
        "discharged",
        "prescribed",
        "of mr",
        "on behalf of",
        "name",
    ]
    .iter()
    .any(|word| before.ends_with(word))
        && has_word(
            around(text, &(start..start), 80),
            &[
                "patient",
                "prescribe",
                "saw",
                "dose",
                "treat",
                "treating",
                "admitted",
                "discharged",
                "examined",
                "i",
                "we",
            ],
        )
}

fn is_given(word: &str) -> bool {
    let lower = word.to_lowercase();
    let lower = lower.strip_suffix("'s").or_else(|| lower.strip_suffix("’s")).unwrap_or(&lower);
    GIVEN.contains(lower)
}

/// Whether every word could be in a name.
fn is_plain(words: &str) -> bool {
    words.split([' ', ',']).filter(|word| !word.is_empty()).all(|word| {
        let is_all_capitals = word.len() > 2 && word.chars().all(char::is_uppercase);
        !is_all_capitals && !STOP.contains(word.to_lowercase().as_str())
    })
}

/// Whether a word in lower case after a given name is the sentence's and not the surname.
fn is_common(word: &str) -> bool {
    let lower = word.to_lowercase();
    STOP.contains(lower.as_str())
        || (word.starts_with(char::is_lowercase)
            && (lower.ends_with("ing") || lower.ends_with("ed") || lower.ends_with('s')))
        || [
            "take", "need", "get", "use", "still", "also", "now", "can", "may", "and", "safe", "start", "stop", "feel",
            "too", "just", "now",
        ]
        .contains(&lower.as_str())
}

/// A name without what follows it, and none where it is an eponym or no name at all.
fn trimmed(text: &str, span: std::ops::Range<usize>) -> Option<std::ops::Range<usize>> {
    let mut end = span.start;
    let mut words = 0;
    for word in text[span.clone()].split_inclusive([' ', ',']) {
        let plain = word.trim_matches([' ', ',', '.']);
        let base = plain.strip_suffix("'s").or_else(|| plain.strip_suffix("’s")).unwrap_or(plain);
        if plain.is_empty() {
            end += word.len();
            continue;
        }
        if STOP.contains(plain.to_lowercase().as_str())
            || (base.len() > 3 && base.chars().all(char::is_uppercase) && words == 0 && !is_given(base))
        {
            break;
        }
        end += word.len();
        words += 1;
    }
    let name = text[span.start..end].trim_end_matches([' ', ',']);
    let name = name.strip_suffix("'s").or_else(|| name.strip_suffix("’s")).unwrap_or(name);
    let end = span.start + name.len();
    let next = text[end..].trim_start_matches(['\'', '’', 's', ' ', '-']).split(|c: char| !c.is_alphabetic()).next()?;
    (words > 0 && !name.is_empty() && !EPONYMS.contains(next.to_lowercase().as_str())).then_some(span.start..end)
}
