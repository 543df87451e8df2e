//! Every chunk that may be found, for an index to be built; and what tells that an index is out of date.

use super::Store;
use super::card::{COLUMNS, Card, Cards, WIDTH, document_id, unreadable};
use super::write::MARK;
use crate::{Chunk, ChunkId, DocumentId, Error, Result};

/// What a scan gives; part of every fingerprint, so that a new rule makes old indexes out of date.
const RULE: u64 = 1;

impl Store {
    /// Visits every chunk that may be evidence, with its document's card: documents that are active and not
    /// retracted, in order of ids, and within each in order of the text. One state of the database is seen
    /// from first to last; memory does not grow. The first error of `visit` ends the scan.
    ///
    /// # Errors
    /// Those of `visit`, and when the database cannot be read.
    pub fn scan<E: From<Error>>(&self, visit: &mut dyn FnMut(&Card, &Chunk) -> Result<(), E>) -> Result<(), E> {
        let mut stopped = None;
        let outcome = self.read(|db| {
            let cards = Cards::new(db)?;
            let mut documents = db.prepare(&format!(
                "SELECT {COLUMNS}, d.number, t.text FROM documents d JOIN texts t ON t.document = d.number
                 WHERE d.standing = 'active' AND d.status <> 'retracted' AND d.chunks > 0 ORDER BY d.id"
            ))?;
            let mut chunks =
                db.prepare("SELECT ordinal, id, start, stop, heading FROM chunks WHERE document = ? ORDER BY ordinal")?;
            let mut documents = documents.query([])?;
            while let Some(row) = documents.next()? {
                let card = cards.read(row)?;
                let number: i64 = row.get(WIDTH)?;
                let text = row.get_ref(WIDTH + 1)?.as_str().map_err(rusqlite::Error::from)?;
                let mut chunks = chunks.query([number])?;
                while let Some(row) = chunks.next()? {
                    let id = ChunkId::from_bytes(row.get(1)?);
                    let span = row.get::<_, u32>(2)? as usize..row.get::<_, u32>(3)? as usize;
                    let text = text
                        .get(span.clone())
                        .ok_or_else(|| unreadable(2, format!("chunk {id} lies outside its text")))?;
                    let chunk = Chunk {
                        id,
                        document: card.id.clone(),
                        ordinal: row.get(0)?,
                        heading: row.get(4)?,
                        text: text.to_owned(),
                        span,
                    };
                    if let Err(error) = visit(&card, &chunk) {
                        stopped = Some(error);
                        return Ok(());
                    }
                }
            }
            Ok(())
        });
        outcome?;
        stopped.map_or(Ok(()), Err)
    }

    /// Sixteen hexadecimal digits that change exactly when [`Store::scan`] would give something else. Kept
    /// as documents change, so asking costs nothing; equal homes agree, whatever the order of adding.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn fingerprint(&self) -> Result<String> {
        let mark = self.read(|db| Ok(db.query_row(MARK, [], |row| row.get::<_, i64>(0))?))?;
        Ok(format!("{:016x}", (mark as u64).wrapping_add(RULE)))
    }

    /// The documents that must not be shown now, whatever an index still holds: retracted, quarantined or
    /// removed; in order of ids.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn withdrawn(&self) -> Result<Vec<DocumentId>> {
        self.read(|db| {
            let sql = "SELECT id FROM documents WHERE status = 'retracted' OR standing <> 'active' ORDER BY id";
            let mut statement = db.prepare_cached(sql)?;
            let ids = statement.query_map([], |row| document_id(row, 0))?;
            Ok(ids.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// A number that grows with every commit that touches documents, by whatever process: a reader may
    /// keep what it read while the number stays.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn data_version(&self) -> Result<i64> {
        self.read(|db| {
            let mut statement = db.prepare_cached("SELECT value FROM state WHERE name = 'writes'")?;
            Ok(statement.query_row([], |row| row.get(0))?)
        })
    }
}
