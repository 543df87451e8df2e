//! A question becomes [`Need`]s: what sentences must be found, and what must be found out first.

mod compare;
mod describe;

use compare::compare;
use describe::{after_link, describe, is_head};

use super::pool::is_vague;
use super::subject::Subjects;
use super::vocabulary::Vocabulary;
use crate::matching::{stems, words};

/// One thing to be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Need {
    /// What is asked, as it is asked.
    pub(super) asked: String,
    /// The same with its subject, one name for what has several.
    pub(super) text: String,
    /// A thing that the question describes or asks for first; the rest is about what it turns out to be.
    pub(super) via: Option<Via>,
    /// The thing named on this side of a comparison.
    pub(super) side: Option<String>,
}

/// A description in place of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Via {
    /// The description: `first-line drug for bipolar disorder`.
    pub(super) description: String,
    /// The need around the description, for the follow-up: `what must be monitored in a patient taking`.
    pub(super) before: String,
    /// What follows it.
    pub(super) after: String,
    /// Whether the question asks for the thing itself too.
    pub(super) asked: bool,
    /// Whether the need's own text has the description, so that a sentence may meet it without the name.
    pub(super) within: bool,
}

impl Via {
    /// What the described thing is for: the description after what links the two, or all of it.
    pub(super) fn condition(&self) -> &str {
        after_link(&self.description).unwrap_or(&self.description)
    }
}

/// Words that begin a second question after `and` or a comma.
const ASKING: &[&str] = &["how", "what", "when", "where", "which", "who", "why"];

/// Words that stand for what was asked for before.
const PRONOUNS: &[&str] = &["it", "its", "them", "their", "they", "this", "these", "that"];

/// At most this many needs: a question of more parts is answered in its first ones.
const MAX_NEEDS: usize = 3;
/// Bytes of a question that are read.
const MAX_BYTES: usize = 4_096;

impl Need {
    /// Gives what evidence has explained since its one name.
    pub(super) fn explain(&mut self, vocabulary: &Vocabulary) {
        self.text = vocabulary.canonical(&self.text);
        if let Some(via) = &mut self.via {
            via.description = vocabulary.canonical(&via.description);
        }
    }
}

/// Takes `question` apart. Nothing comes of a question without content words.
pub(super) fn decompose(question: &str, vocabulary: &Vocabulary) -> Vec<Need> {
    let question = vocabulary.canonical(&question[..question.floor_char_boundary(MAX_BYTES)]);
    if asks_nothing(&question) {
        return Vec::new();
    }
    if let Some(needs) = compare(&question) {
        return needs;
    }
    let mut needs: Vec<Need> = Vec::new();
    for part in parts(&question) {
        let refers = words(part).any(|word| PRONOUNS.contains(&word.to_lowercase().as_str()));
        let asked = part.to_owned();
        // What names nothing of its own is asked of what the parts before are about.
        let depends = refers || Subjects::of(part).is_only_matters();
        match needs.last_mut() {
            // `Which drug is first-line for X, and when must it be avoided?`: the first part describes.
            Some(last) if depends && (last.via.is_some() || asks_for_thing(&last.text)) => {
                let (before, after) = around_pronoun(part);
                let text = with_subject(&last.text, part);
                if let Some(via) = &last.via {
                    let via = Via { before, after, asked: false, within: false, ..via.clone() };
                    needs.push(Need { asked, text, via: Some(via), side: None });
                } else {
                    let description = std::mem::replace(&mut last.text, text);
                    last.via = Some(Via { description, before, after, asked: true, within: false });
                    last.asked = asked;
                }
            }
            Some(last) if depends => {
                let text = with_subject(&last.text, part);
                needs.push(Need { asked, via: describe(&text), text, side: None });
            }
            _ => needs.push(Need { asked, via: describe(part), text: part.to_owned(), side: None }),
        }
    }
    needs.retain(|need| !stems(&need.text).is_empty());
    needs.truncate(MAX_NEEDS);
    needs
}

