//! What can go wrong between a model folder and a vector, and whose fault it is.

use std::path::{Path, PathBuf};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the tensor crate. Those that come from a model folder name the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read (input or environment).
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A file or folder could not be written (environment).
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A weights file is damaged or belongs to another architecture (artefact).
    #[error("{}: tensor `{tensor}`: {reason}", file.display())]
    Weights {
        /// The weights file.
        file: PathBuf,
        /// The tensor, or `header` when the fault lies before any tensor.
        tensor: String,
        /// What is wrong.
        reason: String,
    },
    /// A configuration file is damaged, or asks for what this crate does not do (artefact).
    #[error("{}: {reason}", file.display())]
    Config {
        /// The configuration file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// `tokenizer.json` is damaged or does not fit the weights (artefact).
    #[error("{}: {reason}", file.display())]
    Tokenizer {
        /// The tokenizer file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The caller gave something of a wrong size (internal).
    #[error("{0}")]
    Shape(String),
    /// candle refused (internal).
    #[error("tensor library: {0}")]
    Candle(#[from] candle_core::Error),
}

/// Reads a small configuration file whole; `None` when it does not exist.
pub(crate) fn read_optional(path: &Path) -> Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Io { path: path.to_owned(), source }),
    }
}

/// Reads a JSON file into `T`; `None` when it does not exist.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let Some(bytes) = read_optional(path)? else {
        return Ok(None);
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| Error::Config { file: path.to_owned(), reason: error.to_string() })
}
