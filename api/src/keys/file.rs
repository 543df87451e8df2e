//! [`KeysFile`]: `keys.json` of a home, changed by one process at a time and replaced as a whole.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use corpus::store::private_folder;

use super::Keys;

/// Hashes are no secrets, but who has keys is nobody's business.
const OWNER_ONLY: u32 = 0o600;

/// Where keys are kept.
#[derive(Clone, Debug)]
pub(crate) struct KeysFile {
    folder: PathBuf,
}

impl KeysFile {
    /// The file of the home at `folder`.
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join("keys.json")
    }

    /// The keys; none when no key was ever made.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub(crate) fn read(&self) -> Result<Option<Keys>> {
        let path = self.path();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let keys = Keys::parse(&text).with_context(|| {
            format!(
                "{} is damaged: put a good copy back, or move it away and make new keys with `anamnesis key create`",
                path.display()
            )
        })?;
        Ok(Some(keys))
    }

    /// Changes the keys while no other process does. A kill at any moment leaves the old file or the new one.
    ///
    /// # Errors
    /// When `change` fails, or the file cannot be read or replaced.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Keys) -> Result<T>) -> Result<T> {
        private_folder(&self.folder).with_context(|| format!("cannot make {}", self.folder.display()))?;
        let path = self.path();
        let lock = self.folder.join("keys.lock");
        let lock = OpenOptions::new().create(true).append(true).mode(OWNER_ONLY).open(&lock)?;
        lock.lock().with_context(|| format!("cannot lock {}", path.display()))?;
        let mut keys = self.read()?.unwrap_or_else(Keys::none);
        let result = change(&mut keys)?;
        self.replace(&keys).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(result)
    }

    fn replace(&self, keys: &Keys) -> Result<()> {
        let aside = self.folder.join("keys.json.new");
        // left by a process that was killed; made anew, so that its mode is ours
        match fs::remove_file(&aside) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(&aside)?;
        let mut text = serde_json::to_vec_pretty(keys)?;
        text.push(b'\n');
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&aside, self.path())?;
        File::open(&self.folder)?.sync_all()?;
        Ok(())
    }
}
