//! Model folders that do not hold together: each refused with the file at fault, none with a panic.

use std::fs;
use std::path::Path;

use nn::{Device, SentenceEncoder};
use tempfile::TempDir;

/// A copy of the tiny model that a test may break.
fn copy() -> TempDir {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny");
    let home = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(home.path().join("1_Pooling")).expect("an empty folder");
    for name in
        ["config.json", "tokenizer.json", "model.safetensors", "sentence_bert_config.json", "1_Pooling/config.json"]
    {
        fs::copy(source.join(name), home.path().join(name)).expect("a committed fixture");
    }
    home
}

fn open(home: &TempDir) -> Result<SentenceEncoder, nn::Error> {
    SentenceEncoder::open(home.path(), Device::cpu())
}

/// Replaces `from` by `to` in a file of the model; the message must name the file and `expect`.
#[track_caller]
fn refused(file: &str, from: &str, to: &str, blamed: &str, expect: &str) {
    let home = copy();
    let path = home.path().join(file);
    let text = fs::read_to_string(&path).expect("text");
    assert!(text.contains(from), "{file} holds {from}");
    fs::write(&path, text.replacen(from, to, 1)).expect("a writable copy");
    let message = open(&home).expect_err("a damaged model").to_string();
    assert!(message.contains(blamed) && message.contains(expect), "{message}");
}

#[test]
fn pickled_weights_are_refused_with_the_way_out() {
    let home = copy();
    fs::rename(home.path().join("model.safetensors"), home.path().join("pytorch_model.bin")).unwrap();
    let message = open(&home).unwrap_err().to_string();
    assert!(message.contains("pytorch_model.bin") && message.contains("save_pretrained"), "{message}");
}

#[test]
fn absurd_sizes_are_refused() {
    let config = |from: &str, to: &str, expect: &str| {
        refused("config.json", from, to, "config.json", expect);
    };
    config("\"hidden_size\": 32", "\"hidden_size\": 0", "hidden_size is 0");
    config("\"hidden_size\": 32", "\"hidden_size\": 1000000000000", "hidden_size is 1000000000000");
    config("\"hidden_size\": 32", "\"hidden_size\": -1", "invalid value");
    config("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 4000000000", "num_hidden_layers");
    config("\"vocab_size\": 128", "\"vocab_size\": 18446744073709551615", "vocab_size");
    config("\"num_attention_heads\": 4", "\"num_attention_heads\": 5", "5 heads do not divide");
    config("\"layer_norm_eps\": 1e-12", "\"layer_norm_eps\": 7", "layer_norm_eps");
    config("{", "", "expected");
}

#[test]
fn other_architectures_are_refused() {
    let config = |from: &str, to: &str, expect: &str| {
        refused("config.json", from, to, "config.json", expect);
    };
    config("\"model_type\": \"bert\"", "\"model_type\": \"roberta\"", "`roberta`, only `bert`");
    config("\"hidden_act\": \"gelu\"", "\"hidden_act\": \"relu\"", "`relu`, only `gelu`");
    let home = copy();
    fs::write(home.path().join("modules.json"), r#"[{"type": "sentence_transformers.models.Dense"}]"#).unwrap();
    let message = open(&home).unwrap_err().to_string();
    assert!(message.contains("modules.json") && message.contains("Dense"), "{message}");
}

#[test]
fn weights_that_do_not_fit_the_config_are_refused() {
    let weights = |from: &str, to: &str, tensor: &str, expect: &str| {
        refused("config.json", from, to, "model.safetensors", tensor);
        refused("config.json", from, to, "model.safetensors", expect);
    };
    let words = "`embeddings.word_embeddings.weight`";
    weights("\"vocab_size\": 128", "\"vocab_size\": 129", words, "has shape [128, 32], expected [129, 32]");
    weights("\"hidden_size\": 32", "\"hidden_size\": 64", words, "expected [128, 64]");
    let lost = "`encoder.layer.2.attention.self.query.weight`";
    weights("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", lost, "is missing");
    let up = "`encoder.layer.0.intermediate.dense.weight`";
    weights("\"intermediate_size\": 80", "\"intermediate_size\": 81", up, "expected [81, 32]");
}

#[test]
fn a_vocabulary_larger_than_the_embedding_is_refused() {
    refused(
        "config.json",
        "\"vocab_size\": 128",
        "\"vocab_size\": 100",
        "tokenizer.json",
        "but the embedding has 100 rows",
    );
    refused("tokenizer.json", "\"vocab\"", "\"vacob\"", "tokenizer.json", "");
    refused("tokenizer.json", "{", "", "tokenizer.json", "");
}

#[test]
fn windows_without_room_are_refused() {
    let window = |to: &str, expect: &str| {
        let file = "sentence_bert_config.json";
        refused(file, "\"max_seq_length\": 48", to, file, expect);
    };
    window("\"max_seq_length\": 1", "no room");
    window("\"max_seq_length\": \"x\"", "invalid type");
    window("\"do_lower_case\": true, \"max_seq_length\": 48", "");
    let home = copy();
    fs::write(home.path().join("sentence_bert_config.json"), "{}").unwrap();
    assert_eq!(open(&home).unwrap().max_tokens(), 64, "the positions where no window is given");
}

#[test]
fn missing_files_are_named() {
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        let home = copy();
        fs::remove_file(home.path().join(name)).unwrap();
        let message = open(&home).unwrap_err().to_string();
        assert!(message.contains(name), "{message}");
    }
    let home = copy();
    fs::remove_dir_all(home.path().join("1_Pooling")).unwrap();
    fs::remove_file(home.path().join("sentence_bert_config.json")).unwrap();
    assert!(open(&home).is_ok(), "the rest is optional");
}

#[test]
fn the_fingerprint_follows_what_decides_a_vector() {
    let original = open(&copy()).unwrap();
    for (file, from, to) in [
        ("sentence_bert_config.json", "48", "40"),
        ("1_Pooling/config.json", "pooling_mode_mean_tokens", "pooling_mode_cls_token"),
        ("config.json", "1e-12", "1e-6"),
    ] {
        let home = copy();
        let path = home.path().join(file);
        fs::write(&path, fs::read_to_string(&path).unwrap().replacen(from, to, 1)).unwrap();
        assert_ne!(open(&home).unwrap().fingerprint(), original.fingerprint(), "{file}");
    }
}
