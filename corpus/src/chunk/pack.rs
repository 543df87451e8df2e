//! Packing: sentences or rows in, spans of about equal size out, at the least cost.

use std::ops::Range;

use super::{MAX_WORDS, MIN_WORDS, UNIT_BYTES, UNIT_WORDS};
use crate::sentence;

/// The size pieces are drawn to.
const AIM_WORDS: u64 = 192;
/// What a cut inside a paragraph costs, in squared words away from the aim.
const INSIDE: u64 = 60 * 60;
/// What each squared word outside of the bounds costs more than one inside.
const OUTSIDE: u64 = 16;

/// What is never cut: a sentence or a row.
pub(super) struct Unit {
    span: Range<usize>,
    words: usize,
    /// Does a paragraph, or a row, end with it?
    ends_paragraph: bool,
}

impl Unit {
    pub(super) fn new(text: &str, span: Range<usize>, ends_paragraph: bool) -> Self {
        Self { words: words(&text[span.clone()]), span, ends_paragraph }
    }
}

/// Words of `text`: runs without white space, and not fewer than one for every twelve bytes, so that
/// a script without blanks counts too.
pub(super) fn words(text: &str) -> usize {
    text.split_whitespace().count().max(text.len() / 12)
}

/// `span` without white space at its ends; nothing if it is all white space.
pub(super) fn trimmed(text: &str, span: Range<usize>) -> Option<Range<usize>> {
    let part = &text[span.clone()];
    let start = span.start + part.len() - part.trim_start().len();
    let end = span.start + part.trim_end().len();
    (start < end).then_some(start..end)
}

/// The sentences of `span` as units.
pub(super) fn sentences(text: &str, span: Range<usize>, units: &mut Vec<Unit>) {
    let part = &text[span.clone()];
    for sentence in sentence::uncited_sentences(part) {
        let rest = &part[sentence.end..];
        let blank = &rest[..rest.len() - rest.trim_start().len()];
        let ends_paragraph = rest.len() == blank.len() || blank.contains("\n\n");
        bounded(text, span.start + sentence.start..span.start + sentence.end, ends_paragraph, units);
    }
}

/// The lines of `span` as units.
pub(super) fn lines(text: &str, span: Range<usize>, units: &mut Vec<Unit>) {
    let mut start = span.start;
    for line in text[span].split_inclusive('\n') {
        if let Some(line) = trimmed(text, start..start + line.len()) {
            bounded(text, line, true, units);
        }
        start += line.len();
    }
}

/// Adds `span` as one unit, or as several if it is too long to be one.
fn bounded(text: &str, span: Range<usize>, ends_paragraph: bool, units: &mut Vec<Unit>) {
    let mut rest = span;
    loop {
        let end = unit_end(&text[rest.clone()]);
        let is_last = end == rest.len();
        let unit = rest.start..rest.start + end;
        units.extend(trimmed(text, unit.clone()).map(|unit| Unit::new(text, unit, ends_paragraph && is_last)));
        if is_last {
            return;
        }
        rest.start = unit.end;
    }
}

/// How much of `text` one unit may hold: all, or up to the last white space within the bounds.
fn unit_end(text: &str) -> usize {
    let mut words = 0;
    let mut blank = 0;
    let mut was_blank = true;
    for (at, c) in text.char_indices() {
        let is_blank = c.is_whitespace();
        if is_blank && !was_blank {
            blank = at;
        }
        words += usize::from(!is_blank && was_blank);
        if words > UNIT_WORDS || at + c.len_utf8() > UNIT_BYTES {
            return if blank > 0 { blank } else { at };
        }
        was_blank = is_blank;
    }
    text.len()
}

/// Spans of consecutive units whose costs add up to the least. A piece of several units has at most
/// [`MAX_WORDS`] and [`UNIT_BYTES`].
pub(super) fn pack(units: &[Unit]) -> Vec<Range<usize>> {
    // best[n]: the least cost of the first n units, and where the last piece of them begins.
    let mut best: Vec<(u64, usize)> = vec![(0, 0)];
    for end in 1..=units.len() {
        let last = &units[end - 1];
        let mut words = 0;
        let mut least = (u64::MAX, end - 1);
        for start in (0..end).rev() {
            words += units[start].words;
            let bytes = last.span.end - units[start].span.start;
            if end - start > 1 && (words > MAX_WORDS || bytes > UNIT_BYTES) {
                break;
            }
            let cost = best[start].0 + cost(words, last.ends_paragraph);
            if cost < least.0 {
                least = (cost, start);
            }
        }
        best.push(least);
    }
    let mut pieces = Vec::new();
    let mut end = units.len();
    while end > 0 {
        let start = best[end].1;
        pieces.push(units[start].span.start..units[end - 1].span.end);
        end = start;
    }
    pieces.reverse();
    pieces
}

fn cost(words: usize, ends_paragraph: bool) -> u64 {
    let short = MIN_WORDS.saturating_sub(words) as u64;
    let off = AIM_WORDS.abs_diff(words as u64);
    off * off + OUTSIDE * short * short + if ends_paragraph { 0 } else { INSIDE }
}
