//! [`Model`]: weights, tokenizer and adapter of one folder, ready for an engine.

use std::path::Path;

use nn::{Adapter, BLOCK, Decoder, DecoderConfig, Device, KvCache, Tokenizer};

use super::memory::available;
use crate::engine::{Engine, EngineOptions};
use crate::{Error, Result};

/// Prompt tokens that one step of the engine may compute.
const STEP_TOKENS: usize = 512;

/// A model that was loaded.
#[derive(Debug)]
pub struct Model {
    pub(crate) decoder: Decoder,
    pub(crate) tokenizer: Tokenizer,
    pub(super) device: Device,
}

impl Model {
    /// Loads the model folder `dir`, with an adapter in PEFT layout where one is named.
    ///
    /// # Errors
    /// [`Error::Model`] that names the file and the tensor which are damaged or do not fit.
    pub fn open(dir: &Path, device: Device, adapter: Option<&Path>) -> Result<Self> {
        let tokenizer = Tokenizer::open(dir)?;
        let mut decoder = Decoder::load(dir, device)?;
        tokenizer.check_vocabulary(decoder.config().vocab_size)?;
        if let Some(adapter) = adapter {
            decoder.set_adapter(Some(Adapter::open(adapter)?))?;
        }
        Ok(Self { decoder, tokenizer, device })
    }

    /// What `config.json` says.
    pub fn config(&self) -> &DecoderConfig {
        self.decoder.config()
    }

    /// Blocks for so many sequences of so many tokens, with one to spare for each.
    pub(super) fn blocks(sequences: usize, tokens: usize) -> usize {
        sequences.saturating_mul(tokens.div_ceil(BLOCK) + 1)
    }

    /// Refuses sequences that are longer than the model can see.
    pub(super) fn check_length(&self, tokens: usize) -> Result<()> {
        let most = self.config().max_position_embeddings;
        if tokens > most {
            return Err(Error::Input(format!("{tokens} tokens are more than the {most} that this model can see")));
        }
        Ok(())
    }

    /// An engine with room for so many sequences of so many tokens at once.
    pub(super) fn start(self, sequences: usize, tokens: usize) -> Result<Engine> {
        let kv_bytes = Self::blocks(sequences, tokens).saturating_mul(KvCache::bytes_per_block(self.config()));
        if let Device::Cpu { .. } = self.device
            && let Some(available) = available().filter(|available| kv_bytes as u64 > *available)
        {
            return Err(Error::Input(format!(
                "{sequences} sequences of {tokens} tokens take {kv_bytes} bytes of keys and values, and the machine has \
                 {available} left: take fewer or shorter ones"
            )));
        }
        let options = EngineOptions { kv_bytes, max_batch: sequences, step_tokens: STEP_TOKENS };
        Engine::start(self.decoder, self.tokenizer.pieces(), options)
    }
}
