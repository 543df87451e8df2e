//! The first lesson: to say again what was said. Everything else is finding what to copy.

use nn::Tokenizer;

use super::template::Marks;
use crate::draw::{Draw, Purpose};
use crate::{Result, Sample};

/// Tokens of a sequence that is repeated. Longer ones were learnt later, not better.
const SHORTEST: usize = 4;
const LONGEST: usize = 24;

/// Random sequences of `words`, each repeated once by the assistant; the repetition is learnt.
///
/// # Errors
/// When the tokenizer lacks the marks around messages.
pub(crate) fn copying(tokenizer: &Tokenizer, words: &[u32], seed: u64, count: usize) -> Result<Vec<Sample>> {
    let marks = Marks::of(tokenizer)?;
    let mut draw = Draw::new(seed, Purpose::Copying, 0);
    let sample = |_| {
        let length = SHORTEST + draw.below(LONGEST - SHORTEST + 1);
        let said: Vec<u32> = (0..length).map(|_| words[draw.below(words.len())]).collect();
        marks.lesson(&said, &said)
    };
    Ok((0..count).map(sample).collect())
}
