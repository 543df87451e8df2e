//! The task's own tokenizer: a token for each syllable, for each word of its documents and for each
//! phrase of the protocol; bytes for all else.
//!
//! A name is then always the same three tokens, and a tag always one. All of these are added tokens that
//! are matched before anything else, the longest first; under them lies a byte-level vocabulary, so that
//! any text can be written.

use std::collections::BTreeSet;

use agent::protocol::{Fault, Profile, correction, force_final};
use nn::Tokenizer;
use serde_json::{Map, Value, json};

use super::names::syllables;
use crate::{Error, Result};

/// Opens the user's message.
pub(super) const USER: &str = "<|user|>";
/// Opens the assistant's message.
pub(super) const ASSISTANT: &str = "<|assistant|>";
/// Ends a message.
pub(super) const END: &str = "<|end|>";

/// The words of documents and questions, with the space before them; and what stands in blocks of
/// evidence and around them.
const PHRASES: [&str; 41] = [
    "Question: What",
    " is",
    " the",
    "The",
    " of",
    " class",
    " dose",
    " interaction",
    " contraindication",
    " mg",
    "Drug",
    " ",
    ".",
    "?",
    "\n",
    "0",
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
    "7",
    "8",
    "9",
    "<think>",
    "</think>",
    "<search>",
    "</search>",
    "<answer>",
    "</answer>",
    "<abstain reason=\"insufficient\">",
    "</abstain>",
    "\n\n<information>\n",
    "</information>\n\n",
    "[E1]",
    "[E2]",
    "[E3]",
    "[E4]",
    " as shown before",
    "No evidence found for: ",
];

/// What the last part of the line above a passage says of every document of a formulary, and its source.
const ORIGIN: [&str; 2] = [" formulary:", " · undated · unclassified · no journal · ok\n"];

/// The id of a special token.
pub(super) fn special(tokenizer: &Tokenizer, token: &str) -> Result<u32> {
    tokenizer.id(token).ok_or_else(|| Error::Shape(format!("the tokenizer of the lookup task has no `{token}`")))
}

/// The texts of all tokens that are not bytes, by place; the first three are special.
fn added() -> Vec<String> {
    let mut phrases: Vec<String> = PHRASES.iter().chain(&ORIGIN).map(|phrase| (*phrase).to_owned()).collect();
    phrases.extend(syllables());
    phrases.push(force_final(Profile::SearchR1));
    // A correction is a beginning, advice for each fault, and an end.
    let whole = correction(Profile::SearchR1, &[]);
    if let Some((begin, end)) = whole.split_once(": .") {
        phrases.push(format!("{begin}: "));
        phrases.push(format!(".{end}"));
    }
    const FAULTS: [Fault; 8] = [
        Fault::MalformedTag,
        Fault::EnvironmentTag,
        Fault::TooManyQueries,
        Fault::EmptyQuery,
        Fault::LongQuery,
        Fault::EmptyAnswer,
        Fault::NoAction,
        Fault::LongTurn,
    ];
    phrases.extend(FAULTS.map(|fault| fault.advice().to_owned()));
    phrases.push("; ".to_owned());
    let mut seen = BTreeSet::new();
    let special = [END, USER, ASSISTANT].map(str::to_owned);
    special.into_iter().chain(phrases).filter(|token| seen.insert(token.clone())).collect()
}

/// How many tokens there are.
pub(super) fn count() -> usize {
    256 + added().len()
}

/// The id of the token that ends a message.
pub(super) const END_ID: usize = 256;

/// `tokenizer.json`.
pub(super) fn tokenizer() -> Value {
    let bytes: Map<String, Value> = (0..=255_u8).map(|byte| (spelling(byte).to_string(), Value::from(byte))).collect();
    let added: Vec<_> = (END_ID..)
        .zip(added())
        .map(|(id, content)| {
            json!({
                "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": id < END_ID + 3,
            })
        })
        .collect();
    let level = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true });
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
        "pre_tokenizer": level, "post_processor": null, "decoder": level,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": bytes, "merges": [],
        },
    })
}

/// `tokenizer_config.json`. The template leaves the system message out: a policy of one task needs no
/// instructions, and reads a tenth as much.
pub(super) fn tokenizer_config(positions: usize) -> Value {
    let template = format!(
        "{{%- for message in messages -%}}\
         {{%- if message['role'] == 'user' -%}}{{{{- '{USER}' + message['content'] -}}}}\
         {{%- elif message['role'] == 'assistant' -%}}{{{{- '{ASSISTANT}' + message['content'] + '{END}' -}}}}\
         {{%- endif -%}}{{%- endfor -%}}\
         {{%- if add_generation_prompt -%}}{{{{- '{ASSISTANT}' -}}}}{{%- endif -%}}"
    );
    json!({
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": positions, "pad_token": END,
        "eos_token": END, "clean_up_tokenization_spaces": false, "chat_template": template,
    })
}

/// The character that stands for a byte in byte-level vocabularies: itself where it can be seen, one from
/// 256 on where not.
fn spelling(byte: u8) -> char {
    let is_seen = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if is_seen(byte) {
        return char::from(byte);
    }
    let hidden = (0..byte).filter(|byte| !is_seen(*byte)).count() as u32;
    char::from_u32(256 + hidden).expect("the letters from 256 to 323 are characters")
}
