//! [`TokenParser`]: the parser over sampled tokens; the ids it keeps are the ids that were sampled.
//!
//! A token may hold part of a character, or text beyond the mark that completes the action
//! (`</search>\n`). The turn ends with that token, whole: nothing is ever cut inside a token or
//! tokenised again.

use super::profile::Kind;
use super::{Fault, Parser, Profile, Progress, Turn};

/// Reads one turn, token by token.
#[derive(Clone, Debug)]
pub struct TokenParser {
    profile: Profile,
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
            profile,
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

    /// Whether `piece`, were it next, would complete a mark that only the environment may write.
    pub fn would_forge(&self, piece: &[u8]) -> bool {
        let mut marks = self.profile.marks().iter().filter(|mark| mark.kind == Kind::Information);
        // Few pieces hold the end of a mark: the others need no closer look.
        if self.done || !marks.any(|mark| piece.iter().any(|byte| mark.ends_with(*byte))) {
            return false;
        }
        let mut next = self.clone();
        next.push(u32::MAX, piece);
        next.finish().0.faults.contains(&Fault::EnvironmentTag)
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
    fn what_only_the_environment_writes_is_foreseen() {
        for (profile, written, piece, forges) in [
            (Profile::SearchR1, "hm <informat", "ion>", true),
            (Profile::SearchR1, "hm </information", ">\n", true),
            (Profile::SearchR1, "<search>x<information", ">", true),
            (Profile::SearchR1, "hm <informat", "ion", false),
            (Profile::SearchR1, "hm <search", ">", false),
            (Profile::SearchR1, "2 < 3", ">", false),
            (Profile::R1Searcher, "<|end_of_documents|", ">", true),
            (Profile::R1Searcher, "<information", ">", false),
            (Profile::SelfAsk, "x\nIntermediate answer", ":", true),
            (Profile::SelfAsk, "an Intermediate answer", ":", false),
        ] {
            let mut parser = TokenParser::new(profile, 3);
            assert_eq!(parser.push(1, written.as_bytes()), Progress::More);
            assert_eq!(parser.would_forge(piece.as_bytes()), forges, "{profile} {written}{piece}");
            parser.push(2, piece.as_bytes());
            assert_eq!(parser.finish().0.faults.contains(&Fault::EnvironmentTag), forges, "{profile} {written}{piece}");
        }
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
