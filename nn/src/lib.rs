//! Tensors: encoders, and a decoder that serves and trains. Knows no document and no question.
//!
//! * [`Decoder`]: a language model, ids in, logits out ([`decoder`]), shaped by [`DecoderConfig`]; a
//!   [`Batch`] of new tokens goes through a [`Pass`] that serves from a [`KvCache`] or keeps a gradient;
//! * what learns in a decoder: [`Trainable`] weights as [`Parameter`]s, [`LogProbs`] to build a loss on,
//!   [`Gradients`] that come back;
//! * [`Adapter`]: LoRA in PEFT's files ([`lora`]);
//! * [`SentenceEncoder`]: texts to unit vectors ([`encoder`]);
//! * [`Classifier`]: pairs of texts to the logits of classes ([`classifier`]), and [`CrossEncoder`], its case
//!   of one ([`cross_encoder`]);
//! * [`Bert`]: packed tokens to hidden states ([`bert`]), shaped by [`BertConfig`] ([`config`]); it learns
//!   through an [`EncoderPass`], as do those that are built on it;
//! * [`Tokenizer`], [`Packed`], [`Pooling`]: text to ids, ids to a batch, rows to a vector;
//! * [`Weights`]: named tensors from safetensors files, checked before they are believed;
//! * [`Device`]: where it runs, and on how many threads;
//! * `ops`: every operation, each with an `f64` oracle in its tests.
//!
//! A model is a folder in Hugging Face layout: `config.json`, `tokenizer.json`,
//! `model.safetensors` (or shards), and for sentence encoders `1_Pooling/config.json`,
//! `sentence_bert_config.json` and `config_sentence_transformers.json`.
//!
//! ```
//! use std::path::Path;
//!
//! let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny"));
//! let encoder = nn::SentenceEncoder::open(folder, nn::Device::cpu())?;
//! let vectors = encoder.encode(&["metformin lowers glucose", "aspirin"])?;
//! assert_eq!(vectors[0].len(), encoder.dimension());
//! # Ok::<(), nn::Error>(())
//! ```
//!
//! ```
//! use std::path::Path;
//!
//! let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/decoders/qwen3"));
//! let decoder = nn::Decoder::load(folder, nn::Device::cpu())?;
//! let mut cache = nn::KvCache::new(&decoder, 1)?;
//! let mut batch = nn::Batch::default();
//! batch.push(&[17, 4, 99], 0, &[0], nn::Wanted::Last);
//! let logits = decoder.forward(&batch, nn::Pass::Infer(&mut cache))?.to_vec()?;
//! assert_eq!(logits.len(), decoder.config().vocab_size);
//! # Ok::<(), nn::Error>(())
//! ```
//!
//! **Invariants.** Nothing is ever padded: a batch is sequences end to end, and a text's vector does
//! not depend on its neighbours. A file never decides an allocation that its own length does not
//! bear out, and a fault names the file and the tensor. Fused operations stand in `ops` alone.
//! Models are immutable and shared between threads while they serve; what they learn reaches them
//! between passes, by `refresh`. Memory that changes belongs to the call. On the processor a
//! token's logits are the same to the bit whatever is batched, cached or shared with it, and a gradient
//! is, on any number of threads and whether or not layers are computed again for it.

pub mod batch;
pub mod bert;
pub mod ceiling;
pub mod chat;
pub mod classifier;
pub mod config;
pub mod cross_encoder;
pub mod decoder;
pub mod device;
pub mod encoder;
mod error;
pub mod gradients;
pub mod init;
pub mod kv_cache;
pub mod lora;
mod ops;
pub mod packed;
pub mod pieces;
pub mod pooling;
pub mod sampler;
mod save;
pub mod stream;
pub mod tokenizer;
pub mod weights;

pub use batch::{Batch, Wanted};
pub use bert::{Bert, EncoderPass};
pub use ceiling::Ceiling;
pub use chat::{ChatTemplate, Message, RenderOptions};
pub use classifier::{Classifier, ClassifierPass};
pub use config::BertConfig;
pub use cross_encoder::CrossEncoder;
pub use decoder::{Decoder, DecoderConfig, Family, LogProbs, Logits, Parameter, Pass, Recompute, Scores, Trainable};
pub use device::Device;
pub use encoder::{Prompts, SentenceEncoder};
pub use error::{Error, Result};
pub use gradients::Gradients;
pub use init::{Shape, init};
pub use kv_cache::{BLOCK, BlockId, KvCache};
pub use lora::{Adapter, Target};
pub use packed::Packed;
pub use pieces::{Detokenizer, Pieces};
pub use pooling::Pooling;
pub use sampler::{Sampled, Sampler, Sampling};
pub use stream::Stream;
pub use tokenizer::{Tokenizer, Tokens};
pub use weights::Weights;
