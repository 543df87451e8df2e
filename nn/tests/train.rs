//! What learns: gradients beside transformers and beside slopes, and the same bits however they are computed.

mod decoders;

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZero;

use candle_core::Tensor;
use decoders::{FAMILIES, Run, assert_close, assert_same, expected, fixture, load};
use nn::{
    Adapter, Batch, Decoder, Device, Gradients, Parameter, Pass, Recompute, Sampler, Sampling, Target, Trainable,
    Wanted,
};
use serde::Deserialize;

/// What transformers makes of the gradients of a model.
#[derive(Deserialize)]
struct Case {
    loss: f32,
    /// For each weight, the norm of its gradient, and its product with [`pattern`].
    weights: BTreeMap<String, [f64; 2]>,
}

fn pattern(place: usize) -> f64 {
    (place * 7919 % 1009) as f64 / 1009.0 - 0.5
}

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
    let loss = pass.logprobs.mean_all().and_then(|mean| mean.neg()).expect("a mean");
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
        variable.set(&Tensor::from_vec(values, variable.shape(), variable.device()).expect("values")).expect("alike");
    }
    adapter
}

/// The decoder with all of its weights learning, or with an adapter.
fn learner(mut decoder: Decoder, what: Trainable, recompute: Recompute) -> (Decoder, Vec<Parameter>) {
    if what == Trainable::Adapter {
        let adapter = adapter(&decoder, &Target::ALL);
        decoder.set_adapter(Some(adapter)).expect("a fitting adapter");
    }
    let parameters = decoder.train(what, recompute).expect("a trainable decoder");
    (decoder, parameters)
}

const BOTH: [Trainable; 2] = [Trainable::All, Trainable::Adapter];

/// One step down the gradients.
fn step(decoder: &mut Decoder, parameters: &[Parameter], gradients: &Gradients, rate: f64) {
    for (parameter, gradient) in parameters.iter().zip(gradients.iter()) {
        let gradient = Tensor::from_slice(gradient, parameter.var.shape(), parameter.var.device()).expect("values");
        let next = (parameter.var.as_tensor() - (gradient * rate).expect("a product")).expect("a difference");
        parameter.var.set(&next).expect("alike");
    }
    decoder.refresh().expect("the same variables");
}

#[track_caller]
fn assert_near(found: &Gradients, expected: &Gradients, tolerance: f64, what: &str) {
    let mut apart = found.clone();
    for number in 0..apart.len() {
        for (value, other) in apart.get_mut(number).iter_mut().zip(expected.get(number)) {
            *value -= other;
        }
    }
    let (off, norm) = (apart.norm(), expected.norm());
    assert!(norm > 0.0 && off <= tolerance * norm, "{what}: off by {off} of {norm}");
}

#[test]
fn gradients_are_those_of_transformers() {
    for family in FAMILIES {
        let bytes = fs::read(fixture(family).join("gradients.json")).unwrap();
        let case: Case = serde_json::from_slice(&bytes).unwrap();
        let (decoder, parameters) = learner(load(family), Trainable::All, Recompute::Auto);
        let (loss, gradients) = learn(&decoder, &parameters, &[&expected(family).ids[..60]], 1.0);
        assert!((loss - case.loss).abs() < 1e-5, "{family}: {loss}, expected {}", case.loss);
        assert_eq!(parameters.len(), case.weights.len(), "{family}");
        for (parameter, gradient) in parameters.iter().zip(gradients.iter()) {
            let [norm, product] = case.weights[&parameter.name];
            let found = gradient.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
            // The gradient of a bias of keys is zero but for rounding.
            let name = &parameter.name;
            assert!((found - norm).abs() < 1e-4 * norm + 1e-6, "{family}, {name}: {found}, expected {norm}");
            let found: f64 = gradient.iter().enumerate().map(|(place, value)| pattern(place) * f64::from(*value)).sum();
            assert!((found - product).abs() < 1e-4 * norm + 1e-6, "{family}, {name}: {found}, expected {product}");
        }
    }
}

