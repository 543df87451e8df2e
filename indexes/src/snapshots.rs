//! [`Snapshots`]: the folder of a home's snapshots, and `CURRENT`, which names the one that serves.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::build::TICK;
use crate::mapped::{map_verified, sync_folder, write_synced};
use crate::{Error, Manifest, Result, Snapshot, SnapshotId};

const CURRENT: &str = "CURRENT";
const BUILDING: &str = ".building-";

/// A folder of snapshots. Reading needs no lock and writes nothing, so it may be read-only.
#[derive(Clone, Debug)]
pub struct Snapshots {
    dir: PathBuf,
}

/// One snapshot in a listing.
#[derive(Debug)]
pub struct Listed {
    /// Its name.
    pub id: SnapshotId,
    /// Whether it serves.
    pub current: bool,
    /// What it holds, or why that cannot be told.
    pub manifest: Result<Manifest>,
}

/// What verification found right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Files whose checksums hold.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Chunks that open.
    pub chunks: usize,
}

impl Snapshots {
    /// The snapshots in `dir`, which need not exist yet.
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// All snapshots, oldest first; a damaged one is listed with its error.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder cannot be listed.
    pub fn list(&self) -> Result<Vec<Listed>> {
        let current = self.current().ok().flatten();
        let listed = |id: SnapshotId| Listed {
            current: current.as_ref() == Some(&id),
            manifest: Manifest::read(&self.folder(&id)),
            id,
        };
        Ok(self.ids()?.into_iter().map(listed).collect())
    }

