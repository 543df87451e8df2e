//! Ids to text and text to ids, for the two kinds of tokenizer that language models have: byte-level
//! (Llama 3, Qwen) and SentencePiece's with byte fallback (Llama 2, Mistral).

#![expect(clippy::unwrap_used, reason = "a helper that cannot set up its input has failed its test")]

use nn::{Detokenizer, Tokenizer};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A tokenizer of ours and the tokenizers crate's on the same file.
struct Pair {
    ours: Tokenizer,
    theirs: tokenizers::Tokenizer,
}

fn open(file: &Value) -> Pair {
    let dir = tempfile::tempdir().unwrap();
    let text = file.to_string();
    std::fs::write(dir.path().join("tokenizer.json"), &text).unwrap();
    Pair { ours: Tokenizer::open(dir.path()).unwrap(), theirs: text.parse().unwrap() }
}

fn added(id: usize, content: &str, special: bool) -> Value {
    json!({ "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": special })
}

/// Every byte, a few merges, two special tokens, a tool's tag that is not special, a gap in the ids.
fn byte_level() -> Pair {
    let mut alphabet: Vec<_> = tokenizers::pre_tokenizers::byte_level::ByteLevel::alphabet().into_iter().collect();
    alphabet.sort_unstable();
    let mut vocab: serde_json::Map<String, Value> =
        alphabet.iter().enumerate().map(|(id, c)| (c.to_string(), json!(id))).collect();
    let merges = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("Ã", "©"), ("e", "r")];
    for (at, (left, right)) in merges.iter().enumerate() {
        vocab.insert(format!("{left}{right}"), json!(256 + at));
    }
    // The crate numbers added tokens itself unless the model knows them.
    for (id, token) in [(270, "<|im_start|>"), (271, "<|im_end|>"), (272, "<tool_call>")] {
        vocab.insert(token.to_owned(), json!(id));
    }
    open(&json!({
        "version": "1.0",
        "added_tokens": [
            added(270, "<|im_start|>", true), added(271, "<|im_end|>", true), added(272, "<tool_call>", false),
        ],
        "normalizer": { "type": "NFC" },
        "pre_tokenizer": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": true },
        "post_processor": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": true },
        "decoder": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": true },
        "model": { "type": "BPE", "vocab": vocab, "merges": merges.map(|(left, right)| [left, right]) },
    }))
}

/// As Llama 2's `tokenizer.json` (`modern` false) or as newer conversions write it.
fn sentence_piece(modern: bool) -> Pair {
    let mut vocab = serde_json::Map::new();
    for token in ["<unk>", "<s>", "</s>"] {
        vocab.insert(token.to_owned(), json!(vocab.len()));
    }
    for byte in 0..=255_u8 {
        vocab.insert(format!("<0x{byte:02X}>"), json!(vocab.len()));
    }
    for c in ["▁", "t", "h", "e", "r", "s", "<", ">", "/", "é", "▁t", "▁th", "▁the", "[", "]", "I", "N", "S", "T"]
    {
        vocab.insert(c.to_owned(), json!(vocab.len()));
    }
    vocab.insert("[INST]".to_owned(), json!(290));
    let normalizer = json!({ "type": "Sequence", "normalizers": [
        { "type": "Prepend", "prepend": "▁" }, { "type": "Replace", "pattern": { "String": " " }, "content": "▁" },
    ] });
    let metaspace = json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false });
    open(&json!({
        "version": "1.0",
        "added_tokens": [added(0, "<unk>", true), added(1, "<s>", true), added(2, "</s>", true), added(290, "[INST]", true)],
        "normalizer": if modern { Value::Null } else { normalizer },
        "pre_tokenizer": if modern { metaspace } else { Value::Null },
        "post_processor": { "type": "TemplateProcessing",
            "single": [{ "SpecialToken": { "id": "<s>", "type_id": 0 } }, { "Sequence": { "id": "A", "type_id": 0 } }],
            "pair": [{ "Sequence": { "id": "A", "type_id": 0 } }, { "Sequence": { "id": "B", "type_id": 1 } }],
            "special_tokens": { "<s>": { "id": "<s>", "ids": [1], "tokens": ["<s>"] } } },
        "decoder": { "type": "Sequence", "decoders": [
            { "type": "Replace", "pattern": { "String": "▁" }, "content": " " }, { "type": "ByteFallback" },
            { "type": "Fuse" }, { "type": "Strip", "content": " ", "start": 1, "stop": 0 },
        ] },
        "model": { "type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true, "vocab": vocab,
            "merges": [["▁", "t"], ["▁t", "h"], ["▁th", "e"]] },
    }))
}

