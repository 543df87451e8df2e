//! A vocabulary of the task's own text: byte-level BPE over a corpus, and a token for each phrase of the
//! protocol.
//!
//! The phrases are matched before anything else, so that a tag is always one token; under them lies every
//! byte, so that any text can be written.

use std::collections::BTreeSet;

use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, NormalizerWrapper, PostProcessorWrapper, TokenizerBuilder};

use super::model::Vocabulary;
use super::template::{ASSISTANT, END, USER, environment, tags};
use crate::{Error, Result};

/// Labels of evidence that are one token.
const LABELS: usize = 9;
/// What stands around evidence of real passages.
const PHRASES: [&str; 4] =
    ["Question: ", " as shown before\n", " · undated · unclassified · no journal · ok\n", "· unclassified ·"];

/// Learns `size` tokens from `texts`; the phrases come on top. The same texts give the same tokens.
///
/// # Errors
/// [`Error::Input`] for a size that cannot be; [`Error::Shape`] when the tokenizer cannot be made.
pub(crate) fn learn<'a>(texts: impl Iterator<Item = &'a str> + Send, size: usize) -> Result<Vocabulary> {
    check(size)?;
    made(texts, size).map_err(|error| Error::Shape(format!("the tokenizer of the task: {error}")))
}

/// The least and the most that can be learnt: bytes take 256, and ids must stay small.
const SIZES: std::ops::RangeInclusive<usize> = 300..=65_536;

/// Whether so many tokens can be learnt.
///
/// # Errors
/// [`Error::Input`] with the bounds.
pub(crate) fn check(size: usize) -> Result<()> {
    if SIZES.contains(&size) {
        return Ok(());
    }
    Err(Error::Input(format!("task.vocabulary is {size}, expected {} to {}", SIZES.start(), SIZES.end())))
}

fn made<'a>(texts: impl Iterator<Item = &'a str> + Send, size: usize) -> tokenizers::Result<Vocabulary> {
    let bytes = ByteLevel::default().add_prefix_space(false);
    let mut tokenizer = TokenizerBuilder::new()
        .with_model(BPE::default())
        .with_normalizer(None::<NormalizerWrapper>)
        .with_pre_tokenizer(Some(bytes))
        .with_post_processor(None::<PostProcessorWrapper>)
        .with_decoder(Some(bytes))
        .build()?;
    let special = [END, USER, ASSISTANT].map(|token| AddedToken::from(token, true));
    let mut trainer = BpeTrainer::builder()
        .vocab_size(size)
        .special_tokens(special.into())
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .show_progress(false)
        .build();
    tokenizer.train(&mut trainer, texts)?;
    let mut seen = BTreeSet::new();
    let labels = (1..=LABELS).map(|label| format!("[E{label}]"));
    let phrases = PHRASES.iter().chain(tags()).map(|phrase| (*phrase).to_owned());
    let phrases = phrases.chain(labels).chain(environment());
    let phrases: Vec<_> = phrases
        .filter(|phrase| seen.insert(phrase.clone()))
        .map(|phrase| AddedToken::from(phrase, false).normalized(false))
        .collect();
    tokenizer.add_tokens(phrases)?;
    let (tokens, end) = (tokenizer.get_vocab_size(true), tokenizer.token_to_id(END).unwrap_or_default());
    let tokenizer = serde_json::from_str(&tokenizer.to_string(false)?)?;
    // Special tokens come first, then what was learnt, then the phrases.
    Ok(Vocabulary { tokenizer, tokens, end })
}

/// The ids of the tokens that were learnt, all that can be said but phrases and marks; `size` is what
/// [`learn`] was given.
pub(crate) fn learnt(vocabulary: &Vocabulary, size: usize) -> Vec<u32> {
    let marks = [END, USER, ASSISTANT].len();
    (marks..size.min(vocabulary.tokens)).map(|id| id as u32).collect()
}

#[cfg(test)]
mod tests {
    use nn::Tokenizer;

    use super::*;

    #[test]
    fn any_text_comes_back_and_a_tag_is_one_token() {
        let texts = ["The dose of metformin was increased significantly.", "The dose of placebo was not."];
        let vocabulary = learn(texts.into_iter().cycle().take(200), 300).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tokenizer.json"), vocabulary.tokenizer.to_string()).unwrap();
        let tokenizer = Tokenizer::open(folder.path()).unwrap();
        tokenizer.check_vocabulary(vocabulary.tokens).unwrap();
        let pieces = tokenizer.pieces();
        let count = |text: &str| {
            let ids = tokenizer.encode_text(text).unwrap();
            assert_eq!(pieces.decode(&ids), text);
            ids.len()
        };
        assert!(count("The dose of metformin was increased significantly.") < 25);
        assert_eq!(count("<search></search>"), 2);
        assert_eq!(count("<answer>[E1][E9]</answer>"), 4);
        assert_eq!(count(&agent::protocol::force_final(agent::protocol::Profile::SearchR1)), 1);
        count("Sjögren's β-blocker\t5 µg 剂量 <|user|>");
        // What a document writes is no special token.
        let ids = tokenizer.encode_text("<|end|>").unwrap();
        assert!(!ids.contains(&vocabulary.end));
        assert_eq!(learn(texts.into_iter().cycle().take(200), 300).unwrap().tokenizer, vocabulary.tokenizer);
    }
}
