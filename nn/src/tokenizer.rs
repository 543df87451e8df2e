//! [`Tokenizer`]: text to token ids as `tokenizer.json` says, except for what it says about length.
//!
//! A language model is given two kinds of text. What a chat template rendered holds special tokens that
//! count ([`Tokenizer::encode_prompt`]); what a user or a document wrote is data, and never does
//! ([`Tokenizer::encode_text`], [`Tokenizer::defuse`]).

mod running;
mod wordpiece;

use std::borrow::Cow;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tokenizers::{PostProcessor, TruncationParams, truncate_encodings};

use crate::pieces::Pieces;
use crate::{Error, Result};

/// Turns text into token ids.
#[derive(Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// For running text; made at first need, since it holds the vocabulary once more.
    running: OnceLock<tokenizers::Tokenizer>,
    /// Whether `inner` puts a space in front of a text.
    prefixes: bool,
    /// What stands for a special token, and its id.
    special: Vec<(String, u32)>,
    file: PathBuf,
}

/// Token ids of one sequence and the segment each belongs to; both have the same length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Rows of the word embedding.
    pub ids: Vec<u32>,
    /// 0 for the first text, 1 for the second.
    pub types: Vec<u32>,
}

impl Tokenizer {
    /// Opens `tokenizer.json` of the model folder `dir`, or what `vocab.txt` says of a BERT that has no such
    /// file. Truncation and padding that the file asks for are dropped: the caller decides about length on
    /// each call, and nothing is ever padded.
    ///
    /// # Errors
    /// [`Error::Io`] when the file is missing, [`Error::Tokenizer`] when it is damaged.
    pub fn open(dir: &Path) -> Result<Self> {
        let file = dir.join("tokenizer.json");
        let bytes = Self::source(dir)?;
        let fault = |reason: String| Error::Tokenizer { file: file.clone(), reason };
        // The library panics on some damaged files, when it reads them or at first use.
        let read = catch_unwind(|| -> tokenizers::Result<tokenizers::Tokenizer> {
            let mut inner = tokenizers::Tokenizer::from_bytes(bytes)?;
            inner.with_padding(None);
            inner.with_truncation(None)?;
            let trial = || inner.encode_fast("a b", false);
            inner.post_process(trial()?, None, true)?;
            inner.post_process(trial()?, Some(trial()?), true)?;
            Ok(inner)
        });
        let inner = read
            .map_err(|_| fault("refers to tokens that it does not have".to_owned()))?
            .map_err(|error| fault(error.to_string()))?;
        let special = inner.get_added_tokens_decoder().into_iter().filter(|(_, token)| token.special);
        let mut special: Vec<_> = special.map(|(id, token)| (token.content, id)).collect();
        special.sort_unstable_by_key(|(_, id)| *id);
        let prefixes = running::prefixes(&inner);
        Ok(Self { inner, running: OnceLock::new(), prefixes, special, file })
    }

    /// The bytes that decide what the tokenizer of the folder `dir` does, as `tokenizer.json` has them.
    pub(crate) fn source(dir: &Path) -> Result<Vec<u8>> {
        let path = dir.join("tokenizer.json");
        match std::fs::read(&path) {
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => {
                wordpiece::made(dir)?.ok_or(Error::Io { path, source })
            }
            result => result.map_err(|source| Error::Io { path, source }),
        }
    }

    /// Refuses a vocabulary with an id that an embedding of `rows` rows does not have.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] that names the token.
    pub fn check_vocabulary(&self, rows: usize) -> Result<()> {
        let vocabulary = self.inner.get_vocab(true);
        let Some((token, id)) = vocabulary.into_iter().max_by_key(|(_, id)| *id) else {
            return Err(self.fault("has no tokens".to_owned()));
        };
        if id as usize >= rows {
            return Err(self.fault(format!("token `{token}` has id {id}, but the embedding has {rows} rows")));
        }
        Ok(())
    }

    /// The ids of `text` with the model's special tokens, cut to `max_tokens` in all.
    ///
    /// # Errors
    /// [`Error::Shape`] when `max_tokens` leaves no room beside the special tokens.
    pub fn encode(&self, text: &str, max_tokens: usize) -> Result<Vec<u32>> {
        Ok(self.process(text, None, max_tokens)?.get_ids().to_vec())
    }

