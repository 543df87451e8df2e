//! The encoder beside transformers, sentence-transformers and candle-transformers.
//!
//! The tiny models and all expectations are made by `fixtures/make_fixtures.py`. The parity with
//! all-MiniLM-L6-v2 needs its weights: set `ANAMNESIS_MINILM` to the model folder.

use std::num::NonZero;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device as CandleDevice, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};
use nn::{Bert, Device, Packed, SentenceEncoder, Tokenizer};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    text: String,
    vector: Vec<f32>,
    #[serde(default)]
    ids: Vec<u32>,
    #[serde(default)]
    hidden: Vec<Vec<f32>>,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn cases(name: &str) -> Vec<Case> {
    let bytes = std::fs::read(fixture(name)).expect("a committed fixture");
    serde_json::from_slice(&bytes).expect("cases as the script wrote them")
}

fn tiny() -> SentenceEncoder {
    SentenceEncoder::open(&fixture("tiny"), Device::cpu()).expect("the committed model")
}

#[track_caller]
fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-5, "{what}: off by {worst}");
}

#[test]
fn ids_and_hidden_states_are_those_of_transformers() {
    let tokenizer = Tokenizer::open(&fixture("tiny")).unwrap();
    let bert = Bert::load(&fixture("tiny")).unwrap();
    let mut batch = Packed::default();
    let cases = cases("tiny/expected.json");
    for case in &cases {
        let ids = tokenizer.encode(&case.text, 48).unwrap();
        assert_eq!(ids, case.ids, "{:?}", case.text);
        batch.push(&ids);
    }
    let hidden = bert.forward(&batch).unwrap().to_vec2::<f32>().unwrap();
    for (rows, case) in batch.sequences().zip(&cases) {
        assert_close(&hidden[rows].concat(), &case.hidden.concat(), &case.text);
    }
}

#[test]
fn hidden_states_are_those_of_candle_transformers() {
    let folder = fixture("tiny");
    let config: Config = serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap();
    let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
    let weights = VarBuilder::from_buffered_safetensors(bytes, DType::F32, &CandleDevice::Cpu).unwrap();
    let oracle = BertModel::load(weights, &config).unwrap();
    let bert = Bert::load(&folder).unwrap();
    for length in [1, 2, 13, 64] {
        let ids: Vec<u32> = (0..length).map(|token| token * 37 % 128).collect();
        let types: Vec<u32> = (0..length).map(|token| u32::from(token > length / 2)).collect();
        let mut batch = Packed::default();
        batch.push_typed(&ids, &types);
        let found = bert.forward(&batch).unwrap().flatten_all().unwrap();
        let row = |values| Tensor::new(values, &CandleDevice::Cpu).unwrap().unsqueeze(0).unwrap();
        let expected = oracle.forward(&row(&*ids), &row(&*types), None).unwrap().flatten_all().unwrap();
        assert_close(&found.to_vec1().unwrap(), &expected.to_vec1().unwrap(), &format!("{length} tokens"));
    }
}

#[test]
fn sentence_vectors_are_those_of_transformers() {
    let cases = cases("tiny/expected.json");
    let texts: Vec<&str> = cases.iter().map(|case| case.text.as_str()).collect();
    for (vector, case) in tiny().encode(&texts).unwrap().iter().zip(&cases) {
        assert_close(vector, &case.vector, &case.text);
    }
}

#[test]
fn minilm_vectors_are_those_of_sentence_transformers() {
    let Some(folder) = std::env::var_os("ANAMNESIS_MINILM") else {
        eprintln!("skipped: set ANAMNESIS_MINILM to the folder of all-MiniLM-L6-v2");
        return;
    };
    let encoder = SentenceEncoder::open(Path::new(&folder), Device::cpu()).unwrap();
    let cases = cases("minilm_20.json");
    assert_eq!(cases.len(), 20);
    let texts: Vec<&str> = cases.iter().map(|case| case.text.as_str()).collect();
    for (vector, case) in encoder.encode(&texts).unwrap().iter().zip(&cases) {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        let cosine = dot(vector, &case.vector) / (dot(vector, vector) * dot(&case.vector, &case.vector)).sqrt();
        assert!(cosine > 0.9999, "cosine {cosine} for {:?}", case.text);
    }
}

#[test]
fn a_vector_does_not_depend_on_neighbours_order_or_threads() {
    let lengths = [0, 3, 90, 1, 17, 40, 2, 90, 5, 33, 8];
    let texts: Vec<String> =
        (0..60).map(|i| "dose of insulin ".repeat(lengths[i % lengths.len()]) + &i.to_string()).collect();
    let single = Device::Cpu { threads: NonZero::<usize>::MIN };
    let alone = SentenceEncoder::open(&fixture("tiny"), single).unwrap();
    let together = tiny().encode(&texts).unwrap();
    let unit = |vector: &[f32]| (vector.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-5;
    for (text, vector) in texts.iter().zip(&together) {
        assert_eq!(&alone.encode(&[text]).unwrap()[0], vector, "{text}");
        assert!(unit(vector));
    }
    assert_eq!(alone.encode(&texts).unwrap(), together);
}

#[test]
fn hard_texts_have_vectors() {
    let encoder = tiny();
    assert!(encoder.encode(&[""; 0]).unwrap().is_empty());
    let long = "aspirin glucose ".repeat(6_400);
    let texts = ["", " \u{200b}\u{0}\n", "漢字仮名", &long];
    let vectors = encoder.encode(&texts).unwrap();
    assert!(vectors.iter().flatten().all(|value| value.is_finite()));
    assert_eq!(vectors[3], encoder.encode(&[&long[..2000]]).unwrap()[0], "cut where the window ends");
    assert_ne!(vectors[3], encoder.encode_windowed(&[&long], 16).unwrap()[0]);
    let error = encoder.encode_windowed(&["x"], 2).unwrap_err();
    assert!(error.to_string().contains("leave no room"), "{error}");
    let beyond = encoder.encode_windowed(&[&long], usize::MAX).unwrap();
    assert_eq!(beyond, encoder.encode_windowed(&[&long], 64).unwrap(), "never beyond the positions");
}

#[test]
fn a_folder_tells_what_it_is() {
    let encoder = tiny();
    assert_eq!((encoder.name(), encoder.dimension(), encoder.max_tokens()), ("tiny", 32, 48));
    assert_eq!((&*encoder.prompts().query, &*encoder.prompts().passage), ("query: ", "passage: "));
    assert_eq!(encoder.fingerprint().len(), 64);
    assert_eq!(encoder.fingerprint(), tiny().fingerprint());
}
