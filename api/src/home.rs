//! [`Home`]: what a user's data directory holds, and how it is opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use corpus::Store;
use etcetera::BaseStrategy;
use indexes::{Snapshot, SnapshotId, Snapshots};
use retriever::{Embed, Hybrid};

use crate::keys::KeysFile;

/// A data directory: `corpus.db`, `snapshots/`, `models/`, `runs/`, `cache/`; with a service `keys.json` and `audit.jsonl`.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    root: PathBuf,
}

impl Home {
    /// The home at `root`, or in the platform's data directory.
    pub(crate) fn new(root: Option<PathBuf>) -> Result<Self> {
        let root = match root {
            Some(root) => root,
            None => etcetera::choose_base_strategy()
                .context("no home directory is known here: name one with --home DIR")?
                .data_dir()
                .join("anamnesis"),
        };
        Ok(Self { root })
    }

    /// The database file.
    pub(crate) fn database(&self) -> PathBuf {
        self.root.join("corpus.db")
    }

    /// The snapshots of the index.
    pub(crate) fn snapshots(&self) -> Snapshots {
        Snapshots::new(&self.root.join("snapshots"))
    }

    /// What may be deleted at any time: vectors of texts already embedded.
    pub(crate) fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// Models a user keeps here, a folder each: language models, encoders, scorers.
    pub(crate) fn models(&self) -> PathBuf {
        self.root.join("models")
    }

    /// The folder itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Who may use a service of this home.
    pub(crate) fn keys(&self) -> KeysFile {
        KeysFile::new(&self.root)
    }

    /// Runs of training that a user keeps here, a folder each.
    pub(crate) fn runs(&self) -> PathBuf {
        self.root.join("runs")
    }

    /// Opens the store for writing, making it when there is none; one of an older program is brought up to date, and the
    /// log says so.
    pub(crate) fn store(&self) -> corpus::Result<Store> {
        Store::open(&self.database())
    }

    /// Opens the store for reading only. One of an older program is refused: to change it is not for who only reads.
    pub(crate) fn read_store(&self) -> corpus::Result<Store> {
        Store::open_read_only(&self.database())
    }

    /// Brings the store of an older program up to date, for a command that goes on to write; true if it was.
    pub(crate) fn migrate(&self) -> corpus::Result<bool> {
        match self.read_store() {
            Err(corpus::Error::Outdated { .. }) => self.store().map(|_| true),
            // whatever else is wrong is told where the store is used
            _ => Ok(false),
        }
    }

    /// True when nothing was ever added here.
    pub(crate) fn is_empty(&self) -> Result<bool> {
        let database = self.database();
        let found = database.try_exists().with_context(|| format!("cannot look for {}", database.display()))?;
        Ok(!found || self.read_store()?.is_empty()?)
    }

    /// Opens the current snapshot with the encoder it was built with.
    pub(crate) fn retriever(&self) -> Result<Hybrid> {
        self.pin(self.snapshots().open_current()?)
    }

    /// Opens the snapshot called `id` likewise.
    pub(crate) fn retriever_of(&self, id: &str) -> Result<Hybrid> {
        let id = SnapshotId::parse(id).with_context(|| format!("`{id}` is no snapshot id"))?;
        self.pin(self.snapshots().open(&id)?)
    }

    fn pin(&self, snapshot: Snapshot) -> Result<Hybrid> {
        let snapshot = Arc::new(snapshot);
        let encoder = match &snapshot.manifest().encoder {
            Some(card) => Some(open_encoder(&card.name, &snapshot.manifest().id.to_string())?),
            None => None,
        };
        Ok(Hybrid::new(snapshot, self.read_store()?, encoder)?)
    }
}

fn open_encoder(name: &str, snapshot: &str) -> Result<Arc<dyn Embed>> {
    match retriever::embed::open(name) {
        Ok(encoder) => Ok(encoder),
        Err(error) => bail!(
            "{error}; snapshot {snapshot} was built with it: put it back, or run `anamnesis index build --encoder static`"
        ),
    }
}
