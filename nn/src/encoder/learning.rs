//! A sentence encoder that learns: passes to unit vectors, and back from a loss on them.

use std::path::Path;

use candle_core::Tensor;

use super::SentenceEncoder;
use crate::{EncoderPass, Gradients, Packed, Parameter, Recompute, Result};

impl SentenceEncoder {
    /// The tokens of texts, end to end, at most `max_tokens` of each, as [`SentenceEncoder::encode_windowed`]
    /// reads them.
    ///
    /// # Errors
    /// As [`SentenceEncoder::encode_windowed`].
    pub fn pack(&self, texts: &[impl AsRef<str> + Sync], max_tokens: usize) -> Result<Packed> {
        let mut batch = Packed::default();
        for ids in self.tokenize(texts, max_tokens)? {
            batch.push(&ids);
        }
        Ok(batch)
    }

    /// Makes all weights learn and gives them in a fixed order, by the names that they are saved with.
    /// Nothing is dropped out. The fingerprint stays that of the folder.
    ///
    /// # Errors
    /// As [`Bert::train`](crate::Bert::train).
    pub fn train(&mut self, recompute: Recompute) -> Result<Vec<Parameter>> {
        self.bert.train(self.device, recompute)
    }

    /// A pass over `batch`, and the unit vectors of its sequences, (N, D), to build a loss on.
    ///
    /// # Errors
    /// As [`Bert::pass`](crate::Bert::pass).
    pub fn pass(&self, batch: &Packed) -> Result<(EncoderPass, Tensor)> {
        let pass = self.bert.pass(batch)?;
        let vectors = self.pooling.vectors(&pass)?;
        Ok((pass, vectors))
    }

    /// Adds the gradients of `loss`, a scalar made of the vectors of `pass`, to `gradients`.
    ///
    /// # Errors
    /// As [`Bert::backward`](crate::Bert::backward).
    pub fn backward(&self, pass: EncoderPass, loss: &Tensor, gradients: &mut Gradients) -> Result<()> {
        self.bert.backward(pass, loss, &[], gradients)
    }

    /// Carries the present values of what learns over to what computes. To be called after each change
    /// of the variables, before the next pass.
    ///
    /// # Errors
    /// As [`Bert::refresh`](crate::Bert::refresh).
    pub fn refresh(&mut self) -> Result<()> {
        self.bert.refresh()
    }

    /// Writes the encoder with what it has learned to the folder `dir`, in the layout that it was opened from.
    ///
    /// # Errors
    /// As [`Bert::save`](crate::Bert::save).
    pub fn save(&self, dir: &Path) -> Result<()> {
        self.bert.save(dir)
    }
}
