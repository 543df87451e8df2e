//! Adapters in the layout of PEFT: `adapter_config.json` and `adapter_model.safetensors`.
//!
//! What the file of tensors holds decides which layers are changed; the configuration gives the
//! scale. Settings that change the computation in a way that is not done here are refused by name.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use candle_core::Var;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Adapter, MAX_RANK, Target};
use crate::error::read_json;
use crate::{Error, Result, Weights};

const CONFIG: &str = "adapter_config.json";
const TENSORS: &str = "adapter_model.safetensors";

/// Settings that must be absent, null, false or empty.
const REFUSED: [&str; 13] = [
    "use_dora",
    "rank_pattern",
    "alpha_pattern",
    "modules_to_save",
    "fan_in_fan_out",
    "lora_bias",
    "layer_replication",
    "trainable_token_indices",
    "target_parameters",
    "use_qalora",
    "use_bdlora",
    "alora_invocation_tokens",
    "arrow_config",
];

#[derive(Deserialize)]
struct Config {
    peft_type: String,
    r: usize,
    lora_alpha: f64,
    #[serde(default)]
    use_rslora: bool,
    bias: Option<String>,
    target_modules: Option<Value>,
    init_lora_weights: Option<Value>,
}

/// The name of a variable, `which` is A or B.
pub(super) fn tensor_name(layer: usize, target: Target, which: &str) -> String {
    format!("base_model.model.model.layers.{layer}.{}.lora_{which}.weight", target.path())
}

/// The layer, target and variable of a name.
fn parse(name: &str) -> Option<(usize, Target, &str)> {
    let inner = name.strip_prefix("base_model.model.")?;
    let inner = inner.strip_prefix("model.").unwrap_or(inner).strip_prefix("layers.")?;
    let (layer, path) = inner.split_once('.')?;
    let (path, which) = path.strip_suffix(".weight")?.rsplit_once(".lora_")?;
    let target = Target::ALL.into_iter().find(|target| target.path() == path)?;
    ["A", "B"].contains(&which).then_some((layer.parse().ok()?, target, which))
}

impl Adapter {
    /// Reads an adapter in PEFT layout from the folder `dir`.
    ///
    /// # Errors
    /// [`Error::Config`] for settings that are damaged or not supported, [`Error::Weights`] for
    /// tensors that are missing, of another shape or for another kind of layer, [`Error::Io`].
    pub fn open(dir: &Path) -> Result<Self> {
        let file = dir.join(CONFIG);
        let fault = |reason: String| Error::Config { file: file.clone(), reason };
        let value: Value =
            read_json(&file)?.ok_or_else(|| fault("is missing: name a folder with an adapter".to_owned()))?;
        let config = check(&value).map_err(fault)?;

        let path = dir.join(TENSORS);
        let weights = Weights::open_file(&path)?;
        let tensor_fault =
            |tensor: &str, reason: String| Error::Weights { file: path.clone(), tensor: tensor.to_owned(), reason };
        let mut adapter = Self::empty(config.r, config.lora_alpha, config.use_rslora);
        for name in weights.names() {
            let Some((layer, target, which)) = parse(name) else {
                return Err(tensor_fault(name, "belongs to no linear layer of a decoder".to_owned()));
            };
            if which == "B" {
                weights
                    .shape(&name.replace(".lora_B.", ".lora_A."))
                    .ok_or_else(|| tensor_fault(name, "has no A beside it".to_owned()))?;
                continue;
            }
            let other = name.replace(".lora_A.", ".lora_B.");
            let inputs = match weights.shape(name) {
                Some([rank, inputs]) if *rank == config.r => *inputs,
                shape => {
                    let reason = format!("has shape {:?}, expected [{}, inputs]", shape.unwrap_or_default(), config.r);
                    return Err(tensor_fault(name, reason));
                }
            };
            let outputs = match weights.shape(&other) {
                Some([outputs, rank]) if *rank == config.r => *outputs,
                None => return Err(tensor_fault(&other, "is missing".to_owned())),
                shape => {
                    let reason = format!("has shape {:?}, expected [outputs, {}]", shape.unwrap_or_default(), config.r);
                    return Err(tensor_fault(&other, reason));
                }
            };
            let (a, b) = (weights.get(name, &[config.r, inputs])?, weights.get(&other, &[outputs, config.r])?);
            adapter.insert(layer, target, &a, &b)?;
        }
        if adapter.pairs.is_empty() {
            return Err(tensor_fault("header", "holds no tensors".to_owned()));
        }
        let Some(Value::Array(wanted)) = &config.target_modules else {
            return Ok(adapter);
        };
        for wanted in wanted.iter().filter_map(Value::as_str) {
            let is_held = adapter.pairs.keys().any(|(layer, target)| {
                let full = format!("model.layers.{layer}.{}", target.path());
                full == wanted || full.ends_with(&format!(".{wanted}"))
            });
            if !is_held {
                return Err(fault(format!("target_modules names `{wanted}`, of which {TENSORS} holds nothing")));
            }
        }
        Ok(adapter)
    }

