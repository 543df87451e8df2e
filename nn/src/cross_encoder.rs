//! [`CrossEncoder`]: how well a text answers a query, both read together.
//!
//! The layout of `BertForSequenceClassification` with one label: logit = c . tanh(P h + p) + b,
//! where h is the hidden state of the first token.

use std::path::Path;

use crate::bert::Memory;
use crate::encoder::packs;
use crate::ops::{After, Linear};
use crate::{Bert, BertConfig, Device, Packed, Result, Tokenizer, Tokens, Weights};

/// A BERT with a pooler and a classifier of one label.
#[derive(Debug)]
pub struct CrossEncoder {
    tokenizer: Tokenizer,
    bert: Bert,
    /// (D) to (D)
    pooler: Linear,
    /// (D) to (1)
    classifier: Linear,
    device: Device,
}

impl CrossEncoder {
    /// Opens the model folder `dir` to run on `device`.
    ///
    /// # Errors
    /// An [`Error`](crate::Error) that names the file at fault; [`Error::Weights`](crate::Error::Weights) names `classifier.weight` for
    /// a model of more than one label.
    pub fn open(dir: &Path, device: Device) -> Result<Self> {
        let config = BertConfig::open(dir)?;
        let weights = Weights::open(dir)?;
        let tokenizer = Tokenizer::open(dir)?;
        tokenizer.check_vocabulary(config.vocab_size)?;
        let width = config.hidden_size;
        let linear = |name: &str, outputs: usize| -> Result<Linear> {
            let weight = weights.floats(&format!("{name}.weight"), &[outputs, width])?;
            Ok(Linear::new(&weight, &weights.floats(&format!("{name}.bias"), &[outputs])?, width))
        };
        Ok(Self {
            pooler: linear("bert.pooler.dense", width)?,
            classifier: linear("classifier", 1)?,
            bert: Bert::from_weights(&config, &weights)?,
            tokenizer,
            device,
        })
    }

    /// One logit for each text, in order: higher is more relevant. A pair that is longer than the
    /// encoder has positions is cut, the longer of both first.
    ///
    /// # Errors
    /// [`Error::Tokenizer`](crate::Error::Tokenizer) when a text cannot be tokenized.
    pub fn score(&self, query: &str, texts: &[impl AsRef<str> + Sync]) -> Result<Vec<f32>> {
        let most = self.bert.config().max_position_embeddings;
        let pairs: Vec<Tokens> = self
            .device
            .spread(texts.len(), |(): &mut (), text| self.tokenizer.encode_pair(query, texts[text].as_ref(), most))?;

        let mut order: Vec<usize> = (0..pairs.len()).collect();
        order.sort_by_key(|pair| std::cmp::Reverse(pairs[*pair].ids.len()));
        let packs = packs(&order, |pair| pairs[pair].ids.len());
        let logits = self.device.spread(packs.len(), |(batch, memory): &mut (Packed, Memory), pack| {
            batch.clear();
            for pair in packs[pack] {
                batch.push_typed(&pairs[*pair].ids, &pairs[*pair].types);
            }
            self.logits(batch, memory)
        })?;

        let mut placed = vec![0.0; texts.len()];
        for (pair, logit) in order.iter().zip(logits.into_iter().flatten()) {
            placed[*pair] = logit;
        }
        Ok(placed)
    }

    fn logits(&self, batch: &Packed, memory: &mut Memory) -> Result<Vec<f32>> {
        let width = self.bert.config().hidden_size;
        let hidden = self.bert.hidden(batch, memory)?; // (T, D)
        let starts = batch.sequences().map(|rows| &hidden[rows.start * width..][..width]);
        let first = starts.collect::<Vec<_>>().concat(); // (N, D)
        let mut pooled = vec![0.0; first.len()];
        self.pooler.forward(self.bert.isa(), &first, &mut pooled, After::Nothing);
        for value in &mut pooled {
            *value = value.tanh();
        }
        let mut logits = vec![0.0; batch.sequences().len()]; // (N, 1)
        self.classifier.forward(self.bert.isa(), &pooled, &mut logits, After::Nothing);
        Ok(logits)
    }
}
