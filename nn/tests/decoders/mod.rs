//! What the tests of the decoder share: the models, what transformers makes of them, one run over a cache.
#![allow(dead_code, reason = "each test file uses some of it, and some use all")]

use std::path::{Path, PathBuf};

use nn::{Batch, BlockId, Decoder, Device, KvCache, Pass, Wanted};
use serde::Deserialize;

pub(crate) const FAMILIES: [&str; 7] = ["llama", "llama_tied", "qwen2", "qwen2_window", "qwen3", "mistral", "yarn"];

/// What transformers computes of a prompt.
#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) ids: Vec<u32>,
    /// The rows whose logits are kept.
    pub(crate) rows: Vec<usize>,
    pub(crate) logits: Vec<Vec<f32>>,
    pub(crate) greedy: Vec<u32>,
}

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/decoders").join(name)
}

pub(crate) fn expected(family: &str) -> Case {
    let bytes = std::fs::read(fixture(family).join("expected.json")).expect("a committed fixture");
    serde_json::from_slice(&bytes).expect("a case as the script wrote it")
}

pub(crate) fn load(family: &str) -> Decoder {
    Decoder::load(&fixture(family), Device::cpu()).expect("a committed model")
}

#[track_caller]
pub(crate) fn assert_close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= tolerance, "{what}: off by {worst}");
}

/// The same bits, and where not, how far off.
#[track_caller]
pub(crate) fn assert_same(found: &[f32], expected: &[f32], what: &str) {
    assert_close(found, expected, 0.0, what);
}

/// A decoder with a cache.
pub(crate) struct Run<'a> {
    decoder: &'a Decoder,
    pub(crate) cache: KvCache,
}

impl<'a> Run<'a> {
    pub(crate) fn new(decoder: &'a Decoder, blocks: usize) -> Self {
        Self { decoder, cache: KvCache::new(decoder, blocks).expect("a small cache") }
    }

    /// Logits of new tokens of one sequence.
    pub(crate) fn step(&mut self, ids: &[u32], past: usize, blocks: &[BlockId], wanted: Wanted) -> Vec<f32> {
        let mut batch = Batch::default();
        batch.push(ids, past, blocks, wanted);
        self.decoder
            .forward(&batch, Pass::Infer(&mut self.cache))
            .and_then(nn::Logits::to_vec)
            .expect("a fitting batch")
    }
}
