//! The decoder on tensors as accelerators run it, beside the kernels of the processor.

use std::path::PathBuf;

use super::*;
use crate::{BLOCK, Target, Wanted};

const FAMILIES: [&str; 7] = ["llama", "llama_tied", "qwen2", "qwen2_window", "qwen3", "mistral", "yarn"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/decoders").join(name)
}

fn both(family: &str) -> [Decoder; 2] {
    let dense = Decoder::load_as(&fixture(family), Device::cpu(), Layout::Dense).unwrap();
    [Decoder::load(&fixture(family), Device::cpu()).unwrap(), dense]
}

fn ids(count: usize) -> Vec<u32> {
    (0..count).map(|place| (place * 37 % 113 + 7) as u32).collect()
}

#[track_caller]
fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 2e-5, "{what}: off by {worst}");
}

/// Logits of a few steps with prefills, decoding and shared blocks, all in one batch.
fn play(decoder: &Decoder) -> Vec<f32> {
    let mut cache = KvCache::new(decoder, 9).unwrap();
    let mut batch = Batch::default();
    let ids = ids(80);
    let mut out = Vec::new();
    let mut step = |batch: &Batch, cache: &mut KvCache| {
        out.extend_from_slice(&decoder.forward(batch, Pass::Infer(cache)).unwrap().host().unwrap());
    };
    batch.push(&ids[..40], 0, &[8, 0, 3], Wanted::All);
    batch.push(&[], 0, &[], Wanted::Last);
    batch.push(&ids[..3], 0, &[1], Wanted::Last);
    batch.push(&ids[5..6], 0, &[2, 4], Wanted::Last);
    step(&batch, &mut cache);
    cache.copy(0, 5).unwrap();
    batch.clear();
    batch.push(&ids[40..41], 40, &[8, 0, 3], Wanted::Last);
    batch.push(&ids[50..51], 40, &[8, 5], Wanted::Last);
    batch.push(&ids[3..4], 3, &[1], Wanted::Nothing);
    batch.push(&ids[6..56], 1, &[2, 4], Wanted::Last);
    batch.push(&ids[70..71], 0, &[6], Wanted::Last);
    step(&batch, &mut cache);
    batch.clear();
    batch.push(&ids[41..75], 41, &[8, 0, 3], Wanted::All);
    batch.push(&ids[4..5], 4, &[1], Wanted::Last);
    step(&batch, &mut cache);
    out
}

#[test]
fn an_accelerators_path_computes_what_the_processors_does() {
    for family in FAMILIES {
        let [host, dense] = both(family);
        assert_close(&play(&dense), &play(&host), family);
        let mut batch = Batch::default();
        batch.push(&ids(50), 0, &[], Wanted::All);
        batch.push(&ids(3), 0, &[], Wanted::Last);
        let [host, dense] = [host, dense].map(|decoder| decoder.forward(&batch, Pass::Grad).unwrap().to_vec().unwrap());
        assert_close(&dense, &host, family);
    }
}

#[test]
fn adapters_work_on_an_accelerators_path() {
    let [mut host, mut dense] = both("qwen3");
    let adapter = Adapter::new(&host.config, 3, 6.0, &[Target::Key, Target::Gate, Target::Down], 4).unwrap();
    for (_, variable) in adapter.variables() {
        variable.set(&(variable.as_tensor() + 0.03).unwrap()).unwrap();
    }
    let plain = play(&dense);
    for decoder in [&mut host, &mut dense] {
        decoder.set_adapter(Some(adapter.clone())).unwrap();
    }
    let beside = play(&dense);
    assert_close(&beside, &play(&host), "beside");
    assert_ne!(beside, plain);
    dense.merge().unwrap();
    let merged = play(&dense);
    assert_ne!(merged, beside, "another order of additions");
    assert_close(&merged, &beside, "merged");
    dense.set_adapter(None).unwrap();
    assert_eq!(play(&dense), plain);
}

