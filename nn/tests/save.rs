//! Decoders that were written and are read again.

mod decoders;

use std::fs;
use std::path::Path;

use decoders::{FAMILIES, Run, assert_same, expected, fixture, load};
use nn::{Adapter, Decoder, Device, Recompute, Target, Trainable, Wanted};

fn open(dir: &Path) -> Decoder {
    Decoder::load(dir, Device::cpu()).expect("a folder just written")
}

fn served(decoder: &Decoder, ids: &[u32]) -> Vec<f32> {
    Run::new(decoder, 3).step(ids, 0, &[0, 1, 2], Wanted::All)
}

#[test]
fn what_was_not_trained_comes_back_as_it_was() {
    for family in FAMILIES {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("new/model");
        let decoder = load(family);
        decoder.save(&folder).unwrap();
        decoder.save(&folder).unwrap();
        let again = open(&folder);
        assert_eq!(again.bytes(), decoder.bytes(), "{family}: the type stays");
        assert_eq!(again.config(), decoder.config());
        assert_same(&served(&again, &expected(family).ids), &served(&decoder, &expected(family).ids), family);
        assert!(fs::read_dir(&folder).unwrap().all(|entry| entry.unwrap().path().extension().unwrap() != "part"));
    }
}

#[test]
fn what_was_learned_is_saved() {
    for family in ["llama_tied", "qwen2_window", "qwen3"] {
        let home = tempfile::tempdir().unwrap();
        let mut decoder = load(family);
        let before = served(&decoder, &expected(family).ids);
        for parameter in decoder.train(Trainable::All, Recompute::Auto).unwrap() {
            parameter.var.set(&(parameter.var.as_tensor() * 1.01).unwrap()).unwrap();
        }
        assert_same(&served(&decoder, &expected(family).ids), &before, "not yet refreshed");
        decoder.refresh().unwrap();
        let after = served(&decoder, &expected(family).ids);
        assert_ne!(after, before);
        decoder.save(home.path()).unwrap();
        let mut again = open(home.path());
        assert_same(&served(&again, &expected(family).ids), &after, family);
        let config = fs::read_to_string(home.path().join("config.json")).unwrap();
        assert!(!config.contains("float16"), "{family}: {config}");

        // Over its own files, which it still has open.
        for parameter in again.train(Trainable::All, Recompute::Auto).unwrap() {
            parameter.var.set(&(parameter.var.as_tensor() * 1.01).unwrap()).unwrap();
        }
        again.refresh().unwrap();
        again.save(home.path()).unwrap();
        assert_same(&served(&open(home.path()), &expected(family).ids), &served(&again, &expected(family).ids), family);
    }
}

#[test]
fn an_adapter_is_saved_in_the_weights() {
    for family in ["llama", "qwen3"] {
        let home = tempfile::tempdir().unwrap();
        let mut decoder = load(family);
        let adapter = Adapter::new(decoder.config(), 2, 4.0, &[Target::Query, Target::Down], 2).unwrap();
        for (_, variable) in adapter.variables() {
            variable.set(&(variable.as_tensor() + 0.02).unwrap()).unwrap();
        }
        decoder.set_adapter(Some(adapter)).unwrap();
        decoder.save(&home.path().join("beside")).unwrap();
        decoder.merge().unwrap();
        decoder.save(&home.path().join("merged")).unwrap();
        let merged = served(&decoder, &expected(family).ids);
        for name in ["beside", "merged"] {
            assert_same(&served(&open(&home.path().join(name)), &expected(family).ids), &merged, name);
        }
    }
}

#[test]
fn tokenizers_go_with_the_model_and_shards_stay_alone() {
    let home = tempfile::tempdir().unwrap();
    let from = home.path().join("from");
    nn::init(nn::Shape::Tiny, 3, &from, &mut |_, _| {}).unwrap();
    let to = home.path().join("to");
    open(&from).save(&to).unwrap();
    for name in ["tokenizer.json", "tokenizer_config.json", "generation_config.json"] {
        assert_eq!(fs::read(to.join(name)).unwrap(), fs::read(from.join(name)).unwrap(), "{name}");
    }
    fs::write(to.join("model.safetensors.index.json"), "{}").unwrap();
    let message = open(&from).save(&to).unwrap_err().to_string();
    assert!(message.contains("in shards"), "{message}");
    let message = load("llama").save(&fixture("llama").join("config.json")).unwrap_err().to_string();
    assert!(message.contains("cannot write"), "{message}");
}
