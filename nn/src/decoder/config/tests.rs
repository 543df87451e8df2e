//! Configurations as checkpoints write them, old and new, and those that are refused.

use std::fs;

use serde_json::{Value, json};

use super::*;
use crate::decoder::Stretch;

fn base() -> Value {
    json!({
        "model_type": "llama", "vocab_size": 100, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5,
        "hidden_act": "silu", "torch_dtype": "bfloat16"
    })
}

/// The base with some fields set; null removes one.
fn open_with(fields: &Value, generation: Option<&Value>) -> Result<DecoderConfig> {
    let home = tempfile::tempdir().expect("a temporary folder");
    let mut config = base();
    for (field, value) in fields.as_object().expect("fields") {
        config[field] = value.clone();
    }
    fs::write(home.path().join("config.json"), config.to_string()).expect("a writable folder");
    if let Some(generation) = generation {
        fs::write(home.path().join("generation_config.json"), generation.to_string()).expect("a writable folder");
    }
    DecoderConfig::open(home.path())
}

fn open(fields: &Value) -> DecoderConfig {
    open_with(fields, None).expect("a sound configuration")
}

#[track_caller]
fn refused(fields: &Value, expect: &str) {
    let message = open_with(fields, None).expect_err("a refused configuration").to_string();
    assert!(message.contains("config.json") && message.contains(expect), "{message}");
}

#[test]
fn families_differ_in_biases_norms_and_heads() {
    let flags = |config: DecoderConfig| (config.qkv_bias, config.output_bias, config.mlp_bias, config.qk_norm);
    assert_eq!(flags(open(&json!({}))), (false, false, false, false));
    assert_eq!(flags(open(&json!({"attention_bias": true, "mlp_bias": true}))), (true, true, true, false));
    assert_eq!(flags(open(&json!({"model_type": "qwen2"}))), (true, false, false, false));
    assert_eq!(flags(open(&json!({"model_type": "mistral"}))), (false, false, false, false));
    assert_eq!(flags(open(&json!({"model_type": "qwen3"}))), (false, false, false, true));
    assert_eq!(open(&json!({"model_type": "qwen3"})).head_dim, 128);
    assert_eq!(open(&json!({"head_dim": null})).head_dim, 16);
    assert_eq!(open(&json!({"head_dim": 8})).head_dim, 8);
    assert_eq!(open(&json!({"num_key_value_heads": null})).num_key_value_heads, 4);
    assert!(!open(&json!({})).tie_word_embeddings);
}

#[test]
fn rope_is_read_in_both_spellings() {
    let old = json!({"rope_theta": 500_000.0, "rope_scaling": {"type": "linear", "factor": 2.0}});
    let new = json!({"rope_parameters": {"rope_type": "linear", "rope_theta": 500_000.0, "factor": 2.0}});
    assert_eq!(open(&old).rope, open(&new).rope);
    assert_eq!(open(&old).rope.stretch, Stretch::Linear { factor: 2.0 });
    let both =
        json!({"rope_theta": 500_000.0, "rope_scaling": {"type": "linear", "rope_type": "linear", "factor": 2.0}});
    assert_eq!(open(&both).rope, open(&new).rope);
    assert_eq!(open(&json!({"rope_scaling": null})).rope, Rope { theta: 10_000.0, stretch: Stretch::None });
    let llama = json!({"rope_theta": 500_000.0, "rope_scaling": {
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192
    }});
    let stretch = Stretch::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original: 8192.0 };
    assert_eq!(open(&llama).rope.stretch, stretch);
    refused(&json!({"rope_scaling": {"type": "dynamic", "factor": 2.0}}), "rope type is `dynamic`");
    refused(&json!({"rope_scaling": {"rope_type": "longrope"}}), "rope type is `longrope`");
    refused(&json!({"rope_scaling": {"type": "linear"}}), "`linear` needs factor");
    refused(&json!({"rope_scaling": {"type": "linear", "factor": 0.0}}), "factor is 0");
    refused(&json!({"rope_theta": -1.0}), "rope_theta is -1");
    refused(&json!({"rope_parameters": {"partial_rotary_factor": 0.5}}), "partial_rotary_factor");
}

