//! What is copied first: names and numbers. A name is three tokens, a sentence of facts thirteen.

use nn::Tokenizer;

use super::names::syllables;
use crate::task::scratch::copying::copying;
use crate::{Result, Sample};

/// Random sequences of syllables and digits, each repeated once by the assistant.
pub(super) fn samples(tokenizer: &Tokenizer, seed: u64, count: usize) -> Result<Vec<Sample>> {
    let mut words = tokenizer.encode_text(&syllables().collect::<Vec<_>>().concat())?;
    words.extend(tokenizer.encode_text("0123456789 .")?);
    copying(tokenizer, &words, seed, count)
}
