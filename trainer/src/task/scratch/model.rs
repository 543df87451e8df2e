//! A small policy with random weights: a Llama in Hugging Face layout.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use candle_core::{Device, Tensor};
use serde_json::{Value, json};

use super::template;
use crate::draw::{Draw, Purpose};
use crate::error::{Error, Result, write};

/// Standard deviations, times the square root of a matrix's inputs. The embedding's is large and what
/// writes to the residual stream small, so that a token is still known after the first layers: with
/// these, copying is learnt in some 230 steps of 2,048 tokens; with outputs as large as inputs and an
/// embedding of 0.02, it was not in 1,100.
const EMBEDDING: f64 = 1.0;
const INPUT: f64 = 0.55;
const OUTPUT: f64 = 0.1;

/// Tokens that it can see at once.
const POSITIONS: usize = 2_048;

/// How large a policy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Numbers of a token's state.
    pub(crate) width: usize,
    /// Numbers inside of a feed-forward part.
    pub(crate) inner: usize,
    /// Layers.
    pub(crate) layers: usize,
    /// Heads of attention, each of width / heads numbers.
    pub(crate) heads: usize,
}

/// Numbers of a head.
const HEAD: usize = 32;

impl Shape {
    /// A policy of so many layers of this width.
    ///
    /// # Errors
    /// [`Error::Input`] for a width that cannot be cut into heads, and for sizes out of all bounds.
    pub(crate) fn new(width: usize, layers: usize) -> Result<Self> {
        if !width.is_multiple_of(HEAD) || !(HEAD..=4_096).contains(&width) {
            return Err(Error::Input(format!("task.width is {width}, expected a multiple of {HEAD} up to 4096")));
        }
        if !(1..=64).contains(&layers) {
            return Err(Error::Input(format!("task.layers is {layers}, expected 1 to 64")));
        }
        Ok(Self { width, inner: 3 * width, layers, heads: width / HEAD })
    }
}

/// What a policy reads and writes in.
#[derive(Clone, Debug)]
pub(crate) struct Vocabulary {
    /// `tokenizer.json`.
    pub(crate) tokenizer: Value,
    /// Tokens in all.
    pub(crate) tokens: usize,
    /// The id of the token that ends a message.
    pub(crate) end: u32,
}

/// Writes the model folder; gives how many parameters it has.
pub(crate) fn write_folder(dir: &Path, shape: Shape, vocabulary: &Vocabulary, seed: u64) -> Result<usize> {
    fs::create_dir_all(dir).map_err(write(dir))?;
    let (rows, end) = (vocabulary.tokens.next_multiple_of(64), vocabulary.end);
    let files = [
        ("config.json", config(shape, rows, end)),
        ("generation_config.json", json!({ "do_sample": false, "pad_token_id": end, "eos_token_id": [end] })),
        ("tokenizer.json", vocabulary.tokenizer.clone()),
        ("tokenizer_config.json", template::tokenizer_config(POSITIONS)),
    ];
    for (name, value) in files {
        let path = dir.join(name);
        fs::write(&path, format!("{value:#}\n")).map_err(write(&path))?;
    }
    let tensors = weights(shape, rows, seed)?;
    let path = dir.join("model.safetensors");
    candle_core::safetensors::save(&tensors, &path)
        .map_err(|error| write(&path)(std::io::Error::other(error.to_string())))?;
    Ok(parameters(shape, rows).iter().map(|(_, shape, _)| shape.iter().product::<usize>()).sum())
}

fn config(Shape { width, inner, layers, heads }: Shape, rows: usize, end: u32) -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": rows,
        "hidden_size": width, "intermediate_size": inner, "num_hidden_layers": layers,
        "num_attention_heads": heads, "num_key_value_heads": heads, "head_dim": width / heads,
        "max_position_embeddings": POSITIONS, "rope_theta": 10_000.0, "rms_norm_eps": 1e-5,
        "tie_word_embeddings": true, "attention_bias": false, "mlp_bias": false, "hidden_act": "silu",
        "attention_dropout": 0.0, "initializer_range": 0.02, "use_cache": true,
        "pad_token_id": end, "eos_token_id": end, "torch_dtype": "float32",
    })
}

/// Names, shapes and standard deviations; 0 for gains, which are 1.
fn parameters(Shape { width, inner, layers, .. }: Shape, rows: usize) -> Vec<(String, Vec<usize>, f64)> {
    let deviation = |factor: f64, inputs: usize| factor / (inputs as f64).sqrt();
    let table = ("model.embed_tokens.weight".to_owned(), vec![rows, width], deviation(EMBEDDING, width));
    let mut all = vec![table];
    for layer in 0..layers {
        let mut add = |part: &str, shape: &[usize], deviation: f64| {
            all.push((format!("model.layers.{layer}.{part}.weight"), shape.to_vec(), deviation));
        };
        add("input_layernorm", &[width], 0.0);
        for part in ["q", "k", "v"] {
            add(&format!("self_attn.{part}_proj"), &[width, width], deviation(INPUT, width));
        }
        add("self_attn.o_proj", &[width, width], deviation(OUTPUT, width));
        add("post_attention_layernorm", &[width], 0.0);
        add("mlp.gate_proj", &[inner, width], deviation(INPUT, width));
        add("mlp.up_proj", &[inner, width], deviation(INPUT, width));
        add("mlp.down_proj", &[width, inner], deviation(OUTPUT, inner));
    }
    all.push(("model.norm.weight".to_owned(), vec![width], 0.0));
    all
}

fn weights(shape: Shape, rows: usize, seed: u64) -> Result<HashMap<String, Tensor>> {
    let mut tensors = HashMap::new();
    for (part, (name, sizes, deviation)) in (0..).zip(parameters(shape, rows)) {
        let mut draw = Draw::new(seed, Purpose::Weights, part);
        let count: usize = sizes.iter().product();
        let values: Vec<f32> =
            (0..count).map(|_| if deviation == 0.0 { 1.0 } else { (deviation * normal(&mut draw)) as f32 }).collect();
        tensors.insert(name, Tensor::from_vec(values, sizes, &Device::Cpu).map_err(Error::from)?);
    }
    Ok(tensors)
}

/// Nearly normal, of variance 1: the sum of eight even numbers of 16 bits, which every machine adds alike.
fn normal(draw: &mut Draw) -> f64 {
    let sum: u32 = draw.words().into_iter().map(|word| (word & 0xffff) + (word >> 16)).sum();
    let even = f64::from(sum) / 65_536.0 - 4.0;
    even * 1.224_744_871_391_589 // the square root of 12 / 8
}
