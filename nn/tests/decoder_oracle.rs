//! The decoder beside a second oracle: the Llama and Qwen2 of candle-transformers.

mod decoders;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::{llama, qwen2};
use decoders::{Run, assert_close, expected, fixture, load};
use nn::{DecoderConfig, Wanted};

fn variables(family: &str) -> VarBuilder<'static> {
    let file = candle_core::safetensors::load(fixture(family).join("model.safetensors"), &Device::Cpu);
    VarBuilder::from_tensors(file.expect("a committed model"), DType::F32, &Device::Cpu)
}

/// Ours of the last token, and the ids as a tensor.
fn ours(family: &str, count: usize) -> (Vec<f32>, Tensor) {
    let ids = &expected(family).ids[..count];
    let logits = Run::new(&load(family), 3).step(ids, 0, &[0, 1, 2], Wanted::Last);
    (logits, Tensor::from_slice(ids, (1, count), &Device::Cpu).expect("ids"))
}

#[test]
fn llama_agrees_with_candle_transformers() {
    let config = DecoderConfig::open(&fixture("llama")).unwrap();
    let theirs = llama::Config {
        hidden_size: config.hidden_size,
        intermediate_size: config.intermediate_size,
        vocab_size: config.vocab_size,
        num_hidden_layers: config.num_hidden_layers,
        num_attention_heads: config.num_attention_heads,
        num_key_value_heads: config.num_key_value_heads,
        use_flash_attn: false,
        rms_norm_eps: f64::from(config.rms_norm_eps),
        rope_theta: config.rope.theta as f32,
        bos_token_id: None,
        eos_token_id: None,
        rope_scaling: Some(llama::Llama3RopeConfig {
            factor: 4.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: 64,
            rope_type: llama::Llama3RopeType::Llama3,
        }),
        max_position_embeddings: config.max_position_embeddings,
        tie_word_embeddings: false,
    };
    for count in [1, 33, 70] {
        let (found, ids) = ours("llama", count);
        let mut cache = llama::Cache::new(true, DType::F32, &theirs, &Device::Cpu).unwrap();
        let model = llama::Llama::load(variables("llama"), &theirs).unwrap();
        let logits = model.forward(&ids, 0, &mut cache).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_close(&found, &logits, 1e-4, &format!("{count} tokens"));
    }
}

#[test]
fn qwen2_agrees_with_candle_transformers() {
    let config = DecoderConfig::open(&fixture("qwen2")).unwrap();
    let theirs = qwen2::Config {
        vocab_size: config.vocab_size,
        hidden_size: config.hidden_size,
        intermediate_size: config.intermediate_size,
        num_hidden_layers: config.num_hidden_layers,
        num_attention_heads: config.num_attention_heads,
        num_key_value_heads: config.num_key_value_heads,
        max_position_embeddings: config.max_position_embeddings,
        sliding_window: config.max_position_embeddings,
        max_window_layers: config.num_hidden_layers,
        tie_word_embeddings: true,
        rope_theta: config.rope.theta,
        rms_norm_eps: f64::from(config.rms_norm_eps),
        use_sliding_window: false,
        hidden_act: candle_nn::Activation::Silu,
    };
    for count in [1, 33, 70] {
        let (found, ids) = ours("qwen2", count);
        let mut model = qwen2::ModelForCausalLM::new(&theirs, variables("qwen2")).unwrap();
        let logits = model.forward(&ids, 0).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_close(&found, &logits, 1e-4, &format!("{count} tokens"));
    }
}