#[test]
fn windows_are_those_of_the_family() {
    let windows = |fields: Value| open(&fields).windows;
    assert_eq!(windows(json!({"sliding_window": 7})), [None; 3], "llama has none");
    assert_eq!(windows(json!({"model_type": "mistral", "sliding_window": 7})), [Some(7); 3]);
    assert_eq!(windows(json!({"model_type": "mistral", "sliding_window": null})), [None; 3]);
    assert_eq!(windows(json!({"model_type": "mistral"})), [Some(4096); 3], "as transformers has it");
    let qwen = |fields: Value| {
        let mut all = json!({"model_type": "qwen2", "sliding_window": 7, "max_window_layers": 2});
        all.as_object_mut().expect("fields").extend(fields.as_object().expect("fields").clone());
        all
    };
    assert_eq!(windows(qwen(json!({}))), [None; 3], "not in use");
    assert_eq!(windows(qwen(json!({"use_sliding_window": true}))), [None, None, Some(7)]);
    let types = json!(["sliding_attention", "full_attention", "sliding_attention"]);
    assert_eq!(windows(qwen(json!({"use_sliding_window": true, "layer_types": types}))), [Some(7), None, Some(7)]);
    refused(&qwen(json!({"layer_types": types})), "not in use");
    refused(&qwen(json!({"layer_types": ["full_attention"]})), "1 entries for 3 layers");
    refused(&qwen(json!({"layer_types": ["full_attention", "linear_attention", "x"]})), "`linear_attention`");
    refused(&json!({"model_type": "mistral", "sliding_window": 0}), "sliding_window is 0");
}

#[test]
fn the_ends_of_a_sequence_are_joined() {
    let ends = |config: Value, generation: Option<Value>| {
        open_with(&config, generation.as_ref()).expect("a sound configuration").eos_token_ids
    };
    assert_eq!(ends(json!({}), None), [0; 0]);
    assert_eq!(ends(json!({"eos_token_id": 2}), None), [2]);
    assert_eq!(ends(json!({"eos_token_id": [2, 3]}), Some(json!({"eos_token_id": [5, 2]}))), [5, 2, 3]);
    assert_eq!(ends(json!({"eos_token_id": null}), Some(json!({"eos_token_id": 9}))), [9]);
    assert!(open_with(&json!({}), Some(&json!({"eos_token_id": "x"}))).is_err());
}

#[test]
fn other_architectures_and_absurd_sizes_are_refused() {
    refused(&json!({"model_type": "gemma"}), "`gemma`, expected one of llama, mistral, qwen2, qwen3");
    refused(&json!({"model_type": null}), "expected one of llama");
    refused(&json!({"hidden_act": "gelu"}), "hidden_act is `gelu`");
    refused(&json!({"quantization_config": {"bits": 4}}), "quantised");
    for (field, value) in [
        ("vocab_size", json!(0)),
        ("hidden_size", json!(1_u64 << 40)),
        ("intermediate_size", json!(u64::MAX)),
        ("num_hidden_layers", json!(1_000_000)),
        ("num_attention_heads", json!(100_000)),
        ("num_key_value_heads", json!(5)),
        ("head_dim", json!(4096)),
        ("max_position_embeddings", json!(1_u64 << 30)),
        ("vocab_size", json!(-1)),
        ("rms_norm_eps", json!(2.0)),
    ] {
        let expect = if value == json!(-1) { "invalid value" } else { field };
        refused(&json!({ field: value }), expect);
    }
    refused(&json!({"num_key_value_heads": 3}), "3 key heads do not divide 4");
    refused(&json!({"hidden_size": 66}), "4 heads do not divide hidden_size 66");
    refused(&json!({"head_dim": 15}), "even");
}