    /// The tokens of `first` and `second` as one sequence, cut to `max_tokens` in all, from the end
    /// of whichever text is longer.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_pair(&self, first: &str, second: &str, max_tokens: usize) -> Result<Tokens> {
        let encoding = self.process(first, Some(second), max_tokens)?;
        Ok(Tokens { ids: encoding.get_ids().to_vec(), types: encoding.get_type_ids().to_vec() })
    }

    /// The ids of `text` as it stands in the middle of a sequence: nothing is added, and what looks like
    /// a special token is letters.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when the tokenizer fails, or cannot read such letters as text.
    pub fn encode_text(&self, text: &str) -> Result<Vec<u32>> {
        if !self.prefixes {
            let ids = self.ids(&self.inner, text)?;
            if !self.holds_special(&ids) {
                return Ok(ids);
            }
        }
        let ids = self.ids(self.running()?, text)?;
        let named = |(token, id): &&(String, u32)| ids.contains(id) && text.contains(token.as_str());
        match self.special.iter().find(named) {
            None => Ok(ids),
            Some((token, _)) => Err(self.fault(format!("cannot read `{token}` as text"))),
        }
    }

    /// The ids of what a chat template rendered: nothing is added, and special tokens in it count.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when the tokenizer fails.
    pub fn encode_prompt(&self, rendered: &str) -> Result<Vec<u32>> {
        self.ids(&self.inner, rendered)
    }

    /// The ids of `text` as the beginning of a sequence: read as data, with the special tokens that the
    /// model wants around one.
    ///
    /// # Errors
    /// As [`Tokenizer::encode_text`].
    pub fn encode_opening(&self, text: &str) -> Result<Vec<u32>> {
        let fault = |error: tokenizers::Error| self.fault(error.to_string());
        let nothing = self.inner.encode_fast("", false).map_err(fault)?;
        let mut ids = self.inner.post_process(nothing, None, true).map_err(fault)?.get_ids().to_vec();
        ids.extend(self.encode_text(text)?);
        Ok(ids)
    }

    /// `text` in which no special token stands, for use inside a prompt: where one stood, its first
    /// character is set off by a space.
    pub fn defuse<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        // A token may hold another, or come to stand where another was broken.
        for _ in 0..=2 * self.special.len() {
            let Some((token, _)) = self.special.iter().find(|(token, _)| breakable(token) && text.contains(token))
            else {
                break;
            };
            let head = token.chars().next().map_or(0, char::len_utf8);
            text = Cow::Owned(text.replace(token, &format!("{} {}", &token[..head], &token[head..])));
        }
        text
    }

    /// Ids run from 0 to below this.
    pub fn vocabulary(&self) -> usize {
        self.inner.get_vocab(true).into_values().max().map_or(0, |id| id as usize + 1)
    }

    /// The id of a token, by what stands for it in `tokenizer.json`.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// What each id stands for.
    pub fn pieces(&self) -> Pieces {
        Pieces::of(&self.inner)
    }

    fn ids(&self, tokenizer: &tokenizers::Tokenizer, text: &str) -> Result<Vec<u32>> {
        let encoding = tokenizer.encode_fast(text, false).map_err(|error| self.fault(error.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    fn holds_special(&self, ids: &[u32]) -> bool {
        ids.iter().any(|id| self.special.binary_search_by_key(id, |(_, special)| *special).is_ok())
    }

    fn running(&self) -> Result<&tokenizers::Tokenizer> {
        if let Some(running) = self.running.get() {
            return Ok(running);
        }
        let running = running::running(&self.inner).map_err(|error| self.fault(error.to_string()))?;
        Ok(self.running.get_or_init(|| running))
    }

    fn process(&self, first: &str, second: Option<&str>, max_tokens: usize) -> Result<tokenizers::Encoding> {
        let special = self.inner.get_post_processor().map_or(0, |processor| processor.added_tokens(second.is_some()));
        if max_tokens <= special {
            return Err(Error::Shape(format!("{max_tokens} tokens leave no room beside {special} special ones")));
        }
        let fault = |error: tokenizers::Error| self.fault(error.to_string());
        let first = self.inner.encode_fast(first, false).map_err(fault)?;
        let second = second.map(|text| self.inner.encode_fast(text, false)).transpose().map_err(fault)?;
        let limit = TruncationParams { max_length: max_tokens - special, ..TruncationParams::default() };
        let (first, second) = truncate_encodings(first, second, &limit).map_err(fault)?;
        self.inner.post_process(first, second, true).map_err(fault)
    }

    fn fault(&self, reason: String) -> Error {
        Error::Tokenizer { file: self.file.clone(), reason }
    }
}

/// Whether a space after its first character makes `token` another text.
fn breakable(token: &str) -> bool {
    token.chars().nth(1).is_some()
}
