//! Identifiers of patients in a text: where they stand, and the text without them.
//!
//! By rule, with the words around as context: a year, a study's dates, an eponym or the name of a score is
//! none. Pure, linear in the text, and idempotent: what is redacted holds nothing to redact. A rule finds
//! what it was written for; it is a net under people who leave names out, and no licence to put them in.

mod handling;
mod names;
mod numbers;
mod places;
mod times;
mod words;

use std::fmt;
use std::ops::Range;

pub use handling::{Admitted, Handling, storable};

/// What identifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A person's name.
    Name,
    /// A date of birth, of a visit, of a death.
    Date,
    /// An age over 89.
    Age,
    /// Telephone or fax.
    Phone,
    /// E-mail.
    Email,
    /// A postal address or a part of it that is smaller than a state.
    Address,
    /// A number of a record, an account, a plan, a device, a licence.
    Number,
    /// A social security number.
    SocialSecurity,
    /// An NHS number.
    Nhs,
    /// A passport.
    Passport,
    /// A web address.
    Url,
    /// An address in a network.
    Network,
}

impl Kind {
    /// What stands in its place.
    pub fn placeholder(self) -> &'static str {
        match self {
            Self::Name => "[name]",
            Self::Date => "[date]",
            Self::Age => "[age]",
            Self::Phone => "[phone]",
            Self::Email => "[email]",
            Self::Address => "[address]",
            Self::Number => "[number]",
            Self::SocialSecurity => "[social security number]",
            Self::Nhs => "[nhs number]",
            Self::Passport => "[passport]",
            Self::Url => "[url]",
            Self::Network => "[network address]",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.placeholder().trim_matches(['[', ']']))
    }
}

/// An identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identifier {
    /// What it is.
    pub kind: Kind,
    /// Where it stands, in bytes.
    pub span: Range<usize>,
}

/// The identifiers in `text`, in order, none over another.
pub fn find(text: &str) -> Vec<Identifier> {
    let mut found = Vec::new();
    numbers::find(text, &mut found);
    places::find(text, &mut found);
    times::find(text, &mut found);
    names::find(text, &mut found);
    found.retain(|identifier| !identifier.span.is_empty());
    // of two that overlap the longer stands
    found.sort_by_key(|identifier| (identifier.span.start, usize::MAX - identifier.span.len()));
    let mut kept: Vec<Identifier> = Vec::with_capacity(found.len());
    for identifier in found {
        match kept.last_mut() {
            Some(last) if identifier.span.start < last.span.end => {
                last.span.end = last.span.end.max(identifier.span.end);
            }
            _ => kept.push(identifier),
        }
    }
    kept
}

/// `text` with a placeholder for each identifier.
pub fn redact(text: &str) -> String {
    let mut text = text.to_owned();
    // what stood beside an identifier may be seen for what it is once that is gone; each round takes capitals,
    // digits or signs away and puts none back, so there is a last one
    loop {
        let found = find(&text);
        if found.is_empty() {
            return text;
        }
        let (mut out, mut from) = (String::with_capacity(text.len()), 0);
        for Identifier { kind, span } in found {
            out.push_str(&text[from..span.start]);
            out.push_str(kind.placeholder());
            from = span.end;
        }
        out.push_str(&text[from..]);
        text = out;
    }
}

/// The kinds of what `text` holds, each once, in words; `None` when it holds nothing.
pub fn kinds(text: &str) -> Option<String> {
    let mut kinds: Vec<_> = find(text).into_iter().map(|identifier| identifier.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let named: Vec<_> = kinds.iter().map(ToString::to_string).collect();
    (!named.is_empty()).then(|| named.join(", "))
}

/// A constant pattern, case-sensitive.
fn pattern(pattern: &str) -> regex::Regex {
    regex::Regex::new(&pattern.replace(r"\b", r"(?-u:\b)")).expect("the patterns are constant")
}

/// Whether one of `words` stands in `text`, as a whole word and whatever its case.
fn has_word(text: &str, words: &[&str]) -> bool {
    has_any(text, |word| words.contains(&word))
}

/// Whether `text` has a word that `is_wanted`, seen in lower case.
fn has_any(text: &str, is_wanted: impl Fn(&str) -> bool) -> bool {
    text.to_lowercase().split(|c: char| !c.is_alphanumeric() && c != '\'').any(is_wanted)
}

/// The sentence around `span`, at most `reach` bytes each way.
fn around<'a>(text: &'a str, span: &Range<usize>, reach: usize) -> &'a str {
    let start = text.floor_char_boundary(span.start.saturating_sub(reach));
    let end = text.ceil_char_boundary((span.end + reach).min(text.len()));
    let before = text[start..span.start].rfind(['\n', '?', '!', ';']).map_or(start, |at| start + at + 1);
    let after = text[span.end..end].find(['\n', '?', '!', ';']).map_or(end, |at| span.end + at);
    &text[before..after]
}

#[cfg(test)]
mod tests;
