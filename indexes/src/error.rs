//! What can go wrong between chunks and a snapshot, and whose fault it is.

use std::path::{Path, PathBuf};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the indexes. Whatever is wrong with a file is an error that names the file and the
/// command that mends it, never a panic.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller asked for something that cannot be (input).
    #[error("{0}")]
    Input(String),
    /// Nothing has been indexed yet (input).
    #[error("no index yet in {}: run `anamnesis index build`", dir.display())]
    NoSnapshot {
        /// The folder of snapshots.
        dir: PathBuf,
    },
    /// A snapshot of that name does not exist (input).
    #[error("no snapshot `{id}`: `anamnesis index list` shows those that exist")]
    Unknown {
        /// The name asked for.
        id: String,
    },
    /// A file is not what the manifest says it is (artefact).
    #[error("{} is damaged ({reason}): run `anamnesis index verify`, then `anamnesis index build`", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file was written by another version of this program (artefact).
    #[error("{} has format {found}, this program reads {supported}: it was built by a newer or older version, run `anamnesis index build`", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The version found.
        found: u64,
        /// The version understood.
        supported: u64,
    },
    /// The index and what it is used with do not fit (artefact).
    #[error("{what} is {found}, the index was built with {expected}: run `anamnesis index build`")]
    Mismatch {
        /// What differs.
        what: &'static str,
        /// What the snapshot holds.
        expected: String,
        /// What it was asked with.
        found: String,
    },
    /// Another process builds or cleans (environment).
    #[error("another process (pid {pid}) is building or cleaning this index: wait for it to end, then try again")]
    Busy {
        /// Its process id, `unknown` when it left none.
        pid: String,
    },
    /// Whoever began the build told it to end (input).
    #[error("the build was stopped: the snapshot that serves is the one before")]
    Stopped,
    /// The graph finds too few of the true neighbours (internal).
    #[error(
        "the vector graph finds {measured:.4} of the true neighbours, {threshold:.4} are required: run `anamnesis index build --vectors flat`"
    )]
    Recall {
        /// Mean recall@10 on the sample.
        measured: f64,
        /// What the build asked for.
        threshold: f64,
    },
    /// A file could not be read or written (environment).
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb phrase.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The lexical index refused (internal).
    #[error("lexical index: {0}")]
    Lexical(#[from] tantivy::TantivyError),
}

impl Error {
    /// For `map_err` on file operations.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    /// A file that is not what it should be.
    pub(crate) fn corrupt(path: &Path, reason: impl Into<String>) -> Self {
        Self::Corrupt { path: path.to_owned(), reason: reason.into() }
    }
}
