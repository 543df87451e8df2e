//! [`Checkpoints`]: everything that a run needs to go on as if it had never stopped.
//!
//! A checkpoint is a folder `step-00000010`: the model's or the adapter's files, the optimiser's moments,
//! and `state.json`, which holds the [`State`] and a hash of every other file. It is written under a hidden
//! name, synced and renamed, and only then are older ones removed: a kill at any byte loses at most the steps since
//! the last one. One whose hashes do not fit is passed over for the one before it.

mod exact;
mod state;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use self::state::{Best, Controllers, Cursor, State};
use crate::error::{read, write};
use crate::files::{remove_folder, sync_all, sync_folder};
use crate::{Error, Result};

/// The layout of a checkpoint; one of another is refused.
const FORMAT: u32 = 1;
const STATE: &str = "state.json";
const PREFIX: &str = "step-";
/// What a checkpoint is called until it is whole.
const PARTIAL: &str = ".partial";

/// The file `state.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    /// A [`State`], its fractions as `exact` has them.
    state: serde_json::Value,
    /// BLAKE3 of every other file, by its path inside the checkpoint.
    files: BTreeMap<String, String>,
}

/// The checkpoints of one run.
#[derive(Debug)]
pub struct Checkpoints {
    dir: PathBuf,
}

impl Checkpoints {
    /// The checkpoints in the folder `dir`, which is made if it is not there. What a killed run was writing
    /// is removed.
    ///
    /// # Errors
    /// [`Error::Write`] when the disk refuses.
    pub fn open(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).map_err(write(dir))?;
        remove_folder(&dir.join(PARTIAL))?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// The checkpoints in the folder `dir`, to be read.
    pub fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// The folder of the checkpoint after `step`.
    pub fn folder(&self, step: u64) -> PathBuf {
        self.dir.join(format!("{PREFIX}{step:08}"))
    }

    /// Writes a checkpoint of `state`; `fill` writes all other files into the folder it is given. One of
    /// the same step is replaced.
    ///
    /// # Errors
    /// [`Error::Write`] when the disk refuses, and those of `fill`.
    pub fn save(&self, state: &State, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let aside = self.dir.join(PARTIAL);
        remove_folder(&aside)?;
        fs::create_dir(&aside).map_err(write(&aside))?;
        fill(&aside)?;
        let fault = |error: serde_json::Error| write(&aside)(error.into());
        let written = exact::write(serde_json::to_value(state).map_err(fault)?);
        let manifest = Manifest { format: FORMAT, state: written, files: hashes(&aside)? };
        let text = serde_json::to_string_pretty(&manifest).map_err(|error| write(&aside)(error.into()))?;
        let path = aside.join(STATE);
        fs::write(&path, text + "\n").map_err(write(&path))?;
        sync_all(&aside)?;
        let folder = self.folder(state.step);
        // Of two checkpoints of one step the new one may be lost, never both: the run's others stay.
        remove_folder(&folder)?;
        fs::rename(&aside, &folder).map_err(write(&folder))?;
        sync_folder(&self.dir)?;
        Ok(folder)
    }

    /// Steps of which there is a checkpoint, rising.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder cannot be read.
    pub fn steps(&self) -> Result<Vec<u64>> {
        let mut steps = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(read(&self.dir))? {
            let name = entry.map_err(read(&self.dir))?.file_name();
            steps.extend(name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse::<u64>().ok()));
        }
        steps.sort_unstable();
        Ok(steps)
    }

    /// The checkpoint after `step`, whole.
    ///
    /// # Errors
    /// [`Error::Artefact`] when a file of it is missing, damaged, or of another format.
    pub fn load(&self, step: u64) -> Result<(PathBuf, State)> {
        let folder = self.folder(step);
        let path = folder.join(STATE);
        let fault = |path: &Path, reason: String| Error::Artefact { path: path.to_owned(), reason };
        let bytes = fs::read(&path).map_err(read(&path))?;
        let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|error| fault(&path, error.to_string()))?;
        if manifest.format != FORMAT {
            let reason = format!("is of format {}, this program reads {FORMAT}", manifest.format);
            return Err(fault(&path, reason));
        }
        let found = hashes(&folder)?;
        if let Some((name, _)) = manifest.files.iter().find(|(name, hash)| found.get(*name) != Some(hash)) {
            return Err(fault(&folder.join(name), "is damaged or missing".to_owned()));
        }
        let state: State =
            serde_json::from_value(exact::read(manifest.state)).map_err(|error| fault(&path, error.to_string()))?;
        if state.step != step {
            return Err(fault(&path, format!("is of step {}", state.step)));
        }
        Ok((folder, state))
    }

    /// The newest checkpoint that is whole; `None` when there is none. Damaged ones are told and passed over.
    ///
    /// # Errors
    /// [`Error::Artefact`] when there are checkpoints and none is whole.
    pub fn newest(&self) -> Result<Option<(PathBuf, State)>> {
        let mut fault = None;
        for step in self.steps()?.into_iter().rev() {
            match self.load(step) {
                Ok(found) => return Ok(Some(found)),
                Err(error) => {
                    tracing::warn!("passing over a checkpoint: {error}");
                    fault.get_or_insert(error);
                }
            }
        }
        fault.map_or(Ok(None), Err)
    }

    /// Removes every checkpoint but those after the steps `keep`.
    ///
    /// # Errors
    /// [`Error::Write`] when the disk refuses.
    pub fn prune(&self, keep: &[u64]) -> Result<()> {
        self.steps()?.into_iter().filter(|step| !keep.contains(step)).try_for_each(|step| {
            // Under another name first, so that a kill half-way leaves no damaged checkpoint.
            let (folder, aside) = (self.folder(step), self.dir.join(PARTIAL));
            fs::rename(&folder, &aside).map_err(write(&folder))?;
            remove_folder(&aside)
        })
    }
}

/// Hashes of all files in `folder` but the state, by their path in it.
fn hashes(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut hashes = BTreeMap::new();
    let mut folders = vec![(folder.to_owned(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(read(&folder))? {
            let path = entry.map_err(read(&folder))?.path();
            let name = format!("{prefix}{}", path.file_name().unwrap_or_default().to_string_lossy());
            if path.is_dir() {
                folders.push((path, format!("{name}/")));
            } else if name != STATE {
                let mut hasher = blake3::Hasher::new();
                hasher.update_mmap(&path).map_err(read(&path))?;
                hashes.insert(name, hasher.finalize().to_hex().to_string());
            }
        }
    }
    Ok(hashes)
}

#[cfg(test)]
mod tests;
