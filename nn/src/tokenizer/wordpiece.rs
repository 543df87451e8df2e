//! The `tokenizer.json` of a BERT folder that has only `vocab.txt`, as those of 2019 do.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::error::{read_json, read_optional};
use crate::{Error, Result};

/// Tokens that are no text, where a vocabulary has them.
const SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/// What `tokenizer_config.json` says of letters, with the defaults of `BertTokenizer`.
#[derive(Deserialize)]
#[serde(default)]
struct Letters {
    do_lower_case: bool,
    strip_accents: Option<bool>,
    tokenize_chinese_chars: bool,
}

impl Default for Letters {
    fn default() -> Self {
        Self { do_lower_case: true, strip_accents: None, tokenize_chinese_chars: true }
    }
}

/// What `vocab.txt` and `tokenizer_config.json` of the folder `dir` mean, in the words of
/// `tokenizer.json`; `None` where there is no vocabulary.
pub(super) fn made(dir: &Path) -> Result<Option<Vec<u8>>> {
    let file = dir.join("vocab.txt");
    let fault = |reason: &str| Error::Tokenizer { file: file.clone(), reason: reason.to_owned() };
    let Some(bytes) = read_optional(&file)? else {
        return Ok(None);
    };
    let text = str::from_utf8(&bytes).map_err(|_| fault("is not UTF-8"))?;
    let tokens = text.lines().map(str::trim_end).zip(0_u32..);
    let vocabulary: Map<String, Value> = tokens.map(|(token, id)| (token.to_owned(), json!(id))).collect();
    let id = |token: &str| vocabulary.get(token).cloned();
    let need = |token: &str| id(token).ok_or_else(|| fault(&format!("lacks `{token}`")));
    need("[UNK]")?;
    let Letters { do_lower_case, strip_accents, tokenize_chinese_chars } =
        read_json(&dir.join("tokenizer_config.json"))?.unwrap_or_default();
    let added = |token: &&str| {
        let id = id(token)?;
        let plain = json!({ "id": id, "content": token, "special": true, "normalized": false });
        Some(with(plain, ["single_word", "lstrip", "rstrip"]))
    };
    let made = json!({
        "version": "1.0",
        "added_tokens": SPECIAL.iter().filter_map(added).collect::<Vec<_>>(),
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": true,
            "handle_chinese_chars": tokenize_chinese_chars,
            "strip_accents": strip_accents,
            "lowercase": do_lower_case,
        },
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": {
            "type": "BertProcessing",
            "sep": ["[SEP]", need("[SEP]")?],
            "cls": ["[CLS]", need("[CLS]")?],
        },
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocabulary,
        },
    });
    Ok(Some(made.to_string().into_bytes()))
}

/// With these fields, all false.
fn with(mut value: Value, fields: [&str; 3]) -> Value {
    for field in fields {
        value[field] = json!(false);
    }
    value
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::Tokenizer;

    const TEXTS: [&str; 8] = [
        "Metformin lowers glucose",
        "",
        "the dose of insulin in renal failure is 5 mg/kg.",
        "漢字 🫀",
        "β-blockers: Heart Failure!",
        "naïve ÜBEL",
        "[MASK] <s> [SEP] [sep]",
        "\u{0}\u{200b}a\tb\n c",
    ];

    /// A folder with the vocabulary of the committed model as text.
    fn folder() -> (tempfile::TempDir, Tokenizer) {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny_masked");
        let json: Value = serde_json::from_slice(&fs::read(from.join("tokenizer.json")).unwrap()).unwrap();
        let vocabulary = json["model"]["vocab"].as_object().unwrap();
        let mut tokens: Vec<_> = vocabulary.iter().map(|(token, id)| (id.as_u64().unwrap(), token.as_str())).collect();
        tokens.sort_unstable();
        let home = tempfile::tempdir().unwrap();
        let lines: Vec<&str> = tokens.into_iter().map(|(_, token)| token).collect();
        fs::write(home.path().join("vocab.txt"), lines.join("\r\n")).unwrap();
        (home, Tokenizer::open(&from).unwrap())
    }

    #[test]
    fn a_vocabulary_alone_reads_as_the_file_that_is_made_of_it() {
        let (home, expected) = folder();
        let found = Tokenizer::open(home.path()).unwrap();
        assert_eq!(found.vocabulary(), expected.vocabulary());
        for first in TEXTS {
            assert_eq!(found.encode(first, 48).unwrap(), expected.encode(first, 48).unwrap(), "{first:?}");
            for second in TEXTS {
                let pair = |tokenizer: &Tokenizer| tokenizer.encode_pair(first, second, 20).unwrap();
                assert_eq!(pair(&found), pair(&expected), "{first:?} {second:?}");
            }
        }
    }

    #[test]
    fn letters_keep_their_case_where_the_folder_says_so() {
        let (home, expected) = folder();
        fs::write(home.path().join("tokenizer_config.json"), r#"{"do_lower_case": false, "model_max_length": 512}"#)
            .unwrap();
        let cased = Tokenizer::open(home.path()).unwrap();
        assert_eq!(cased.encode("insulin", 48).unwrap(), expected.encode("insulin", 48).unwrap());
        assert_ne!(cased.encode("Insulin", 48).unwrap(), expected.encode("Insulin", 48).unwrap());
        assert_eq!(cased.encode("Insulin", 48).unwrap()[1], cased.id("[UNK]").unwrap());
    }

    #[test]
    fn a_damaged_vocabulary_is_named() {
        let (home, _) = folder();
        let open = |bytes: &[u8]| {
            fs::write(home.path().join("vocab.txt"), bytes).unwrap();
            Tokenizer::open(home.path()).unwrap_err().to_string()
        };
        for (bytes, reason) in
            [(&b""[..], "lacks `[UNK]`"), (b"[UNK]\n[CLS]\n", "lacks `[SEP]`"), (b"[UNK]\xff", "is not UTF-8")]
        {
            let message = open(bytes);
            assert!(message.contains("vocab.txt") && message.contains(reason), "{message}");
        }
        fs::remove_file(home.path().join("vocab.txt")).unwrap();
        let message = Tokenizer::open(home.path()).unwrap_err().to_string();
        assert!(message.contains("tokenizer.json"), "{message}");
    }
}
