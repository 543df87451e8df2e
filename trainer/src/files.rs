//! Files and folders that are there whole or not at all: written aside, synced, renamed.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use crate::Result;
use crate::error::write;

/// Replaces the file `path` by `bytes`.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let aside = path.with_extension("part");
    let written = File::create(&aside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&aside, path)).map_err(write(path))?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Carries the folder `path` and all in it to the disk, what is inside first.
pub(crate) fn sync_all(path: &Path) -> Result<()> {
    for entry in fs::read_dir(path).map_err(write(path))? {
        let inner = entry.map_err(write(path))?.path();
        if inner.is_dir() {
            sync_all(&inner)?;
        } else {
            File::open(&inner).and_then(|file| file.sync_all()).map_err(write(&inner))?;
        }
    }
    sync_folder(path)
}

/// Only Unix can open a folder as a file; elsewhere a rename is as durable as it gets.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    if cfg!(unix) && !path.as_os_str().is_empty() {
        File::open(path).and_then(|folder| folder.sync_all()).map_err(write(path))?;
    }
    Ok(())
}

/// Removes the folder `path` and all in it, if it is there.
pub(crate) fn remove_folder(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(write(path)(source)),
        _ => Ok(()),
    }
}
