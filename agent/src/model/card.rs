//! [`Card`]: what a model folder holds, read from its headers in a moment.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use nn::{ChatTemplate, DecoderConfig, KvCache, Tokenizer, Weights};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What a model folder holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Card {
    /// The folder's name.
    pub name: String,
    /// The folder.
    pub path: PathBuf,
    /// Architecture: `llama`, `mistral`, `qwen2` or `qwen3`.
    pub family: &'static str,
    /// Number of weights.
    pub parameters: usize,
    /// Type of the weights as stored, such as `bf16`; several are joined by `+`.
    pub dtype: String,
    /// Bytes of the weight files.
    pub bytes: u64,
    /// The most tokens of one sequence.
    pub context: usize,
    /// Bytes of keys and values that one token takes while it is served on the processor.
    pub kv_bytes_per_token: usize,
    /// Rows of the embedding.
    pub vocabulary: usize,
    /// Ids that the tokenizer knows; at most as many.
    pub tokens: usize,
    /// Whether the model says how a conversation is written.
    pub chat_template: bool,
    /// LoRA adapters that lie in the folder, a subfolder each.
    pub adapters: Vec<AdapterCard>,
}

/// A LoRA adapter in PEFT layout.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AdapterCard {
    /// The folder.
    pub path: PathBuf,
    /// Its rank.
    pub rank: usize,
    /// The numerator of its scale.
    pub alpha: f64,
}

impl Card {
    /// Reads the headers of the model folder `dir`; no weight is looked at.
    ///
    /// # Errors
    /// [`Error::Model`] for a folder that is damaged or of another architecture, [`Error::Input`] for
    /// one that holds an adapter only.
    pub fn read(dir: &Path) -> Result<Self> {
        if !dir.join("config.json").is_file() && adapter(dir).is_some() {
            return Err(Error::Input(format!(
                "{} is an adapter, no model: name the model's folder, and this one with --adapter",
                dir.display()
            )));
        }
        let config = DecoderConfig::open(dir)?;
        let weights = Weights::open(dir)?;
        let tokenizer = Tokenizer::open(dir)?;
        tokenizer.check_vocabulary(config.vocab_size)?;
        let types: BTreeSet<_> = weights.tensors().map(|(_, dtype, _)| dtype.to_lowercase()).collect();
        Ok(Self {
            name: name(dir),
            path: dir.to_owned(),
            family: config.family.name(),
            parameters: config.parameters(),
            dtype: types.into_iter().collect::<Vec<_>>().join("+"),
            bytes: weights.bytes(),
            context: config.max_position_embeddings,
            kv_bytes_per_token: KvCache::bytes_per_block(&config) / nn::BLOCK,
            vocabulary: config.vocab_size,
            tokens: tokenizer.vocabulary(),
            chat_template: ChatTemplate::open(dir)?.is_some(),
            adapters: adapters(dir)?,
        })
    }
}

/// The name of a folder, however it is pointed at.
fn name(dir: &Path) -> String {
    let whole = fs::canonicalize(dir);
    whole.as_deref().unwrap_or(dir).file_name().unwrap_or(dir.as_os_str()).to_string_lossy().into_owned()
}

/// True when `config.json` names an architecture that is no encoder's.
pub fn is_language_model(dir: &Path) -> bool {
    model_type(dir).is_some_and(|name| name != "bert" && !name.is_empty())
}

/// What `config.json` calls the architecture: nothing without such a file, an empty name when it is damaged.
pub(super) fn model_type(dir: &Path) -> Option<String> {
    #[derive(Default, Deserialize)]
    struct Config {
        model_type: String,
    }
    let bytes = fs::read(dir.join("config.json")).ok()?;
    Some(serde_json::from_slice::<Config>(&bytes).unwrap_or_default().model_type)
}

fn adapters(dir: &Path) -> Result<Vec<AdapterCard>> {
    let io = |source| nn::Error::Io { path: dir.to_owned(), source };
    let mut adapters = Vec::new();
    for entry in fs::read_dir(dir).map_err(io)? {
        adapters.extend(adapter(&entry.map_err(io)?.path()));
    }
    adapters.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(adapters)
}

fn adapter(dir: &Path) -> Option<AdapterCard> {
    #[derive(Deserialize)]
    struct Config {
        r: usize,
        lora_alpha: f64,
    }
    let bytes = fs::read(dir.join("adapter_config.json")).ok()?;
    let config: Config = serde_json::from_slice(&bytes).ok()?;
    Some(AdapterCard { path: dir.to_owned(), rank: config.r, alpha: config.lora_alpha })
}
