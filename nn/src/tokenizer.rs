//! [`Tokenizer`]: text to token ids as `tokenizer.json` says, except for what it says about length.

use std::path::{Path, PathBuf};

use tokenizers::{PostProcessor, TruncationParams, truncate_encodings};

use crate::{Error, Result};

/// Turns text into token ids.
#[derive(Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
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
    /// Opens `tokenizer.json` of the model folder `dir`. Truncation and padding that the file asks
    /// for are dropped: the caller decides about length on each call, and nothing is ever padded.
    ///
    /// # Errors
    /// [`Error::Io`] when the file is missing, [`Error::Tokenizer`] when it is damaged.
    pub fn open(dir: &Path) -> Result<Self> {
        let file = dir.join("tokenizer.json");
        let bytes = std::fs::read(&file).map_err(|source| Error::Io { path: file.clone(), source })?;
        let mut inner = tokenizers::Tokenizer::from_bytes(bytes)
            .map_err(|error| Error::Tokenizer { file: file.clone(), reason: error.to_string() })?;
        inner.with_padding(None);
        inner
            .with_truncation(None)
            .map_err(|error| Error::Tokenizer { file: file.clone(), reason: error.to_string() })?;
        Ok(Self { inner, file })
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
