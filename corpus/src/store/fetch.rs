//! Chunks by id, each with the card of its document: what an answer shows.

use rusqlite::OptionalExtension;

use super::Store;
use super::card::{COLUMNS, Card, Cards, WIDTH, unreadable};
use crate::{Chunk, ChunkId, Result};

/// A chunk and what is known of its document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkInContext {
    /// The chunk.
    pub chunk: Chunk,
    /// Its document, as of now: not as of when an index was built.
    pub document: Card,
}

impl Store {
    /// The chunks called `ids`, in that order; `None` where there is none any more. Chunks of withdrawn
    /// documents are given too: their card says so.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn chunks(&self, ids: &[ChunkId]) -> Result<Vec<Option<ChunkInContext>>> {
        self.read(|db| {
            let cards = Cards::new(db)?;
            let sql = format!(
                "SELECT {COLUMNS}, c.ordinal, c.start, c.stop, c.heading, t.text FROM chunks c
                 JOIN documents d ON d.number = c.document JOIN texts t ON t.document = c.document WHERE c.id = ?"
            );
            let mut statement = db.prepare_cached(&sql)?;
            let fetch = |id: &ChunkId| {
                let found = statement.query_row([id.as_bytes()], |row| {
                    let document = cards.read(row)?;
                    let span = row.get::<_, u32>(WIDTH + 1)? as usize..row.get::<_, u32>(WIDTH + 2)? as usize;
                    let text = row.get_ref(WIDTH + 4)?.as_str()?.get(span.clone());
                    let chunk = Chunk {
                        id: *id,
                        document: document.id.clone(),
                        ordinal: row.get(WIDTH)?,
                        heading: row.get(WIDTH + 3)?,
                        text: text
                            .ok_or_else(|| unreadable(WIDTH + 1, format!("chunk {id} lies outside its text")))?
                            .to_owned(),
                        span,
                    };
                    Ok(ChunkInContext { chunk, document })
                });
                Ok(found.optional()?)
            };
            ids.iter().map(fetch).collect()
        })
    }
}
