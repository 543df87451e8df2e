//! [`Bert`]: a sentence encoder of `nn` behind [`Embed`].

use std::path::Path;

use nn::{Device, Pooling, SentenceEncoder};

use super::{Card, Embed, Role};
use crate::Result;

/// The vector arm's share in min-max fusion with a contextual encoder.
const WEIGHT: f64 = 0.5;

/// A model folder in the Hugging Face BERT layout (MiniLM, BGE, MedCPT, BioClinicalBERT).
#[derive(Debug)]
pub struct Bert {
    encoder: SentenceEncoder,
    window: usize,
    card: Card,
}

impl Bert {
    /// Opens the model folder `path`, to run on the CPU.
    ///
    /// # Errors
    /// [`crate::Error::Nn`], which names the file at fault.
    pub fn open(path: &Path) -> Result<Self> {
        let encoder = SentenceEncoder::open(path, Device::cpu())?;
        let prompts = encoder.prompts();
        let card = Card {
            name: encoder.name().to_owned(),
            fingerprint: encoder.fingerprint().to_owned(),
            dimension: encoder.dimension(),
            pooling: match encoder.pooling() {
                Pooling::Mean => "mean",
                Pooling::Cls => "cls",
            }
            .to_owned(),
            query_prefix: prompts.query.clone(),
            passage_prefix: prompts.passage.clone(),
            weight: WEIGHT,
        };
        Ok(Self { window: encoder.max_tokens(), encoder, card })
    }

    /// The same encoder, reading at most `window` tokens of a text: another encoder to all who
    /// compare fingerprints.
    #[must_use]
    pub fn windowed(mut self, window: usize) -> Self {
        let of = format!("{} window {window}", self.encoder.fingerprint());
        self.card.fingerprint = blake3::hash(of.as_bytes()).to_hex().to_string();
        self.window = window;
        self
    }
}

impl Embed for Bert {
    fn embed(&self, role: Role, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let prefix = match role {
            Role::Query => &self.card.query_prefix,
            Role::Passage => &self.card.passage_prefix,
        };
        let vectors = if prefix.is_empty() {
            self.encoder.encode_windowed(texts, self.window)
        } else {
            let texts: Vec<_> = texts.iter().map(|text| format!("{prefix}{text}")).collect();
            self.encoder.encode_windowed(&texts, self.window)
        };
        Ok(vectors?)
    }

    fn card(&self) -> &Card {
        &self.card
    }
}
