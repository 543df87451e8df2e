//! [`Onnx`]: a user's sentence encoder on the ONNX Runtime, through fastembed (feature `onnx`).
//!
//! The runtime is a library of the system, found at `ORT_DYLIB_PATH` or by the loader under its
//! usual name, and opened when it is first needed. Nothing is downloaded.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use fastembed::{InitOptionsUserDefined, TextEmbedding, TokenizerFiles, UserDefinedEmbeddingModel};
use serde::Deserialize;

use super::static_encoder::normalise;
use super::{Card, Embed, Role};
use crate::{Error, Result};

/// The vector arm's share in min-max fusion, as for [`super::Bert`].
const WEIGHT: f64 = 0.5;
/// Texts that the runtime sees at a time, padded to the longest of them.
const BATCH: usize = 32;
/// Tokens of a text where the folder does not say.
const WINDOW: usize = 512;
/// Where a folder may keep its model.
const MODELS: [&str; 2] = ["model.onnx", "onnx/model.onnx"];

/// A folder with `model.onnx` (or `onnx/model.onnx`), `tokenizer.json`, `tokenizer_config.json`,
/// `special_tokens_map.json` and `config.json`; pooling and window are read from the
/// sentence-transformers files where they are there.
pub struct Onnx {
    /// The runtime's session wants exclusive use.
    model: Mutex<TextEmbedding>,
    path: PathBuf,
    card: Card,
}

impl std::fmt::Debug for Onnx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Onnx").field("path", &self.path).field("card", &self.card).finish_non_exhaustive()
    }
}

impl Onnx {
    /// The ONNX model in the folder `path`, if there is one.
    pub fn model_in(path: &Path) -> Option<PathBuf> {
        MODELS.iter().map(|name| path.join(name)).find(|file| file.is_file())
    }

    /// Opens the folder `path`.
    ///
    /// # Errors
    /// [`Error::Encoder`] when the ONNX Runtime cannot be loaded or the model cannot be used,
    /// [`Error::File`] for a file that cannot be read, [`Error::Nn`] for a bad pooling file.
    pub fn open(path: &Path) -> Result<Self> {
        load_runtime(path)?;
        let fault = |reason: String| Error::Encoder { path: path.into(), reason };
        let model = Self::model_in(path).ok_or_else(|| fault(format!("has no {}", MODELS[0])))?;
        let onnx_file = read(&model)?;
        let pooling = nn::Pooling::open(path)?;
        let window = window(path)?;
        let tokenizer_files = tokenizer_files(path)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update_rayon(&onnx_file).update(&tokenizer_files.tokenizer_file);
        hasher.update(format!("{pooling:?} {window}").as_bytes());
        let fingerprint = hasher.finalize().to_hex().to_string();
        let (pooling, name) = match pooling {
            nn::Pooling::Mean => (fastembed::Pooling::Mean, "mean"),
            nn::Pooling::Cls => (fastembed::Pooling::Cls, "cls"),
        };
        let model = UserDefinedEmbeddingModel::new(onnx_file, tokenizer_files).with_pooling(pooling);
        let options = InitOptionsUserDefined::new().with_max_length(window);
        let mut model =
            TextEmbedding::try_new_from_user_defined(model, options).map_err(|error| fault(error.to_string()))?;
        let probe = model.embed(["probe"], None).map_err(|error| fault(error.to_string()))?;
        let card = Card {
            name: path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
            fingerprint,
            dimension: probe.first().map_or(0, Vec::len),
            pooling: name.to_owned(),
            query_prefix: String::new(),
            passage_prefix: String::new(),
            weight: WEIGHT,
        };
        Ok(Self { model: Mutex::new(model), path: path.into(), card })
    }
}

impl Embed for Onnx {
    fn embed(&self, _: Role, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        // like lengths together, so that little is padded
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|&index| texts[index].len());
        let sorted: Vec<&str> = order.iter().map(|&index| texts[index]).collect();
        // a session that failed is still whole
        let mut model = self.model.lock().unwrap_or_else(PoisonError::into_inner);
        let vectors = model
            .embed(&sorted, Some(BATCH))
            .map_err(|error| Error::Encoder { path: self.path.clone(), reason: error.to_string() })?;
        let mut placed = vec![Vec::new(); texts.len()];
        for (index, mut vector) in order.into_iter().zip(vectors) {
            normalise(&mut vector);
            placed[index] = vector;
        }
        Ok(placed)
    }

    fn card(&self) -> &Card {
        &self.card
    }
}

/// Loads the ONNX Runtime once; without this the first use of it would panic where it is missing.
pub(crate) fn load_runtime(path: &Path) -> Result<()> {
    let named = std::env::var_os("ORT_DYLIB_PATH").filter(|name| !name.is_empty());
    let usual = || format!("{}onnxruntime{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX).into();
    let library: PathBuf = named.map_or_else(usual, PathBuf::from);
    match ort::init_from(&library) {
        Ok(_) => Ok(()),
        Err(error) => {
            let reason = format!(
                "needs the ONNX Runtime, which could not be loaded ({error}): install it \
                 (`pip install onnxruntime` carries one) and set ORT_DYLIB_PATH to its {}",
                library.file_name().unwrap_or(library.as_os_str()).display()
            );
            Err(Error::Encoder { path: path.into(), reason })
        }
    }
}

/// The files that fastembed wants beside the model.
pub(crate) fn tokenizer_files(path: &Path) -> Result<TokenizerFiles> {
    Ok(TokenizerFiles {
        tokenizer_file: read(&path.join("tokenizer.json"))?,
        config_file: read(&path.join("config.json"))?,
        special_tokens_map_file: read(&path.join("special_tokens_map.json"))?,
        tokenizer_config_file: read(&path.join("tokenizer_config.json"))?,
    })
}

/// `max_seq_length` of `sentence_bert_config.json`, where there is one.
pub(crate) fn window(path: &Path) -> Result<usize> {
    #[derive(Deserialize)]
    struct Config {
        max_seq_length: Option<usize>,
    }
    let file = path.join("sentence_bert_config.json");
    if !file.is_file() {
        return Ok(WINDOW);
    }
    let config: Config = serde_json::from_slice(&read(&file)?)
        .map_err(|error| Error::Encoder { path: path.into(), reason: format!("sentence_bert_config.json: {error}") })?;
    Ok(config.max_seq_length.unwrap_or(WINDOW))
}

fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).map_err(|source| Error::File { action: "read", path: file.into(), source })
}
