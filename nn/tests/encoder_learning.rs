//! Encoders that learn: gradients beside transformers, the same bits however they are computed, and folders
//! that come back. The fixtures are made by `fixtures/make_fixtures.py`.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use candle_core::{D, Device as CandleDevice, Tensor};
use nn::{
    Bert, Classifier, CrossEncoder, Device, Gradients, Packed, Parameter, Pooling, Recompute, SentenceEncoder, Tokens,
    Weights,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Pair {
    ids: Vec<u32>,
    types: Vec<u32>,
}

/// What transformers makes of a model.
#[derive(Deserialize)]
struct Case {
    loss: f32,
    /// For each weight, the norm of its gradient, and its product with [`pattern`].
    weights: BTreeMap<String, [f64; 2]>,
    #[serde(default)]
    pairs: Vec<Pair>,
    #[serde(default)]
    targets: Vec<u32>,
    #[serde(default)]
    logits: Vec<Vec<f32>>,
    #[serde(default)]
    texts: Vec<String>,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn case(name: &str) -> Case {
    let bytes = fs::read(fixture(name).join("gradients.json")).expect("a committed fixture");
    serde_json::from_slice(&bytes).expect("a case as the script wrote it")
}

fn threads(threads: usize) -> Device {
    Device::Cpu { threads: NonZero::new(threads).expect("one at least") }
}

fn classifier(threads_of: usize) -> Classifier {
    Classifier::open(&fixture("tiny_classifier"), threads(threads_of)).expect("the committed model")
}

fn pack<'a>(pairs: impl IntoIterator<Item = &'a Pair>) -> Packed {
    let mut batch = Packed::default();
    for pair in pairs {
        batch.push_typed(&pair.ids, &pair.types);
    }
    batch
}

/// The sum of the cross-entropies over `count`.
fn cross_entropy(logits: &Tensor, targets: &[u32], count: usize) -> Tensor {
    let loss = || {
        let targets = Tensor::new(targets, &CandleDevice::Cpu)?.unsqueeze(1)?;
        let sums = logits.exp()?.sum_keepdim(D::Minus1)?.log()?;
        (sums - logits.gather(&targets, 1)?)?.sum_all()? / count as f64
    };
    loss().expect("a row of logits for each target")
}

/// Mean cross-entropy over all pairs, taken in batches of these pairs; the loss and its gradients.
fn learn(classifier: &Classifier, parameters: &[Parameter], case: &Case, batches: &[&[usize]]) -> (f32, Gradients) {
    let count = batches.iter().map(|batch| batch.len()).sum();
    let mut gradients = Gradients::new(parameters);
    let mut total = 0.0;
    for batch in batches {
        let pass = classifier.pass(&pack(batch.iter().map(|pair| &case.pairs[*pair]))).expect("a fitting batch");
        let targets: Vec<u32> = batch.iter().map(|pair| case.targets[*pair]).collect();
        let loss = cross_entropy(&pass.logits, &targets, count);
        total += loss.to_scalar::<f32>().expect("a scalar");
        classifier.backward(pass, &loss, &mut gradients).expect("gradients of these parameters");
    }
    (total, gradients)
}

fn pattern(place: usize) -> f64 {
    (place * 7919 % 1009) as f64 / 1009.0 - 0.5
}

#[track_caller]
fn assert_described(parameters: &[Parameter], gradients: &Gradients, case: &Case) {
    assert_eq!(parameters.len(), case.weights.len());
    for (parameter, gradient) in parameters.iter().zip(gradients.iter()) {
        let name = &parameter.name;
        let [norm, product] = case.weights[name];
        let found = gradient.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        // The gradient of a bias of keys is zero but for rounding.
        assert!((found - norm).abs() < 1e-4 * norm + 1e-6, "{name}: {found}, expected {norm}");
        let found: f64 = gradient.iter().enumerate().map(|(place, value)| pattern(place) * f64::from(*value)).sum();
        assert!((found - product).abs() < 1e-4 * norm + 1e-6, "{name}: {found}, expected {product}");
    }
}

#[track_caller]
fn assert_near(found: &Gradients, expected: &Gradients, tolerance: f64) {
    for (number, (found, expected)) in found.iter().zip(expected.iter()).enumerate() {
        let norm = expected.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        let apart = found.iter().zip(expected).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
        assert!(apart <= tolerance * norm + 1e-6, "parameter {number}: off by {apart} of {norm}");
    }
}

/// One step down the gradients.
fn step(parameters: &[Parameter], gradients: &Gradients, rate: f64) {
    for (parameter, gradient) in parameters.iter().zip(gradients.iter()) {
        let gradient = Tensor::from_slice(gradient, parameter.var.shape(), &CandleDevice::Cpu).expect("values");
        let next = (parameter.var.as_tensor() - (gradient * rate).expect("a product")).expect("a difference");
        parameter.var.set(&next).expect("alike");
    }
}

#[test]
fn a_classifiers_logits_and_gradients_are_those_of_transformers_on_padded_pairs() {
    let case = case("tiny_classifier");
    let mut classifier = classifier(2);
    assert_eq!(classifier.labels(), ["support", "contradict", "neutral"]);
    let parameters = classifier.train(Recompute::Auto).unwrap();
    let all: Vec<usize> = (0..case.pairs.len()).collect();
    let (loss, gradients) = learn(&classifier, &parameters, &case, &[&all]);
    assert!((loss - case.loss).abs() < 1e-5, "{loss}, expected {}", case.loss);
    assert_described(&parameters, &gradients, &case);

    let pairs: Vec<Tokens> =
        case.pairs.iter().map(|pair| Tokens { ids: pair.ids.clone(), types: pair.types.clone() }).collect();
    let served = classifier.logits_of(&pairs).unwrap();
    let learned = classifier.pass(&pack(&case.pairs)).unwrap().logits.to_vec2::<f32>().unwrap();
    for ((served, learned), expected) in served.iter().zip(&learned).zip(&case.logits) {
        for ((served, learned), expected) in served.iter().zip(learned).zip(expected) {
            assert!(
                (served - expected).abs() < 1e-5 && (learned - expected).abs() < 1e-5,
                "{served} {learned} {expected}"
            );
        }
    }
}

#[test]
fn a_sentence_encoders_gradients_are_those_of_transformers() {
    let case = case("tiny");
    let mut encoder = SentenceEncoder::open(&fixture("tiny"), threads(2)).unwrap();
    let parameters = encoder.train(Recompute::Auto).unwrap();
    let (pass, vectors) = encoder.pass(&encoder.pack(&case.texts, 48).unwrap()).unwrap();
    let served = encoder.encode(&case.texts).unwrap();
    assert_eq!(vectors.to_vec2::<f32>().unwrap(), served, "the vectors that are served");
    let (queries, passages) = (vectors.narrow(0, 0, 3).unwrap(), vectors.narrow(0, 3, 3).unwrap());
    let scores = (queries.matmul(&passages.t().unwrap()).unwrap() / 0.1).unwrap();
    let loss = cross_entropy(&scores, &[0, 1, 2], 3);
    assert!((loss.to_scalar::<f32>().unwrap() - case.loss).abs() < 1e-4);
    let mut gradients = Gradients::new(&parameters);
    encoder.backward(pass, &loss, &mut gradients).unwrap();
    assert_described(&parameters, &gradients, &case);
}

#[test]
fn the_first_token_alone_pools_and_learns() {
    let mut bert = Bert::load(&fixture("tiny")).unwrap();
    bert.train(threads(2), Recompute::Off).unwrap();
    let case = case("tiny_classifier");
    let pass = bert.pass(&pack(&case.pairs)).unwrap();
    let weights = Tensor::arange(0_f32, 32.0, &CandleDevice::Cpu).unwrap();
    let own = Pooling::Cls.vectors(&pass).unwrap();
    // The same with operations that candle differentiates.
    let first = pass.first_states().unwrap();
    let lengths = first.sqr().unwrap().sum_keepdim(1).unwrap().sqrt().unwrap();
    let composed = first.broadcast_div(&lengths).unwrap();
    let slopes = [own, composed].map(|vectors| {
        let loss = vectors.broadcast_mul(&weights).unwrap().sin().unwrap().sum_all().unwrap();
        let store = loss.backward().unwrap();
        store.get(&pass.states).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
    });
    let worst = slopes[0].iter().zip(&slopes[1]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-4, "{worst}");
    assert!(slopes[0].iter().any(|slope| slope.abs() > 0.1));
}

#[test]
fn states_and_gradients_have_the_same_bits_however_they_are_computed() {
    let case = case("tiny_classifier");
    let all: Vec<usize> = (0..case.pairs.len()).collect();
    let mut expected = None;
    for (count, recompute) in [(1, Recompute::Off), (1, Recompute::On), (3, Recompute::Off), (3, Recompute::On)] {
        let mut classifier = classifier(count);
        let parameters = classifier.train(recompute).unwrap();
        for _ in 0..2 {
            // The second time in memory that has been used.
            let found = learn(&classifier, &parameters, &case, &[&all]);
            assert!(found.1.norm() > 0.0);
            assert_eq!(expected.get_or_insert_with(|| found.clone()), &found, "{count} threads, {recompute:?}");
        }
    }

    let mut bert = Bert::load(&fixture("tiny_classifier")).unwrap();
    let batch = pack(&case.pairs);
    let served = bert.forward(&batch).unwrap().to_vec2::<f32>().unwrap();
    bert.train(threads(3), Recompute::Auto).unwrap();
    let learned = bert.pass(&batch).unwrap().states.to_vec2::<f32>().unwrap();
    assert_eq!(served, learned);
    for (rows, pair) in batch.sequences().zip(&case.pairs) {
        let alone = bert.pass(&pack([pair])).unwrap().states.to_vec2::<f32>().unwrap();
        assert_eq!(alone, learned[rows]);
    }
}

#[test]
fn a_sequence_of_no_tokens_gives_and_takes_nothing() {
    let case = case("tiny");
    let mut encoder = SentenceEncoder::open(&fixture("tiny"), threads(2)).unwrap();
    let parameters = encoder.train(Recompute::On).unwrap();
    let gradients = [false, true].map(|gap| {
        let mut batch = Packed::default();
        let packed = encoder.pack(&case.texts, 48).unwrap();
        for rows in packed.sequences() {
            batch.push(&packed.ids()[rows]);
            if gap {
                batch.push(&[]);
            }
        }
        let (pass, vectors) = encoder.pass(&batch).unwrap();
        assert_eq!(vectors.dims()[0], batch.sequences().len());
        let loss = vectors.powf(3.0).unwrap().sum_all().unwrap();
        assert!(loss.to_scalar::<f32>().unwrap().is_finite());
        let mut gradients = Gradients::new(&parameters);
        encoder.backward(pass, &loss, &mut gradients).unwrap();
        gradients
    });
    assert!(gradients[0].norm().is_finite() && gradients[0].norm() > 0.0);
    assert_eq!(gradients[0], gradients[1]);
}

#[test]
fn micro_batches_and_their_order_change_nothing() {
    let case = case("tiny_classifier");
    let mut classifier = classifier(2);
    let parameters = classifier.train(Recompute::Auto).unwrap();
    let all: Vec<usize> = (0..case.pairs.len()).collect();
    let (loss, whole) = learn(&classifier, &parameters, &case, &[&all]);
    let reversed: Vec<usize> = all.iter().rev().copied().collect();
    let singles: Vec<&[usize]> = all.chunks(1).collect();
    for batches in [vec![&all[..5], &all[5..]], singles, vec![&*reversed]] {
        let (other, gradients) = learn(&classifier, &parameters, &case, &batches);
        assert!((other - loss).abs() < 1e-5);
        assert_near(&gradients, &whole, 1e-4);
    }
}

#[test]
fn gradients_agree_with_slopes() {
    let case = case("tiny_classifier");
    let mut classifier = classifier(2);
    let parameters = classifier.train(Recompute::Auto).unwrap();
    let all: Vec<usize> = (0..case.pairs.len()).collect();
    let (_, gradients) = learn(&classifier, &parameters, &case, &[&all]);
    for (number, parameter) in parameters.iter().enumerate() {
        // Along the gradient itself the loss rises by its norm.
        let norm = gradients.get(number).iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        if norm < 1e-4 {
            continue;
        }
        let start = parameter.var.as_tensor().copy().unwrap();
        let along = Tensor::from_slice(gradients.get(number), start.shape(), start.device()).unwrap();
        let mut at = |by: f64| {
            parameter.var.set(&(&start + (&along * (by / norm)).unwrap()).unwrap()).unwrap();
            classifier.refresh().unwrap();
            f64::from(learn(&classifier, &parameters, &case, &[&all]).0)
        };
        let slope = (at(5e-3) - at(-5e-3)) / 1e-2;
        at(0.0);
        assert!((slope - norm).abs() < 0.02 * norm + 2e-4, "{}: {slope}, expected {norm}", parameter.name);
    }
}

#[test]
fn a_new_head_learns_on_any_encoder_and_the_folder_comes_back() {
    let case = case("tiny_classifier");
    let all: Vec<usize> = (0..case.pairs.len()).collect();
    for (name, words) in [
        ("tiny", "embeddings.word_embeddings.weight"),
        ("tiny_masked", "bert.embeddings.word_embeddings.weight"),
        ("tiny_cross", "bert.embeddings.word_embeddings.weight"),
    ] {
        let labels = ["yes", "no", "maybe"];
        let mut classifier = Classifier::new_head(&fixture(name), &labels, 5, threads(2)).unwrap();
        let again = Classifier::new_head(&fixture(name), &labels, 5, threads(1)).unwrap();
        let other = Classifier::new_head(&fixture(name), &labels, 6, threads(1)).unwrap();
        let logits = |classifier: &Classifier| classifier.logits(&[("aspirin", "heart failure"), ("", "")]).unwrap();
        assert_eq!(logits(&classifier), logits(&again));
        assert_ne!(logits(&classifier), logits(&other));

        let parameters = classifier.train(Recompute::Auto).unwrap();
        let stored = Weights::open(&fixture(name)).unwrap();
        let shape = stored.shape(words).unwrap();
        let first = parameters[0].var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(first, stored.floats(words, shape).unwrap(), "{name}: the encoder's own weights");
        if name == "tiny" {
            let pooler = parameters.iter().find(|own| own.name == "bert.pooler.dense.weight").unwrap();
            let kept = stored.floats("pooler.dense.weight", &[32, 32]).unwrap();
            assert_eq!(pooler.var.flatten_all().unwrap().to_vec1::<f32>().unwrap(), kept, "a pooler that was there");
        }

        let mut losses = Vec::new();
        for _ in 0..30 {
            let (loss, gradients) = learn(&classifier, &parameters, &case, &[&all]);
            step(&parameters, &gradients, 0.1);
            classifier.refresh().unwrap();
            losses.push(loss);
        }
        assert!(losses[29] < losses[0] - 0.01, "{name}: {losses:?}");
        assert_ne!(logits(&classifier), logits(&again), "what is served has learned");

        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("new/model");
        classifier.save(&folder).unwrap();
        classifier.save(&folder).unwrap();
        let mut saved = Classifier::open(&folder, threads(1)).unwrap();
        assert_eq!(saved.labels(), labels);
        assert_eq!(logits(&saved), logits(&classifier), "{name}");
        let names = |dir: &Path| Weights::open(dir).unwrap().names().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(names(&folder), names(&fixture("tiny_classifier")), "{name}: as transformers names them");
        let config = fs::read_to_string(folder.join("config.json")).unwrap();
        assert!(config.contains("BertForSequenceClassification") && config.contains("\"maybe\": 2"), "{config}");

        // On its own files.
        let parameters = saved.train(Recompute::On).unwrap();
        let (_, gradients) = learn(&saved, &parameters, &case, &[&all]);
        step(&parameters, &gradients, 0.05);
        saved.refresh().unwrap();
        saved.save(&folder).unwrap();
        assert_eq!(logits(&Classifier::open(&folder, threads(1)).unwrap()), logits(&saved));
    }
}

#[test]
fn a_sentence_encoder_that_learned_comes_back() {
    let texts = case("tiny").texts;
    let mut encoder = SentenceEncoder::open(&fixture("tiny"), threads(2)).unwrap();
    let before = encoder.encode(&texts).unwrap();
    let parameters = encoder.train(Recompute::Auto).unwrap();
    let home = tempfile::tempdir().unwrap();
    encoder.save(home.path()).unwrap();
    let plain = SentenceEncoder::open(home.path(), threads(1)).unwrap();
    assert_eq!(plain.encode(&texts).unwrap(), before, "what has not learned yet");
    let (stored, saved) = (Weights::open(&fixture("tiny")).unwrap(), Weights::open(home.path()).unwrap());
    assert!(stored.names().eq(saved.names()), "the pooler too");
    for (name, _, shape) in stored.tensors() {
        assert_eq!(stored.floats(name, shape).unwrap(), saved.floats(name, shape).unwrap(), "{name}");
    }

    let (pass, vectors) = encoder.pass(&encoder.pack(&texts, 48).unwrap()).unwrap();
    let loss = vectors.narrow(1, 0, 1).unwrap().sum_all().unwrap();
    let mut gradients = Gradients::new(&parameters);
    encoder.backward(pass, &loss, &mut gradients).unwrap();
    step(&parameters, &gradients, 0.01);
    assert_eq!(encoder.encode(&texts).unwrap(), before, "not yet refreshed");
    encoder.refresh().unwrap();
    let after = encoder.encode(&texts).unwrap();
    let first = |vectors: &[Vec<f32>]| vectors.iter().map(|vector| vector[0]).sum::<f32>();
    assert!(first(&after) < first(&before) - 0.01);
    encoder.save(home.path()).unwrap();
    let again = SentenceEncoder::open(home.path(), threads(1)).unwrap();
    assert_eq!(again.encode(&texts).unwrap(), after);
    assert_eq!((again.max_tokens(), again.prompts()), (encoder.max_tokens(), encoder.prompts()));
    assert_ne!(again.fingerprint(), encoder.fingerprint());
}

#[test]
fn tensorflows_names_of_gains_are_read_and_not_written() {
    let home = tempfile::tempdir().unwrap();
    for name in ["config.json", "tokenizer.json"] {
        fs::copy(fixture("tiny_masked").join(name), home.path().join(name)).unwrap();
    }
    // A name is as long as the other, padded by what JSON ignores.
    let bytes = fs::read(fixture("tiny_masked").join("model.safetensors")).unwrap();
    let length = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    let header = str::from_utf8(&bytes[8..8 + length]).unwrap();
    let old =
        header.replace("LayerNorm.weight\"", "LayerNorm.gamma\" ").replace("LayerNorm.bias\"", "LayerNorm.beta\"");
    assert_eq!(old.len(), header.len());
    let file = [&bytes[..8], old.as_bytes(), &bytes[8 + length..]].concat();
    fs::write(home.path().join("model.safetensors"), file).unwrap();
    let open = |dir: &Path| Classifier::new_head(dir, &["a", "b"], 1, threads(1)).unwrap();
    let (mut old, new) = (open(home.path()), open(&fixture("tiny_masked")));
    let pairs = [("renal", "dose")];
    assert_eq!(old.logits(&pairs).unwrap(), new.logits(&pairs).unwrap());
    let parameters = old.train(Recompute::Auto).unwrap();
    assert!(parameters.iter().all(|parameter| !parameter.name.contains("gamma")));
}

#[test]
fn what_cannot_be_learned_is_refused() {
    let case = case("tiny_classifier");
    let mut classifier = classifier(1);
    let batch = pack(&case.pairs);
    let message = |result: nn::Result<()>| result.unwrap_err().to_string();
    assert!(message(classifier.pass(&batch).map(drop)).contains("call `train` first"));
    assert!(message(classifier.save(Path::new("nowhere"))).contains("call `train` first"));
    let parameters = classifier.train(Recompute::Auto).unwrap();

    let pass = classifier.pass(&batch).unwrap();
    let loss = pass.logits.sum_all().unwrap();
    let few = message(classifier.backward(pass, &loss, &mut Gradients::new(&parameters[1..])));
    assert!(few.contains("other parameters"), "{few}");
    let (pass, other) = (classifier.pass(&batch).unwrap(), classifier.pass(&batch).unwrap());
    let loss = other.logits.sum_all().unwrap();
    let apart = message(classifier.backward(pass, &loss, &mut Gradients::new(&parameters)));
    assert!(apart.contains("does not depend"), "{apart}");

    let tokens = |ids: &[u32], types: &[u32]| Tokens { ids: ids.to_vec(), types: types.to_vec() };
    for (bad, reason) in [
        (tokens(&[], &[]), "no tokens"),
        (tokens(&[1; 65], &[0; 65]), "position 64 is beyond the 64"),
        (tokens(&[128], &[0]), "token id 128"),
        (tokens(&[1], &[2]), "segment 2"),
    ] {
        let served = message(classifier.logits_of(std::slice::from_ref(&bad)).map(drop));
        let learned = message(classifier.pass(&pack([&Pair { ids: bad.ids, types: bad.types }])).map(drop));
        assert!(served.contains(reason) && learned.contains(reason), "{served}; {learned}");
    }
    assert!(classifier.logits(&[]).unwrap().is_empty());
    assert!(message(classifier.pass(&Packed::default()).map(drop)).contains("no tokens"));

    for labels in [&[][..], &["a", "b", "a"]] {
        let result = Classifier::new_head(&fixture("tiny"), labels, 1, threads(1));
        assert!(message(result.map(drop)).contains("different labels"));
    }
    let three = message(CrossEncoder::open(&fixture("tiny_classifier"), threads(1)).map(drop));
    assert!(three.contains("classifier.weight") && three.contains("3 labels"), "{three}");
}

#[test]
fn labels_fit_the_classifier() {
    let home = tempfile::tempdir().unwrap();
    for name in ["tokenizer.json", "model.safetensors"] {
        fs::copy(fixture("tiny_classifier").join(name), home.path().join(name)).unwrap();
    }
    let config = fs::read_to_string(fixture("tiny_classifier").join("config.json")).unwrap();
    let open = |config: &str| {
        fs::write(home.path().join("config.json"), config).unwrap();
        Classifier::open(home.path(), threads(1))
    };
    for (from, to) in [("\"2\": \"neutral\"", "\"3\": \"neutral\""), (",\n    \"2\": \"neutral\"", "")] {
        assert!(config.contains(from));
        let message = open(&config.replace(from, to)).unwrap_err().to_string();
        assert!(message.contains("id2label"), "{message}");
    }
    let silent = open(&config.replace("id2label", "something")).unwrap();
    assert_eq!(silent.labels(), ["LABEL_0", "LABEL_1", "LABEL_2"]);
}
