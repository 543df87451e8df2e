//! [`Reader`]: plays episodes as a small policy would see them; [`lessons`]: first lessons in reading.
//!
//! A lesson is an episode on one passage that anybody can make of a corpus: the question is made of words
//! of its title and of one of its sentences, the search repeats them, and the answer quotes that sentence.
//! To copy a question and to find and copy the sentence that it is about is most of what there is to learn
//! here, and demonstrations on real questions are too few to teach it from nothing.

use std::path::Path;
use std::sync::Arc;

use agent::policy::{Local, LocalOptions};
use agent::protocol::{Action, Cited, Profile, SearchQuery, render};
use agent::{Ask, Budget, Trace};
use corpus::sentence::sentences;
use corpus::store::ChunkInContext;
use nn::Tokenizer;
use retriever::Retrieve;

use super::quote::QUOTE;
use crate::demonstration::{self, Rule};
use crate::draw::{Draw, Purpose};
use crate::given::Given;
use crate::{Result, Sample};

/// Words of a sentence that is asked about.
const SENTENCE: std::ops::RangeInclusive<usize> = 6..=60;
/// Words from a title, and from a sentence, that a question is made of.
const TOPIC: std::ops::RangeInclusive<usize> = 1..=4;
const FOCUS: std::ops::RangeInclusive<usize> = 2..=6;

/// Sees episodes as the policy in a folder does.
pub(crate) struct Reader {
    local: Local,
    tokenizer: Arc<Tokenizer>,
    budget: Budget,
}

impl Reader {
    /// Reads like the model in the folder `model`, within `budget`.
    ///
    /// # Errors
    /// Those of a damaged model.
    pub(crate) fn open(model: &Path, budget: Budget) -> Result<Self> {
        let local = Local::open(model, &LocalOptions { kv_bytes: Some(1 << 22), ..LocalOptions::default() })?;
        Ok(Self { local, tokenizer: Arc::new(Tokenizer::open(model)?), budget })
    }

    /// The same with other bounds.
    pub(crate) fn within(self, budget: Budget) -> Self {
        Self { budget, ..self }
    }

    /// Asks `question`, answered by `rule`.
    ///
    /// # Errors
    /// Those of the episode.
    pub(crate) fn play(&self, question: &str, retriever: &dyn Retrieve, rule: Rule) -> Result<Trace> {
        let task = Ask { budget: self.budget, ..Ask::new(question, jiff::Timestamp::UNIX_EPOCH) };
        demonstration::play(&self.local, &self.tokenizer, &task, retriever, rule)
    }
}

/// A search for `query`.
pub(crate) fn search(query: &str) -> String {
    render(Profile::SearchR1, &Action::Search(vec![SearchQuery::words(query)]))
}

/// What a question may be made of.
pub(crate) struct Words<'a> {
    /// Of the passage's title.
    pub(crate) topic: &'a str,
    /// Of another of its sentences.
    pub(crate) other: &'a str,
    /// Of the sentence that answers.
    pub(crate) focus: &'a str,
}

/// So many lessons on `passages`; `ask` makes a question and its query of some words.
///
/// # Errors
/// Those of the episodes.
pub(crate) fn lessons(
    reader: &Reader,
    seed: u64,
    passages: &[ChunkInContext],
    count: usize,
    ask: &dyn Fn(&mut Draw, &Words<'_>) -> (String, String),
) -> Result<Vec<Sample>> {
    let mut draw = Draw::new(seed, Purpose::Reading, 0);
    let mut samples = Vec::with_capacity(count);
    // A passage without a fit sentence is passed over; one of each few has one.
    for _ in 0..count.saturating_mul(8) {
        if samples.len() == count || passages.is_empty() {
            break;
        }
        let passage = &passages[draw.below(passages.len())];
        let text = &passage.chunk.text;
        let is_fit =
            |sentence: &&str| sentence.len() <= QUOTE && SENTENCE.contains(&sentence.split_whitespace().count());
        let fit: Vec<&str> = sentences(text).map(|span| text[span].trim()).filter(is_fit).collect();
        if fit.len() < 2 {
            continue;
        }
        let at = draw.below(fit.len());
        let (target, aside) = (fit[at].to_owned(), fit[(at + 1) % fit.len()]);
        let words = Words {
            topic: &some(&mut draw, &passage.document.title, TOPIC),
            other: &some(&mut draw, aside, TOPIC),
            focus: &some(&mut draw, &target, FOCUS),
        };
        let (question, query) = ask(&mut draw, &words);
        let rule: Rule = Arc::new(move |turn, shown| match (turn, shown.first()) {
            (1.., Some(evidence)) => {
                let part = Cited { text: target.clone(), cites: vec![evidence.label] };
                render(Profile::SearchR1, &Action::Answer(vec![part]))
            }
            _ => search(&query),
        });
        let trace = reader.play(&question, &Given::new([passage.clone()]), rule)?;
        if trace.answer.is_answered() && trace.faults.is_empty() {
            samples.push(demonstration::sample(&trace)?);
        }
    }
    Ok(samples)
}

/// Some words of `text`, one after another.
fn some(draw: &mut Draw, text: &str, count: std::ops::RangeInclusive<usize>) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let count = (count.start() + draw.below(count.end() - count.start() + 1)).min(words.len());
    let from = if words.len() > count { draw.below(words.len() - count + 1) } else { 0 };
    let some = words[from..from + count].join(" ");
    some.trim_matches(|c: char| c.is_ascii_punctuation()).to_owned()
}
