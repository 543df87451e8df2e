//! What stands in the configuration files of a shape, and which tensors follow from it.

use serde_json::{Value, json};

use super::Shape;
use super::safetensors::Tensor;
use super::text::{END_OF_TEXT, END_OF_TURN};

/// True when the weights are bf16, false when they are f32.
pub(super) fn is_bf16(shape: Shape) -> bool {
    !matches!(shape, Shape::Tiny | Shape::Small)
}

/// `config.json`, by the names that every reader of this layout knows.
pub(super) fn config(shape: Shape) -> Value {
    let mut config = match shape {
        Shape::Tiny => llama([512, 64, 192, 2, 4, 2], 8192, 10_000.0, false),
        Shape::Small => llama([4096, 256, 704, 4, 4, 2], 8192, 10_000.0, false),
        Shape::HalfB => json!({
            "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2",
            "vocab_size": 151_936, "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24,
            "num_attention_heads": 14, "num_key_value_heads": 2, "max_position_embeddings": 32_768,
            "rope_theta": 1_000_000.0, "rms_norm_eps": 1e-6, "tie_word_embeddings": true,
            "use_sliding_window": false, "sliding_window": 32_768, "max_window_layers": 21,
        }),
        Shape::OneB => llama([128_256, 2048, 8192, 16, 32, 8], 131_072, 500_000.0, true),
        Shape::EightB => llama([128_256, 4096, 14_336, 32, 32, 8], 131_072, 500_000.0, false),
    };
    config["hidden_act"] = "silu".into();
    config["attention_dropout"] = 0.0.into();
    config["initializer_range"] = 0.02.into();
    config["use_cache"] = true.into();
    config["pad_token_id"] = END_OF_TEXT.into();
    config["eos_token_id"] = END_OF_TURN.into();
    config["torch_dtype"] = if is_bf16(shape) { "bfloat16" } else { "float32" }.into();
    if matches!(shape, Shape::OneB | Shape::EightB) {
        config["rope_scaling"] = json!({
            "rope_type": "llama3", "factor": if shape == Shape::OneB { 32.0 } else { 8.0 },
            "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192,
        });
    }
    config
}

fn llama(
    [vocabulary, hidden, inner, layers, heads, key_heads]: [usize; 6],
    positions: usize,
    theta: f64,
    tied: bool,
) -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama",
        "vocab_size": vocabulary, "hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers,
        "num_attention_heads": heads, "num_key_value_heads": key_heads, "head_dim": hidden / heads,
        "max_position_embeddings": positions, "rope_theta": theta, "rms_norm_eps": 1e-5,
        "tie_word_embeddings": tied, "attention_bias": false, "mlp_bias": false,
    })
}

/// `generation_config.json`.
pub(super) fn generation_config() -> Value {
    json!({ "do_sample": false, "pad_token_id": END_OF_TEXT, "eos_token_id": [END_OF_TURN, END_OF_TEXT] })
}

/// Every tensor of a model so configured, in the order of its layers.
pub(super) fn tensors(config: &Value) -> Vec<Tensor> {
    let size = |field: &str| config[field].as_u64().expect("a shape's configuration has every size") as usize;
    let (vocabulary, hidden, inner) = (size("vocab_size"), size("hidden_size"), size("intermediate_size"));
    let heads = size("num_attention_heads");
    let keys = size("num_key_value_heads") * (hidden / heads);
    let has_bias = config["model_type"] == "qwen2";

    let mut tensors = Vec::new();
    let mut add = |name: String, shape: &[usize]| tensors.push(Tensor { name, shape: shape.to_vec() });
    add("model.embed_tokens.weight".to_owned(), &[vocabulary, hidden]);
    for layer in 0..size("num_hidden_layers") {
        let name = |part: &str| format!("model.layers.{layer}.{part}");
        add(name("input_layernorm.weight"), &[hidden]);
        for (part, outputs) in [("q", hidden), ("k", keys), ("v", keys)] {
            add(name(&format!("self_attn.{part}_proj.weight")), &[outputs, hidden]);
            if has_bias {
                add(name(&format!("self_attn.{part}_proj.bias")), &[outputs]);
            }
        }
        add(name("self_attn.o_proj.weight"), &[hidden, hidden]);
        add(name("post_attention_layernorm.weight"), &[hidden]);
        add(name("mlp.gate_proj.weight"), &[inner, hidden]);
        add(name("mlp.up_proj.weight"), &[inner, hidden]);
        add(name("mlp.down_proj.weight"), &[hidden, inner]);
    }
    add("model.norm.weight".to_owned(), &[hidden]);
    if config["tie_word_embeddings"] == false {
        add("lm_head.weight".to_owned(), &[vocabulary, hidden]);
    }
    tensors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_those_of_the_published_models() {
        for (shape, parameters) in [
            (Shape::Tiny, 164_160..164_161),
            (Shape::Small, 5_048_576..5_048_577),
            (Shape::HalfB, 494_032_768..494_032_769),
            (Shape::OneB, 1_235_814_400..1_235_814_401),
            (Shape::EightB, 8_030_261_248..8_030_261_249),
        ] {
            let count: u64 = tensors(&config(shape)).iter().map(Tensor::elements).sum();
            assert!(parameters.contains(&count), "{shape}: {count}");
        }
    }
}
