//! What learns: gradients beside transformers and beside slopes, and the same bits however it is computed.

mod decoders;

use std::collections::BTreeMap;
use std::fs;

use decoders::{FAMILIES, Run, assert_close, assert_same, expected, fixture, load};
use nn::{Adapter, Batch, Decoder, Gradients, LogProbs, Parameter, Recompute, Target, Trainable, Wanted};

/// Every token of each sequence but the first is a target.
fn batch(sequences: &[&[u32]]) -> (Batch, Vec<u32>) {
    let mut batch = Batch::default();
    let mut targets = Vec::new();
    for ids in sequences {
        batch.push_wanting(ids, |token| token + 1 < ids.len());
        targets.extend_from_slice(&ids[1..]);
    }
    (batch, targets)
}

/// The mean loss, and its gradients.
fn learn(decoder: &Decoder, parameters: &[Parameter], sequences: &[&[u32]], temperature: f32) -> (f32, Gradients) {
    let (batch, targets) = batch(sequences);
    let pass = decoder.logprobs(&batch, &targets, temperature).expect("a fitting batch");
    let loss = pass.logprobs.mean_all().expect("a mean").neg().expect("its negative");
    let value = loss.to_scalar().expect("a scalar");
    let mut gradients = Gradients::new(parameters);
    decoder.backward(pass, &loss, &mut gradients).expect("gradients of these parameters");
    (value, gradients)
}

fn loss(decoder: &Decoder, sequences: &[&[u32]], temperature: f32) -> f64 {
    let (batch, targets) = batch(sequences);
    let scores = decoder.score(&batch, &targets, temperature, true).expect("a fitting batch");
    -scores.logprobs.iter().map(|logprob| f64::from(*logprob)).sum::<f64>() / targets.len() as f64
}

/// A new adapter whose B is not zero.
fn adapter(decoder: &Decoder, targets: &[Target]) -> Adapter {
    let adapter = Adapter::new(decoder.config(), 3, 6.0, targets, 9).expect("a fitting adapter");
    for (name, variable) in adapter.variables().filter(|(name, _)| name.contains("lora_B")) {
        let count = variable.elem_count();
        let values: Vec<f32> = (0..count).map(|place| ((place * 7 + name.len()) % 11) as f32 / 60.0 - 0.08).collect();
        let values = candle_core::Tensor::from_vec(values, variable.shape(), variable.device()).expect("values");
        variable.set(&values).expect("of the same shape");
    }
    adapter
}

fn both(family: &str) -> [(Decoder, Vec<Parameter>); 2] {
    [None, Some(&Target::ALL)].map(|targets| {
        let mut decoder = load(family);
        let what = if let Some(targets) = targets {
            let adapter = adapter(&decoder, targets);
            decoder.set_adapter(Some(adapter)).expect("a fitting adapter");
            Trainable::Adapter
        } else {
            Trainable::All
        };
        let parameters = decoder.train(what, Recompute::Off).expect("a trainable decoder");
        (decoder, parameters)
    })
}

#[test]
fn gradients_agree_with_slopes() {
    for family in FAMILIES {
        for (mut decoder, parameters) in both(family) {
            let ids = expected(family).ids;
            let sequences: [&[u32]; 2] = [&ids[..50], &ids[50..57]];
            let (_, gradients) = learn(&decoder, &parameters, &sequences, 0.8);
            assert!(gradients.norm().is_finite());
            for (number, parameter) in parameters.iter().enumerate() {
                // Along the gradient itself the loss rises by its norm.
                let gradient = gradients.get(number);
                let norm = gradient.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
                assert!(norm > 0.0, "{family}, {}: nothing", parameter.name);
                let start = parameter.var.as_tensor().copy().unwrap();
                let gradient = candle_core::Tensor::from_slice(gradient, start.shape(), start.device()).unwrap();
                let step = 2e-2;
                let mut at = |side: f64| {
                    let moved = (&start + (&gradient * (side * step / norm)).unwrap()).unwrap();
                    parameter.var.set(&moved).unwrap();
                    decoder.refresh().unwrap();
                    loss(&decoder, &sequences, 0.8)
                };
                let slope = (at(1.0) - at(-1.0)) / (2.0 * step);
                at(0.0);
                let name = &parameter.name;
                assert!((slope - norm).abs() < 0.02 * norm + 5e-5, "{family}, {name}: {slope}, expected {norm}");
            }
        }
    }
}
