//! LoRA beside peft, on the adapter of `fixtures/make_decoders.py`: logits, gradients, files, merging.

mod decoders;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use candle_core::backprop::GradStore;
use candle_core::{D, Tensor};
use decoders::{FAMILIES, Run, assert_close, assert_same, expected, fixture, load};
use nn::{Adapter, Batch, Decoder, DecoderConfig, Pass, Target, Wanted};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    ids: Vec<u32>,
    loss: f32,
    /// Of the last four rows.
    logits: Vec<Vec<f32>>,
    gradient_norms: BTreeMap<String, f32>,
}

fn case() -> Case {
    serde_json::from_slice(&fs::read(fixture("llama_lora").join("expected.json")).expect("a committed fixture"))
        .expect("a committed fixture")
}

fn adapter() -> Adapter {
    Adapter::open(&fixture("llama_lora")).expect("a committed fixture")
}

fn adapted() -> Decoder {
    let mut decoder = load("llama");
    decoder.set_adapter(Some(adapter())).expect("a committed fixture");
    decoder
}

fn served(decoder: &Decoder, ids: &[u32]) -> Vec<f32> {
    Run::new(decoder, 3).step(ids, 0, &[0, 1, 2], Wanted::All)
}

/// The mean loss of predicting each token of `ids` but the first.
fn loss(decoder: &Decoder, ids: &[u32]) -> Tensor {
    let mut batch = Batch::default();
    batch.push(ids, 0, &[], Wanted::All);
    let nn::Logits::Tensor(logits) = decoder.forward(&batch, Pass::Grad).expect("a committed fixture") else {
        panic!("logits with a gradient");
    };
    let logits = logits.narrow(0, 0, ids.len() - 1).expect("a committed fixture");
    let targets = Tensor::from_slice(&ids[1..], (ids.len() - 1, 1), logits.device()).expect("a committed fixture");
    let all = logits.log_sum_exp(D::Minus1).expect("a committed fixture");
    let own = logits
        .gather(&targets, D::Minus1)
        .expect("a committed fixture")
        .squeeze(D::Minus1)
        .expect("a committed fixture");
    (all - own).expect("a committed fixture").mean_all().expect("a committed fixture")
}

fn norm(gradients: &GradStore, variable: &Tensor) -> f32 {
    let gradient = gradients.get(variable).expect("every variable has a gradient");
    gradient
        .sqr()
        .expect("a committed fixture")
        .sum_all()
        .expect("a committed fixture")
        .to_scalar::<f32>()
        .expect("a committed fixture")
        .sqrt()
}

#[test]
fn logits_are_those_of_peft() {
    let (decoder, case) = (adapted(), case());
    let served = served(&decoder, &case.ids);
    let mut batch = Batch::default();
    batch.push(&case.ids, 0, &[], Wanted::All);
    let trained = decoder.forward(&batch, Pass::Grad).unwrap().to_vec().unwrap();
    assert_close(&served, &trained, 1e-5, "serving and training");
    let last = &served[served.len() - 4 * 128..];
    assert_close(last, &case.logits.concat(), 1e-4, "ours and peft's");
}

#[test]
fn gradients_are_those_of_peft() {
    let (decoder, case) = (adapted(), case());
    let loss = loss(&decoder, &case.ids);
    assert!((loss.to_scalar::<f32>().unwrap() - case.loss).abs() < 1e-5);
    let gradients = loss.backward().unwrap();
    let adapter = decoder.adapter().unwrap();
    assert_eq!(adapter.variables().count(), case.gradient_norms.len());
    for (name, variable) in adapter.variables() {
        let (found, expected) = (norm(&gradients, variable), case.gradient_norms[&name]);
        assert!(found > 0.0 && (found - expected).abs() < 1e-4 * expected, "{name}: {found}, expected {expected}");
    }
}

