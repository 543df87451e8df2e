//! What can go wrong between a query and its evidence.

use std::path::PathBuf;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the retriever.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller asked for something that cannot be (input).
    #[error("{0}")]
    Input(String),
    /// The store failed.
    #[error(transparent)]
    Corpus(#[from] corpus::Error),
    /// The snapshot failed.
    #[error(transparent)]
    Index(#[from] indexes::Error),
    /// An encoder's files cannot be used (artefact).
    #[error("encoder {}: {reason}", path.display())]
    Encoder {
        /// Its folder or file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The tensor layer failed.
    #[error(transparent)]
    Nn(#[from] nn::Error),
    /// The snapshot was built with another encoder than the one at hand (artefact).
    #[error(
        "snapshot {snapshot} was built with encoder {built}, but {loaded} is loaded: run `anamnesis index build --encoder {hint}`, or ask with the encoder it was built with"
    )]
    EncoderMismatch {
        /// The snapshot.
        snapshot: String,
        /// Name and fingerprint in the manifest.
        built: String,
        /// Name and fingerprint of the loaded encoder.
        loaded: String,
        /// What to pass to `--encoder`.
        hint: String,
    },
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried, as a verb phrase.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}
