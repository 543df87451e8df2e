//! [`Current`]: the snapshot that answers, swapped when a newer one becomes current.
//!
//! A thread looks once a second which snapshot the home calls current. A new one is opened aside and
//! swapped in; requests that run keep the one they pinned. One that cannot be opened changes nothing.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use retriever::{Hybrid, Retrieve};

use super::error::{ApiError, Code};
use super::watch::Watch;
use crate::home::Home;

/// How often the home is asked which snapshot is current.
const EVERY: Duration = Duration::from_secs(1);
/// How long a snapshot that could not be opened is left alone: to verify a large one takes seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// The retriever over the current snapshot, if there is one.
#[derive(Debug)]
pub(super) struct Current {
    home: Home,
    retriever: RwLock<Option<Arc<Hybrid>>>,
}

impl Current {
    /// Opens what is current in `home`; nothing when that fails, which is logged.
    pub(super) fn open(home: Home) -> Self {
        let current = Self { home, retriever: RwLock::new(None) };
        current.refresh(&mut None);
        current
    }

    /// Pins the snapshot that is current now.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn pin(&self) -> Result<Arc<Hybrid>, ApiError> {
        let pinned = self.retriever.read().unwrap_or_else(PoisonError::into_inner).clone();
        pinned.ok_or_else(|| {
            ApiError::new(
                Code::NotReady,
                "no index is open: run `anamnesis index build` (after `anamnesis corpus add PATH`)",
            )
        })
    }

    /// Looks for a new current snapshot until the watch is dropped.
    ///
    /// # Errors
    /// When the system gives no more threads.
    pub(super) fn watch(self: Arc<Self>) -> std::io::Result<Watch> {
        let mut failed = None;
        Watch::start("current", EVERY, move || self.refresh(&mut failed))
    }

    /// Swaps in what is current, unless it is pinned already. `failed` remembers what could not be
    /// opened, and when.
    fn refresh(&self, failed: &mut Option<(String, Instant)>) {
        let id = match self.home.snapshots().current() {
            Ok(Some(id)) => id.to_string(),
            Ok(None) => return,
            // named so that a damaged name is tried and logged as seldom as a damaged snapshot
            Err(_) => String::new(),
        };
        let pinned = self.pin().ok();
        if pinned.is_some_and(|pinned| pinned.snapshot() == id) {
            return;
        }
        if failed.as_ref().is_some_and(|(name, when)| *name == id && when.elapsed() < PATIENCE) {
            return;
        }
        match self.home.retriever() {
            Ok(retriever) => {
                tracing::info!(snapshot = retriever.snapshot(), "answering from this snapshot");
                *self.retriever.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(retriever));
                *failed = None;
            }
            Err(error) => {
                tracing::warn!(snapshot = id, error = format!("{error:#}"), "the current snapshot cannot be opened");
                *failed = Some((id, Instant::now()));
            }
        }
    }
}
