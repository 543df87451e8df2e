//! The ONNX Runtime against our own BERT on the same weights, and what is said when it is missing.
//!
//! `ORT_DYLIB_PATH=libonnxruntime.so ANAMNESIS_MINILM=DIR ANAMNESIS_MINILM_ONNX=DIR
//! cargo test -p retriever --features onnx --test embed_onnx`
#![cfg(feature = "onnx")]

use std::path::Path;

use retriever::embed::{self, Bert};
use retriever::{Embed, Role};

const TEXTS: [&str; 5] = [
    "Metformin is first-line for type 2 diabetes.",
    "",
    "β-blockers after myocardial infarction: 1.73 m², naïve, 心筋梗塞.",
    "What is the dose of vancomycin in renal failure?",
    "A randomised trial of warfarin against aspirin in 2,000 adults with atrial fibrillation found fewer strokes.",
];

#[test]
fn gives_the_vectors_of_our_own_encoder() {
    let (Some(ours), Some(onnx)) = (std::env::var_os("ANAMNESIS_MINILM"), std::env::var("ANAMNESIS_MINILM_ONNX").ok())
    else {
        eprintln!("skipped: ANAMNESIS_MINILM and ANAMNESIS_MINILM_ONNX do not name the two folders");
        return;
    };
    let (ours, theirs) = (Bert::open(Path::new(&ours)).unwrap(), embed::open(&onnx).unwrap());
    assert_eq!((theirs.card().dimension, theirs.card().pooling.as_str()), (ours.card().dimension, "mean"));
    let long = TEXTS[4].repeat(40);
    let texts: Vec<&str> = TEXTS.into_iter().chain([long.as_str()]).collect();
    let expect = ours.embed(Role::Passage, &texts).unwrap();
    for ((text, a), b) in texts.iter().zip(&expect).zip(theirs.embed(Role::Passage, &texts).unwrap()) {
        let cosine: f32 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
        assert!(cosine > 0.999, "{text:.40}: {cosine}");
    }
}

#[test]
fn without_the_runtime_says_what_to_install() {
    if std::env::var("ORT_DYLIB_PATH").is_ok_and(|file| file.contains("onnxruntime") && Path::new(&file).is_file()) {
        eprintln!("skipped: the ONNX Runtime is here");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("model.onnx"), "no model").unwrap();
    let error = embed::open(folder.path().to_str().unwrap()).err().unwrap().to_string();
    assert!(error.contains("ORT_DYLIB_PATH") || error.contains("tokenizer.json"), "{error}");
}