#[test]
fn gradients_agree_with_slopes() {
    for (family, what) in FAMILIES.into_iter().flat_map(|family| BOTH.map(|what| (family, what))) {
        let (mut decoder, parameters) = learner(load(family), what, Recompute::Off);
        let ids = expected(family).ids;
        let sequences: [&[u32]; 2] = [&ids[..50], &ids[50..57]];
        let (_, gradients) = learn(&decoder, &parameters, &sequences, 0.8);
        for (parameter, gradient) in parameters.iter().zip(gradients.iter()) {
            // Along the gradient itself the loss rises by its norm.
            let norm = gradient.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
            let name = &parameter.name;
            assert!(norm.is_finite() && norm > 0.0, "{family}, {name}: {norm}");
            let start = parameter.var.as_tensor().copy().unwrap();
            let gradient = Tensor::from_slice(gradient, start.shape(), start.device()).unwrap();
            let stride = 2e-2;
            let mut at = |side: f64| {
                let moved = (&start + (&gradient * (side * stride / norm)).unwrap()).unwrap();
                parameter.var.set(&moved).unwrap();
                decoder.refresh().unwrap();
                loss(&decoder, &sequences, 0.8)
            };
            let slope = (at(1.0) - at(-1.0)) / (2.0 * stride);
            at(0.0);
            assert!((slope - norm).abs() < 0.02 * norm + 5e-5, "{family}, {name}: {slope}, expected {norm}");
        }
    }
}

#[test]
fn computing_layers_again_and_other_threads_change_no_bit() {
    for (family, what) in
        ["qwen3", "mistral", "llama_tied"].into_iter().flat_map(|family| BOTH.map(|what| (family, what)))
    {
        let ids = expected(family).ids;
        let run = |threads: usize, recompute: Recompute| {
            let device = Device::Cpu { threads: NonZero::new(threads).unwrap() };
            let (decoder, parameters) = learner(Decoder::load(&fixture(family), device).unwrap(), what, recompute);
            learn(&decoder, &parameters, &[&ids[..45], &ids[3..70], &ids[..2]], 1.3)
        };
        let first = run(1, Recompute::Off);
        assert_eq!(run(3, Recompute::On), first, "{family}, {what:?}");
        assert_eq!(run(2, Recompute::Auto), first, "{family}, {what:?}");
    }
}

#[test]
fn neighbours_change_nothing_and_micro_batches_add_up() {
    for (family, what) in ["qwen2_window", "llama"].into_iter().flat_map(|family| BOTH.map(|what| (family, what))) {
        let (decoder, parameters) = learner(load(family), what, Recompute::Auto);
        let ids = expected(family).ids;
        let sequences: [&[u32]; 3] = [&ids[..33], &ids[20..70], &ids[5..10]];
        let (packed, targets) = batch(&sequences);
        let pass = decoder.logprobs(&packed, &targets, 0.7).unwrap();
        let together: Vec<f32> = pass.logprobs.to_vec1().unwrap();
        let (mut whole, mut parts) = (Gradients::new(&parameters), Gradients::new(&parameters));
        decoder.backward_from(pass, &vec![-0.5; targets.len()], &mut whole).unwrap();
        let mut alone = Vec::new();
        let mut passes = Vec::new();
        for sequence in sequences {
            let (batch, targets) = batch(&[sequence]);
            let pass = decoder.logprobs(&batch, &targets, 0.7).unwrap();
            alone.extend(pass.logprobs.to_vec1::<f32>().unwrap());
            passes.push((pass, targets.len()));
        }
        assert_same(&together, &alone, family);
        // Several passes may be open at once, and close in any order.
        for (pass, count) in passes.into_iter().rev() {
            decoder.backward_from(pass, &vec![-0.5; count], &mut parts).unwrap();
        }
        assert_near(&parts, &whole, 1e-5, family);
        parts.clear();
        assert_eq!(parts.norm(), 0.0);
    }
}

#[test]
fn rows_that_are_not_wanted_take_no_part() {
    let (decoder, parameters) = learner(load("qwen3"), Trainable::All, Recompute::Auto);
    let ids = expected("qwen3").ids;
    let (whole, targets) = batch(&[&ids]);
    let mut some = Batch::default();
    some.push_wanting(&ids, |token| token % 3 == 1 && token + 1 < ids.len());
    let kept = |place: &usize| place % 3 == 1;
    let own: Vec<u32> = (0..targets.len()).filter(kept).map(|place| targets[place]).collect();
    let (all, few) = (decoder.logprobs(&whole, &targets, 1.0).unwrap(), decoder.logprobs(&some, &own, 1.0).unwrap());
    let all_logprobs = all.logprobs.to_vec1::<f32>().unwrap();
    let few_logprobs = few.logprobs.to_vec1::<f32>().unwrap();
    assert!((0..targets.len()).filter(kept).map(|place| all_logprobs[place]).eq(few_logprobs));
    let slopes: Vec<f32> =
        (0..targets.len()).map(|place| if kept(&place) { pattern(place) as f32 } else { 0.0 }).collect();
    let (mut left, mut right) = (Gradients::new(&parameters), Gradients::new(&parameters));
    decoder.backward_from(all, &slopes, &mut left).unwrap();
    let slopes: Vec<f32> = (0..targets.len()).filter(kept).map(|place| pattern(place) as f32).collect();
    decoder.backward_from(few, &slopes, &mut right).unwrap();
    assert_near(&right, &left, 1e-5, "gradients");
}

