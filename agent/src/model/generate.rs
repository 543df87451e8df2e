//! [`generate`]: one continuation of one prompt, token by token.

use std::ops::ControlFlow;
use std::time::Duration;

use nn::{Detokenizer, Sampling, Stream};
use serde::Serialize;

use super::Model;
use crate::engine::{Finish, Received, Request};
use crate::{Error, Result};

/// How long one look for the next token lasts.
const PATIENCE: Duration = Duration::from_mins(1);

/// What stands before the first new token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// Text; special tokens in it count, and those that the model wants around a text are added.
    Text(String),
    /// Ids, as they are.
    Ids(Vec<u32>),
}

/// How to go on from it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Tokens at most; fewer where the model's positions end.
    pub max_tokens: usize,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Seed of the choice.
    pub seed: u64,
}

/// A prompt and how it went on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Generated {
    /// The prompt's ids.
    pub prompt_ids: Vec<u32>,
    /// The new ids; the one that ended the sequence is the last.
    pub ids: Vec<u32>,
    /// Their text, without that of the id which ended the sequence.
    pub text: String,
    /// Log-probability of each new id, at the sampling temperature and before any truncation.
    pub logprobs: Vec<f32>,
    /// Why there are no more: `stop`, `end_of_sequence` or `length`.
    pub finish: &'static str,
    /// Seconds to the first token.
    pub first_token_s: f64,
    /// Seconds in all.
    pub total_s: f64,
}

/// Continues `prompt`, timed by `clock`. Text goes to `on_text` as it comes, in whole characters; `Break` ends it.
///
/// # Errors
/// [`Error::Input`] for an empty or too long prompt or an id that the model lacks, [`Error::Model`] for
/// text that cannot be encoded or settings out of range, [`Error::Engine`] when the model fails.
pub fn generate(
    model: Model,
    prompt: &Prompt,
    settings: &Settings,
    clock: fn() -> Duration,
    on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
) -> Result<Generated> {
    settings.sampling.check()?;
    let prompt_ids = match prompt {
        Prompt::Text(text) => model.tokenizer.encode(text, usize::MAX)?,
        Prompt::Ids(ids) => ids.clone(),
    };
    let rows = model.config().vocab_size;
    if let Some(id) = prompt_ids.iter().find(|id| **id as usize >= rows) {
        return Err(Error::Input(format!("id {id} of the prompt is beyond the {rows} that this model knows")));
    }
    if prompt_ids.is_empty() {
        return Err(Error::Input("the prompt is empty: give it a text or at least one id".to_owned()));
    }
    model.check_length(prompt_ids.len() + 1)?;
    let tokens = model.config().max_position_embeddings.min(prompt_ids.len().saturating_add(settings.max_tokens));
    let max_tokens = tokens - prompt_ids.len();

    let mut text = Detokenizer::new(model.tokenizer.pieces());
    let ends = model.config().eos_token_ids.clone();
    let engine = model.start(1, tokens)?;
    let start = clock();
    let mut generation = engine.submit(Request {
        ids: prompt_ids.clone(),
        max_tokens,
        sampling: settings.sampling,
        stream: Stream { seed: settings.seed, ..Stream::default() },
        watch: Box::new(()),
    })?;
    let mut generated = Generated {
        prompt_ids,
        ids: Vec::new(),
        text: String::new(),
        logprobs: Vec::new(),
        finish: "stop",
        first_token_s: 0.0,
        total_s: 0.0,
    };
    let mut show = |piece: &str, whole: &mut String| {
        whole.push_str(piece);
        if piece.is_empty() { ControlFlow::Continue(()) } else { on_text(piece) }
    };
    loop {
        match generation.recv(PATIENCE)? {
            Received::Token(token) => {
                if generated.ids.is_empty() {
                    generated.first_token_s = clock().saturating_sub(start).as_secs_f64();
                }
                generated.ids.push(token.id);
                generated.logprobs.push(token.logprob);
                if !ends.contains(&token.id) && show(text.push(token.id), &mut generated.text).is_break() {
                    break;
                }
            }
            Received::End(finish) => {
                generated.finish = match finish {
                    Finish::EndOfSequence => "end_of_sequence",
                    Finish::Length => "length",
                    Finish::Stop | Finish::Cancelled => "stop",
                };
                break;
            }
            Received::Nothing => {}
        }
    }
    generated.total_s = clock().saturating_sub(start).as_secs_f64();
    // Nobody may listen any more; the text is kept all the same.
    let _ = show(text.finish(), &mut generated.text);
    Ok(generated)
}
