//! Where text meets the encoder on its way to disk: store to snapshot.
//!
//! Chunks stream out of the store in a stable order, are embedded in batches and pushed into a build
//! that is swapped in whole. Vectors of slow encoders are kept by content hash (`VectorCache`), so
//! that a killed build goes on where it stopped and an update embeds only what is new.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use corpus::store::Card;
use corpus::{Chunk, Store};
use indexes::{Build, BuildOptions, EncoderCard, Entry, Facets, Manifest, Snapshots, Stage, VectorKind};
use jiff::Timestamp;

use crate::vector_cache::VectorCache;
use crate::{Embed, Result, Role};

/// Chunks embedded at a time: enough to sort by length and fill a batch, small enough for memory.
const BATCH: usize = 512;

/// How far a build has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Chunks read, embedded and pushed, of how many.
    Chunks {
        /// So far.
        done: u64,
        /// In all.
        total: u64,
    },
    /// The files are being written and checked.
    Writing(Stage),
}

/// What to build with.
#[derive(Clone, Debug)]
pub struct Settings<'a> {
    /// When the build begins.
    pub created: Timestamp,
    /// What [`crate::embed::open`] will find the encoder by; kept in the manifest as its name.
    pub place: &'a str,
    /// Which vector index; with no encoder it says nothing.
    pub vectors: VectorKind,
    /// A folder that keeps vectors between builds: worth it where embedding is slow.
    pub cache: Option<&'a Path>,
}

/// Builds a snapshot of everything in `store` that may be evidence, and makes it the current one.
///
/// # Errors
/// When the store cannot be read, the encoder fails, another build is running, or the finished
/// snapshot does not pass verification; the current snapshot then stays what it was.
pub fn build(
    store: &Store,
    snapshots: &Snapshots,
    encoder: Option<&Arc<dyn Embed>>,
    settings: &Settings<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Manifest> {
    build_until(store, snapshots, encoder, settings, &Arc::default(), progress)
}

/// As [`build`]; once `stop` is set, it ends with [`indexes::Error::Stopped`], and nothing has changed.
///
/// # Errors
/// Those of [`build`].
pub fn build_until(
    store: &Store,
    snapshots: &Snapshots,
    encoder: Option<&Arc<dyn Embed>>,
    settings: &Settings<'_>,
    stop: &Arc<AtomicBool>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Manifest> {
    let total = store.stats()?.chunks;
    let options = BuildOptions {
        vectors: settings.vectors,
        encoder: encoder.map(|encoder| EncoderCard { name: settings.place.to_owned(), ..encoder.card().into() }),
        corpus_fingerprint: store.fingerprint()?,
        stop: Arc::clone(stop),
        ..BuildOptions::at(settings.created)
    };
    let build = Build::begin(snapshots.dir(), options)?;
    let cache = match (encoder, settings.cache) {
        (Some(encoder), Some(folder)) => Some(VectorCache::open(folder, encoder.card())?),
        _ => None,
    };
    let mut pusher = Pusher { build, encoder, cache, pending: Vec::with_capacity(BATCH), document: None, done: 0 };
    store.scan(&mut |document, chunk| -> Result<()> {
        pusher.add(document, chunk);
        if pusher.pending.len() == BATCH {
            pusher.flush()?;
            progress(Progress::Chunks { done: pusher.done, total });
        }
        Ok(())
    })?;
    pusher.flush()?;
    progress(Progress::Chunks { done: pusher.done, total });
    Ok(pusher.build.finish(&mut |stage| progress(Progress::Writing(stage)))?)
}

/// A chunk on its way, with what the index keeps of it.
struct Pending {
    chunk: Chunk,
    title: String,
    facets: Arc<Facets>,
}

struct Pusher<'a> {
    build: Build,
    encoder: Option<&'a Arc<dyn Embed>>,
    cache: Option<VectorCache>,
    pending: Vec<Pending>,
    /// The facets of the document whose chunks are passing by.
    document: Option<Arc<Facets>>,
    done: u64,
}

impl Pusher<'_> {
    fn add(&mut self, document: &Card, chunk: &Chunk) {
        let facets = match &self.document {
            Some(facets) if facets.document == document.id => Arc::clone(facets),
            _ => Arc::new(facets_of(document)),
        };
        self.document = Some(Arc::clone(&facets));
        self.pending.push(Pending { title: document.title.clone(), chunk: chunk.clone(), facets });
    }

    fn flush(&mut self) -> Result<()> {
        let vectors = match self.encoder {
            Some(encoder) => Some(embed(encoder.as_ref(), self.cache.as_mut(), &self.pending)?),
            None => None,
        };
        for (index, Pending { chunk, title, facets }) in self.pending.iter().enumerate() {
            let entry = Entry { chunk: chunk.id, title, heading: &chunk.heading, text: &chunk.text, facets };
            self.build.push(&entry, vectors.as_ref().map(|vectors| vectors[index].as_slice()))?;
        }
        self.done += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }
}

fn facets_of(document: &Card) -> Facets {
    Facets {
        document: document.id.clone(),
        date: document.date,
        level: document.level,
        status: document.status,
        types: document.publication_types.clone(),
        source: document.id.source().to_owned(),
        collections: document.collections.clone(),
        mesh: document.mesh.clone(),
    }
}

/// Vectors of `pending` in order; only what the cache lacks is embedded.
fn embed(encoder: &dyn Embed, cache: Option<&mut VectorCache>, pending: &[Pending]) -> Result<Vec<Vec<f32>>> {
    let texts: Vec<String> = pending.iter().map(|p| passage(&p.title, &p.chunk.text)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    match cache {
        Some(cache) => cache.embed_through(encoder, &texts),
        None => encoder.embed(Role::Passage, &texts),
    }
}

/// What an encoder reads of a chunk: its document's title, then its text.
pub fn passage(title: &str, text: &str) -> String {
    if title.is_empty() { text.to_owned() } else { format!("{title} {text}") }
}
