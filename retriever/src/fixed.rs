//! [`Fixed`]: a retriever over a handful of chunks in memory, for tests, replays and examples.

use std::collections::BTreeSet;

use corpus::chunk::chunk;
use corpus::store::{Card, ChunkInContext};
use corpus::{ChunkId, Document, DocumentId, Standing};

use crate::{Arm, Contribution, Hit, Query, Result, Retrieve};

/// Ranks its chunks by how many distinct words they share with the query, in order of entry on ties.
/// It has one arm and no filter.
#[derive(Clone, Debug, Default)]
pub struct Fixed {
    chunks: Vec<ChunkInContext>,
}

impl Fixed {
    /// A retriever over documents given as `(key, title, text)`, all of source `fixed`.
    pub fn new<'a>(documents: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>) -> Self {
        let plain = |(key, title, text)| Document::plain(DocumentId::new("fixed", key), title, text);
        Self::of_documents(documents.into_iter().map(plain))
    }

    /// A retriever over whole documents, chunked as a store would.
    pub fn of_documents(documents: impl IntoIterator<Item = Document>) -> Self {
        let chunks = documents
            .into_iter()
            .flat_map(|document| {
                let card = card(&document);
                chunk(&document).into_iter().map(move |chunk| ChunkInContext { chunk, document: card.clone() })
            })
            .collect();
        Self { chunks }
    }
}

impl Fixed {
    /// Its chunks, in order of entry.
    pub fn into_chunks(self) -> Vec<ChunkInContext> {
        self.chunks
    }
}

impl Retrieve for Fixed {
    fn retrieve(&self, query: &Query) -> Result<Vec<Hit>> {
        let wanted = words(&query.text);
        let mut scored: Vec<_> = self
            .chunks
            .iter()
            .map(|found| {
                (words(&format!("{} {}", found.document.title, found.chunk.text)).intersection(&wanted).count(), found)
            })
            .filter(|(shared, _)| *shared > 0)
            .collect();
        scored.sort_by_key(|(shared, _)| std::cmp::Reverse(*shared));
        scored.truncate(query.k);
        let hits = scored.iter().enumerate().map(|(index, (shared, found))| {
            let (rank, score) = (index + 1, *shared as f64);
            let contribution =
                Contribution { arm: Arm::Lexical, rank, raw: score as f32, scaled: score, weight: 1.0, value: score };
            Hit {
                chunk: found.chunk.id,
                document: found.chunk.document.clone(),
                rank,
                score,
                contributions: vec![contribution],
            }
        });
        Ok(hits.collect())
    }

    fn read(&self, chunks: &[ChunkId]) -> Result<Vec<Option<ChunkInContext>>> {
        let find = |id: &ChunkId| self.chunks.iter().find(|found| found.chunk.id == *id).cloned();
        Ok(chunks.iter().map(find).collect())
    }

    fn snapshot(&self) -> &'static str {
        "fixed"
    }
}

fn card(document: &Document) -> Card {
    Card {
        id: document.id.clone(),
        title: document.title.clone(),
        identifiers: document.identifiers.clone(),
        date: document.date,
        journal: document.journal.clone(),
        licence: document.licence.clone(),
        publication_types: document.publication_types.clone(),
        mesh: document.mesh.clone(),
        status: document.status,
        level: document.level,
        standing: Standing::Active,
        collections: Vec::new(),
    }
}

fn words(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() > 2).map(str::to_lowercase).collect()
}
