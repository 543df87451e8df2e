//! [`Cached`]: a retriever that remembers: the episodes of a group ask much the same.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use corpus::ChunkId;
use corpus::store::ChunkInContext;
use retriever::{Hit, Query, Result, Retrieve};

/// Remembers what queries found and what chunks hold, as of when they were first asked for; the oldest
/// entries stay, and once there is no room for more, the rest is asked anew.
pub struct Cached<'a> {
    inner: &'a dyn Retrieve,
    room: usize,
    hits: Mutex<HashMap<String, Vec<Hit>>>,
    chunks: Mutex<HashMap<ChunkId, Option<ChunkInContext>>>,
    asked: AtomicU64,
    found: AtomicU64,
}

impl<'a> Cached<'a> {
    /// Remembers at most `room` queries and as many chunks of `inner`.
    pub fn new(inner: &'a dyn Retrieve, room: usize) -> Self {
        Self {
            inner,
            room,
            hits: Mutex::default(),
            chunks: Mutex::default(),
            asked: AtomicU64::new(0),
            found: AtomicU64::new(0),
        }
    }

    /// Queries so far, and how many of them were remembered.
    pub fn counts(&self) -> (u64, u64) {
        (self.asked.load(Ordering::Relaxed), self.found.load(Ordering::Relaxed))
    }
}

impl Retrieve for Cached<'_> {
    fn retrieve(&self, query: &Query) -> Result<Vec<Hit>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let Ok(key) = serde_json::to_string(query) else {
            return self.inner.retrieve(query);
        };
        if let Some(hits) = lock(&self.hits).get(&key) {
            self.found.fetch_add(1, Ordering::Relaxed);
            return Ok(hits.clone());
        }
        // Not under the lock: another query need not wait for this one.
        let hits = self.inner.retrieve(query)?;
        let mut known = lock(&self.hits);
        if known.len() < self.room {
            known.insert(key, hits.clone());
        }
        Ok(hits)
    }

    fn read(&self, chunks: &[ChunkId]) -> Result<Vec<Option<ChunkInContext>>> {
        let known: Option<Vec<_>> = {
            let known = lock(&self.chunks);
            chunks.iter().map(|id| known.get(id).cloned()).collect()
        };
        if let Some(known) = known {
            return Ok(known);
        }
        let read = self.inner.read(chunks)?;
        let mut known = lock(&self.chunks);
        for (id, chunk) in chunks.iter().zip(&read) {
            if known.len() < self.room {
                known.insert(*id, chunk.clone());
            }
        }
        Ok(read)
    }

    fn snapshot(&self) -> &str {
        self.inner.snapshot()
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Cached<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cached").field("snapshot", &self.snapshot()).field("room", &self.room).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use retriever::Fixed;

    use super::*;

    #[test]
    fn what_was_asked_is_not_asked_again() {
        let library =
            Fixed::new([("a", "Metformin", "Metformin lowers glucose."), ("b", "Lithium", "Lithium is salt.")]);
        let cached = Cached::new(&library, 2);
        for text in ["metformin", "metformin", "lithium", "salt", "salt"] {
            let hits = cached.retrieve(&Query::new(text)).unwrap();
            assert_eq!(hits, library.retrieve(&Query::new(text)).unwrap());
            let ids: Vec<_> = hits.iter().map(|hit| hit.chunk).collect();
            assert_eq!(cached.read(&ids).unwrap(), library.read(&ids).unwrap());
        }
        assert_eq!(cached.counts(), (5, 1), "the third query had no room");
        let narrow = Query { k: 1, ..Query::new("metformin") };
        cached.retrieve(&narrow).unwrap();
        assert_eq!(cached.counts(), (6, 1), "the same words on other terms are another query");
        assert_eq!(cached.snapshot(), "fixed");
    }
}
