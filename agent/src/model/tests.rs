//! Models found, listed and described; those that are damaged with a word of what is wrong.

use super::*;

/// A home's models folder with a tiny model called `tiny`.
fn models() -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let models = home.path().join("models");
    init(Shape::Tiny, 1, &place(&models, "tiny"), &mut |_, _| {}).unwrap();
    (home, models)
}

#[test]
fn a_name_is_looked_for_at_home_and_a_path_where_it_points() {
    let (home, models) = models();
    assert_eq!(find(&models, "tiny").unwrap(), models.join("tiny"));
    let path = models.join("tiny");
    assert_eq!(find(home.path(), path.to_str().unwrap()).unwrap(), path);
    assert_eq!(find(&models, "../models/tiny").ok(), None);
    let message = find(&models, "large").unwrap_err().to_string();
    assert!(message.contains("models/large or large") && message.contains("model list"), "{message}");
    let message = find(&models, "./tiny").unwrap_err().to_string();
    assert!(message.contains("at ./tiny:"), "{message}");
}

#[test]
fn new_models_belong_home_unless_they_have_a_path() {
    let models = Path::new("/home/models");
    assert_eq!(place(models, "tiny"), models.join("tiny"));
    assert_eq!(place(models, "a.b-0.5"), models.join("a.b-0.5"));
    for path in ["./tiny", "a/b", "/a", "..", ".", "tiny/"] {
        assert_eq!(place(models, path), Path::new(path));
    }
}

#[test]
fn a_card_says_what_a_folder_holds() {
    let (_home, models) = models();
    let dir = models.join("tiny");
    let adapter = dir.join("adapter");
    fs::create_dir(&adapter).unwrap();
    fs::write(adapter.join("adapter_config.json"), r#"{"r":8,"lora_alpha":16,"peft_type":"LORA"}"#).unwrap();
    let card = Card::read(&dir).unwrap();
    assert_eq!((card.name.as_str(), card.family, card.dtype.as_str()), ("tiny", "llama", "f32"));
    assert_eq!((card.parameters, card.context, card.vocabulary, card.tokens), (164_160, 8192, 512, 512));
    // At least two layers of keys and values, two heads of sixteen f32; kernels may want room besides.
    assert!((512..=1024).contains(&card.kv_bytes_per_token), "{card:?}");
    assert!(card.chat_template && card.bytes > 164_160 * 4, "{card:?}");
    assert_eq!(card.adapters, [AdapterCard { path: adapter.clone(), rank: 8, alpha: 16.0 }]);
    assert!(Card::read(&adapter).unwrap_err().to_string().contains("--adapter"));
}

#[test]
fn a_list_holds_decoders_and_tells_of_damage() {
    let (_home, models) = models();
    assert!(list(&models.join("none")).unwrap().is_empty());
    for (name, config) in [("encoder", r#"{"model_type":"bert"}"#), (".half.partial", "{}"), ("broken", "{")] {
        fs::create_dir(models.join(name)).unwrap();
        fs::write(models.join(name).join("config.json"), config).unwrap();
    }
    fs::create_dir(models.join("empty")).unwrap();
    fs::write(models.join("file"), "").unwrap();
    let listed = list(&models).unwrap();
    let names: Vec<_> = listed.iter().map(|(name, card)| (name.as_str(), card.is_ok())).collect();
    assert_eq!(names, [("broken", false), ("tiny", true)]);
    let message = listed[0].1.as_ref().unwrap_err().to_string();
    assert!(message.contains("broken/config.json"), "{message}");
}

#[test]
fn a_damaged_folder_is_told_by_file() {
    let (_home, models) = models();
    let dir = models.join("tiny");
    let whole = fs::read(dir.join("model.safetensors")).unwrap();
    fs::write(dir.join("model.safetensors"), &whole[..whole.len() - 1]).unwrap();
    let message = Card::read(&dir).unwrap_err().to_string();
    assert!(message.contains("model.safetensors"), "{message}");
    fs::write(dir.join("model.safetensors"), whole).unwrap();

    let config = fs::read_to_string(dir.join("config.json")).unwrap();
    fs::write(dir.join("config.json"), config.replace("\"vocab_size\": 512", "\"vocab_size\": 500")).unwrap();
    let message = Card::read(&dir).unwrap_err().to_string();
    assert!(message.contains("tokenizer.json") && message.contains("500 rows"), "{message}");
    fs::write(dir.join("config.json"), config.replace("\"llama\"", "\"mamba\"")).unwrap();
    let message = Card::read(&dir).unwrap_err().to_string();
    assert!(message.contains("config.json") && message.contains("`mamba`"), "{message}");
}

#[test]
fn devices_have_names() {
    assert_eq!(device("cpu", None).unwrap(), Device::cpu());
    assert_eq!(device("cpu", NonZero::new(3)).unwrap(), Device::Cpu { threads: NonZero::new(3).unwrap() });
    for name in ["gpu", "cuda:", "cuda:x", "cuda:-1", "CPU", ""] {
        let message = device(name, None).unwrap_err().to_string();
        assert!(message.contains("is no device: cpu, cuda or cuda:N"), "{message}");
    }
    if !cfg!(feature = "cuda") {
        let message = device("cuda:0", None).unwrap_err().to_string();
        assert!(message.contains("--features cuda"), "{message}");
    }
}