#[test]
fn every_variable_has_a_gradient_and_nothing_else_has() {
    let some = [Target::Query, Target::Key, Target::Value, Target::Output, Target::Down].map(|target| vec![target]);
    let targets = some.into_iter().chain([Target::ALL.to_vec(), vec![Target::Key, Target::Up]]);
    for (family, targets) in FAMILIES.into_iter().zip(targets) {
        let mut decoder = load(family);
        let adapter = Adapter::new(decoder.config(), 2, 4.0, &targets, 5).unwrap();
        for (name, variable) in adapter.variables() {
            if name.contains("lora_B") {
                variable.set(&(variable.ones_like().unwrap() * 0.05).unwrap()).unwrap();
            }
        }
        decoder.set_adapter(Some(adapter.clone())).unwrap();
        let gradients = loss(&decoder, &expected(family).ids[..40]).backward().unwrap();
        for (name, variable) in adapter.variables() {
            let norm = norm(&gradients, variable);
            assert!(norm.is_finite() && norm > 0.0, "{family}, {name}: {norm}");
        }
        let known: Vec<_> = adapter.variables().map(|(_, variable)| variable.id()).collect();
        let others = gradients.get_ids().filter(|id| !known.contains(id)).count();
        assert_eq!(others, 0, "{family}");
    }
}

#[test]
fn gradients_agree_with_finite_differences() {
    for family in ["qwen3", "mistral", "llama_tied"] {
        let mut decoder = load(family);
        let adapter = Adapter::new(decoder.config(), 2, 4.0, &Target::ALL, 9).unwrap();
        for (name, variable) in adapter.variables() {
            if name.contains("lora_B") {
                variable.set(&(variable.ones_like().unwrap() * 0.05).unwrap()).unwrap();
            }
        }
        decoder.set_adapter(Some(adapter.clone())).unwrap();
        let ids = &expected(family).ids[..50];
        let gradients = loss(&decoder, ids).backward().unwrap();
        let value = |decoder: &Decoder| f64::from(loss(decoder, ids).to_scalar::<f32>().unwrap());
        for (name, variable) in adapter.variables() {
            // Along the gradient itself the loss rises by its norm.
            let gradient = gradients.get(variable).unwrap();
            let norm = f64::from(norm(&gradients, variable));
            let step = 2e-2;
            let start = variable.as_tensor().copy().unwrap();
            let at = |side: f64| {
                variable.set(&(&start + (gradient * (side * step / norm)).unwrap()).unwrap()).unwrap();
                value(&decoder)
            };
            let slope = (at(1.0) - at(-1.0)) / (2.0 * step);
            variable.set(&start).unwrap();
            assert!((slope - norm).abs() < 0.02 * norm + 2e-5, "{family}, {name}: {slope}, expected {norm}");
        }
    }
}

#[test]
fn a_new_adapter_changes_nothing_until_it_is_trained() {
    let mut decoder = load("llama");
    let ids = expected("llama").ids;
    let before = served(&decoder, &ids);
    let adapter = Adapter::new(decoder.config(), 3, 6.0, &[Target::Query, Target::Value, Target::Up], 1).unwrap();
    assert_eq!(adapter.parameters(), 2 * 3 * ((32 + 32) + (32 + 16) + (32 + 40)));
    decoder.set_adapter(Some(adapter.clone())).unwrap();
    assert_same(&served(&decoder, &ids), &before, "B is zero");

    for (_, variable) in adapter.variables() {
        variable.set(&(variable.ones_like().unwrap() * 0.01).unwrap()).unwrap();
    }
    assert_same(&served(&decoder, &ids), &before, "not yet refreshed");
    adapter.refresh().unwrap();
    let after = served(&decoder, &ids);
    assert_ne!(after, before);
    let mut batch = Batch::default();
    batch.push(&ids, 0, &[], Wanted::All);
    let trained = decoder.forward(&batch, Pass::Grad).unwrap().to_vec().unwrap();
    assert_close(&after, &trained, 1e-5, "serving and training after a step");

    decoder.set_adapter(None).unwrap();
    assert_same(&served(&decoder, &ids), &before, "taken off");
}