#[test]
fn what_is_sampled_is_what_is_learned_from() {
    let sampling = Sampling { temperature: 0.7, top_p: 0.9, ..Sampling::default() };
    for (family, what) in
        ["qwen3", "qwen2_window", "yarn"].into_iter().flat_map(|family| BOTH.map(|what| (family, what)))
    {
        let (mut decoder, parameters) = learner(load(family), what, Recompute::Auto);
        let ids = expected(family).ids;
        let before = loss(&decoder, &[&ids], 0.7);
        let (_, gradients) = learn(&decoder, &parameters, &[&ids], 0.7);
        step(&mut decoder, &parameters, &gradients, 0.1 / gradients.norm());
        assert!(loss(&decoder, &[&ids], 0.7) < before - 0.01, "{family}, {what:?}: nothing was learned");

        let mut run = Run::new(&decoder, 4);
        let mut written = ids[..40].to_vec();
        let mut sampler = Sampler::default();
        let mut sampled = Vec::new();
        let mut logits = run.step(&written, 0, &[3, 1, 0, 2], Wanted::Last);
        for draw in 0..30 {
            let token = sampler.sample(&logits, &sampling, &[], f64::from(draw) / 31.0, &mut |_| false).unwrap();
            sampled.push(token.logprob);
            written.push(token.id);
            logits = run.step(&[token.id], written.len() - 1, &[3, 1, 0, 2], Wanted::Last);
        }
        let mut batch = Batch::default();
        batch.push_wanting(&written, |token| (39..69).contains(&token));
        let pass = decoder.logprobs(&batch, &written[40..], 0.7).unwrap();
        assert_close(&pass.logprobs.to_vec1::<f32>().unwrap(), &sampled, 1e-5, family);
        let scores = decoder.score(&batch, &written[40..], 0.7, true).unwrap();
        assert_same(&scores.logprobs, &pass.logprobs.to_vec1::<f32>().unwrap(), family);
        assert_same(&scores.entropies, &pass.entropies.to_vec1::<f32>().unwrap(), family);

        // The path of candle's tensors took the new values too.
        let mut batch = Batch::default();
        batch.push(&written, 0, &[], Wanted::Last);
        assert_close(&decoder.forward(&batch, Pass::Grad).unwrap().to_vec().unwrap(), &logits, 2e-5, family);
    }
}

#[test]
fn a_reference_is_the_policy_without_its_adapter() {
    let plain = load("llama");
    let (mut decoder, _) = learner(load("llama"), Trainable::Adapter, Recompute::Auto);
    let (batch, targets) = batch(&[&expected("llama").ids]);
    let bare = plain.score(&batch, &targets, 1.0, true).unwrap();
    assert_eq!(decoder.score(&batch, &targets, 1.0, false).unwrap(), bare);
    assert_ne!(decoder.score(&batch, &targets, 1.0, true).unwrap(), bare);
    decoder.merge().unwrap();
    let message = decoder.score(&batch, &targets, 1.0, false).unwrap_err().to_string();
    assert!(message.contains("unmerge"), "{message}");
    let message = decoder.logprobs(&batch, &targets, 1.0).unwrap_err().to_string();
    assert!(message.contains("unmerge"), "{message}");
}

#[test]
fn a_tiny_model_learns_a_text_by_heart() {
    for what in BOTH {
        let (mut decoder, parameters) = learner(load("llama"), what, Recompute::Auto);
        let ids = &expected("llama").ids[..40];
        let start = loss(&decoder, &[ids], 1.0);
        for _ in 0..60 {
            let (_, gradients) = learn(&decoder, &parameters, &[ids], 1.0);
            step(&mut decoder, &parameters, &gradients, 0.5 / gradients.norm().max(1.0));
        }
        let end = loss(&decoder, &[ids], 1.0);
        assert!(end < 0.5 * start, "{what:?}: from {start} to {end}");
    }
}

