//! [`KvCache`]: keys and values of past tokens in blocks of 32, and the memory of forward passes.
//!
//! A cache is storage only. Which sequence a block belongs to, who shares it and when it is free is
//! decided by whoever fills a [`crate::Batch`].

use crate::decoder::Store;
use crate::{Decoder, DecoderConfig, Error, Result};

/// Tokens in a block.
pub const BLOCK: usize = 32;

/// A place for 32 tokens, the same in every layer.
pub type BlockId = u32;

/// Keys and values of past tokens, and the memory that forward passes reuse.
#[derive(Debug)]
pub struct KvCache {
    pub(crate) store: Store,
    blocks: usize,
}

impl KvCache {
    /// Room for `blocks` blocks of the tokens of `decoder`, on its device.
    ///
    /// # Errors
    /// [`Error::Shape`] when the machine has no memory for so many, [`Error::Candle`] when an
    /// accelerator has none.
    pub fn new(decoder: &Decoder, blocks: usize) -> Result<Self> {
        let refuse = |reason: &str| Err(Error::Shape(format!("a cache of {blocks} blocks {reason}: ask for fewer")));
        let tokens = blocks.checked_mul(BLOCK).and_then(|tokens| u32::try_from(tokens).ok());
        let Some(bytes) = blocks.checked_mul(decoder.bytes_per_block()).filter(|_| tokens.is_some()) else {
            return refuse("is more than there can be");
        };
        // Running out of memory would end the process; whether there is enough can be asked.
        if !decoder.is_on_accelerator() && Vec::<u8>::new().try_reserve_exact(bytes).is_err() {
            return refuse("is more than this machine has memory for");
        }
        Ok(Self { store: Store::new(decoder, blocks)?, blocks })
    }

    /// Number of blocks.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// Bytes that one block takes in all layers together, on the processor.
    pub fn bytes_per_block(config: &DecoderConfig) -> usize {
        Store::bytes_per_block(config)
    }

    /// Copies the tokens of block `from` to block `to` in every layer.
    ///
    /// # Errors
    /// [`Error::Shape`] for a block that the cache lacks.
    pub fn copy(&mut self, from: BlockId, to: BlockId) -> Result<()> {
        if let Some(id) = [from, to].into_iter().find(|id| *id as usize >= self.blocks) {
            return Err(Error::Shape(format!("block {id} is beyond the {} of the cache", self.blocks)));
        }
        self.store.copy(from, to)
    }
}
