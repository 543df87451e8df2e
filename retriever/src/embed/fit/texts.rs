//! What a fit reads: a sample of passages and short texts from the corpus readers, and the teacher's
//! vocabulary.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use corpus::Document;
use corpus::chunk::chunk;
use corpus::reader::{Options, Record, open};
use corpus::sentence::sentences;
use serde::Deserialize;

use crate::{Error, Result};

/// Bytes of a text that are kept: some 400 tokens, more than a window reads.
const CUT: usize = 2048;
/// A shorter or longer sentence, in words, says too little or is none.
const WORDS: std::ops::RangeInclusive<usize> = 5..=60;
/// A shorter title says too little.
const TITLE_WORDS: usize = 3;

/// A sample of at most `per_path` passages of each of `paths` (anything that `corpus add` reads) and
/// half as many short texts, titles and sentences, because queries are short. The choice and its
/// order depend on the texts alone, so the same files always give the same sample. Records that
/// cannot be read are passed over.
///
/// # Errors
/// When a path cannot be opened or its format cannot be told.
pub fn sample(paths: &[PathBuf], per_path: usize) -> Result<Vec<String>> {
    let mut chosen = BTreeMap::new();
    for path in paths {
        let mut sample = BTreeMap::new();
        for record in open(path, &Options::default())? {
            let Ok(Record::Document(document)) = record else { continue };
            gather(&document, per_path, &mut sample);
        }
        chosen.append(&mut sample);
    }
    let mut seen = HashSet::new();
    let mut texts: Vec<String> = chosen.into_values().flatten().collect();
    texts.retain(|text| seen.insert(blake3::hash(text.as_bytes())));
    Ok(texts)
}

/// Adds the passages of `document` and their short texts, keeping the `limit` of lowest hash.
fn gather(document: &Document, limit: usize, sample: &mut BTreeMap<[u8; 32], Vec<String>>) {
    for chunk in chunk(document) {
        let passage = cut(&format!("{} {}", document.title, chunk.text)).trim().to_owned();
        let hash = *blake3::hash(passage.as_bytes()).as_bytes();
        if sample.len() >= limit && sample.last_key_value().is_some_and(|(last, _)| hash >= *last) {
            continue;
        }
        let short = match hash[31] % 4 {
            0 => (document.title.split_whitespace().count() >= TITLE_WORDS).then(|| document.title.clone()),
            1 => sentence(&chunk.text, hash[30]),
            _ => None,
        };
        sample.insert(hash, std::iter::once(passage).chain(short).collect());
        if sample.len() > limit {
            sample.pop_last();
        }
    }
}

/// One sentence of `text`, chosen by `lot`.
fn sentence(text: &str, lot: u8) -> Option<String> {
    let whole = |sentence: &&str| WORDS.contains(&sentence.split_whitespace().count());
    let sentences: Vec<&str> = sentences(text).map(|span| text[span].trim()).filter(whole).collect();
    let index = usize::from(lot).checked_rem(sentences.len())?;
    Some(cut(sentences[index]).to_owned())
}

/// The first [`CUT`] bytes, or a little less where a character would be split.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(CUT)]
}

/// The WordPiece vocabulary of the model folder `model`, by token id: from `vocab.txt`, else from
/// `tokenizer.json`.
///
/// # Errors
/// [`Error::Encoder`] when there is none, or its ids have gaps.
pub fn vocabulary(model: &Path) -> Result<Vec<String>> {
    let file = model.join("vocab.txt");
    if file.is_file() {
        let text =
            std::fs::read_to_string(&file).map_err(|source| Error::File { action: "read", path: file, source })?;
        return Ok(text.lines().map(str::to_owned).collect());
    }
    let file = model.join("tokenizer.json");
    let text = std::fs::read(&file).map_err(|source| Error::File { action: "read", path: file.clone(), source })?;
    from_tokenizer(&text).map_err(|reason| Error::Encoder { path: file, reason })
}

fn from_tokenizer(json: &[u8]) -> Result<Vec<String>, String> {
    #[derive(Deserialize)]
    struct File {
        model: Model,
    }
    #[derive(Deserialize)]
    struct Model {
        r#type: Option<String>,
        vocab: BTreeMap<String, usize>,
    }
    let File { model } =
        serde_json::from_slice(json).map_err(|error| format!("has no WordPiece vocabulary: {error}"))?;
    if model.r#type.is_some_and(|kind| kind != "WordPiece") {
        return Err("is no WordPiece tokenizer, which a static encoder needs".to_owned());
    }
    let ids: BTreeSet<usize> = model.vocab.values().copied().collect();
    if ids.len() != model.vocab.len() || ids.last().is_some_and(|last| *last >= ids.len()) {
        return Err("has token ids with gaps or repeats".to_owned());
    }
    let mut tokens = vec![String::new(); ids.len()];
    for (token, id) in model.vocab {
        tokens[id] = token;
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_give_the_same_sample() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("texts.jsonl");
        let line = |n: usize| {
            format!(
                r#"{{"id":"{n}","title":"Title of paper {n}","text":"The drug number {n} lowers blood pressure in adults. It was well borne by all {n} patients."}}"#
            )
        };
        let lines: Vec<_> = (0..200).map(line).collect();
        std::fs::write(&file, lines.join("\n")).unwrap();
        let first = sample(std::slice::from_ref(&file), 100).unwrap();
        let passages = first.iter().filter(|text| text.starts_with("Title") && text.contains("lowers")).count();
        assert_eq!(passages, 100);
        assert!((20..80).contains(&(first.len() - passages)), "{}", first.len());
        std::fs::write(&file, lines.iter().rev().cloned().collect::<Vec<_>>().join("\n")).unwrap();
        assert_eq!(sample(&[file], 100).unwrap(), first, "order in the file does not matter");
    }

    #[test]
    fn a_vocabulary_comes_from_either_file() {
        let folder = tempfile::tempdir().unwrap();
        let json = |vocab: &str| format!(r#"{{"model":{{"type":"WordPiece","vocab":{vocab}}}}}"#);
        std::fs::write(folder.path().join("tokenizer.json"), json(r#"{"b":1,"[UNK]":0}"#)).unwrap();
        assert_eq!(vocabulary(folder.path()).unwrap(), ["[UNK]", "b"]);
        for bad in [r#"{"a":1,"b":2}"#, r#"{"a":0,"b":0}"#, "[]"] {
            assert!(from_tokenizer(json(bad).as_bytes()).is_err(), "{bad}");
        }
        std::fs::write(folder.path().join("vocab.txt"), "[UNK]\na\r\n##b\n").unwrap();
        assert_eq!(vocabulary(folder.path()).unwrap(), ["[UNK]", "a", "##b"]);
    }
}
