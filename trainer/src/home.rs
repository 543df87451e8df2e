//! [`Home`]: the corpus and the current index of a home, as one thing that a run stands on.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use corpus::Store;
use corpus::store::ChunkInContext;
use indexes::Snapshots;
use retriever::Hybrid;

use crate::{Error, Result};

/// An open home. Its index is pinned: what is built later is not seen.
pub(crate) struct Home {
    folder: PathBuf,
    retriever: Hybrid,
    identity: String,
}

impl Home {
    /// Opens the home in `folder`, with the encoder that its index was built with.
    ///
    /// # Errors
    /// [`Error::Input`] when the corpus is no longer the one that was indexed; those of a home without an index, of
    /// a damaged one, and of one whose encoder is not at hand.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let (retriever, store) = hybrid(folder)?;
        let manifest = retriever.pinned().manifest();
        let corpus = store.fingerprint().map_err(failed)?;
        if corpus != manifest.corpus_fingerprint {
            let what = format!("the corpus of {} has changed since {} was built", folder.display(), manifest.id);
            return Err(Error::Input(format!("{what}: run `anamnesis index build`")));
        }
        let encoder = manifest.encoder.as_ref().map_or("none", |card| card.fingerprint.as_str());
        let identity = format!("{} corpus {corpus} encoder {encoder}", manifest.id);
        Ok(Self { folder: folder.to_owned(), retriever, identity })
    }

    /// Finds chunks.
    pub(crate) fn retriever(&self) -> &Hybrid {
        &self.retriever
    }

    /// What finds chunks, alone.
    pub(crate) fn into_retriever(self) -> Hybrid {
        self.retriever
    }

    /// Another one for another index, another corpus or another encoder.
    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }

    /// Its documents.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) fn store(&self) -> Result<Store> {
        Store::open_read_only(&self.folder.join("corpus.db")).map_err(failed)
    }

    /// At most `most` chunks from all over the corpus, in its order, of documents whose key `keeps` lets in.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) fn sample(&self, most: u64, keeps: &dyn Fn(&str) -> bool) -> Result<Vec<ChunkInContext>> {
        let store = self.store()?;
        let stride = store.stats().map_err(failed)?.chunks.div_ceil(most).max(1);
        let (mut number, mut sample) = (0, Vec::new());
        let visited = store.scan::<corpus::Error>(&mut |document, chunk| {
            if number % stride == 0 && keeps(document.id.key()) {
                sample.push(ChunkInContext { chunk: chunk.clone(), document: document.clone() });
            }
            number += 1;
            Ok(())
        });
        visited.map_err(failed)?;
        Ok(sample)
    }
}

fn hybrid(folder: &Path) -> Result<(Hybrid, Store)> {
    let open = || -> retriever::Result<_> {
        let snapshot = Snapshots::new(&folder.join("snapshots")).open_current()?;
        let encoder = match &snapshot.manifest().encoder {
            Some(card) => Some(retriever::embed::open(&card.name)?),
            None => None,
        };
        let store = || Store::open_read_only(&folder.join("corpus.db"));
        Ok((Hybrid::new(Arc::new(snapshot), store()?, encoder)?, store()?))
    };
    Ok(open().map_err(agent::Error::from)?)
}

/// What went wrong with a corpus.
pub(crate) fn failed(error: corpus::Error) -> Error {
    agent::Error::from(retriever::Error::from(error)).into()
}