#[test]
fn neighbours_change_nothing_under_an_adapter() {
    let (decoder, ids) = (adapted(), expected("llama").ids);
    let whole = served(&decoder, &ids);
    let mut run = Run::new(&decoder, 3);
    let mut cut = Vec::new();
    for (number, chunk) in ids.chunks(9).enumerate() {
        cut.extend(run.step(chunk, number * 9, &[2, 0, 1], Wanted::All));
    }
    assert_same(&cut, &whole, "in chunks");
}

#[test]
fn merging_is_undone_to_the_bit() {
    let ids = case().ids;
    // The last two are stored in 16 bits: one is rounded again, one is widened.
    for (family, tolerance) in [("llama", 2e-5), ("qwen3", 0.2), ("qwen2_window", 2e-5)] {
        let mut decoder = load(family);
        let before = served(&decoder, &ids);
        let adapter = Adapter::new(decoder.config(), 4, 4.0, &Target::ALL, 2).unwrap();
        for (_, variable) in adapter.variables() {
            variable.set(&(variable.as_tensor() + 0.02).unwrap()).unwrap();
        }
        assert!(decoder.merge().unwrap_err().to_string().contains("no adapter"));
        decoder.set_adapter(Some(adapter)).unwrap();
        let beside = served(&decoder, &ids);
        let bytes = decoder.bytes();
        decoder.merge().unwrap();
        let merged = served(&decoder, &ids);
        assert_ne!(merged, before);
        assert_close(&merged, &beside, tolerance, family);
        assert_eq!(decoder.bytes(), bytes, "no second copy of the weights");
        decoder.merge().unwrap();
        assert_same(&served(&decoder, &ids), &merged, "merged once only");
        decoder.unmerge().unwrap();
        assert_same(&served(&decoder, &ids), &beside, "the adapter stays on");
        decoder.merge().unwrap();
        decoder.set_adapter(None).unwrap();
        assert_same(&served(&decoder, &ids), &before, "taken off");
    }
}

/// What is written here, peft reads: leave it in the folder that `ANAMNESIS_ADAPTER` names, and run
/// `make_decoders.py check` on it.
#[test]
fn adapters_come_back() {
    let home = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("ANAMNESIS_ADAPTER").map(std::path::PathBuf::from);
    let folder = kept.unwrap_or_else(|| home.path().join("new/adapter"));
    adapter().save(&folder).unwrap();
    adapter().save(&folder).unwrap();
    let mut decoder = load("llama");
    decoder.set_adapter(Some(Adapter::open(&folder).unwrap())).unwrap();
    assert_same(&served(&decoder, &case().ids), &served(&adapted(), &case().ids), "written and read");
    let config = fs::read_to_string(folder.join("adapter_config.json")).unwrap();
    assert!(config.contains("\"q_proj\"") && !config.contains("layers.0"), "{config}");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);

    let some = Adapter::new(decoder.config(), 2, 1.0, &[Target::Down], 0).unwrap();
    some.save(&folder.join("some")).unwrap();
    let again = Adapter::open(&folder.join("some")).unwrap();
    let values = |adapter: &Adapter| -> Vec<(String, Vec<f32>)> {
        let value = |variable: &candle_core::Var| variable.flatten_all().unwrap().to_vec1().unwrap();
        adapter.variables().map(|(name, variable)| (name, value(variable))).collect()
    };
    assert_eq!(values(&again), values(&some));
    assert_eq!((again.rank(), again.scale()), (2, 0.5));
}

