//! Texts a second of the bundled static encoder and bytes a second of its tokenizer, on one core.
//!
//! `cargo bench -p retriever --bench embed`: 1,000 passages of trial reports where the data folder
//! is at hand (`ANAMNESIS_DATA`, or `../shared/data` beside the project), else the starter corpus.

use std::path::{Path, PathBuf};

use corpus::reader::{Options, Record};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use retriever::embed::{WordPiece, bundled};
use retriever::{Embed, Role};

fn main() {
    divan::main();
}

/// Passages as they would be embedded, a thousand of them.
fn texts() -> Vec<String> {
    let data = std::env::var_os("ANAMNESIS_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    let whole = |document: &corpus::Document| format!("{} {}", document.title, document.text);
    let texts: Vec<String> =
        match corpus::reader::open(&data.join("corpora/pmc_passages.jsonl.gz"), &Options::default()) {
            Ok(reader) => reader
                .filter_map(|record| match record {
                    Ok(Record::Document(document)) => Some(whole(&document)),
                    _ => None,
                })
                .take(1000)
                .collect(),
            Err(_) => corpus::starter::documents().filter_map(Result::ok).map(|document| whole(&document)).collect(),
        };
    texts.iter().cycle().take(1000).cloned().collect()
}

#[divan::bench(sample_count = 10)]
fn embed(bencher: Bencher<'_, '_>) {
    let (encoder, texts) = (bundled().expect("the bundled encoder opens"), texts());
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let bytes: usize = texts.iter().map(|text| text.len()).sum();
    bencher
        .counter(ItemsCount::new(texts.len()))
        .counter(BytesCount::new(bytes))
        .bench(|| encoder.embed(Role::Passage, &texts));
}

#[divan::bench(sample_count = 10)]
fn tokenize(bencher: Bencher<'_, '_>) {
    let (encoder, texts) = (bundled().expect("the bundled encoder opens"), texts());
    let words: &WordPiece = encoder.words();
    let bytes: usize = texts.iter().map(String::len).sum();
    let mut ids = Vec::new();
    bencher.counter(BytesCount::new(bytes)).bench_local(|| {
        for text in &texts {
            ids.clear();
            words.tokenize(text, &mut ids);
        }
        ids.len()
    });
}

#[divan::bench(sample_count = 20)]
fn open() {
    divan::black_box(bundled().expect("the bundled encoder opens"));
}
