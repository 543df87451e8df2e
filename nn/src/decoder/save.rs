//! Writing a decoder as a model folder, with what it has learned.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use candle_core::DType;
use half::{bf16, f16};
use serde_json::{Map, Value, json};

use super::layer::Layer;
use super::load::merge;
use super::{Decoder, Parameter, Trainable};
use crate::error::read_json;
use crate::lora::Lora;
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
        for name in COPIED {
            let from = self.folder.join(name);
            match fs::read(&from) {
                Ok(bytes) => replace(&dir.join(name), |file| file.write_all(&bytes))?,
                Err(source) if source.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(Error::Io { path: from, source }),
            }
        }
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
        let mut header = BTreeMap::new();
        let mut end = 0;
        for (name, entry) in &entries {
            let start = end;
            end += entry.shape.iter().product::<usize>() * entry.dtype.size_in_bytes();
            let dtype = match entry.dtype {
                DType::F16 => "F16",
                DType::BF16 => "BF16",
                _ => "F32",
            };
            let place = json!({ "dtype": dtype, "shape": entry.shape, "data_offsets": [start, end] });
            header.insert(*name, place);
        }
        header.insert("__metadata__", json!({ "format": "pt" }));
        let mut header = json!(header).to_string();
        header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
        // What cannot be read must not look like a disk that refuses.
        let mut fault = None;
        let written = replace(path, |file| {
            file.write_all(&(header.len() as u64).to_le_bytes())?;
            file.write_all(header.as_bytes())?;
            for (name, entry) in &entries {
                match self.bytes_of(name, entry) {
                    Ok(bytes) => file.write_all(&bytes)?,
                    Err(error) => {
                        fault = Some(error);
                        return Err(std::io::Error::other("a tensor cannot be read"));
                    }
                }
            }
            Ok(())
        });
        fault.map_or(written, Err)
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

/// Writes a file aside and renames it, so that a reader finds the old one or the new one.
fn replace(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>) -> Result<()> {
    let aside = path.with_added_extension("part");
    let written = File::create(&aside).and_then(|file| {
        let mut file = BufWriter::new(file);
        write(&mut file)?;
        file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()
    });
    let written = written.and_then(|()| fs::rename(&aside, path)).map_err(|source| {
        // Best effort: the fault that is told matters more.
        let _ = fs::remove_file(&aside);
        Error::Write { path: path.to_owned(), source }
    });
    written?;
    #[cfg(unix)]
    if let Some(parent) = path.parent() {
        File::open(parent)
            .and_then(|folder| folder.sync_all())
            .map_err(|source| Error::Write { path: parent.to_owned(), source })?;
    }
    Ok(())
}
