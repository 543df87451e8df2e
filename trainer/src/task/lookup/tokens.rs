//! The task's own tokenizer: a token for each syllable, for each word of its documents and for each
//! phrase of the protocol; bytes for all else.
//!
//! A name is then always the same three tokens, and a tag always one. All of these are added tokens that
//! are matched before anything else, the longest first; under them lies a byte-level vocabulary, so that
//! any text can be written.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::names::syllables;
use crate::task::scratch::Vocabulary;
use crate::task::scratch::template::{ASSISTANT, END, USER, environment, tags};

/// The words of documents and questions, with the space before them; and what stands in blocks of evidence.
const PHRASES: [&str; 30] = [
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
    "[E1]",
    "[E2]",
    "[E3]",
    "[E4]",
    " as shown before",
];

/// What the last part of the line above a passage says of every document of a formulary, and its source.
const ORIGIN: [&str; 2] = [" formulary:", " · undated · unclassified · no journal · ok\n"];

/// The texts of all tokens that are not bytes, by place; the first three are special.
fn added() -> Vec<String> {
    let mut phrases: Vec<String> =
        PHRASES.iter().chain(tags()).chain(&ORIGIN).map(|phrase| (*phrase).to_owned()).collect();
    phrases.extend(syllables());
    phrases.extend(environment());
    let mut seen = BTreeSet::new();
    let special = [END, USER, ASSISTANT].map(str::to_owned);
    special.into_iter().chain(phrases).filter(|token| seen.insert(token.clone())).collect()
}

/// The id of the token that ends a message.
const END_ID: usize = 256;

/// The task's vocabulary.
pub(super) fn vocabulary() -> Vocabulary {
    Vocabulary { tokenizer: tokenizer(), tokens: END_ID + added().len(), end: END_ID as u32 }
}

/// `tokenizer.json`.
fn tokenizer() -> Value {
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