/// Words of talk about what was said, not about the literature.
const TALK: &[&str] =
    &["correct", "else", "explain", "hello", "hi", "ok", "please", "really", "right", "sure", "thanks", "true"];

/// Whether a question has no words but those that ask: `how much?`, `is that true?`.
pub(super) fn asks_nothing(question: &str) -> bool {
    let says = |word: &str| {
        let word = word.to_lowercase();
        !TALK.contains(&word.as_str()) && crate::matching::stems(&word).into_iter().any(|stem| !is_vague(&stem))
    };
    !words(question).any(says)
}

/// Whether a question has a word of talk.
pub(super) fn is_talk(question: &str) -> bool {
    words(question).any(|word| TALK.contains(&word.to_lowercase().as_str()))
}

/// `part` behind what `before` is about.
fn with_subject(before: &str, part: &str) -> String {
    let subject = Subjects::required(before).text();
    format!("{} {part}", if subject.is_empty() { before } else { &subject })
}

/// The queries that open the search.
pub(super) fn first_queries(needs: &[Need]) -> Vec<String> {
    let mut queries = Vec::new();
    for need in needs {
        match &need.via {
            Some(via) => {
                queries.push(via.description.clone());
                if !via.asked {
                    queries.push(need.text.clone());
                }
            }
            None => queries.push(need.text.clone()),
        }
    }
    let mut seen: Vec<String> = Vec::new();
    queries.retain(|query| {
        let query = words(query).collect::<Vec<_>>().join(" ").to_lowercase();
        let new = !seen.contains(&query);
        seen.push(query);
        new
    });
    queries
}

/// Sentences of the question, and the questions inside a sentence.
fn parts(question: &str) -> Vec<&str> {
    let lower = question.to_ascii_lowercase();
    let (mut parts, mut start) = (Vec::new(), 0);
    for (at, c) in question.char_indices() {
        let skip = match c {
            ';' | '?' => Some(1),
            ',' | ' ' => joint(&lower[at..]),
            _ => None,
        };
        if let Some(skip) = skip
            && at >= start
        {
            parts.push(&question[start..at]);
            start = at + skip;
        }
    }
    parts.push(&question[start.min(question.len())..]);
    let parts: Vec<_> = parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect();
    // `Which drug is first-line for X and Y, and why?`: what has no content of its own goes with the rest.
    if parts.len() > 1 && parts.iter().skip(1).all(|part| stems(part).is_empty()) { vec![question] } else { parts }
}

/// Bytes of what joins another question, when `text` begins with it: `, and` before `when`.
fn joint(text: &str) -> Option<usize> {
    let tail = text.trim_start_matches([',', ' ']);
    let tail = tail.strip_prefix("and ").or_else(|| tail.strip_prefix("then "))?;
    let asks = ASKING.iter().any(|word| starts_with_word(tail, word));
    asks.then(|| text.len() - tail.len())
}

fn starts_with_word(text: &str, word: &str) -> bool {
    text.strip_prefix(word).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
}

/// Whether a question asks for a thing that a later pronoun can stand for: `which drug …`, `what test …`.
pub(super) fn asks_for_thing(text: &str) -> bool {
    let mut tokens = words(text).map(str::to_lowercase);
    let asking = tokens.next().is_some_and(|word| word == "which" || word == "what");
    asking && tokens.take(8).any(|word| is_head(&word))
}

fn around_pronoun(part: &str) -> (String, String) {
    let tokens: Vec<_> = words(part).collect();
    let Some(at) = tokens.iter().position(|word| PRONOUNS.contains(&word.to_lowercase().as_str())) else {
        return (tokens.join(" "), String::new());
    };
    (tokens[..at].join(" "), tokens[(at + 1).min(tokens.len())..].join(" "))
}

#[cfg(test)]
mod tests;
