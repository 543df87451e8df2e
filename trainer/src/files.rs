//! Files and folders that are there whole or not at all: written aside, synced where a run goes on from them, renamed.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use serde::Serialize;

use crate::error::write;
use crate::{Error, Result};

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

/// As [`replace`], but the system carries it to the disk when it likes: of a process that is killed nothing is
/// half written, of a machine that is it may be lost. For what many steps write and nothing goes on from.
pub(crate) fn replace_soon(path: &Path, bytes: &[u8]) -> Result<()> {
    let aside = path.with_extension("part");
    fs::write(&aside, bytes).and_then(|()| fs::rename(&aside, path)).map_err(write(path))
}

/// Makes the new folder `dir` of what `fill` writes to the folder that it is given.
///
/// # Errors
/// [`Error::Input`] when `dir` exists or cannot be; those of `fill`, which leave nothing behind.
pub(crate) fn new_folder<T>(dir: &Path, fill: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    if fs::symlink_metadata(dir).is_ok() {
        return Err(Error::Input(format!("{} exists already: remove it, or name another folder", dir.display())));
    }
    let Some(name) = dir.file_name() else {
        return Err(Error::Input(format!("{} names no folder that could be made", dir.display())));
    };
    let aside = dir.with_file_name(format!(".{}.partial", name.to_string_lossy()));
    remove_folder(&aside)?;
    let written = fill(&aside).and_then(|written| {
        sync_all(&aside)?;
        fs::rename(&aside, dir).map_err(write(dir))?;
        Ok(written)
    });
    if written.is_err() {
        remove_folder(&aside)?;
    }
    written
}

/// Writes one record a line.
///
/// # Errors
/// [`Error::Write`] when the disk refuses; [`Error::Shape`] for a record that has no JSON.
pub(crate) fn lines<T: Serialize>(path: &Path, records: impl IntoIterator<Item = T>) -> Result<()> {
    let file = File::create(path).map_err(write(path))?;
    let mut file = BufWriter::new(file);
    for record in records {
        let line = serde_json::to_string(&record).map_err(|error| Error::Shape(error.to_string()))?;
        writeln!(file, "{line}").map_err(write(path))?;
    }
    file.flush().map_err(write(path))
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
