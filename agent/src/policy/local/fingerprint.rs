//! The name that traces keep of a model: its folder's, and eight digits of what is in it.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::Result;

/// Files up to this size are read whole; of larger ones, a page in every so many bytes. Any training
/// step changes almost every weight, so almost every page.
const STRIDE: u64 = 1 << 20;
const PAGE: u64 = 4_096;

/// `local:NAME@1a2b3c4d` of the model folder `dir` under `adapter`.
pub(super) fn name(dir: &Path, adapter: Option<&Path>) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    for folder in [Some(dir), adapter].into_iter().flatten() {
        hash_folder(folder, &mut hasher).map_err(|(path, source)| nn::Error::Io { path, source })?;
    }
    let hash = hasher.finalize().to_hex();
    // A path such as `.` has a name only once it is resolved.
    let resolved = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let name = resolved.file_name().map_or_else(|| dir.to_string_lossy(), |name| name.to_string_lossy());
    Ok(format!("local:{name}@{}", &hash[..8]))
}

fn hash_folder(dir: &Path, hasher: &mut blake3::Hasher) -> Result<(), (PathBuf, io::Error)> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| (path, error)
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(at(dir))? {
        let path = entry.map_err(at(dir))?.path();
        let counts = path.extension().is_some_and(|kind| kind == "json" || kind == "jinja" || kind == "safetensors");
        if counts && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    for path in files {
        hasher.update(path.file_name().unwrap_or_default().as_encoded_bytes());
        hash_file(&path, hasher).map_err(at(&path))?;
    }
    Ok(())
}

fn hash_file(path: &Path, hasher: &mut blake3::Hasher) -> io::Result<()> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    hasher.update(&length.to_le_bytes());
    let mut page = Vec::with_capacity(STRIDE as usize);
    let mut start = 0;
    while start < length {
        let span = if start == 0 { STRIDE } else { PAGE };
        file.seek(SeekFrom::Start(start))?;
        page.clear();
        file.by_ref().take(span).read_to_end(&mut page)?;
        hasher.update(&page);
        start += STRIDE;
    }
    // The last bytes lie between two pages.
    file.seek(SeekFrom::Start(length.saturating_sub(PAGE)))?;
    page.clear();
    file.take(PAGE).read_to_end(&mut page)?;
    hasher.update(&page);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_follows_the_weights_and_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("small model");
        fs::create_dir(&dir).unwrap();
        let weights = |last: u8| {
            let mut bytes = vec![7; 3 * STRIDE as usize + 5];
            bytes.push(last);
            fs::write(dir.join("model.safetensors"), bytes).unwrap();
            name(&dir, None).unwrap()
        };
        let first = weights(1);
        assert!(first.starts_with("local:small model@") && first.len() == 26, "{first}");
        fs::write(dir.join("README.md"), "notes").unwrap();
        assert_eq!(weights(1), first);
        assert_ne!(weights(2), first);
        fs::write(dir.join("config.json"), "{}").unwrap();
        assert_ne!(weights(1), first);
        let adapter = home.path().join("adapter");
        fs::create_dir(&adapter).unwrap();
        fs::write(adapter.join("adapter_config.json"), "{}").unwrap();
        assert_ne!(name(&dir, Some(&adapter)).unwrap(), weights(1));
        assert!(name(&home.path().join("none"), None).unwrap_err().to_string().contains("none"));
    }
}
