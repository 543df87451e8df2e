//! [`TokenParser`]: the parser over sampled tokens; the ids it keeps are the ids that were sampled.
//!
//! A token may hold part of a character, or text beyond the mark that completes the action
//! (`</search>\n`). The turn ends with that token, whole: nothing is ever cut inside a token or
//! tokenised again.

use super::{Parser, Profile, Progress, Turn};

/// Reads one turn, token by token.
#[derive(Clone, Debug)]
pub struct TokenParser {
    parser: Parser,
    /// Bytes of a character whose rest has not come.
    pending: Vec<u8>,
    kept: Vec<u32>,
    text: Vec<u8>,
    done: bool,
}

impl TokenParser {
    /// A parser for one turn of at most `queries` queries.
    pub fn new(profile: Profile, queries: usize) -> Self {
        Self {
            parser: Parser::new(profile, queries),
            pending: Vec::new(),
            kept: Vec::new(),
            text: Vec::new(),
            done: false,
        }
    }

    /// Takes the next token and the bytes it stands for.
    pub fn push(&mut self, id: u32, piece: &[u8]) -> Progress {
        if self.done {
            return Progress::Done;
        }
        self.kept.push(id);
        self.text.extend_from_slice(piece);
        self.pending.extend_from_slice(piece);
        let complete = complete_prefix(&self.pending);
        let rest = self.pending.split_off(complete);
        let progress = self.parser.push(&String::from_utf8_lossy(&self.pending));
        self.pending = rest;
        self.done = progress == Progress::Done;
        progress
    }

    /// The turn, the ids that were kept, and the text they stand for.
    pub fn finish(mut self) -> (Turn, Vec<u32>, String) {
        if !self.done {
            self.parser.push(&String::from_utf8_lossy(&self.pending));
        }
        (self.parser.finish(), self.kept, String::from_utf8_lossy(&self.text).into_owned())
    }
}

/// Length of `bytes` without a character that has only begun at its end.
fn complete_prefix(bytes: &[u8]) -> usize {
    match bytes.utf8_chunks().last() {
        Some(chunk) if begins_character(chunk.invalid()) => bytes.len() - chunk.invalid().len(),
        _ => bytes.len(),
    }
}

/// Whether `bytes`, which are no valid UTF-8, may become a character with more bytes.
fn begins_character(bytes: &[u8]) -> bool {
    !bytes.is_empty() && std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::super::{Action, SearchQuery};
    use super::*;

    #[test]
    fn keeps_whole_tokens_up_to_the_one_that_completes() {
        let mut parser = TokenParser::new(Profile::SearchR1, 3);
        let tokens: [(u32, &[u8]); 6] =
            [(7, b"<sear"), (1, b"ch>na\xc3"), (2, b"\xafve"), (9, b"</search"), (4, b">\n\n"), (5, b"<answer>")];
        let seen: Vec<_> = tokens.iter().map(|(id, piece)| parser.push(*id, piece)).collect();
        assert_eq!(seen[3..], [Progress::More, Progress::Done, Progress::Done]);
        let (turn, ids, text) = parser.finish();
        assert_eq!(turn.action, Some(Action::Search(vec![SearchQuery::words("naïve")])));
        assert_eq!(ids, [7, 1, 2, 9, 4]);
        assert_eq!(text, "<search>naïve</search>\n\n");
        assert_eq!(&text[..turn.end], "<search>naïve</search>");
    }

    #[test]
    fn broken_bytes_are_text() {
        let mut parser = TokenParser::new(Profile::SearchR1, 3);
        parser.push(1, b"\xff<answer>x\xc3");
        parser.push(2, b"</answer>");
        let (turn, ids, _) = parser.finish();
        assert!(matches!(turn.action, Some(Action::Answer(_))));
        assert_eq!(ids, [1, 2]);
    }
}
