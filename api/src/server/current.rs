//! [`Current`]: the snapshot that answers, swapped when a newer one becomes current.
//!
//! A thread looks once a second which snapshot the home calls current. A new one is opened aside and
//! swapped in; requests that run keep the one they pinned. One that cannot be opened changes nothing.

use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use agent::TraceId;
use anyhow::Result;
use corpus::store::{ChunkInContext, Stored};
use corpus::{ChunkId, Store};
use retriever::{Hybrid, Retrieve};

use super::error::{ApiError, Code};
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
    /// For chunks by their id, whatever the snapshot; opened at first use.
    store: Mutex<Option<Store>>,
}

impl Current {
    /// Opens what is current in `home`; nothing when that fails, which is logged.
    pub(super) fn open(home: Home) -> Self {
        let current = Self { home, retriever: RwLock::new(None), store: Mutex::new(None) };
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

    /// The chunk called `id`, whatever its standing.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) fn chunk(&self, id: ChunkId) -> Result<Option<ChunkInContext>> {
        self.read(|store| Ok(store.chunks(&[id])?.pop().flatten()))
    }

    /// The trace stored under `id`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) fn trace(&self, id: &TraceId) -> Result<Option<String>> {
        self.read(|store| Ok(store.trace(id.as_str())?))
    }

    fn read<T>(&self, work: impl FnOnce(&Store) -> Result<T>) -> Result<T> {
        let mut slot = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let store = match slot.take() {
            Some(store) => store,
            None => self.home.read_store()?,
        };
        // a store that failed is not put back: the next request opens it anew
        let found = work(&store)?;
        *slot = Some(store);
        Ok(found)
    }

    /// The document that `name` means, whatever its standing: our id, a PMID, a PMC id or a DOI. None where it
    /// means nothing or several.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) fn document(&self, name: &str) -> Result<Option<Stored>> {
        self.read(|store| {
            Ok(match store.resolve(name)?.as_slice() {
                [id] => store.document(id)?,
                _ => None,
            })
        })
    }

    /// Looks for a new current snapshot until the watch is dropped.
    ///
    /// # Errors
    /// When the system gives no more threads.
    pub(super) fn watch(self: Arc<Self>) -> std::io::Result<Watch> {
        let (stop, stopped) = sync_channel(0);
        let watch = move || {
            let mut failed = None;
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                self.refresh(&mut failed);
            }
        };
        thread::Builder::new().name("current".to_owned()).spawn(watch)?;
        Ok(Watch { _stop: stop })
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

/// Keeps [`Current`] current until dropped.
#[derive(Debug)]
pub(super) struct Watch {
    _stop: SyncSender<()>,
}
