//! [`Given`]: a retriever that finds the same, whatever is asked: evidence that is put before a policy.

use corpus::ChunkId;
use corpus::store::ChunkInContext;
use retriever::{Hit, Query, Result, Retrieve};

/// Finds these chunks, best first.
#[derive(Clone, Debug, Default)]
pub struct Given {
    chunks: Vec<ChunkInContext>,
}

impl Given {
    /// A retriever that finds `chunks` and nothing else.
    pub fn new(chunks: impl IntoIterator<Item = ChunkInContext>) -> Self {
        Self { chunks: chunks.into_iter().collect() }
    }
}

impl Retrieve for Given {
    fn retrieve(&self, query: &Query) -> Result<Vec<Hit>> {
        let hit = |(place, found): (usize, &ChunkInContext)| Hit {
            chunk: found.chunk.id,
            document: found.chunk.document.clone(),
            rank: place + 1,
            score: 0.0,
            contributions: Vec::new(),
        };
        Ok(self.chunks.iter().enumerate().map(hit).take(query.k).collect())
    }

    fn read(&self, chunks: &[ChunkId]) -> Result<Vec<Option<ChunkInContext>>> {
        let find = |id: &ChunkId| self.chunks.iter().find(|found| found.chunk.id == *id).cloned();
        Ok(chunks.iter().map(find).collect())
    }

    fn snapshot(&self) -> &'static str {
        "given"
    }
}
