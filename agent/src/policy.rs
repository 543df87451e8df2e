//! [`Policy`]: whoever asks and answers: rules, a language model on this machine, one behind an
//! endpoint, or a script.

mod extractive;
mod local;
mod openai;
mod scripted;

pub use extractive::Extractive;
pub use local::{Local, LocalOptions};
pub use openai::{OpenAi, Sampling, TimeLimits};
pub use scripted::Scripted;

use crate::Result;
use crate::session::{Session, Task};

/// Opens sessions. One policy never stands in for another: when it cannot act, the episode fails.
pub trait Policy: Send + Sync {
    /// The name a trace keeps, without credentials.
    fn name(&self) -> String;

    /// How it chooses tokens, where it is this program that does.
    fn sampling(&self) -> Option<nn::Sampling>;

    /// Whether what it is asked leaves this process.
    fn is_remote(&self) -> bool {
        false
    }

    /// Opens an episode.
    ///
    /// # Errors
    /// When the policy cannot serve the task.
    fn open(&self, task: &Task<'_>) -> Result<Box<dyn Session>>;
}