#[test]
fn adapters_learn_the_same_on_an_accelerators_path() {
    for family in ["qwen3", "llama_tied", "mistral"] {
        let ids = ids(50);
        let mut batch = Batch::default();
        batch.push_wanting(&ids, |token| token % 2 == 0);
        batch.push_wanting(&ids[..5], |token| token > 1);
        let targets: Vec<u32> = (0..batch.rows()).map(|row| (row * 31 % 128) as u32).collect();
        let learned = both(family).map(|mut decoder| {
            let adapter = Adapter::new(&decoder.config, 3, 6.0, &[Target::Key, Target::Gate, Target::Down], 4).unwrap();
            for (_, variable) in adapter.variables() {
                variable.set(&(variable.as_tensor() + 0.03).unwrap()).unwrap();
            }
            decoder.set_adapter(Some(adapter)).unwrap();
            let parameters = decoder.train(Trainable::Adapter, Recompute::Auto).unwrap();
            let mut pass = decoder.logprobs(&batch, &targets, 0.7).unwrap();
            let states = decoder.states(&mut pass).unwrap();
            let value = states.sqr().unwrap().mean_all().unwrap();
            let loss = (pass.logprobs.mean_all().unwrap() + value).unwrap();
            let scores = [false, true].map(|adapted| decoder.score(&batch, &targets, 0.7, adapted).unwrap());
            assert_eq!(scores[1].logprobs, pass.logprobs.to_vec1::<f32>().unwrap());
            let mut gradients = crate::Gradients::new(&parameters);
            decoder.backward(pass, &loss, &mut gradients).unwrap();
            assert!(gradients.iter().all(|gradient| gradient.iter().any(|value| *value != 0.0)));
            (scores.map(|scores| [scores.logprobs, scores.entropies].concat()).concat(), gradients)
        });
        assert_close(&learned[1].0, &learned[0].0, family);
        for (dense, host) in learned[1].1.iter().zip(learned[0].1.iter()) {
            assert_close(dense, host, family);
        }
    }
    let [_, mut dense] = both("llama");
    let message = dense.train(Trainable::All, Recompute::Auto).unwrap_err().to_string();
    assert!(message.contains("on the processor alone"), "{message}");
}

#[test]
fn a_cache_of_another_decoder_is_refused() {
    let [host, dense] = both("llama");
    let [other, _] = both("qwen3");
    let mut batch = Batch::default();
    batch.push(&[1], 0, &[0], Wanted::Last);
    for (decoder, of) in [(&host, &dense), (&dense, &host), (&host, &other), (&other, &host)] {
        let mut cache = KvCache::new(of, 1).unwrap();
        let message = decoder.forward(&batch, Pass::Infer(&mut cache)).unwrap_err().to_string();
        assert!(message.contains("another shape or device"), "{message}");
    }
}

#[test]
fn what_is_said_of_memory_is_so() {
    let [host, dense] = both("llama");
    let parameters = host.config.parameters();
    // 2 * 128 * 32 of tables; a layer has 32 * (32 + 16 + 16 + 32) and 3 * 32 * 40, and two norms; one at the end.
    assert_eq!(parameters, 8192 + 2 * (3072 + 3840 + 64) + 32);
    assert_eq!(dense.bytes(), (parameters - 5 * 32) * 4);
    // Panels have whole lines of 32 outputs.
    assert_eq!(host.bytes(), (8192 + 2 * (32 * (32 + 32 + 32 + 32) + 2 * 64 * 32 + 32 * 40)) * 4);
    assert_eq!(dense.bytes_per_block(), 2 * 2 * BLOCK * 16 * 4);
    assert_eq!(host.bytes_per_block(), KvCache::bytes_per_block(&host.config));
    assert!(host.bytes_per_block() >= dense.bytes_per_block());
}

/// Needs an NVIDIA GPU; says so where there is none.
#[cfg(feature = "cuda")]
#[test]
fn a_gpu_computes_what_the_processor_does() {
    let device = Device::Cuda { ordinal: 0 };
    if let Err(error) = device.candle() {
        println!("skipped: {error}");
        return;
    }
    for family in FAMILIES {
        // What is stored in 16 bits is multiplied in 16 bits there.
        let tolerance = match family {
            "qwen3" => 0.2,
            "qwen2_window" => 0.05,
            _ => 1e-3,
        };
        let near = |found: &[f32], expected: &[f32], what: &str| {
            assert_eq!(found.len(), expected.len(), "{family}, {what}");
            let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < tolerance, "{family}, {what}: off by {worst}");
        };
        let mut both = [Device::cpu(), device].map(|device| Decoder::load(&fixture(family), device).unwrap());
        near(&play(&both[1]), &play(&both[0]), "plain");
        let mut gradients = Vec::new();
        for decoder in &mut both {
            let adapter = Adapter::new(&decoder.config, 3, 6.0, &[Target::Key, Target::Gate, Target::Down], 4).unwrap();
            for (_, variable) in adapter.variables() {
                variable.set(&(variable.as_tensor() + 0.03).unwrap()).unwrap();
            }
            decoder.set_adapter(Some(adapter)).unwrap();
            let mut batch = Batch::default();
            batch.push(&ids(40), 0, &[], Wanted::All);
            let Logits::Tensor(logits) = decoder.forward(&batch, Pass::Grad).unwrap() else {
                panic!("logits with a gradient");
            };
            let store = logits.sqr().unwrap().mean_all().unwrap().backward().unwrap();
            let norm = |variable: &candle_core::Var| {
                let gradient = store.get(variable.as_tensor()).expect("every variable has a gradient");
                gradient.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt()
            };
            let adapter = decoder.adapter().unwrap();
            gradients.push(adapter.variables().map(|(_, variable)| norm(variable)).collect::<Vec<_>>());
        }
        near(&play(&both[1]), &play(&both[0]), "with an adapter");
        near(&gradients[1], &gradients[0], "gradients");
    }
}
