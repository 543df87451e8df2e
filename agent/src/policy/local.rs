//! The policy that is a language model on this machine: the decoder in `nn` on our engine.
//!
//! An episode is one sequence of token ids. Its opening is the system prompt and the question, laid out
//! by the model's chat template and encoded once; what the model writes is kept as sampled; what the
//! environment writes continues the same turn, as in Search-R1 (arXiv 2503.09516), encoded on its own.
//! Nothing is ever encoded twice, so a trace holds exactly what the model saw, and the engine finds
//! every earlier turn in its cache.
//!
//! A turn ends with the token that completes its action, or with one that ends sequences. The latter
//! belongs to what was sampled, so it stays in the ids, and in what the model sees next; it is no text.

mod fingerprint;
mod prompt;
mod turn;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nn::{ChatTemplate, Decoder, DecoderConfig, Device, KvCache, Pieces, Sampling, Stream, Tokenizer};

use self::turn::Episode;
use crate::engine::{Engine, EngineOptions};
use crate::model::{Model, available};
use crate::policy::Policy;
use crate::session::{Session, Task};
use crate::{Error, Result};

/// Tokens of a long episode: what one sequence gets when nobody says how much memory there is.
const LONG_EPISODE: usize = 8_192;
/// Memory for keys and values when nobody says.
const KV_BYTES: usize = 1 << 30;

/// How a model is run.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalOptions {
    /// Where.
    pub device: Device,
    /// An adapter in PEFT layout that is laid over the weights.
    pub adapter: Option<PathBuf>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Memory for keys and values; when not given, 1 GiB or one episode of 8,192 tokens, whichever is
    /// more.
    pub kv_bytes: Option<usize>,
    /// Sequences computed at once; more wait.
    pub max_batch: usize,
    /// Prompt tokens computed in one step of the engine, beside what is being written.
    pub step_tokens: usize,
}

impl Default for LocalOptions {
    fn default() -> Self {
        Self {
            device: Device::cpu(),
            adapter: None,
            sampling: Sampling::default(),
            kv_bytes: None,
            max_batch: 32,
            step_tokens: 512,
        }
    }
}

/// A language model on this machine. Its episodes run at once, in one batch.
#[derive(Debug)]
pub struct Local {
    engine: Engine,
    text: Arc<Text>,
    sampling: Sampling,
}

/// What turns text into ids and back, and what stands in errors.
#[derive(Debug)]
struct Text {
    name: String,
    tokenizer: Tokenizer,
    template: Option<ChatTemplate>,
    pieces: Pieces,
    /// Ids that end a sequence.
    ends: Vec<u32>,
    /// Tokens of one sequence at most: what the model sees, or its memory holds.
    context: usize,
}

impl Local {
    /// Loads the model folder `dir` and starts an engine on it.
    ///
    /// # Errors
    /// [`Error::Model`] that names the file which is missing, damaged or does not fit the others;
    /// [`Error::Input`] for settings that cannot be.
    pub fn open(dir: &Path, options: &LocalOptions) -> Result<Self> {
        options.sampling.check()?;
        let Model { decoder, tokenizer, .. } = Model::open(dir, options.device, options.adapter.as_deref())?;
        Self::over(dir, decoder, tokenizer, options)
    }

    /// Starts an engine on `decoder`, which was loaded from the model folder `dir` and may learn. The adapter
    /// and the device of the options are the decoder's own.
    ///
    /// # Errors
    /// As [`Local::open`].
    pub fn start(dir: &Path, decoder: Decoder, options: &LocalOptions) -> Result<Self> {
        options.sampling.check()?;
        let tokenizer = Tokenizer::open(dir)?;
        tokenizer.check_vocabulary(decoder.config().vocab_size)?;
        Self::over(dir, decoder, tokenizer, options)
    }

    fn over(dir: &Path, decoder: Decoder, tokenizer: Tokenizer, options: &LocalOptions) -> Result<Self> {
        let template = ChatTemplate::open(dir)?;
        let config = decoder.config();
        let positions = config.max_position_embeddings;
        let ends = config.eos_token_ids.clone();
        let name = fingerprint::name(dir, options.adapter.as_deref())?;
        let kv_bytes = kv_bytes(options, config)?;
        let pieces = tokenizer.pieces();
        let LocalOptions { max_batch, step_tokens, .. } = *options;
        let engine = Engine::start(decoder, pieces.clone(), EngineOptions { kv_bytes, max_batch, step_tokens })?;
        // A longer sequence could never be computed.
        let context = positions.min(engine.stats().blocks * nn::BLOCK);
        let text = Arc::new(Text { name, tokenizer, template, pieces, ends, context });
        Ok(Self { engine, text, sampling: options.sampling })
    }

    /// The same model on the same engine, its tokens chosen otherwise.
    ///
    /// # Errors
    /// [`Error::Model`] for a setting out of its range.
    pub fn with_sampling(&self, sampling: Sampling) -> Result<Self> {
        sampling.check()?;
        Ok(Self { engine: self.engine.clone(), text: Arc::clone(&self.text), sampling })
    }

    /// What computes its tokens.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }
}

impl Policy for Local {
    fn name(&self) -> String {
        self.text.name.clone()
    }

    fn sampling(&self) -> Option<Sampling> {
        Some(self.sampling)
    }

    fn open(&self, task: &Task<'_>) -> Result<Box<dyn Session>> {
        let opening = prompt::opening(&self.text, task)?;
        if opening.len() >= self.text.context {
            let Text { name, context, .. } = self.text.as_ref();
            return Err(Error::Input(format!(
                "the question and its instructions take {} of the {context} tokens that {name} has room for: ask a shorter question, take a model that sees more, or give it more memory with --kv-memory",
                opening.len(),
            )));
        }
        let stream = Stream { seed: task.seed, ..Stream::default() };
        Ok(Box::new(Episode::new(self.engine.clone(), Arc::clone(&self.text), self.sampling, stream, task, opening)))
    }
}

/// The memory for keys and values: what was asked for, if there is so much, else what is usual.
fn kv_bytes(options: &LocalOptions, config: &DecoderConfig) -> Result<usize> {
    let left = if let Device::Cpu { .. } = options.device { available() } else { None };
    let left = left.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
    if let Some(wanted) = options.kv_bytes {
        if wanted > left {
            let what =
                format!("{wanted} bytes for keys and values are more than the {left} that this machine has left");
            return Err(Error::Input(format!("{what}: ask for less with --kv-memory")));
        }
        return Ok(wanted);
    }
    let bytes = |tokens: usize| (tokens.div_ceil(nn::BLOCK) + 1).saturating_mul(KvCache::bytes_per_block(config));
    let positions = config.max_position_embeddings;
    let most = bytes(positions).saturating_mul(options.max_batch);
    // What else the machine does needs some of what is left.
    Ok(KV_BYTES.max(bytes(positions.min(LONG_EPISODE))).min(most).min(left / 2))
}

#[cfg(test)]
mod tests;
