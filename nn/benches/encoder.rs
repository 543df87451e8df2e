//! Texts a second through the sentence encoder, and the latency of one query.
//!
//! The tiny fixture by default. With `ANAMNESIS_MINILM` set to a model folder, that model; with
//! `ANAMNESIS_TEXTS` set to a file of one text a line, its first 2,000 lines as the texts.

#![expect(clippy::print_stdout, reason = "a bench says what it measures")]

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use divan::Bencher;
use divan::counter::ItemsCount;
use nn::{Device, SentenceEncoder};

fn main() {
    let (encoder, texts) = (encoder(1), texts());
    let length = |text: &String| encoder.tokenizer().encode(text, encoder.max_tokens()).map_or(0, |ids| ids.len());
    let tokens: usize = texts.iter().map(length).sum();
    println!(
        "model {}, dimension {}, texts {}, tokens {tokens}, threads {}",
        encoder.name(),
        encoder.dimension(),
        texts.len(),
        Device::cpu().threads(),
    );
    divan::main();
}

fn encoder(threads: usize) -> SentenceEncoder {
    let tiny = || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny");
    let folder = std::env::var_os("ANAMNESIS_MINILM").map_or_else(tiny, PathBuf::from);
    let threads = NonZero::new(threads).expect("a thread at least");
    SentenceEncoder::open(&folder, Device::Cpu { threads }).expect("a model folder")
}

fn texts() -> Vec<String> {
    match std::env::var_os("ANAMNESIS_TEXTS") {
        Some(file) => fs::read_to_string(file).expect("a text file").lines().take(2000).map(str::to_owned).collect(),
        None => (0..200).map(|text| "metformin lowers glucose in patients ".repeat(1 + text % 20)).collect(),
    }
}

#[divan::bench(args = [1, Device::cpu().threads()], sample_count = 3, sample_size = 1)]
fn passages(bencher: Bencher<'_, '_>, threads: usize) {
    let (encoder, texts) = (encoder(threads), texts());
    bencher.counter(ItemsCount::new(texts.len())).bench(|| encoder.encode(&texts));
}

#[divan::bench(args = [1, Device::cpu().threads()])]
fn one_query(bencher: Bencher<'_, '_>, threads: usize) {
    let encoder = encoder(threads);
    bencher.bench(|| encoder.encode(&["Which drug is first-line for type 2 diabetes, and when must it be avoided?"]));
}
