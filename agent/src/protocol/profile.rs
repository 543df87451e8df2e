//! [`Profile`]: three spellings of the same actions.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// How actions are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// `<search>`, `<information>`, `<answer>`, `<abstain>`.
    #[default]
    SearchR1,
    /// Lines of the self-ask prompt (Press et al. 2022): `Follow up:`, `Intermediate answer:`,
    /// `So the final answer is:`, and our `No answer (code):`. One query a turn, one line an action.
    SelfAsk,
    /// R1-Searcher's tokens for queries and documents; the rest as in Search-R1.
    R1Searcher,
}

/// How one action is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) kind: Kind,
    pub(super) open: &'static str,
    pub(super) close: &'static str,
}

impl Marks {
    /// Whether its opening or its close ends with `byte`.
    pub(super) fn ends_with(&self, byte: u8) -> bool {
        [self.open, self.close].iter().any(|mark| mark.as_bytes().last() == Some(&byte))
    }
}

/// What a mark delimits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Search,
    Answer,
    /// Its opening is a prefix: the code follows.
    Abstain,
    Information,
}

const fn marks(kind: Kind, open: &'static str, close: &'static str) -> Marks {
    Marks { kind, open, close }
}

const SEARCH_R1: [Marks; 4] = [
    marks(Kind::Search, "<search>", "</search>"),
    marks(Kind::Answer, "<answer>", "</answer>"),
    marks(Kind::Abstain, "<abstain", "</abstain>"),
    marks(Kind::Information, "<information>", "</information>"),
];

const R1_SEARCHER: [Marks; 4] = [
    marks(Kind::Search, "<|begin_of_query|>", "<|end_of_query|>"),
    SEARCH_R1[1],
    SEARCH_R1[2],
    marks(Kind::Information, "<|begin_of_documents|>", "<|end_of_documents|>"),
];

const SELF_ASK: [Marks; 4] = [
    marks(Kind::Search, "Follow up:", "\n"),
    marks(Kind::Answer, "So the final answer is:", "\n"),
    marks(Kind::Abstain, "No answer (", "\n"),
    marks(Kind::Information, "Intermediate answer:", "\n"),
];

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 3] = [Self::SearchR1, Self::SelfAsk, Self::R1Searcher];

    /// The name as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SearchR1 => "search-r1",
            Self::SelfAsk => "self-ask",
            Self::R1Searcher => "r1-searcher",
        }
    }

    /// Where a server may stop generating, since the action is complete there.
    pub fn stop_sequences(self) -> &'static [&'static str] {
        match self {
            Self::SearchR1 => &["</search>", "</answer>", "</abstain>"],
            Self::SelfAsk => &["\nIntermediate answer:"],
            Self::R1Searcher => &["<|end_of_query|>", "</answer>", "</abstain>"],
        }
    }

    /// The closing mark of the action that `text` leaves open, if it does: what a server cut off when
    /// it stopped there. The self-ask profile needs none: the end of a turn ends its line.
    pub fn missing_close(self, text: &str) -> Option<&'static str> {
        if self == Self::SelfAsk {
            return None;
        }
        let opened = self.marks().iter().filter_map(|mark| Some((text.rfind(mark.open)?, mark)));
        let (start, mark) = opened.max_by_key(|(start, _)| *start)?;
        (mark.kind != Kind::Information && !text[start..].contains(mark.close)).then_some(mark.close)
    }

    /// What a turn says before its first action, without the tags around a thought.
    pub fn thought(self, text: &str) -> &str {
        let opened = |mark: &Marks| {
            let mut places = text.match_indices(mark.open).map(|(start, _)| start);
            places.find(|start| !self.by_line() || *start == 0 || text[..*start].ends_with('\n'))
        };
        let end = self.marks().iter().filter_map(opened).min().unwrap_or(text.len());
        let thought = text[..end].trim();
        let thought = thought.strip_prefix("<think>").unwrap_or(thought);
        thought.strip_suffix("</think>").unwrap_or(thought).trim()
    }

    /// Search, answer, abstention and information, in this order.
    pub(super) fn marks(self) -> &'static [Marks; 4] {
        match self {
            Self::SearchR1 => &SEARCH_R1,
            Self::SelfAsk => &SELF_ASK,
            Self::R1Searcher => &R1_SEARCHER,
        }
    }

    /// Whether a mark counts at the beginning of a line only.
    pub(super) fn by_line(self) -> bool {
        self == Self::SelfAsk
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Profile {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let known = Self::ALL.into_iter().find(|profile| profile.as_str() == name);
        known.ok_or_else(|| Error::Input(format!("`{name}` is no profile: search-r1, self-ask or r1-searcher")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thought_ends_where_an_action_begins() {
        for (profile, text, thought) in [
            (Profile::SearchR1, "<think>a < b</think><search>x</search>", "a < b"),
            (Profile::SearchR1, "so it is</think>\n<answer>x [E1]</answer>", "so it is"),
            (Profile::SearchR1, "<abstain reason=\"unsafe\">x</abstain>", ""),
            (Profile::SearchR1, "no action", "no action"),
            (Profile::R1Searcher, "look\n<|begin_of_query|>x<|end_of_query|>", "look"),
            (Profile::SelfAsk, "I Follow up: the dose.\nFollow up: dose?\n", "I Follow up: the dose."),
        ] {
            assert_eq!(profile.thought(text), thought, "{text}");
        }
    }
}