    /// The one that serves; none before the first build.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when `CURRENT` names no snapshot.
    pub fn current(&self) -> Result<Option<SnapshotId>> {
        let path = self.dir.join(CURRENT);
        let mut text = Vec::new();
        match File::open(&path).and_then(|file| file.take(256).read_to_end(&mut text)) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read", &path)(error)),
        }
        let id = std::str::from_utf8(&text).ok().and_then(|text| SnapshotId::parse(text.trim_end()));
        id.map(Some).ok_or_else(|| Error::corrupt(&path, "it names no snapshot"))
    }

    /// Opens a snapshot, verifying every file.
    ///
    /// # Errors
    /// [`Error::Unknown`]; [`Error::Corrupt`] or [`Error::Format`] on files that are not what was
    /// built; [`Error::Mismatch`] on one built with another analyzer.
    pub fn open(&self, id: &SnapshotId) -> Result<Snapshot> {
        Snapshot::open(&self.existing(id)?)
    }

    /// Opens the one that serves.
    ///
    /// # Errors
    /// [`Error::NoSnapshot`] before the first build, else as [`Snapshots::open`].
    pub fn open_current(&self) -> Result<Snapshot> {
        let id = self.current()?.ok_or_else(|| Error::NoSnapshot { dir: self.dir.clone() })?;
        self.open(&id).map_err(|error| match error {
            Error::Unknown { id } => {
                Error::corrupt(&self.dir.join(CURRENT), format!("it names {id}, which does not exist"))
            }
            error => error,
        })
    }

    /// Checks every byte of a snapshot, then opens it.
    ///
    /// # Errors
    /// As [`Snapshots::open`].
    pub fn verify(&self, id: &SnapshotId) -> Result<Report> {
        let folder = self.existing(id)?;
        let manifest = Manifest::read(&folder)?;
        for (name, card) in &manifest.files {
            map_verified(&folder.join(name), card)?;
        }
        let chunks = Snapshot::open(&folder)?.len();
        Ok(Report { files: manifest.files.len(), bytes: manifest.files.values().map(|card| card.bytes).sum(), chunks })
    }

    /// Makes another snapshot serve: `to`, or the one before the current. It is verified first.
    ///
    /// # Errors
    /// [`Error::Input`] when there is none before it, [`Error::Busy`] during a build, else as
    /// [`Snapshots::open`].
    pub fn rollback(&self, to: Option<SnapshotId>) -> Result<SnapshotId> {
        let _lock = Lock::acquire(&self.dir)?;
        let target = if let Some(id) = to {
            id
        } else {
            let none = || Error::NoSnapshot { dir: self.dir.clone() };
            let current = self.current()?.ok_or_else(none)?;
            let before = self.ids()?.into_iter().rfind(|id| *id < current);
            before.ok_or_else(|| Error::Input(format!("there is no snapshot before {current}")))?
        };
        self.verify(&target)?;
        self.swap_current(&target)?;
        Ok(target)
    }

    /// Removes all but the newest `keep` snapshots, never the one that serves, and what abandoned
    /// builds left; gives the removed ones, oldest first.
    ///
    /// # Errors
    /// [`Error::Busy`] during a build, [`Error::Corrupt`] when nothing tells which one serves.
    pub fn gc(&self, keep: usize) -> Result<Vec<SnapshotId>> {
        let lock = Lock::acquire(&self.dir)?;
        self.remove_abandoned(&lock)?;
        // A `CURRENT` that cannot be read protects nothing by name, so nothing is removed.
        let current = self.current()?;
        let mut ids = self.ids()?;
        ids.truncate(ids.len().saturating_sub(keep));
        ids.retain(|id| Some(id) != current.as_ref());
        for id in &ids {
            self.remove(&self.folder(id))?;
        }
        Ok(ids)
    }

    /// Where a snapshot lies.
    pub(crate) fn folder(&self, id: &SnapshotId) -> PathBuf {
        self.dir.join(id.as_str())
    }

    fn existing(&self, id: &SnapshotId) -> Result<PathBuf> {
        let folder = self.folder(id);
        if folder.is_dir() { Ok(folder) } else { Err(Error::Unknown { id: id.to_string() }) }
    }

    /// The names of all snapshots, oldest first.
    fn ids(&self) -> Result<Vec<SnapshotId>> {
        let mut ids: Vec<_> = self.names()?.iter().filter_map(|name| SnapshotId::parse(name)).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    fn names(&self) -> Result<Vec<String>> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::io("list", &self.dir)(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            names.extend(entry.map_err(Error::io("list", &self.dir))?.file_name().into_string());
        }
        Ok(names)
    }

    /// `wanted`, or the first moment after the newest snapshot, so that names keep the order of
    /// builds when a clock is set back.
    pub(crate) fn after_newest(&self, wanted: Timestamp) -> Result<Timestamp> {
        let newest = self
            .ids()?
            .into_iter()
            .filter_map(|id| Manifest::read(&self.folder(&id)).ok())
            .map(|manifest| manifest.created)
            .max();
        Ok(newest.and_then(|newest| newest.checked_add(TICK).ok()).map_or(wanted, |earliest| earliest.max(wanted)))
    }

    /// Makes `id` serve: written aside, synced, renamed.
    pub(crate) fn swap_current(&self, id: &SnapshotId) -> Result<()> {
        let (aside, path) = (self.dir.join("CURRENT.tmp"), self.dir.join(CURRENT));
        write_synced(&aside, format!("{id}\n").as_bytes())?;
        fs::rename(&aside, &path).map_err(Error::io("rename", &aside))?;
        sync_folder(&self.dir)
    }

    /// Removes what killed builds left. Whoever holds the lock knows that no build is running.
    pub(crate) fn remove_abandoned(&self, _lock: &Lock) -> Result<()> {
        let names = self.names()?;
        names.iter().filter(|name| name.starts_with(BUILDING)).try_for_each(|name| self.remove(&self.dir.join(name)))
    }

    fn remove(&self, folder: &Path) -> Result<()> {
        // Out of the listing first: a kill midway must not leave half a snapshot under its name.
        let doomed = self.dir.join(format!("{BUILDING}removed"));
        if folder != doomed {
            match fs::remove_dir_all(&doomed) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", &doomed)(error));
                }
                _ => fs::rename(folder, &doomed).map_err(Error::io("rename", folder))?,
            }
        }
        fs::remove_dir_all(&doomed).map_err(Error::io("remove", &doomed))
    }
}

/// The right to change a folder of snapshots; given back on drop or when the process ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    pub(crate) fn acquire(dir: &Path) -> Result<Self> {
        let path = dir.join(".lock");
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = match open {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::NoSnapshot { dir: dir.to_owned() });
            }
            open => open.map_err(Error::io("open", &path))?,
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // Who holds it is told for convenience only.
                let _ = (&mut file).take(32).read_to_string(&mut pid);
                let pid =
                    Some(pid.trim()).filter(|pid| !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit()));
                return Err(Error::Busy { pid: pid.unwrap_or("unknown").to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", &path)(error)),
        }
        let written =
            file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id()));
        written.map_err(Error::io("write", &path))?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests;
