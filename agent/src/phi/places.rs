//! Postal addresses, and where somebody lives.

use std::sync::LazyLock;

use regex::Regex;

use super::{Identifier, Kind, pattern};

struct Patterns {
    street: Regex,
    state: Regex,
    code: Regex,
    lives: Regex,
    city: Regex,
    boxed: Regex,
}

static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| Patterns {
    street: pattern(
        r"\b[0-9]{1,5}[A-Za-z]? (?:(?:[NSEW]|North|South|East|West)\.? )?(?:[A-Z0-9][A-Za-z0-9'.-]* ){1,3}(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Way|Place|Terrace|Square|Close|Crescent|Highway|Parkway)\b\.?(?:,? (?:Apt|Apartment|Unit|Suite|Flat|No)\.? ?#?[0-9]+[A-Za-z]?)?(?:,? [A-Z][a-z]+(?: [A-Z][a-z]+){0,2})?(?:,? [A-Z]{2})?(?:,? [0-9]{5}(?:-[0-9]{4})?)?(?:,? [A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][A-Z]{2})?",
    ),
    state: pattern(r"\b[A-Z][a-z]+(?: [A-Z][a-z]+){0,2},? [A-Z]{2},? [0-9]{5}(?:-[0-9]{4})?\b"),
    code: pattern(
        r"(?i-u:\b(?:zip|zip ?code|post ?code|postal code))\b(?: ?(?i-u:code|is|number|of|:|=))*[ :#]{0,3}([A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][A-Z]{2}|[0-9]{5}(?:-[0-9]{4})?|[A-Z][0-9][A-Z] ?[0-9][A-Z][0-9])\b",
    ),
    lives: pattern(
        r"(?i-u:\b(?:(?:patient|pt|he|she|who|mother|father|wife|husband|son|daughter) (?:currently )?(?:lives|resides|is living|is from|lived)|home address(?: is)?|address is|address)) ?:? ?(?:(?:at|in|on|near) )?((?:[0-9]{1,5} )?[A-Z][A-Za-z'-]+(?:,? (?:[A-Z][A-Za-z'-]+|[0-9]{5})){0,4})",
    ),
    city: pattern(r"\b(?:I live|I'm|I am|we live) (?:in|at|from) ([A-Z][A-Za-z'-]+(?:,? [A-Z][A-Za-z'-]+){0,3})"),
    boxed: pattern(r"(?i-u:\bP\.? ?O\.? ?Box) [0-9]+"),
});

/// Places as large as a state, which identify nobody.
const LARGE: &[&str] = &[
    "Africa",
    "America",
    "Asia",
    "Australia",
    "Brazil",
    "Britain",
    "Canada",
    "China",
    "England",
    "Europe",
    "France",
    "Germany",
    "India",
    "Ireland",
    "Italy",
    "Japan",
    "Mexico",
    "Nigeria",
    "Pakistan",
    "Scotland",
    "Spain",
    "UK",
    "US",
    "USA",
];

pub(super) fn find(text: &str, found: &mut Vec<Identifier>) {
    let patterns = &*PATTERNS;
    let mut push = |span| found.push(Identifier { kind: Kind::Address, span });
    for whole in [&patterns.street, &patterns.state, &patterns.boxed] {
        whole.find_iter(text).for_each(|hit| push(hit.range()));
    }
    for part in [&patterns.code, &patterns.lives, &patterns.city] {
        for hit in part.captures_iter(text).filter_map(|hit| hit.get(1)) {
            if !LARGE.contains(&hit.as_str()) {
                push(hit.range());
            }
        }
    }
}
