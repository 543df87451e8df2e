//! [`Onnx`]: a user's cross-encoder on the ONNX Runtime, through fastembed (feature `onnx`).

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use fastembed::{RerankInitOptionsUserDefined, TextRerank, UserDefinedRerankingModel};

use super::Rerank;
use crate::embed::onnx::{load_runtime, tokenizer_files, window};
use crate::{Error, Result, embed};

/// Pairs that the runtime sees at a time.
const BATCH: usize = 32;

/// A folder as for [`embed::Onnx`] whose model has one output, `logits`.
#[derive(Debug)]
pub struct Onnx {
    /// The runtime's session wants exclusive use.
    model: Mutex<TextRerank>,
    path: PathBuf,
}

impl Onnx {
    /// Opens the folder `path`.
    ///
    /// # Errors
    /// [`Error::Encoder`] when the ONNX Runtime cannot be loaded or the model cannot be used,
    /// [`Error::File`] for a file that cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        load_runtime(path)?;
        let fault = |reason: String| Error::Encoder { path: path.into(), reason };
        let model = embed::Onnx::model_in(path).ok_or_else(|| fault("has no model.onnx".to_owned()))?;
        let model = UserDefinedRerankingModel::new(model, tokenizer_files(path)?);
        let options = RerankInitOptionsUserDefined::new().with_max_length(window(path)?);
        let model = TextRerank::try_new_from_user_defined(model, options).map_err(|error| fault(error.to_string()))?;
        Ok(Self { model: Mutex::new(model), path: path.into() })
    }
}

impl Rerank for Onnx {
    fn rerank(&self, query: &str, texts: &[&str]) -> Result<Vec<f32>> {
        // a session that failed is still whole
        let mut model = self.model.lock().unwrap_or_else(PoisonError::into_inner);
        let ranked = model
            .rerank(query, texts, false, Some(BATCH))
            .map_err(|error| Error::Encoder { path: self.path.clone(), reason: error.to_string() })?;
        let mut scores = vec![0.0; texts.len()];
        for result in ranked {
            scores[result.index] = result.score;
        }
        Ok(scores)
    }
}
