//! Files of a snapshot in memory: mapped, checked against the manifest, then used from that mapping.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use memmap2::Mmap;

use crate::manifest::FileCard;
use crate::{Error, Result};

/// Maps a file; an empty one too.
pub(crate) fn map(path: &Path) -> Result<Mmap> {
    let file = File::open(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => Error::corrupt(path, "it is missing"),
        _ => Error::io("open", path)(source),
    })?;
    #[expect(unsafe_code, reason = "snapshots are immutable: written once under another name, then only read")]
    // SAFETY: nothing in this program writes to or truncates a file of a finished snapshot; removal
    // by `gc` unlinks it, which leaves mappings valid.
    let mapping = unsafe { Mmap::map(&file) };
    mapping.map_err(Error::io("map", path))
}

/// Maps a file and checks length and BLAKE3 against its card.
pub(crate) fn map_verified(path: &Path, card: &FileCard) -> Result<Mmap> {
    let mapping = map(path)?;
    if mapping.len() as u64 != card.bytes {
        return Err(Error::corrupt(path, format!("it has {} bytes, the manifest says {}", mapping.len(), card.bytes)));
    }
    if digest(&mapping) != card.blake3 {
        return Err(Error::corrupt(path, "its checksum differs from the manifest's"));
    }
    Ok(mapping)
}

/// BLAKE3 in hexadecimal, on all cores where it pays.
pub(crate) fn digest(bytes: &[u8]) -> String {
    const PARALLEL: usize = 1 << 20;
    let mut hasher = blake3::Hasher::new();
    if bytes.len() < PARALLEL {
        hasher.update(bytes)
    } else {
        hasher.update_rayon(bytes)
    };
    hasher.finalize().to_hex().to_string()
}

/// Writes a whole file and syncs it.
pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = File::create(path).map_err(Error::io("create", path))?;
    file.write_all(bytes).map_err(Error::io("write", path))?;
    file.sync_all().map_err(Error::io("sync", path))
}

/// Syncs a folder, so that names made or changed in it survive a power cut.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    // Only Unix can open a folder as a file; elsewhere a rename is as durable as it gets.
    if cfg!(unix) {
        File::open(path).and_then(|folder| folder.sync_all()).map_err(Error::io("sync", path))?;
    }
    Ok(())
}
