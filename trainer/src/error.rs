//! What can go wrong between a recipe and a trained model, and whose fault it is.

use std::path::PathBuf;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the trainer. A model's malformed move is none: it costs reward.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller asked for something that cannot be (input).
    #[error("{0}")]
    Input(String),
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
    /// A recipe says what cannot be done (input).
    #[error("{}: {reason}", file.display())]
    Recipe {
        /// The recipe.
        file: PathBuf,
        /// What is wrong, with the field.
        reason: String,
    },
    /// A record of a data set cannot be learnt from (input).
    #[error("{}:{line}: {reason}", file.display())]
    Data {
        /// The data file.
        file: PathBuf,
        /// The line, from 1; 0 for the file as a whole.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A file of a run is damaged or belongs to another run (artefact).
    #[error("{}: {reason}", path.display())]
    Artefact {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Training went where it cannot go on (the recipe's settings or the data).
    #[error("stopped at step {step}: {reason}")]
    Halted {
        /// The optimiser step.
        step: u64,
        /// What happened, and what to change.
        reason: String,
    },
    /// Values of sizes that do not belong together (internal).
    #[error("{0}")]
    Shape(String),
    /// A model or a tensor operation failed.
    #[error(transparent)]
    Model(#[from] nn::Error),
    /// The agent failed.
    #[error(transparent)]
    Agent(#[from] agent::Error),
}

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Self::Model(error.into())
    }
}

/// Wraps what went wrong with a file that was to be read.
pub(crate) fn read(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { path, source }
}

/// Wraps what went wrong with a file that was to be written.
pub(crate) fn write(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Write { path, source }
}
