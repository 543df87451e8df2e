//! [`Policy`]: whoever asks and answers. Three live here; a local language model is a fourth.

mod extractive;
mod scripted;

pub use extractive::Extractive;
pub use scripted::Scripted;

use crate::session::{Session, Task};
use crate::Result;

/// Opens sessions. One policy never stands in for another: when it cannot act, the episode fails.
pub trait Policy: Send + Sync {
    /// The name a trace keeps, without credentials.
    fn name(&self) -> String;

    /// Opens an episode.
    ///
    /// # Errors
    /// When the policy cannot serve the task.
    fn open(&self, task: &Task<'_>) -> Result<Box<dyn Session>>;
}