/// What comes out token by token, checked to be whole characters at each step.
fn incremental(tokenizer: &Tokenizer, ids: &[u32]) -> String {
    let pieces = tokenizer.pieces();
    let mut detokenizer = Detokenizer::new(pieces.clone());
    let (mut text, mut bytes) = (String::new(), Vec::new());
    for id in ids {
        text.push_str(detokenizer.push(*id));
        bytes.extend_from_slice(pieces.get(*id));
        let so_far = String::from_utf8_lossy(&bytes);
        assert!(so_far.starts_with(&text), "{text:?} is not the beginning of {so_far:?}");
    }
    text.push_str(detokenizer.finish());
    text
}

proptest! {
    #[test]
    fn byte_level_text_is_the_crates_whatever_the_ids(ids in prop::collection::vec(0_u32..280, 0..40)) {
        let Pair { ours, theirs } = byte_level();
        let text = ours.pieces().decode(&ids);
        prop_assert_eq!(&text, &theirs.decode(&ids, false).unwrap());
        prop_assert_eq!(incremental(&ours, &ids), text);
    }

    #[test]
    fn sentence_piece_text_is_the_crates_after_the_first_token(ids in prop::collection::vec(0_u32..291, 0..40)) {
        let Pair { ours, theirs } = sentence_piece(false);
        let pieces = ours.pieces();
        let text = pieces.decode(&ids);
        prop_assert_eq!(incremental(&ours, &ids), text.clone());
        // Where bytes are no characters the crate has one U+FFFD a byte, and running text one a character.
        let bytes: Vec<u8> = ids.iter().flat_map(|id| pieces.get(*id)).copied().collect();
        if String::from_utf8(bytes).is_ok() {
            let whole = theirs.decode(&ids, false).unwrap();
            prop_assert!(text == whole || text == format!(" {whole}"), "{:?} {:?}", text, whole);
        }
    }

    #[test]
    fn data_comes_back_and_is_never_special(text in "(the |é|[a-z]{0,3}|</s>|<s>|<\\|im_end\\|>|\\[INST\\]|\n|日本|\\PC){0,12}") {
        for (pair, special) in [(byte_level(), 270..272), (sentence_piece(false), 0..3), (sentence_piece(true), 0..3)] {
            let ids = pair.ours.encode_text(&text).unwrap();
            prop_assert!(ids.iter().all(|id| !special.contains(id) && *id != 290), "{:?} {:?}", text, ids);
            let back = pair.ours.pieces().decode(&ids);
            // Only the byte-level one normalises.
            if special.contains(&0) {
                prop_assert_eq!(&back, &text);
            }
            let defused = pair.ours.defuse(&text);
            let prompt = pair.ours.encode_prompt(&defused).unwrap();
            prop_assert!(prompt.iter().all(|id| !special.contains(id) && *id != 290), "{:?} {:?}", defused, prompt);
        }
    }
}

#[test]
fn special_tokens_count_in_prompts_alone() {
    let Pair { ours, .. } = byte_level();
    let text = "<|im_start|>the<|im_end|>";
    assert_eq!(ours.encode_prompt(text).unwrap(), [270, 257, 271]);
    let data = ours.encode_text(text).unwrap();
    assert!(data.len() > 10 && data.contains(&257), "{data:?}");
    assert_eq!(ours.pieces().decode(&data), text);
    assert_eq!(ours.encode_text("plain the").unwrap(), ours.encode_prompt("plain the").unwrap());
    assert_eq!(ours.defuse(text), "< |im_start|>the< |im_end|>");
    assert!(matches!(ours.defuse("plain"), std::borrow::Cow::Borrowed("plain")));
}

