//! The task's own policy: a Llama of 0.9M parameters with random weights.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use candle_core::{Device, Tensor};
use serde_json::{Value, json};

use super::draw::{Draw, Purpose};
use super::tokens::{self, END_ID};
use crate::error::{Error, Result, write};

const WIDTH: usize = 128;
const INNER: usize = 384;
const LAYERS: usize = 4;
const HEADS: usize = 4;
const POSITIONS: usize = 2_048;
/// Standard deviations, times the square root of a matrix's inputs. The embedding's is large and what
/// writes to the residual stream small, so that a token is still known after the first layers: with
/// these, copying is learnt in some 230 steps of 2,048 tokens; with outputs as large as inputs and an
/// embedding of 0.02, it was not in 1,100.
const EMBEDDING: f64 = 1.0;
const INPUT: f64 = 0.55;
const OUTPUT: f64 = 0.1;

/// Writes the model folder; gives how many parameters it has.
pub(super) fn write_folder(dir: &Path, seed: u64) -> Result<usize> {
    fs::create_dir_all(dir).map_err(write(dir))?;
    let vocabulary = tokens::count().next_multiple_of(64);
    let files = [
        ("config.json", config(vocabulary)),
        ("generation_config.json", json!({ "do_sample": false, "pad_token_id": END_ID, "eos_token_id": [END_ID] })),
        ("tokenizer.json", tokens::tokenizer()),
        ("tokenizer_config.json", tokens::tokenizer_config(POSITIONS)),
    ];
    for (name, value) in files {
        let path = dir.join(name);
        fs::write(&path, format!("{value:#}\n")).map_err(write(&path))?;
    }
    let tensors = weights(vocabulary, seed)?;
    let path = dir.join("model.safetensors");
    candle_core::safetensors::save(&tensors, &path)
        .map_err(|error| write(&path)(std::io::Error::other(error.to_string())))?;
    Ok(parameters(vocabulary).iter().map(|(_, shape, _)| shape.iter().product::<usize>()).sum())
}

fn config(vocabulary: usize) -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": vocabulary,
        "hidden_size": WIDTH, "intermediate_size": INNER, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "num_key_value_heads": HEADS, "head_dim": WIDTH / HEADS,
        "max_position_embeddings": POSITIONS, "rope_theta": 10_000.0, "rms_norm_eps": 1e-5,
        "tie_word_embeddings": true, "attention_bias": false, "mlp_bias": false, "hidden_act": "silu",
        "attention_dropout": 0.0, "initializer_range": 0.02, "use_cache": true,
        "pad_token_id": END_ID, "eos_token_id": END_ID, "torch_dtype": "float32",
    })
}

/// Names, shapes and standard deviations; 0 for gains, which are 1.
fn parameters(vocabulary: usize) -> Vec<(String, Vec<usize>, f64)> {
    let deviation = |factor: f64, inputs: usize| factor / (inputs as f64).sqrt();
    let table = ("model.embed_tokens.weight".to_owned(), vec![vocabulary, WIDTH], deviation(EMBEDDING, WIDTH));
    let mut all = vec![table];
    for layer in 0..LAYERS {
        let mut add = |part: &str, shape: &[usize], deviation: f64| {
            all.push((format!("model.layers.{layer}.{part}.weight"), shape.to_vec(), deviation));
        };
        add("input_layernorm", &[WIDTH], 0.0);
        for part in ["q", "k", "v"] {
            add(&format!("self_attn.{part}_proj"), &[WIDTH, WIDTH], deviation(INPUT, WIDTH));
        }
        add("self_attn.o_proj", &[WIDTH, WIDTH], deviation(OUTPUT, WIDTH));
        add("post_attention_layernorm", &[WIDTH], 0.0);
        add("mlp.gate_proj", &[INNER, WIDTH], deviation(INPUT, WIDTH));
        add("mlp.up_proj", &[INNER, WIDTH], deviation(INPUT, WIDTH));
        add("mlp.down_proj", &[WIDTH, INNER], deviation(OUTPUT, INNER));
    }
    all.push(("model.norm.weight".to_owned(), vec![WIDTH], 0.0));
    all
}

fn weights(vocabulary: usize, seed: u64) -> Result<HashMap<String, Tensor>> {
    let mut tensors = HashMap::new();
    for (part, (name, shape, deviation)) in (0..).zip(parameters(vocabulary)) {
        let mut draw = Draw::new(seed, Purpose::Weights, part);
        let count: usize = shape.iter().product();
        let values: Vec<f32> =
            (0..count).map(|_| if deviation == 0.0 { 1.0 } else { (deviation * normal(&mut draw)) as f32 }).collect();
        tensors.insert(name, Tensor::from_vec(values, shape, &Device::Cpu).map_err(Error::from)?);
    }
    Ok(tensors)
}

/// Nearly normal, of variance 1: the sum of eight even numbers of 16 bits, which every machine adds alike.
fn normal(draw: &mut Draw) -> f64 {
    let sum: u32 = draw.words().into_iter().map(|word| (word & 0xffff) + (word >> 16)).sum();
    let even = f64::from(sum) / 65_536.0 - 4.0;
    even * 1.224_744_871_391_589 // the square root of 12 / 8
}
