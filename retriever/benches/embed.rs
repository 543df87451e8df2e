//! Texts a second of the bundled static encoder and of its tokenizer, on one core.
//!
//! `cargo bench -p retriever --bench embed`: abstracts of the starter corpus, repeated.

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use retriever::embed::{WordPiece, bundled};
use retriever::{Embed, Role};

fn main() {
    divan::main();
}

/// Starter documents as they would be embedded, a thousand of them.
fn texts() -> Vec<String> {
    let documents = corpus::starter::documents().filter_map(Result::ok);
    let texts: Vec<String> = documents.map(|document| format!("{} {}", document.title, document.text)).collect();
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
