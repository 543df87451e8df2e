//! [`Retrieve`]: the seam between whoever asks and whatever finds.

use corpus::ChunkId;
use corpus::store::ChunkInContext;

use crate::{Hit, Query, Result};

/// Finds chunks in one pinned snapshot and reads them. Equal queries give equal hits.
pub trait Retrieve: Send + Sync {
    /// Hits for `query`, best first, at most `query.k`, each explained.
    ///
    /// # Errors
    /// When an index or the store cannot be read, or the query names what does not exist.
    fn retrieve(&self, query: &Query) -> Result<Vec<Hit>>;

    /// The chunks with their documents' metadata, in order; a chunk that may not be shown (any more)
    /// is `None`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn read(&self, chunks: &[ChunkId]) -> Result<Vec<Option<ChunkInContext>>>;

    /// The id of the pinned snapshot.
    fn snapshot(&self) -> &str;
}
