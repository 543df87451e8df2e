//! [`windows`]: a text as stretches that each fit a model, whole sentences where they can be.

use std::ops::Range;

use corpus::sentence::sentences;

use crate::Result;

/// Bytes a token has at most on average in a stretch that is worth counting; a longer one is cut unread, so that
/// counting takes no longer however long a text without spaces or stops is.
const BYTES: usize = 8;

/// Stretches of `text`, in order, that together hold every character that is not blank, each of at most `budget`
/// tokens by `count`. They end where sentences end; each begins with the last sentence of the one before it where
/// that leaves room for another. A sentence that is too long by itself is cut between words, a word between
/// characters. None for a blank text.
///
/// # Errors
/// Those of `count`.
pub fn windows(text: &str, budget: usize, count: &dyn Fn(&str) -> Result<usize>) -> Result<Vec<Range<usize>>> {
    let mut pieces = Vec::new();
    for sentence in sentences(text) {
        cut(text, sentence, budget, count, &mut pieces)?;
    }
    let mut windows = Vec::new();
    let mut start = 0;
    while start < pieces.len() {
        let (mut end, mut size) = (start, 0);
        // Parts of one word may have other tokens together than apart.
        let is_apart = |end: usize| pieces[end - 1].span.end < pieces[end].span.start;
        while end < pieces.len() && (end == start || size + pieces[end].tokens <= budget && is_apart(end)) {
            size += pieces[end].tokens;
            end += 1;
        }
        windows.push(pieces[start].span.start..pieces[end - 1].span.end);
        let Some(next) = pieces.get(end) else { break };
        let repeats = end - 1 > start && pieces[end - 1].tokens + next.tokens <= budget && is_apart(end);
        start = end - usize::from(repeats);
    }
    Ok(windows)
}

/// A sentence, or a part of one.
struct Piece {
    span: Range<usize>,
    tokens: usize,
}

/// Halves `span` until every part is within the budget.
fn cut(
    text: &str,
    span: Range<usize>,
    budget: usize,
    count: &dyn Fn(&str) -> Result<usize>,
    pieces: &mut Vec<Piece>,
) -> Result<()> {
    let part = &text[span.clone()];
    let Some(middle) = middle(part) else {
        if !part.trim().is_empty() {
            pieces.push(Piece { tokens: count(part)?, span });
        }
        return Ok(());
    };
    if part.len() <= budget.saturating_mul(BYTES) {
        let tokens = count(part)?;
        if tokens <= budget {
            pieces.push(Piece { span, tokens });
            return Ok(());
        }
    }
    let middle = span.start + middle;
    for half in [span.start..middle, middle..span.end] {
        let part = &text[half.clone()];
        let start = half.start + part.len() - part.trim_start().len();
        let end = start + part.trim().len();
        cut(text, start..end, budget, count, pieces)?;
    }
    Ok(())
}

/// Where to halve `part`: at the blank nearest to its middle within its inner half, else between two characters.
/// None for a single character, which is never cut.
fn middle(part: &str) -> Option<usize> {
    let boundary = |mut at: usize| {
        while !part.is_char_boundary(at) {
            at += 1;
        }
        at
    };
    let (low, high) = (boundary(part.len() / 4), boundary(part.len() * 3 / 4));
    let half = boundary(part.len() / 2);
    let before = part[low..half.max(low)].rfind(char::is_whitespace).map(|at| low + at);
    let after = part[half..high.max(half)].find(char::is_whitespace).map(|at| half + at);
    let nearest = before.into_iter().chain(after).min_by_key(|at| at.abs_diff(half));
    let first = part.chars().next()?.len_utf8();
    let place = nearest.unwrap_or(if half < part.len() { half } else { first });
    (place > 0 && place < part.len()).then_some(place)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Words count one for every four bytes, begun ones whole.
    fn count(text: &str) -> usize {
        text.split_whitespace().map(|word| word.len().div_ceil(4)).sum()
    }

    fn cut<'a>(text: &'a str, budget: usize) -> Vec<&'a str> {
        windows(text, budget, &|text| Ok(count(text)))
            .unwrap()
            .into_iter()
            .map(|span| &text[span])
            .collect::<Vec<&'a str>>()
    }

    #[test]
    fn windows_overlap_by_a_sentence_where_there_is_room() {
        assert_eq!(cut("", 4), Vec::<&str>::new());
        assert_eq!(cut(" \n ", 4), Vec::<&str>::new());
        assert_eq!(cut("One two. Six ten.", 4), ["One two. Six ten."]);
        assert_eq!(cut("One two. Six ten. One six.", 4), ["One two. Six ten.", "Six ten. One six."]);
        // Three and two tokens do not fit beside each other: nothing is repeated.
        assert_eq!(cut("One two six. Ten one.", 4), ["One two six.", "Ten one."]);
    }

    #[test]
    fn long_sentences_are_cut_between_words_and_words_between_characters() {
        assert_eq!(cut("one two six ten one two", 3), ["one two six", "ten one two"]);
        assert_eq!(cut(&"é".repeat(8), 2).concat(), "é".repeat(8));
    }

    #[test]
    fn a_hostile_text_is_covered_within_the_budget() {
        for part in ["x", "é", ". ", ".", "a b ", "1.", "\n", "\u{200b}", "a\u{301}"] {
            let text = part.repeat(1_000_000 / part.len());
            let spans = windows(&text, 64, &|text| Ok(count(text))).unwrap();
            let mut end = 0;
            for span in &spans {
                assert!(text[end.min(span.start)..span.start].trim().is_empty(), "{part:?}");
                assert!(count(&text[span.clone()]) <= 64, "{part:?}");
                assert!(span.end > end, "{part:?}");
                end = span.end;
            }
            assert!(text[end..].trim().is_empty(), "{part:?}");
        }
    }

    proptest! {
        #[test]
        fn every_character_is_in_a_window(text in "[a-zA-Z0-9 .!?\\néβ]{0,300}", budget in 1_usize..20) {
            let spans = windows(&text, budget, &|text| Ok(count(text))).unwrap();
            let mut end = 0;
            for span in &spans {
                prop_assert!(text[end.min(span.start)..span.start].trim().is_empty());
                prop_assert!(count(&text[span.clone()]) <= budget);
                prop_assert!(span.end > end);
                end = span.end;
            }
            prop_assert!(text[end..].trim().is_empty());
        }
    }
}
