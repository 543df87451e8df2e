//! [`Stores`]: the corpus for handlers: connections that read and are kept, and one to write with for each request that does.
//!
//! Writers take turns at the database's own lock, with writers of other processes too, and wait for it for a short while
//! only. What a write has returned is on the disk.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agent::Cancel;
use corpus::Store;
use tokio::time::timeout;

use super::Service;
use super::caller::Caller;
use super::error::ApiError;
use super::view::View;
use crate::home::Home;

/// How long a write waits for another writer.
const BUSY: Duration = Duration::from_secs(2);
/// Connections that are kept for the next reader.
const KEPT: usize = 8;

/// Where handlers get the corpus from.
#[derive(Debug)]
pub(super) struct Stores {
    home: Home,
    idle: Mutex<Vec<Store>>,
}

impl Stores {
    pub(super) fn new(home: Home) -> Self {
        Self { home, idle: Mutex::default() }
    }

    /// Has `work` done with what of the corpus `caller` may read.
    pub(super) fn read<T>(
        &self,
        caller: &Caller,
        work: impl FnOnce(&View<'_>) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let store = match idle {
            Some(store) => store,
            None => self.home.read_store()?,
        };
        // a store that failed is not put back: the next request opens it anew
        let value = work(&View::new(&store, caller))?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push(store);
        }
        Ok(value)
    }

    fn write<T>(&self, caller: &Caller, work: impl FnOnce(&mut Store) -> Result<T, ApiError>) -> Result<T, ApiError> {
        let mut store = self.home.store()?;
        store.set_busy_timeout(BUSY)?;
        store.set_operator(&caller.name);
        store.set_bounds(caller.collections.as_deref());
        work(&mut store)
    }
}

impl Service {
    /// Has `work` done on a worker, and waits for it.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Cancel) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let pending = self.workers.submit(work)?;
        timeout(self.timeout, pending).await.map_err(|_| ApiError::timeout())??
    }

    /// Has `work` done with what of the corpus `caller` may read.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        caller: Caller,
        work: impl FnOnce(&View<'_>) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let service = Arc::clone(self);
        self.work(move |_| service.stores.read(&caller, work)).await
    }

    /// Has `work` done with the corpus open for writing, on behalf of `caller` and within what they may change.
    pub(super) async fn write<T: Send + 'static>(
        self: &Arc<Self>,
        caller: Caller,
        work: impl FnOnce(&mut Store) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let service = Arc::clone(self);
        self.work(move |_| service.stores.write(&caller, work)).await
    }
}
