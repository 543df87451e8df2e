//! [`narrow`]: what of a piece of evidence a scorer reads against a sentence.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use corpus::sentence::sentences;

use crate::matching::{overlap, stems};

/// Sentences that are read. A scorer learns from a sentence or two: among the others of an abstract it finds little more than half of
/// the support that it finds in the two nearest, at the same precision and four times the cost.
const READ: usize = 2;

/// The sentences of a text that have most of a claim's words, in their order.
#[derive(Debug, PartialEq)]
pub(super) struct Narrowed<'a> {
    /// What is read.
    pub(super) text: Cow<'a, str>,
    /// Where its sentences stand in the text: of what is read, and of the whole.
    places: Vec<(Range<usize>, Range<usize>)>,
}

/// What of `text` is read against `claim`: all of a short one.
pub(super) fn narrow<'a>(claim: &str, text: &'a str) -> Narrowed<'a> {
    let spans: Vec<Range<usize>> = sentences(text).collect();
    if spans.len() <= READ {
        return Narrowed { text: Cow::Borrowed(text), places: vec![(0..text.len(), 0..text.len())] };
    }
    let wanted: BTreeSet<_> = stems(claim).into_iter().collect();
    let mut ranked: Vec<_> = spans.into_iter().map(|span| (overlap(&wanted, &text[span.clone()]), span)).collect();
    // Stable: of equals the first.
    ranked.sort_by(|(left, _), (right, _)| right.total_cmp(left));
    let mut nearest: Vec<_> = ranked.into_iter().take(READ).map(|(_, span)| span).collect();
    nearest.sort_by_key(|span| span.start);
    let (mut read, mut places) = (String::new(), Vec::new());
    for span in nearest {
        if !read.is_empty() {
            read.push(' ');
        }
        let start = read.len();
        read.push_str(&text[span.clone()]);
        places.push((start..read.len(), span));
    }
    Narrowed { text: Cow::Owned(read), places }
}

impl Narrowed<'_> {
    /// Where in the whole text `span` of what is read stands; the sentence in which it begins where it is of several.
    pub(super) fn whole(&self, span: &Range<usize>) -> Range<usize> {
        let own = self.places.iter().find(|(read, _)| read.contains(&span.start));
        own.map_or(0..0, |(read, whole)| {
            if span.end <= read.end {
                whole.start + span.start - read.start..whole.start + span.end - read.start
            } else {
                whole.clone()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_sentences_are_read_and_found_again() {
        let text = "Gout hurts. Metformin lowers glucose. It is cheap. Metformin is safe in gout.";
        let near = narrow("Metformin lowers glucose safely.", text);
        assert_eq!(near.text, "Metformin lowers glucose. Metformin is safe in gout.");
        let of = |part: &str| near.text.find(part).map(|start| start..start + part.len()).unwrap();
        for part in ["lowers glucose.", "Metformin is safe in gout."] {
            assert_eq!(&text[near.whole(&of(part))], part);
        }
        assert_eq!(&text[near.whole(&of("glucose. Metformin is"))], "Metformin lowers glucose.");
        for short in ["", "One.", "One. Two."] {
            let whole = narrow("Two.", short);
            assert_eq!((whole.text.as_ref(), whole.whole(&(0..short.len()))), (short, 0..short.len()));
        }
    }
}
