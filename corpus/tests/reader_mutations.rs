//! Mutated files never panic a reader, and never make it go on for ever.

#![expect(clippy::unwrap_used, reason = "a helper that cannot set up its input has failed its test")]

use std::fs;

use corpus::chunk::chunk;
use corpus::reader::{Format, Options, Record, open};
use proptest::prelude::*;

const PUBMED: &str = include_str!("fixtures/sample_pubmed.xml");
const JATS: &str = include_str!("fixtures/sample_jats.nxml");
const LINES: &str = include_str!("fixtures/sample_rows.jsonl");
const QUESTIONS: &str = include_str!("fixtures/sample_pubmedqa.json");
const NOTE: &str = include_str!("fixtures/sample_note.md");

/// One change to a file: a byte flipped, a span taken out, a span doubled, the rest cut off.
#[derive(Clone, Debug)]
enum Change {
    Flip(usize, u8),
    Delete(usize, usize),
    Double(usize, usize),
    Truncate(usize),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let at = any::<usize>;
    let change = prop_oneof![
        4 => (at(), any::<u8>()).prop_map(|(at, byte)| Change::Flip(at, byte)),
        2 => (at(), 1..200_usize).prop_map(|(at, len)| Change::Delete(at, len)),
        2 => (at(), 1..200_usize).prop_map(|(at, len)| Change::Double(at, len)),
        1 => at().prop_map(Change::Truncate),
    ];
    prop::collection::vec(change, 1..8)
}

fn apply(sample: &str, changes: &[Change]) -> Vec<u8> {
    let mut bytes = sample.as_bytes().to_vec();
    for change in changes {
        let len = bytes.len().max(1);
        match *change {
            _ if bytes.is_empty() => {}
            Change::Flip(at, byte) => bytes[at % len] = byte,
            Change::Delete(at, span) => drop(bytes.drain(at % len..(at % len + span).min(len))),
            Change::Double(at, span) => {
                let copy = bytes[at % len..(at % len + span).min(len)].to_vec();
                bytes.splice(at % len..at % len, copy);
            }
            Change::Truncate(at) => bytes.truncate(at % len),
        }
    }
    bytes
}

fn survives(bytes: &[u8], format: Format, name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    let told = open(&path, &Options::default()).map(Iterator::count);
    let options = Options { format: Some(format), ..Options::default() };
    let mut count = 0;
    for item in open(&path, &options).unwrap() {
        count += 1;
        match item {
            Ok(Record::Document(document)) => {
                for chunk in chunk(&document) {
                    assert_eq!(document.text[chunk.span.clone()], chunk.text);
                }
            }
            Ok(Record::Delete(_)) => {}
            Err(rejected) => {
                assert!(rejected.excerpt.chars().count() <= 200 && !rejected.reason.is_empty());
            }
        }
    }
    assert!(count <= bytes.len() + 1);
    assert!(told.is_err() || told.is_ok_and(|count| count <= bytes.len() + 1));
}

#[test]
fn the_samples_themselves_are_read() {
    for (sample, format, name, documents) in [
        (PUBMED, Format::PubMed, "a.xml", 3),
        (JATS, Format::Jats, "a.nxml", 1),
        (LINES, Format::Jsonl, "a.jsonl", 3),
        (QUESTIONS, Format::PubMedQa, "a.json", 2),
        (NOTE, Format::Text, "a.md", 1),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, sample).unwrap();
        let items: Vec<_> = open(&path, &Options::default()).unwrap().collect::<Result<_, _>>().unwrap();
        let kept = items.iter().filter(|item| matches!(item, Record::Document(_))).count();
        assert_eq!(kept, documents, "{format}");
        survives(sample.as_bytes(), format, name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_pubmed_never_panics(changes in changes()) {
        survives(&apply(PUBMED, &changes), Format::PubMed, "a.xml");
    }

    #[test]
    fn mutated_jats_never_panics(changes in changes()) {
        survives(&apply(JATS, &changes), Format::Jats, "a.nxml");
    }

    #[test]
    fn mutated_json_never_panics(changes in changes()) {
        survives(&apply(LINES, &changes), Format::Jsonl, "a.jsonl");
        survives(&apply(QUESTIONS, &changes), Format::PubMedQa, "a.json");
        survives(&apply(NOTE, &changes), Format::Text, "a.md");
    }

    #[test]
    fn mutated_compression_never_panics(changes in changes(), kind in 0..3_usize) {
        let mut packed = Vec::new();
        match kind {
            0 => drop(std::io::copy(&mut flate2::read::GzEncoder::new(PUBMED.as_bytes(), flate2::Compression::fast()), &mut packed).unwrap()),
            1 => packed = zstd::encode_all(PUBMED.as_bytes(), 1).unwrap(),
            _ => drop(std::io::copy(&mut liblzma::read::XzEncoder::new(PUBMED.as_bytes(), 1), &mut packed).unwrap()),
        }
        let mut bytes = packed.clone();
        for change in &changes {
            if let Change::Flip(at, byte) = *change {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.xml");
        fs::write(&path, &bytes).unwrap();
        let options = Options { format: Some(Format::PubMed), ..Options::default() };
        prop_assert!(open(&path, &options).map_or(0, Iterator::count) <= PUBMED.len());
    }
}
