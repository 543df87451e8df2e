//! The text side of a random model: a byte-level BPE tokenizer and a ChatML template.
//!
//! The tokenizer has the three special tokens, the 256 bytes and a few hundred merges learnt from
//! [`PROSE`]: any text can be written in it, in about half as many tokens as it has bytes. It is smaller
//! than the embedding of every shape but the tiny one; ids beyond it stand for nothing.

use std::path::Path;

use serde_json::{Value, json};
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, TokenizerBuilder};

use crate::{Error, Result};

/// Id of the token between texts, and of padding.
pub(super) const END_OF_TEXT: u32 = 0;
/// Id of the token that ends a turn.
pub(super) const END_OF_TURN: u32 = 2;

/// The special tokens, by id.
const SPECIAL: [&str; 3] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
/// Tokens in all: as many as the smallest shape embeds.
const VOCABULARY: usize = 512;

const TEMPLATE: &str = "\
{%- for message in messages -%}
{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- endif -%}";

/// What the merges are learnt from.
const PROSE: &str = include_str!("prose.txt");

/// `tokenizer_config.json`.
pub(super) fn tokenizer_config(config: &Value) -> Value {
    json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": config["max_position_embeddings"],
        "pad_token": SPECIAL[END_OF_TEXT as usize],
        "eos_token": SPECIAL[END_OF_TURN as usize],
        "clean_up_tokenization_spaces": false,
        "chat_template": TEMPLATE,
    })
}

/// `tokenizer.json`, to be written to `file`.
pub(super) fn tokenizer(file: &Path) -> Result<String> {
    learn().map_err(|error| Error::Tokenizer { file: file.to_owned(), reason: error.to_string() })
}

fn learn() -> tokenizers::Result<String> {
    let bytes = ByteLevel::default().add_prefix_space(false);
    let mut tokenizer = TokenizerBuilder::new()
        .with_model(BPE::default())
        .with_normalizer(None::<tokenizers::NormalizerWrapper>)
        .with_pre_tokenizer(Some(bytes))
        .with_post_processor(None::<tokenizers::PostProcessorWrapper>)
        .with_decoder(Some(bytes))
        .build()?;
    let special: Vec<_> = SPECIAL.map(|token| AddedToken::from(token, true)).into();
    let mut trainer = BpeTrainer::builder()
        .vocab_size(VOCABULARY)
        .special_tokens(special)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .show_progress(false)
        .build();
    tokenizer.train(&mut trainer, PROSE.lines())?;
    tokenizer.to_string(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_comes_back() {
        let tokenizer: tokenizers::Tokenizer = learn().unwrap().parse().unwrap();
        assert_eq!(tokenizer.get_vocab_size(true), VOCABULARY);
        for (id, token) in (0..).zip(SPECIAL) {
            assert_eq!(tokenizer.token_to_id(token), Some(id));
        }
        for text in
            ["Metformin 500 mg/day; β-blocker\n\n\t 1.73 m² \u{1f9ec}", "<|im_start|>user\nhello<|im_end|>\n", " a"]
        {
            let ids = tokenizer.encode(text, false).unwrap().get_ids().to_vec();
            assert_eq!(tokenizer.decode(&ids, false).unwrap(), text);
        }
        let prose = tokenizer.encode(PROSE, false).unwrap();
        assert!(prose.len() * 2 < PROSE.len(), "{} tokens for {} bytes", prose.len(), PROSE.len());
    }

    #[test]
    fn learning_is_deterministic() {
        let first = learn().unwrap();
        assert!((0..5).all(|_| learn().unwrap() == first));
    }
}
