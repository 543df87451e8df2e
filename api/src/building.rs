//! [`Building`]: a snapshot in the making, by the command and by a job of the service alike.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use corpus::Store;
use indexes::{Manifest, Stage, VectorKind};
use retriever::indexing::{self, Progress, Settings};
use retriever::{Embed, embed};

use crate::home::Home;

/// What a build will take in, and with which encoder.
pub(crate) struct Building {
    home: Home,
    store: Store,
    /// What the manifest calls the encoder.
    name: String,
    encoder: Option<Arc<dyn Embed>>,
    chunks: u64,
}

/// How far a build has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// What is being done, in a word.
    pub(crate) stage: &'static str,
    /// Of how many things how many are done, where they can be counted.
    pub(crate) count: Option<(u64, u64)>,
}

impl From<Progress> for Step {
    fn from(progress: Progress) -> Self {
        let (stage, count) = match progress {
            Progress::Chunks { done, total } => ("indexing", Some((done, total))),
            Progress::Writing(Stage::Lexical) => ("words", None),
            Progress::Writing(Stage::Graph { done, total }) => ("graph", Some((done as u64, total as u64))),
            Progress::Writing(Stage::Recall) => ("recall", None),
            Progress::Writing(Stage::Verify) => ("verifying", None),
            Progress::Writing(Stage::Publish) => ("publishing", None),
        };
        Self { stage, count }
    }
}

impl Building {
    /// Gets ready to build what `home` holds; `encoder` is `static`, `none` or the folder of one.
    ///
    /// # Errors
    /// When there are no documents or the encoder cannot be opened.
    pub(crate) fn of(home: &Home, encoder: &str) -> Result<Self> {
        let store = home.read_store()?;
        let name = match encoder {
            "none" | "static" => encoder.to_owned(),
            // the manifest must find it again from any folder
            path => std::path::absolute(PathBuf::from(path))?.display().to_string(),
        };
        let encoder = if name == "none" { None } else { Some(embed::open(&name)?) };
        let chunks = store.stats()?.chunks;
        Ok(Self { home: home.clone(), store, name, encoder, chunks })
    }

    /// How many chunks there are.
    pub(crate) fn chunks(&self) -> u64 {
        self.chunks
    }

    /// Numbers of a vector; none without an encoder.
    pub(crate) fn dimension(&self) -> usize {
        self.encoder.as_ref().map_or(0, |encoder| encoder.card().dimension)
    }

    /// Builds, and makes the snapshot the current one, unless `stop` is set before.
    ///
    /// # Errors
    /// Those of [`indexing::build_until`]; the snapshot that was current then still is.
    pub(crate) fn run(
        &self,
        vectors: VectorKind,
        stop: &Arc<AtomicBool>,
        told: &mut dyn FnMut(Step),
    ) -> retriever::Result<Manifest> {
        let cache = self.home.cache();
        // the bundled encoder is faster than a look into a cache
        let is_slow = self.encoder.is_some() && self.name != embed::BUNDLED;
        let settings = Settings {
            created: jiff::Timestamp::now(),
            place: &self.name,
            vectors,
            cache: is_slow.then_some(cache.as_path()),
        };
        let snapshots = self.home.snapshots();
        let mut progress = |progress: Progress| told(progress.into());
        indexing::build_until(&self.store, &snapshots, self.encoder.as_ref(), &settings, stop, &mut progress)
    }
}