#[test]
fn running_text_gets_no_space_in_front() {
    for modern in [false, true] {
        let Pair { ours, .. } = sentence_piece(modern);
        let pieces = ours.pieces();
        assert_eq!(pieces.decode(&ours.encode_text("the").unwrap()), "the", "modern {modern}");
        assert_eq!(pieces.decode(&ours.encode_text(" the").unwrap()), " the");
        assert_eq!(pieces.decode(&ours.encode_prompt("the").unwrap()), " the", "as the file says");
        let opening = ours.encode_opening("the</s>").unwrap();
        assert_eq!((opening[0], opening.contains(&2)), (1, false), "{opening:?}");
    }
}

#[test]
fn ids_without_a_token_stand_for_nothing() {
    let Pair { ours, .. } = byte_level();
    let pieces = ours.pieces();
    assert_eq!((ours.vocabulary(), pieces.len()), (273, 273));
    assert_eq!((ours.id("<|im_end|>"), ours.id("no such")), (Some(271), None));
    assert_eq!(pieces.get(271), b"<|im_end|>");
    assert!(pieces.is_special(271) && !pieces.is_special(272) && !pieces.is_special(u32::MAX));
    for id in [265, 273, u32::MAX] {
        assert!(pieces.get(id).is_empty(), "{id}");
    }
    // An id of four thousand million must not be worth as many bytes.
    let far = open(&json!({ "version": "1.0", "added_tokens": [],
        "model": { "type": "WordLevel", "unk_token": "a", "vocab": { "a": 0, "b": u32::MAX } } }));
    assert_eq!(far.ours.pieces().len(), 1);
}

/// Breaks one place of a JSON value: what stands there becomes something else, or goes.
fn damage(value: &mut Value, place: &mut usize, with: &Value) -> bool {
    if *place == 0 {
        *value = with.clone();
        return true;
    }
    *place -= 1;
    match value {
        Value::Array(items) => items.iter_mut().any(|item| damage(item, place, with)),
        Value::Object(fields) => fields.values_mut().any(|field| damage(field, place, with)),
        _ => false,
    }
}

#[test]
fn a_damaged_file_is_an_error_or_a_tokenizer_and_never_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let wrong =
        [json!(null), json!(-1), json!(4e9), json!(""), json!("<s>"), json!([]), json!({}), json!("("), json!(true)];
    let mut opened = 0;
    for whole in [&byte_level().theirs, &sentence_piece(false).theirs, &sentence_piece(true).theirs] {
        let mut whole: Value = serde_json::from_str(&whole.to_string(false).unwrap()).unwrap();
        // Most places of the file are entries of the vocabulary: a few of them are enough.
        let entries = whole["model"]["vocab"].as_object().unwrap().clone();
        let (few, rest): (Vec<_>, Vec<_>) = entries.into_iter().enumerate().partition(|(at, _)| at % 64 == 0);
        whole["model"]["vocab"] = few.into_iter().map(|(_, entry)| entry).collect();
        for with in &wrong {
            for place in 0.. {
                let mut broken = whole.clone();
                if !damage(&mut broken, &mut place.clone(), with) {
                    break;
                }
                if let Some(entries) = broken.pointer_mut("/model/vocab").and_then(Value::as_object_mut) {
                    entries.extend(rest.iter().map(|(_, entry)| entry.clone()));
                }
                std::fs::write(dir.path().join("tokenizer.json"), broken.to_string()).unwrap();
                let Ok(tokenizer) = Tokenizer::open(dir.path()) else { continue };
                opened += 1;
                let text = "the </s> <|im_end|> é\n日本";
                let _ = (tokenizer.encode_text(text), tokenizer.encode_prompt(text), tokenizer.encode_opening(text));
                let _ = (tokenizer.encode(text, 8), tokenizer.check_vocabulary(300), tokenizer.vocabulary());
                let ids: Vec<u32> = (0..300).collect();
                assert!(tokenizer.pieces().decode(&ids).len() < 1 << 20);
            }
        }
    }
    assert!(opened > 100, "{opened} of them are still tokenizers");
}