#[test]
fn a_head_of_another_kind_reads_the_states() {
    for what in BOTH {
        let (mut decoder, parameters) = learner(load("qwen3"), what, Recompute::Auto);
        let ids = expected("qwen3").ids;
        let (batch, targets) = batch(&[&ids[..30], &ids[30..42]]);
        let width = decoder.config().hidden_size;
        let head: Vec<f32> = (0..width).map(|place| pattern(place) as f32).collect();
        let head = Tensor::from_vec(head, (width, 1), &candle_core::Device::Cpu).unwrap();
        // A value of each state squared, and a little of the log-probabilities, or nothing of them.
        let value = |decoder: &Decoder, share: f64| {
            let mut pass = decoder.logprobs(&batch, &targets, 1.0).unwrap();
            let states = decoder.states(&mut pass).unwrap();
            assert_eq!(states.dims(), [targets.len(), width]);
            let mut loss = states.matmul(&head).unwrap().sqr().unwrap().mean_all().unwrap();
            if share > 0.0 {
                loss = (loss + (pass.logprobs.mean_all().unwrap() * share).unwrap()).unwrap();
            }
            (pass, loss)
        };
        for share in [0.0, 0.3] {
            let (pass, loss) = value(&decoder, share);
            let mut gradients = Gradients::new(&parameters);
            decoder.backward(pass, &loss, &mut gradients).unwrap();
            let norm = gradients.norm();
            let mut at = |rate: f64| {
                step(&mut decoder, &parameters, &gradients, rate / norm);
                let loss = f64::from(value(&decoder, share).1.to_scalar::<f32>().unwrap());
                step(&mut decoder, &parameters, &gradients, -rate / norm);
                loss
            };
            let slope = (at(-1e-2) - at(1e-2)) / 2e-2;
            assert!((slope - norm).abs() < 0.02 * norm, "{what:?}, {share}: {slope}, expected {norm}");
        }
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let message = |result: nn::Result<()>| result.unwrap_err().to_string();
    let mut decoder = load("llama");
    let (whole, targets) = batch(&[&[7, 8, 9, 10]]);
    assert!(message(decoder.logprobs(&whole, &targets, 1.0).map(drop)).contains("call `train` first"));
    assert!(message(decoder.train(Trainable::Adapter, Recompute::Auto).map(drop)).contains("no adapter"));
    let adapter = adapter(&decoder, &[Target::Up]);
    decoder.set_adapter(Some(adapter.clone())).unwrap();
    assert!(message(decoder.train(Trainable::All, Recompute::Auto).map(drop)).contains("an adapter is on"));
    let others = decoder.train(Trainable::Adapter, Recompute::Auto).unwrap();
    decoder.set_adapter(None).unwrap();
    let parameters = decoder.train(Trainable::All, Recompute::Auto).unwrap();
    assert!(message(decoder.set_adapter(Some(adapter))).contains("all weights"));
    assert!(message(decoder.train(Trainable::Adapter, Recompute::Auto).map(drop)).contains("other weights"));
    assert_eq!(decoder.train(Trainable::All, Recompute::On).unwrap().len(), parameters.len());

    for (targets, temperature, expect) in [
        (&targets[..2], 1.0, "2 targets for 3 rows"),
        (&[1, 2, 128], 1.0, "target 128"),
        (&targets, 0.0, "temperature is 0"),
        (&targets, f32::NAN, "temperature is NaN"),
    ] {
        let message = message(decoder.logprobs(&whole, targets, temperature).map(drop));
        assert!(message.contains(expect), "{message}");
    }
    let mut empty = Batch::default();
    empty.push_wanting(&[1, 2], |_| false);
    assert!(message(decoder.logprobs(&empty, &[], 1.0).map(drop)).contains("no row"));
    let pass = || decoder.logprobs(&whole, &targets, 1.0).unwrap();
    let mut gradients = Gradients::new(&parameters);
    assert!(message(decoder.backward_from(pass(), &[1.0], &mut gradients)).contains("1 slopes for 3"));
    let loss = pass().logprobs.mean_all().unwrap();
    assert!(message(decoder.backward(pass(), &loss, &mut gradients)).contains("does not depend"));
    assert_eq!(gradients.norm(), 0.0);
    let mut other = Gradients::new(&others);
    assert!(message(decoder.backward_from(pass(), &[1.0; 3], &mut other)).contains("other parameters"));
}

/// Two prompts with three answers each, one of them cut short and one answer twice; the second prompt begins as the first.
fn family_tree(ids: &[u32]) -> Vec<Vec<u32>> {
    let answer = |prompt: &[u32], answer: &[u32]| [prompt, answer].concat();
    let (one, other) = (&ids[..37], [&ids[..20], &ids[50..60]].concat());
    vec![
        answer(one, &ids[40..60]),
        answer(&other, &ids[1..4]),
        answer(one, &ids[30..33]),
        answer(&other, &ids[5..25]),
        answer(one, &[&ids[40..52], &ids[3..9]].concat()),
        answer(&other, &ids[1..4]),
    ]
}

#[test]
fn a_shared_beginning_gives_what_its_copies_give() {
    for (family, what) in FAMILIES.into_iter().flat_map(|family| BOTH.map(|what| (family, what))) {
        let ids = expected(family).ids;
        let sequences = family_tree(&ids);
        let sequences: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
        // Of what is shared, too, some is learnt.
        let wants =
            |sequence: usize, token: usize| token + 1 < sequences[sequence].len() && (token % 5 == 1 || token > 25);
        let mut targets = Vec::new();
        let (mut repeated, mut shared) = (Batch::default(), Batch::default());
        for (number, ids) in sequences.iter().enumerate() {
            repeated.push_wanting(ids, |token| wants(number, token));
            targets.extend((0..ids.len()).filter(|token| wants(number, *token)).map(|token| ids[token + 1]));
        }
        shared.push_sharing(&sequences, wants);
        assert_eq!(shared.rows(), repeated.rows());
        assert!(shared.tokens() * 2 < repeated.tokens(), "{} of {}", shared.tokens(), repeated.tokens());
        let slopes: Vec<f32> = (0..targets.len()).map(|place| pattern(place) as f32).collect();
        let mut all = Vec::new();
        for (batch, recompute) in [(&repeated, Recompute::Off), (&shared, Recompute::Off), (&shared, Recompute::On)] {
            let (mut decoder, parameters) = learner(load(family), what, recompute);
            let mut pass = decoder.logprobs(batch, &targets, 0.8).unwrap();
            let states = decoder.states(&mut pass).unwrap();
            assert_eq!(
                decoder.score(batch, &targets, 0.8, true).unwrap().logprobs,
                pass.logprobs.to_vec1::<f32>().unwrap()
            );
            let found = (pass.logprobs.to_vec1::<f32>().unwrap(), pass.entropies.to_vec1::<f32>().unwrap());
            let found = (found, states.to_vec2::<f32>().unwrap());
            let mut gradients = Gradients::new(&parameters);
            decoder.backward_from(pass, &slopes, &mut gradients).unwrap();
            all.push((found, gradients));
            decoder.refresh().unwrap();
        }
        let [(numbers, left), (found, right), (again, same)] = all.try_into().expect("three passes");
        assert_eq!(numbers, found, "{family}: another bit");
        assert_near(&right, &left, 1e-5, family);
        assert_eq!((found, right), (again, same), "{family}: recomputing changes a bit");
    }
}

#[test]
fn a_shared_beginning_is_known_to_tensors_too() {
    for family in ["llama", "qwen2_window", "qwen3"] {
        let ids = expected(family).ids;
        let sequences = family_tree(&ids);
        let sequences: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
        let (decoder, _) = learner(load(family), Trainable::Adapter, Recompute::Auto);
        let (mut repeated, mut shared) = (Batch::default(), Batch::default());
        for ids in &sequences {
            repeated.push(ids, 0, &[], Wanted::All);
        }
        shared.push_sharing(&sequences, |_, _| true);
        let logits = |batch: &Batch| decoder.forward(batch, Pass::Grad).unwrap().to_vec().unwrap();
        assert_close(&logits(&shared), &logits(&repeated), 2e-5, family);
        let adapter = decoder.adapter().expect("it is on").clone();
        let slopes = |batch: &Batch| {
            let nn::Logits::Tensor(logits) = decoder.forward(batch, Pass::Grad).unwrap() else { panic!("a tensor") };
            let store = logits.sqr().unwrap().mean_all().unwrap().backward().unwrap();
            let slope =
                |var: &candle_core::Var| store.get(var.as_tensor()).unwrap().flatten_all().unwrap().to_vec1::<f32>();
            adapter.variables().flat_map(|(_, var)| slope(var).unwrap()).collect::<Vec<_>>()
        };
        let (found, wanted) = (slopes(&shared), slopes(&repeated));
        let norm = wanted.iter().map(|value| value * value).sum::<f32>().sqrt();
        assert_close(&found, &wanted, 1e-5 * norm, family);
    }
}