/// A copy of the adapter with `from` in its configuration replaced; the message of the refusal.
fn refused(from: &str, to: &str) -> String {
    let home = tempfile::tempdir().expect("a writable copy");
    for name in ["adapter_config.json", "adapter_model.safetensors"] {
        fs::copy(fixture("llama_lora").join(name), home.path().join(name)).expect("a writable copy");
    }
    let path = home.path().join("adapter_config.json");
    let text = fs::read_to_string(&path).expect("a writable copy");
    assert!(text.contains(from), "the configuration holds {from}");
    fs::write(&path, text.replacen(from, to, 1)).expect("a writable copy");
    Adapter::open(home.path()).expect_err("a refused adapter").to_string()
}

#[test]
fn settings_that_are_not_supported_are_refused_by_name() {
    for (from, to, expect) in [
        ("\"use_dora\": false", "\"use_dora\": true", "use_dora is set"),
        ("\"rank_pattern\": {}", "\"rank_pattern\": {\"q_proj\": 8}", "rank_pattern is set"),
        ("\"modules_to_save\": null", "\"modules_to_save\": [\"lm_head\"]", "modules_to_save is set"),
        ("\"bias\": \"none\"", "\"bias\": \"all\"", "bias is `all`"),
        ("\"peft_type\": \"LORA\"", "\"peft_type\": \"IA3\"", "peft_type is `IA3`"),
        ("\"init_lora_weights\": true", "\"init_lora_weights\": \"pissa_niter_16\"", "convert the adapter"),
        ("\"r\": 4", "\"r\": 0", "r is 0"),
        ("\"r\": 4", "\"r\": 4000000000", "r is 4000000000"),
        ("\"lora_alpha\": 6", "\"lora_alpha\": -1", "lora_alpha is -1"),
        ("\"model.layers.0.mlp.down_proj\"", "\"model.layers.7.mlp.down_proj\"", "`model.layers.7.mlp.down_proj`"),
    ] {
        let message = refused(from, to);
        assert!(message.contains("adapter_config.json") && message.contains(expect), "{message}");
    }
    let message = refused("\"r\": 4", "\"r\": 3");
    assert!(message.contains("adapter_model.safetensors") && message.contains("has shape [4, "), "{message}");
    assert!(Adapter::open(Path::new("nowhere")).unwrap_err().to_string().contains("adapter_config.json"));
    assert!(refused("{", "").contains("adapter_config.json"));
}

#[test]
fn the_scale_may_be_rank_stabilised() {
    let home = tempfile::tempdir().unwrap();
    let original = fixture("llama_lora");
    let text = fs::read_to_string(original.join("adapter_config.json")).unwrap();
    let text = text.replace("\"use_rslora\": false", "\"use_rslora\": true");
    fs::write(home.path().join("adapter_config.json"), text).unwrap();
    let tensors = "adapter_model.safetensors";
    fs::copy(original.join(tensors), home.path().join(tensors)).unwrap();
    assert_eq!(adapter().scale(), 1.5);
    assert_eq!(Adapter::open(home.path()).unwrap().scale(), 3.0);
}

#[test]
fn an_adapter_of_another_model_is_refused() {
    let mut decoder = load("qwen3");
    let message = decoder.set_adapter(Some(adapter())).unwrap_err().to_string();
    assert!(message.contains("does not fit `layers.0.self_attn.q_proj`"), "{message}");
    let mut config = DecoderConfig::open(&fixture("qwen3")).unwrap();
    config.num_hidden_layers = 3;
    let deep = Adapter::new(&config, 2, 1.0, &[Target::Gate], 0).unwrap();
    let message = decoder.set_adapter(Some(deep)).unwrap_err().to_string();
    assert!(message.contains("layers.2.mlp.gate_proj") && message.contains("2 layers"), "{message}");
    assert!(decoder.adapter().is_none());
    for (rank, alpha, targets) in [(0, 1.0, &Target::ALL[..]), (1, 0.0, &Target::ALL), (1, 1.0, &[])] {
        assert!(Adapter::new(&config, rank, alpha, targets, 0).is_err());
    }
}
