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
    /// [`Error::Shape`] when so many blocks have no size, [`Error::Candle`] when the device lacks room.
    pub fn new(decoder: &Decoder, blocks: usize) -> Result<Self> {
        let bytes = blocks.checked_mul(decoder.bytes_per_block()).filter(|bytes| isize::try_from(*bytes).is_ok());
        if bytes.is_none() || BlockId::try_from(blocks).is_err() {
            return Err(Error::Shape(format!("{blocks} blocks are more than a cache can have")));
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
