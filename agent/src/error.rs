//! What can go wrong in an episode, and whose fault it is. A malformed move is no error: it is a
//! [`crate::protocol::Fault`].

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the agent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller asked for something that cannot be (input).
    #[error("{0}")]
    Input(String),
    /// Retrieval failed.
    #[error(transparent)]
    Retriever(#[from] retriever::Error),
    /// A model folder is damaged, or asks for what cannot be computed (artefact).
    #[error(transparent)]
    Model(#[from] nn::Error),
    /// A scorer's folder is damaged or incomplete (artefact).
    #[error("scorer {}: {reason}", path.display())]
    Scorer {
        /// The folder, or the file in it.
        path: std::path::PathBuf,
        /// What is wrong, and what to run.
        reason: String,
    },
    /// The engine could not finish a request (internal).
    #[error("engine: {0}")]
    Engine(String),
    /// A policy could not act (environment).
    #[error("policy at {endpoint}: {what}: {next}")]
    Policy {
        /// Where it lives, without credentials.
        endpoint: String,
        /// What happened.
        what: String,
        /// What to check next.
        next: &'static str,
        /// What it said itself.
        #[source]
        said: Option<Said>,
        /// When to come back, where it is only busy.
        wait: Option<std::time::Duration>,
    },
    /// A policy took too long (environment).
    #[error(
        "policy at {endpoint} gave nothing for {seconds} s while {waiting_for}: check that it is not overloaded, or allow more time"
    )]
    Timeout {
        /// Where it lives, without credentials.
        endpoint: String,
        /// How long it was given.
        seconds: u64,
        /// What the session was waiting for.
        waiting_for: &'static str,
    },
    /// The question holds identifiers of a person and may not be used (input).
    #[error("{0}")]
    PersonalData(String),
    /// The caller cancelled.
    #[error("cancelled")]
    Cancelled,
    /// A stored trace cannot be read (artefact).
    #[error("trace: {0}")]
    Trace(String),
}

/// What an endpoint says of a failure, in its own words. It may repeat what it was asked, so no error that is logged holds it
/// in its message: it is for whoever asked, and for a log that may hold questions.
#[derive(Debug, thiserror::Error)]
#[error("it says: {0}")]
pub struct Said(pub String);
