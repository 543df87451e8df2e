//! [`Rerank`]: a second look at the best hits, query and text read together.

use std::path::Path;
use std::sync::Arc;

use nn::Device;

use crate::Result;

#[cfg(feature = "onnx")]
mod onnx;

#[cfg(feature = "onnx")]
pub use onnx::Onnx;

/// Gives each text one score for a query; higher is nearer. Scores of two rerankers do not compare.
pub trait Rerank: Send + Sync {
    /// One logit for each of `texts`, in order.
    ///
    /// # Errors
    /// When the model fails; never because of what a text says.
    fn rerank(&self, query: &str, texts: &[&str]) -> Result<Vec<f32>>;
}

/// Keeps the order it is given.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identity;

impl Rerank for Identity {
    fn rerank(&self, _: &str, texts: &[&str]) -> Result<Vec<f32>> {
        Ok((0..texts.len()).map(|place| -(place as f32)).collect())
    }
}

/// A model folder in the layout of `BertForSequenceClassification` with one label (MS MARCO MiniLM,
/// MedCPT cross-encoder, BGE reranker).
#[derive(Debug)]
pub struct CrossEncoder(nn::CrossEncoder);

impl CrossEncoder {
    /// Opens the model folder `path`, to run on the CPU.
    ///
    /// # Errors
    /// [`crate::Error::Nn`], which names the file at fault.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self(nn::CrossEncoder::open(path, Device::cpu())?))
    }
}

impl Rerank for CrossEncoder {
    fn rerank(&self, query: &str, texts: &[&str]) -> Result<Vec<f32>> {
        Ok(self.0.score(query, texts)?)
    }
}

/// Opens the reranker called `name`: `none`; a folder in the Hugging Face BERT layout; with feature
/// `onnx`, a folder with an ONNX model.
///
/// # Errors
/// [`crate::Error::Nn`] or [`crate::Error::Encoder`], which name the file at fault.
pub fn open(name: &str) -> Result<Arc<dyn Rerank>> {
    if name == "none" {
        return Ok(Arc::new(Identity));
    }
    let path = Path::new(name);
    #[cfg(feature = "onnx")]
    if crate::embed::Onnx::model_in(path).is_some() {
        return Ok(Arc::new(Onnx::open(path)?));
    }
    Ok(Arc::new(CrossEncoder::open(path)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_keeps_the_order() {
        let scores = Identity.rerank("q", &["a", "b", "c"]).unwrap();
        assert!(scores.is_sorted_by(|a, b| a > b));
        assert!(Identity.rerank("q", &[]).unwrap().is_empty());
        assert_eq!(open("none").unwrap().rerank("q", &["a", "b"]).unwrap(), scores[..2]);
        assert!(open("no/such/folder").is_err());
    }
}
