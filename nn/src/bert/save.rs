//! Writing an encoder that has learned as a model folder.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use candle_core::DType;
use serde_json::{Map, Value, json};

use super::Bert;
use crate::error::read_json;
use crate::save::{Layout, copy, replace, write_tensors};
use crate::{Error, Parameter, Result};

/// What says how text becomes ids, copied as it is, where it exists.
const TOKENIZER: [&str; 5] =
    ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt"];
/// What makes an encoder one of sentences.
const SENTENCES: [&str; 4] =
    ["modules.json", "sentence_bert_config.json", "config_sentence_transformers.json", "1_Pooling/config.json"];

impl Bert {
    /// Writes the encoder with what it has learned to the folder `dir`, which is made where it is missing,
    /// as `BertModel` of transformers, with what the folder it was opened from says of its tokenizer and of
    /// sentences. Each file is replaced whole, the weights last.
    ///
    /// # Errors
    /// [`Error::Shape`] before [`Bert::train`], [`Error::Write`] when the disk refuses, [`Error::Config`]
    /// when `dir` holds a model in shards, [`Error::Io`] when the folder it was opened from is gone.
    pub fn save(&self, dir: &Path) -> Result<()> {
        let parameters = self.learning()?.parameters.iter().collect::<Vec<_>>();
        let pooler = self.pooler.as_ref().map(|pooler| (pooler.weight(), pooler.bias()));
        let mut others = BTreeMap::new();
        if let Some((weight, bias)) = &pooler {
            let width = self.config.hidden_size;
            others.insert(format!("{}pooler.dense.weight", self.prefix), (vec![width, width], weight.as_slice()));
            others.insert(format!("{}pooler.dense.bias", self.prefix), (vec![width], *bias));
        }
        prepare(dir)?;
        copy(&self.folder, dir, &SENTENCES)?;
        self.write(dir, &parameters, &others, [("architectures", json!(["BertModel"]))])
    }

    /// Writes the encoder with the parameters of a head and what its configuration says of it.
    pub(crate) fn save_with(
        &self,
        dir: &Path,
        head: &[Parameter],
        config: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> Result<()> {
        let parameters = self.learning()?.parameters.iter().chain(head).collect::<Vec<_>>();
        prepare(dir)?;
        self.write(dir, &parameters, &BTreeMap::new(), config)
    }

    fn write(
        &self,
        dir: &Path,
        parameters: &[&Parameter],
        others: &BTreeMap<String, (Vec<usize>, &[f32])>,
        more: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> Result<()> {
        copy(&self.folder, dir, &TOKENIZER)?;
        let file = self.folder.join("config.json");
        let missing = || Error::Config { file: file.clone(), reason: "is gone".to_owned() };
        let mut config: Map<String, Value> = read_json(&file)?.ok_or_else(missing)?;
        config.remove("num_labels");
        for name in ["torch_dtype", "dtype"] {
            config.entry(name).and_modify(|value| *value = json!("float32"));
        }
        config.extend(more.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let config = format!("{:#}\n", Value::Object(config));
        replace(&dir.join("config.json"), |file| file.write_all(config.as_bytes()))?;

        let learned: BTreeMap<&str, &Parameter> = parameters.iter().map(|own| (own.name.as_str(), *own)).collect();
        let dtype = DType::F32;
        let own = learned.iter().map(|(name, own)| (*name, Layout { dtype, shape: own.var.dims() }));
        let others_layout = others.iter().map(|(name, (shape, _))| (name.as_str(), Layout { dtype, shape }));
        let wide = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect();
        write_tensors(&dir.join("model.safetensors"), &own.chain(others_layout).collect(), |name| {
            learned.get(name).map_or_else(|| Ok(wide(others[name].1)), |own| own.read(wide))
        })
    }
}

/// Makes the folder, and refuses one in which what is saved would be hidden.
fn prepare(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).map_err(|source| Error::Write { path: dir.to_owned(), source })?;
    let index = dir.join("model.safetensors.index.json");
    if fs::symlink_metadata(&index).is_ok() {
        let reason = "is beside weights in shards, which would hide what is saved: name another folder";
        return Err(Error::Config { file: index, reason: reason.to_owned() });
    }
    Ok(())
}