    /// Writes the adapter in PEFT layout to the folder `dir`, which is made where it is missing.
    /// Each file is replaced whole.
    ///
    /// # Errors
    /// [`Error::Write`] when the disk refuses.
    pub fn save(&self, dir: &Path) -> Result<()> {
        fs::create_dir_all(dir).map_err(|source| Error::Write { path: dir.to_owned(), source })?;
        let config = json!({
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": null,
            "r": self.rank,
            "lora_alpha": self.alpha,
            "use_rslora": self.rank_stabilised,
            "target_modules": self.target_modules(),
            "lora_dropout": 0.0,
            "bias": "none",
            "fan_in_fan_out": false,
            "inference_mode": true,
        });
        let variables: BTreeMap<String, &Var> = self.variables().collect();
        let mut header = BTreeMap::new();
        let mut end = 0;
        for (name, variable) in &variables {
            let start = end;
            end += variable.elem_count() * size_of::<f32>();
            let entry = json!({ "dtype": "F32", "shape": variable.dims(), "data_offsets": [start, end] });
            header.insert(name.as_str(), entry);
        }
        let metadata = json!({ "format": "pt" });
        header.insert("__metadata__", metadata);
        let mut header = json!(header).to_string();
        header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        for variable in variables.values() {
            bytes.extend(variable.flatten_all()?.to_vec1::<f32>()?.iter().flat_map(|value| value.to_le_bytes()));
        }
        replace(&dir.join(TENSORS), &bytes)?;
        replace(&dir.join(CONFIG), format!("{config:#}\n").as_bytes())
    }

    /// Short names where every layer up to the last has the same targets, else full ones.
    fn target_modules(&self) -> Vec<String> {
        let of_layer =
            |wanted: usize| self.pairs.keys().filter(move |(layer, _)| *layer == wanted).map(|(_, target)| *target);
        let layers = self.pairs.keys().map(|(layer, _)| layer + 1).max().unwrap_or(0);
        let mut names: Vec<String> = if (1..layers).all(|layer| of_layer(layer).eq(of_layer(0))) {
            of_layer(0).map(|target| target.name().to_owned()).collect()
        } else {
            let full = |(layer, target): &(usize, Target)| format!("model.layers.{layer}.{}", target.path());
            self.pairs.keys().map(full).collect()
        };
        names.sort_unstable();
        names
    }
}

/// Refuses what is not supported; the message of what is wrong.
fn check(value: &Value) -> Result<Config, String> {
    let config: Config = Config::deserialize(value).map_err(|error| error.to_string())?;
    if config.peft_type != "LORA" {
        return Err(format!("peft_type is `{}`, only `LORA` is supported", config.peft_type));
    }
    for field in REFUSED {
        let is_off = match value.get(field) {
            None | Some(Value::Null | Value::Bool(false)) => true,
            Some(Value::Array(list)) => list.is_empty(),
            Some(Value::Object(map)) => map.is_empty(),
            Some(_) => false,
        };
        if !is_off {
            return Err(format!("{field} is set, which is not supported: train the adapter without it"));
        }
    }
    if let Some(bias) = config.bias.as_deref().filter(|bias| *bias != "none") {
        return Err(format!("bias is `{bias}`, only `none` is supported"));
    }
    // These rewrite the base weights when training begins; the adapter fits no other.
    let rewriting = ["pissa", "olora", "loftq", "corda"];
    let start = config.init_lora_weights.as_ref().and_then(Value::as_str).unwrap_or_default();
    if rewriting.iter().any(|name| start.to_ascii_lowercase().starts_with(name)) {
        return Err(format!("init_lora_weights is `{start}`: convert the adapter to plain LoRA first"));
    }
    if config.r == 0 || config.r > MAX_RANK {
        return Err(format!("r is {}, expected 1 to {MAX_RANK}", config.r));
    }
    if !(config.lora_alpha > 0.0 && config.lora_alpha.is_finite()) {
        return Err(format!("lora_alpha is {}, expected more than 0", config.lora_alpha));
    }
    Ok(config)
}

/// Writes a file aside and renames it, so that a reader finds the old one or the new one.
fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let aside = path.with_extension("part");
    let written = File::create(&aside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&aside, path)).map_err(|source| Error::Write { path: path.to_owned(), source })
}
