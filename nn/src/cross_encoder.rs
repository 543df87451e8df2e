//! [`CrossEncoder`]: how well a text answers a query, both read together: a [`Classifier`] of one label.

use std::path::Path;

use crate::{Classifier, Device, Error, Result};

/// A BERT with a pooler and a classifier of one label.
#[derive(Debug)]
pub struct CrossEncoder(Classifier);

impl CrossEncoder {
    /// Opens the model folder `dir` to run on `device`.
    ///
    /// # Errors
    /// An [`Error`] that names the file at fault; [`Error::Weights`] names `classifier.weight` for a model
    /// of more than one label.
    pub fn open(dir: &Path, device: Device) -> Result<Self> {
        let classifier = Classifier::open(dir, device)?;
        match classifier.labels() {
            [_] => Ok(Self(classifier)),
            labels => Err(Error::Weights {
                file: dir.join("model.safetensors"),
                tensor: "classifier.weight".to_owned(),
                reason: format!("has {} labels, expected the one of relevance", labels.len()),
            }),
        }
    }

    /// One logit for each text, in order: higher is more relevant. A pair that is longer than the
    /// encoder has positions is cut, the longer of both first.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when a text cannot be tokenized.
    pub fn score(&self, query: &str, texts: &[impl AsRef<str> + Sync]) -> Result<Vec<f32>> {
        let pairs: Vec<(&str, &str)> = texts.iter().map(|text| (query, text.as_ref())).collect();
        Ok(self.0.logits(&pairs)?.into_iter().flatten().collect())
    }
}
