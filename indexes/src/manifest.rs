//! [`Manifest`]: what a snapshot holds, how it was made, and the checksum of each of its files.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The layout this program writes and reads.
pub const FORMAT_VERSION: u64 = 1;

/// The manifest's name in its snapshot.
pub(crate) const MANIFEST: &str = "manifest.json";

/// More than any manifest needs; a longer file is refused unread.
const MAX_BYTES: u64 = 1 << 20;

/// Name of a snapshot: UTC time to the millisecond and six digits of its content's fingerprint, as
/// in `20261121T132200123Z-3fa9c1`. Ids sort by time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SnapshotId(String);

impl SnapshotId {
    /// The id of a snapshot made at `created` whose content has that fingerprint (hexadecimal).
    pub(crate) fn new(created: Timestamp, fingerprint: &str) -> Self {
        let millis = created.subsec_millisecond().unsigned_abs();
        Self(format!("{}{millis:03}Z-{}", created.strftime("%Y%m%dT%H%M%S"), fingerprint.get(..6).unwrap_or("000000")))
    }

    /// Takes an id as written; anything that is not shaped like one is `None`, so that an id can
    /// never name a path outside its folder.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let digits = |range: std::ops::Range<usize>| bytes[range].iter().all(u8::is_ascii_digit);
        let shaped = bytes.len() == 26
            && digits(0..8)
            && bytes[8] == b'T'
            && digits(9..18)
            && &bytes[18..20] == b"Z-"
            && bytes[20..].iter().all(u8::is_ascii_hexdigit);
        shaped.then(|| Self(text.to_owned()))
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<SnapshotId> for String {
    fn from(id: SnapshotId) -> Self {
        id.0
    }
}

impl TryFrom<String> for SnapshotId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("`{text}` is no snapshot id"))
    }
}

/// Which encoder made the vectors; a query must come from the same one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderCard {
    /// As the user names it.
    pub name: String,
    /// Hash over its weights.
    pub fingerprint: String,
    /// Length of its vectors.
    pub dimension: usize,
    /// How token vectors become one (`mean`, `cls`, …).
    pub pooling: String,
    /// Put before a query.
    pub query_prefix: String,
    /// Put before a passage.
    pub passage_prefix: String,
}

/// How vectors are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VectorIndex {
    /// There are none.
    None,
    /// By an exact scan.
    Flat,
    /// By a navigable small-world graph, then exact rescoring.
    Hnsw,
}

/// The vectors of a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VectorCard {
    /// How they are searched.
    pub kind: VectorIndex,
    /// Their length; 0 without vectors.
    pub dimension: usize,
    /// Always `inner product, unit vectors`.
    pub metric: String,
    /// Links of a node above the ground layer; twice as many on it.
    pub m: usize,
    /// Candidates kept while a node is linked.
    pub ef_construction: usize,
    /// Share of the true ten nearest that the default search finds, measured against an exact scan.
    pub recall_at_10: Option<f64>,
    /// How many vectors that was measured with.
    pub sample: usize,
}

/// What a file must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileCard {
    /// Its length.
    pub bytes: u64,
    /// Its checksum in hexadecimal.
    pub blake3: String,
}

/// What a snapshot holds and how it was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT_VERSION`] of the program that wrote it.
    pub format_version: u64,
    /// The snapshot's name.
    pub id: SnapshotId,
    /// When it was built.
    pub created: Timestamp,
    /// How many documents have a chunk in it.
    pub documents: usize,
    /// How many chunks it holds.
    pub chunks: usize,
    /// What the corpus was when it was built.
    pub corpus_fingerprint: String,
    /// Name and version of the analyzer of the lexical index.
    pub analyzer: String,
    /// Which encoder made the vectors.
    pub encoder: Option<EncoderCard>,
    /// The vectors.
    pub vectors: VectorCard,
    /// Every other file, by its path in the snapshot with `/` between parts.
    pub files: BTreeMap<String, FileCard>,
    /// BLAKE3 of this file with the seal itself as zeros.
    pub(crate) seal: String,
}

const OPEN_SEAL: &str = "0000000000000000000000000000000000000000000000000000000000000000";

impl Manifest {
    /// Seals it; gives its stored form, JSON.
    pub(crate) fn seal(&mut self) -> Result<Vec<u8>> {
        OPEN_SEAL.clone_into(&mut self.seal);
        let json = |manifest: &Self| {
            serde_json::to_string_pretty(manifest).map_err(|error| Error::Input(format!("manifest: {error}")))
        };
        self.seal = blake3::hash(json(self)?.as_bytes()).to_hex().to_string();
        Ok(json(self)?.into_bytes())
    }

    /// Reads and checks the manifest in the folder of a snapshot.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            format_version: u64,
        }
        let path = folder.join(MANIFEST);
        let corrupt = |reason: &str| Error::corrupt(&path, reason);
        let length = std::fs::metadata(&path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => corrupt("it is missing"),
            _ => Error::io("read", &path)(source),
        })?;
        if length.len() > MAX_BYTES {
            return Err(corrupt("it is far too long"));
        }
        let text = std::fs::read(&path).map_err(Error::io("read", &path))?;
        let text = String::from_utf8(text).map_err(|_| corrupt("it is not UTF-8"))?;
        // The version comes first: a newer layout may have fields that this program does not know.
        let version: Version = serde_json::from_str(&text).map_err(|_| corrupt("it is no manifest"))?;
        if version.format_version != FORMAT_VERSION {
            return Err(Error::Format { path, found: version.format_version, supported: FORMAT_VERSION });
        }
        let manifest: Self = serde_json::from_str(&text).map_err(|error| corrupt(&error.to_string()))?;
        let opened = text.rfind(&manifest.seal).filter(|_| manifest.seal.len() == OPEN_SEAL.len());
        let opened = opened.map(|at| format!("{}{OPEN_SEAL}{}", &text[..at], &text[at + OPEN_SEAL.len()..]));
        if opened.is_none_or(|opened| blake3::hash(opened.as_bytes()).to_hex().as_str() != manifest.seal) {
            return Err(corrupt("its seal does not match its content"));
        }
        if folder.file_name().and_then(|name| name.to_str()) != Some(manifest.id.as_str()) {
            return Err(corrupt("it belongs to another snapshot"));
        }
        Ok(manifest)
    }

    /// The card of a file.
    pub(crate) fn file(&self, folder: &Path, name: &str) -> Result<&FileCard> {
        self.files.get(name).ok_or_else(|| Error::corrupt(&folder.join(MANIFEST), format!("it does not list {name}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_name_nothing_else() {
        let at = |millis| SnapshotId::new(Timestamp::from_millisecond(millis).unwrap(), "3fa9c1d2");
        let id = at(1_795_267_320_123);
        assert_eq!(id.as_str(), "20261121T132200123Z-3fa9c1");
        assert_eq!(SnapshotId::parse(id.as_str()), Some(id.clone()));
        assert!(id < at(1_795_267_320_124));
        for text in [
            "",
            "../../etc/passwd",
            "20261121T132200123Z-3fa9c",
            "20261121T132200123Z-../../",
            "ääääääääääääääääääääääääää",
        ] {
            assert_eq!(SnapshotId::parse(text), None, "{text}");
        }
    }
}
