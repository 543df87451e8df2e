//! The form of OpenAI: what its clients send, and what they read.

mod chat;
mod completion;
mod embedding;
mod failure;
mod model;
mod usage;

pub(crate) use chat::{
    Annotation, Chat, ChatChoice, ChatChunk, ChatDelta, ChatMessage, ChatRequest, ChatRole, ChunkChoice, Citing,
    StreamOptions,
};
pub(crate) use completion::{Completion, CompletionChoice, CompletionRequest, OneQuestion, Prompt, PromptText};
pub(crate) use embedding::{
    Embedded, Embedding, EmbeddingRequest, EmbeddingText, EmbeddingTexts, Encoding, Input, MAX_TEXTS, Vector, Vectors,
};
pub(crate) use failure::{OpenAiError, OpenAiFailure};
pub(crate) use model::{Model, Models};
pub(crate) use usage::{EmbeddingUsage, Usage};
