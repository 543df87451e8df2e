//! The cross-encoder beside transformers, on the tiny model of `fixtures/make_fixtures.py`.

use std::path::{Path, PathBuf};

use nn::{CrossEncoder, Device, Tokenizer};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    query: String,
    text: String,
    ids: Vec<u32>,
    types: Vec<u32>,
    logit: f32,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn cases() -> Vec<Case> {
    let bytes = std::fs::read(fixture("tiny_cross/expected.json")).expect("a committed fixture");
    serde_json::from_slice(&bytes).expect("cases as the script wrote them")
}

#[test]
fn pairs_are_cut_as_transformers_cuts_them() {
    let tokenizer = Tokenizer::open(&fixture("tiny_cross")).unwrap();
    for case in cases() {
        let tokens = tokenizer.encode_pair(&case.query, &case.text, 64).unwrap();
        assert_eq!((tokens.ids, tokens.types), (case.ids, case.types), "{:?} {:?}", case.query, case.text);
    }
}

#[test]
fn logits_are_those_of_transformers() {
    let encoder = CrossEncoder::open(&fixture("tiny_cross"), Device::cpu()).unwrap();
    let cases = cases();
    for cases in cases.chunk_by(|left, right| left.query == right.query) {
        let texts: Vec<&str> = cases.iter().map(|case| case.text.as_str()).collect();
        let logits = encoder.score(&cases[0].query, &texts).unwrap();
        for (logit, case) in logits.iter().zip(cases) {
            assert!((logit - case.logit).abs() < 1e-5, "{logit}, expected {} for {:?}", case.logit, case.text);
        }
    }
}

#[test]
fn many_texts_keep_their_order() {
    let encoder = CrossEncoder::open(&fixture("tiny_cross"), Device::cpu()).unwrap();
    let texts: Vec<String> = (0..90).map(|text| "insulin dose ".repeat(text * 7 % 31)).collect();
    let logits = encoder.score("dose", &texts).unwrap();
    for (text, logit) in texts.iter().zip(logits) {
        assert_eq!(encoder.score("dose", &[text]).unwrap(), [logit]);
    }
    assert!(encoder.score("dose", &[""; 0]).unwrap().is_empty());
}

#[test]
fn a_model_without_classifier_is_refused() {
    let message = CrossEncoder::open(&fixture("tiny"), Device::cpu()).unwrap_err().to_string();
    assert!(message.contains("`bert.pooler.dense.weight`") && message.contains("is missing"), "{message}");
}

#[test]
fn pairs_fit_the_smallest_windows() {
    let tokenizer = Tokenizer::open(&fixture("tiny_cross")).unwrap();
    for (first, second) in [("aspirin dose", "heart failure in renal"), ("", "heart failure"), ("heart failure", "")] {
        for window in 4..12 {
            let tokens = tokenizer.encode_pair(first, second, window).unwrap();
            assert!(tokens.ids.len() <= window && tokens.ids.len() == tokens.types.len());
            assert_eq!(tokens.types.iter().filter(|segment| **segment > 1).count(), 0);
        }
        assert!(tokenizer.encode_pair(first, second, 3).is_err());
    }
}
