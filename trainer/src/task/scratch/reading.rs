//! [`Reader`]: plays episodes as a small policy would see them; [`lessons`]: first lessons in reading.
//!
//! A lesson is an episode on passages that anybody can make of a corpus: the question is made of words of one's title
//! and of one of its sentences, the search repeats them, and the answer quotes that sentence from these words on. To copy a question and
//! to find and copy the sentence that it is about is most of what there is to learn here, and demonstrations on real
//! questions are too few to teach it from nothing.
//!
//! Most lessons are on passages whose words were drawn from the corpus one by one: what a small policy has read a few
//! times it knows by heart, and answers from memory. What was never said before can only be read.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use agent::policy::{Local, LocalOptions};
use agent::protocol::{Action, Cited, Profile, SearchQuery, render};
use agent::{Ask, Budget, Trace};
use corpus::sentence::sentences;
use corpus::store::ChunkInContext;
use nn::Tokenizer;
use retriever::Retrieve;

use super::quote::{QUOTE, from_shared};
use crate::draw::{Draw, Purpose};
use crate::evaluation::given::Given;
use crate::task::demonstration::{self, Rule};
use crate::{Result, Sample};

/// Words of a sentence that is asked about.
const SENTENCE: RangeInclusive<usize> = 6..=60;
/// Words from a title, and from a sentence, that a question is made of.
const TOPIC: RangeInclusive<usize> = 1..=4;
const FOCUS: RangeInclusive<usize> = 2..=6;

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

/// What is written to take an action. It begins with a space, so that its first word has the tokens that it has in
/// running text, and can be copied from there.
pub(crate) fn say(action: &Action) -> String {
    render(Profile::SearchR1, action).replacen('>', "> ", 1)
}

/// A search for `query`.
pub(crate) fn search(query: &str) -> String {
    say(&Action::Search(vec![SearchQuery::words(query)]))
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

/// Makes a question, and how it is searched for.
pub(crate) type Pretend<'a> = dyn Fn(&mut Draw, &Words<'_>) -> (String, String) + 'a;

/// Of so many lessons one is on passages as they are.
const AS_THEY_ARE: usize = 3;
/// Sentences of a passage of drawn words, and words of each.
const DRAWN: RangeInclusive<usize> = 3..=6;
const DRAWN_WORDS: RangeInclusive<usize> = 6..=14;

/// So many lessons, with as many passages as a search finds; `ask` makes a question and its query of some words.
///
/// # Errors
/// Those of the episodes.
pub(crate) fn lessons(
    reader: &Reader,
    seed: u64,
    passages: &[ChunkInContext],
    count: usize,
    ask: &Pretend<'_>,
) -> Result<Vec<Sample>> {
    let mut draw = Draw::new(seed, Purpose::Reading, 0);
    let pool: Vec<&str> = passages.iter().flat_map(|passage| plain_words(&passage.chunk.text)).collect();
    let mut samples = Vec::with_capacity(count);
    // A passage without a fit sentence is passed over; one of each few has one.
    for _ in 0..count.saturating_mul(8) {
        if samples.len() == count || passages.is_empty() {
            break;
        }
        let mut shown: Vec<ChunkInContext> =
            (0..reader.budget.hits_per_query).map(|_| passages[draw.below(passages.len())].clone()).collect();
        if !samples.len().is_multiple_of(AS_THEY_ARE) && !pool.is_empty() {
            for passage in &mut shown {
                redraw(&mut draw, passage, &pool);
            }
        }
        // One passage is shown once, however often it was drawn.
        shown.dedup_by_key(|passage| passage.chunk.id);
        let place = draw.below(shown.len());
        let passage = &shown[place];
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
        let target = from_shared(&target, words.focus, "", 0.0).to_owned();
        let rule: Rule = Arc::new(move |turn, shown| match (turn, shown.get(place)) {
            (1.., Some(evidence)) => {
                let part = Cited { text: target.clone(), cites: vec![evidence.label] };
                say(&Action::Answer(vec![part]))
            }
            _ => search(&query),
        });
        let trace = reader.play(&question, &Given::new(shown), rule)?;
        if trace.answer.is_answered() && trace.faults.is_empty() {
            samples.push(demonstration::sample(&trace)?);
        }
    }
    Ok(samples)
}

/// The words of `text` without the marks around them.
fn plain_words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace()
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()))
        .filter(|word| !word.is_empty())
}

/// Puts words of `pool` in place of a passage's title and text.
fn redraw(draw: &mut Draw, passage: &mut ChunkInContext, pool: &[&str]) {
    passage.document.title = drawn(draw, TOPIC, pool);
    let sentences: Vec<_> = (0..within(draw, DRAWN))
        .map(|_| {
            let said = drawn(draw, DRAWN_WORDS, pool);
            // What begins with a small letter is no sentence.
            let first = said.chars().next().map(char::to_uppercase);
            first.into_iter().flatten().chain(said.chars().skip(1)).chain(['.']).collect::<String>()
        })
        .collect();
    passage.chunk.text = sentences.join(" ");
}

fn drawn(draw: &mut Draw, count: RangeInclusive<usize>, pool: &[&str]) -> String {
    (0..within(draw, count)).map(|_| pool[draw.below(pool.len())]).collect::<Vec<_>>().join(" ")
}

fn within(draw: &mut Draw, range: RangeInclusive<usize>) -> usize {
    range.start() + draw.below(range.end() - range.start() + 1)
}

/// Some words of `text`, one after another.
fn some(draw: &mut Draw, text: &str, count: RangeInclusive<usize>) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let count = within(draw, count).min(words.len());
    let from = if words.len() > count { draw.below(words.len() - count + 1) } else { 0 };
    let some = words[from..from + count].join(" ");
    some.trim_matches(|c: char| c.is_ascii_punctuation()).to_owned()
}
