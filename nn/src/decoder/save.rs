//! Writing a decoder as a model folder, with what it has learned.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use candle_core::DType;
use half::{bf16, f16};
use serde_json::{Map, Value, json};

use super::layer::Layer;
use super::load::merge;
use super::{Decoder, Parameter, Trainable};
use crate::error::read_json;
use crate::lora::Lora;
use crate::save::{Layout, copy, replace, write_tensors};
use crate::{Error, Result};

const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// What is copied as it is, where it exists.
const COPIED: [&str; 8] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "generation_config.json",
    "vocab.json",
    "merges.txt",
];

/// Where the values of a tensor come from.
enum Values<'a> {
    /// The file that the decoder was loaded from.
    File,
    /// The file, with what an adapter adds.
    Merged(&'a Lora),
    /// A variable.
    Learned(&'a Parameter),
}

/// A tensor that is to be written.
struct Entry<'a> {
    shape: &'a [usize],
    dtype: DType,
    values: Values<'a>,
}

impl Decoder {
    /// Writes the decoder to the folder `dir`, which is made where it is missing: its weights with what
    /// they have learned, and with the adapter that is on, then its configuration and tokenizer. What
    /// has learned is written in single precision, all else in the type in which it was stored. Each
    /// file is replaced whole, the weights last.
    ///
    /// # Errors
    /// [`Error::Write`] when the disk refuses, [`Error::Config`] when `dir` holds a model in shards,
    /// [`Error::Io`] and [`Error::Weights`] when the folder that the decoder was loaded from is gone or damaged.
    pub fn save(&self, dir: &Path) -> Result<()> {
        fs::create_dir_all(dir).map_err(|source| Error::Write { path: dir.to_owned(), source })?;
        if fs::symlink_metadata(dir.join(INDEX)).is_ok() {
            let reason = "is beside weights in shards, which would hide what is saved: name another folder";
            return Err(Error::Config { file: dir.join(INDEX), reason: reason.to_owned() });
        }
        copy(&self.folder, dir, &COPIED)?;
        let file = self.folder.join("config.json");
        let missing = || Error::Config { file: file.clone(), reason: "is gone".to_owned() };
        let mut config: Map<String, Value> = read_json(&file)?.ok_or_else(missing)?;
        if self.learned(Trainable::All) {
            for name in
                ["torch_dtype", "dtype"].into_iter().filter(|name| config.contains_key(*name)).collect::<Vec<_>>()
            {
                config.insert(name.to_owned(), json!("float32"));
            }
        }
        let config = format!("{:#}\n", Value::Object(config));
        replace(&dir.join("config.json"), |file| file.write_all(config.as_bytes()))?;
        self.save_weights(&dir.join(WEIGHTS))
    }

    fn learned(&self, what: Trainable) -> bool {
        self.learning.as_ref().is_some_and(|learning| learning.what == what)
    }

    fn save_weights(&self, path: &Path) -> Result<()> {
        let entries = self.entries();
        let layouts = entries.iter().map(|(name, entry)| (*name, Layout { dtype: entry.dtype, shape: entry.shape }));
        write_tensors(path, &layouts.collect(), |name| self.bytes_of(name, &entries[name]))
    }

    /// All floating-point tensors of the decoder's file, by name.
    fn entries(&self) -> BTreeMap<&str, Entry<'_>> {
        let learning = self.learning.as_ref().filter(|learning| learning.what == Trainable::All);
        let parameters = learning.iter().flat_map(|learning| &learning.parameters);
        let learned: BTreeMap<&str, &Parameter> = parameters.map(|own| (own.name.as_str(), own)).collect();
        let parts = self.layers.iter().flat_map(Layer::linears).flat_map(|linear| &linear.parts);
        let adapted: BTreeMap<String, &Lora> =
            parts.filter_map(|part| Some((format!("{}.weight", part.name), part.lora.as_ref()?))).collect();
        let tensors = self.weights.tensors().filter_map(|(name, dtype, shape)| {
            let stored = match dtype {
                "F32" => DType::F32,
                "F16" => DType::F16,
                "BF16" => DType::BF16,
                _ => return None,
            };
            let (dtype, values) = match (learned.get(name), adapted.get(name)) {
                (Some(parameter), _) => (DType::F32, Values::Learned(parameter)),
                // A tied head that the file holds a second time would be out of date.
                (None, _) if learning.is_some() => return None,
                (None, Some(lora)) => (stored, Values::Merged(lora)),
                (None, None) => (stored, Values::File),
            };
            Some((name, Entry { shape, dtype, values }))
        });
        tensors.collect()
    }

    fn bytes_of(&self, name: &str, entry: &Entry<'_>) -> Result<Vec<u8>> {
        let wide = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let lora = match &entry.values {
            Values::Learned(parameter) => return parameter.read(wide),
            Values::File => return Ok(self.weights.view(name, entry.shape)?.bytes.to_vec()),
            Values::Merged(lora) => lora,
        };
        let values = merge(self.weights.view(name, entry.shape)?, lora)?;
        Ok(match entry.dtype {
            DType::F16 => values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect(),
            DType::BF16 => values.iter().flat_map(|value| bf16::from_f32(*value).to_le_bytes()).collect(),
            _ => wide(&values),
        })
    }
}
