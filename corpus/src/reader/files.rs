//! What a path stands for: one file, or the readable files of a folder in a fixed order.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::input::Input;
use super::{Format, Rejected};

/// Endings of files that are read from a folder, before any `.gz`, `.zst` or `.xz`.
const ENDINGS: [&str; 10] = [".xml", ".nxml", ".jsonl", ".ndjson", ".json", ".md", ".markdown", ".txt", ".tar", ".tgz"];

/// A file or archive entry and the names that documents take from it.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// The file on disk (for an entry, its archive).
    pub(super) path: PathBuf,
    /// What a rejected record calls it.
    pub(super) name: String,
    /// The opened folder, else the folder it lies in; for an entry, the archive.
    pub(super) folder: String,
    /// Its path below the opened folder or archive, without endings.
    pub(super) stem: String,
    /// Its size on disk.
    pub(super) bytes: u64,
}

impl Place {
    /// The file in its one spelling, with the entry's name after it for an archive; none for what lies in no file.
    pub(super) fn origin(&self) -> Option<String> {
        let path = fs::canonicalize(&self.path).ok()?;
        let entry = self.name.strip_prefix(&*self.path.to_string_lossy()).unwrap_or_default();
        Some(format!("{}{entry}", path.display()))
    }
}

/// The place of a single file.
pub(super) fn single(path: &Path) -> io::Result<Place> {
    let bytes = fs::metadata(path)?.len();
    let parent = fs::canonicalize(path)?.parent().map(Path::to_path_buf).unwrap_or_default();
    Ok(Place {
        path: path.to_owned(),
        name: path.display().to_string(),
        folder: last_name(&parent),
        stem: stem(&last_name(path)),
        bytes,
    })
}

/// The readable files below `folder`, sorted by path; only its corpus if it is a BEIR folder.
pub(super) fn list(folder: &Path, format: Option<Format>) -> io::Result<Vec<Place>> {
    let mut paths = beir_corpus(folder)?;
    if paths.is_empty() && format != Some(Format::Beir) {
        walk(folder, &mut paths)?;
        paths.sort();
    }
    let root = last_name(&fs::canonicalize(folder)?);
    let place = |path: PathBuf| {
        let below = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
        Ok(Place {
            name: path.display().to_string(),
            folder: root.clone(),
            stem: stem(&below),
            bytes: fs::metadata(&path)?.len(),
            path,
        })
    };
    paths.into_iter().map(place).collect()
}

/// Opens the places one after another.
pub(super) fn inputs(places: Vec<Place>, consumed: Arc<AtomicU64>) -> impl Iterator<Item = Result<Input, Rejected>> {
    places.into_iter().map(move |place| {
        Input::open(&place, &consumed)
            .map_err(|error| Rejected::new(&place.name, "byte 0", format!("cannot open: {error}"), b""))
    })
}

/// `path` without `.gz`, `.zst`, `.xz` and the ending before it.
pub(super) fn stem(path: &str) -> String {
    let bare = uncompressed(path);
    let name = bare.rfind(['/', '\\']).map_or(0, |slash| slash + 1);
    match bare[name..].rfind('.') {
        Some(dot) if dot > 0 => bare[..name + dot].to_owned(),
        _ => bare.to_owned(),
    }
}

/// `name` without `.gz`, `.zst` or `.xz`.
pub(super) fn uncompressed(name: &str) -> &str {
    [".gz", ".zst", ".xz"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name)
}

fn beir_corpus(folder: &Path) -> io::Result<Vec<PathBuf>> {
    for name in ["corpus.jsonl", "corpus.jsonl.gz", "corpus.jsonl.zst", "corpus.jsonl.xz"] {
        let path = folder.join(name);
        if path.try_exists()? {
            return Ok(vec![path]);
        }
    }
    Ok(Vec::new())
}

/// Follows no link to a folder, so that no loop of links is walked for ever.
fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().to_ascii_lowercase();
        if name.starts_with('.') {
            continue;
        }
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(&path, found)?;
        } else if ENDINGS.iter().any(|ending| uncompressed(&name).ends_with(ending))
            && (kind.is_file() || fs::metadata(&path).is_ok_and(|target| target.is_file()))
        {
            found.push(path);
        }
    }
    Ok(())
}

fn last_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::stem;

    #[test]
    fn stem_drops_compression_and_one_ending() {
        assert_eq!(stem("pubmed21n0001.xml.gz"), "pubmed21n0001");
        assert_eq!(stem("a.b/notes"), "a.b/notes");
        assert_eq!(stem("cardio/heart.failure.md"), "cardio/heart.failure");
        assert_eq!(stem(".hidden"), ".hidden");
    }
}
