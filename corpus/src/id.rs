//! Names that survive rebuilds: [`DocumentId`] from provenance, [`ChunkId`] from content.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// `source:key`, where `source` is where a document came from (`pubmed`, `pmc`, `scifact`, …) and
/// `key` is its name there. Neither part is ever empty; `source` has no colon.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DocumentId(String);

impl DocumentId {
    /// The id of the document that `source` calls `key`. Colons in `source` become dashes.
    pub fn new(source: &str, key: &str) -> Self {
        Self(format!("{}:{key}", source.replace(':', "-")))
    }

    /// Takes a whole id as written by [`DocumentId::as_str`]; `None` without a colon between two parts.
    pub fn parse(id: &str) -> Option<Self> {
        let (source, key) = id.split_once(':')?;
        (!source.is_empty() && !key.is_empty()).then(|| Self(id.to_owned()))
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the document came from.
    pub fn source(&self) -> &str {
        self.0.split_once(':').map_or("", |(source, _)| source)
    }

    /// Its name there, as it came in.
    pub fn key(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, key)| key)
    }
}

impl fmt::Display for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Content-derived name of a chunk: the first 96 bits of BLAKE3 over document id, start and text.
/// The same text at the same place of the same document has the same id in every home.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChunkId([u8; 12]);

impl ChunkId {
    /// The id of the chunk of `document` that starts at byte `start` and reads `text`.
    pub fn of(document: &DocumentId, start: usize, text: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(document.as_str().as_bytes());
        hasher.update(&[0]);
        hasher.update(&(start as u64).to_le_bytes());
        hasher.update(text.as_bytes());
        let mut id = [0; 12];
        id.copy_from_slice(&hasher.finalize().as_bytes()[..12]);
        Self(id)
    }

    /// The id as stored.
    pub fn as_bytes(&self) -> &[u8; 12] {
        &self.0
    }

    /// The id from its stored form.
    pub fn from_bytes(bytes: [u8; 12]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChunkId({self})")
    }
}

impl FromStr for ChunkId {
    type Err = crate::Error;

    fn from_str(text: &str) -> crate::Result<Self> {
        let bad = || crate::Error::Input(format!("`{text}` is no chunk id: 24 hexadecimal digits"));
        if text.len() != 24 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(bad());
        }
        let mut id = [0; 12];
        for (byte, pair) in id.iter_mut().zip(text.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| bad())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| bad())?;
        }
        Ok(Self(id))
    }
}

impl Serialize for ChunkId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ChunkId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_id_prints_and_parses() {
        let id = ChunkId::of(&DocumentId::new("pubmed", "1"), 7, "text");
        assert_eq!(id.to_string().parse::<ChunkId>().unwrap(), id);
        assert!("xyz".parse::<ChunkId>().is_err());
        assert!("é23456789012345678901234".parse::<ChunkId>().is_err());
    }

    #[test]
    fn document_id_keeps_colons_of_the_key() {
        let id = DocumentId::new("openstax", "openstax:nutrition:m1:0");
        assert_eq!((id.source(), id.key()), ("openstax", "openstax:nutrition:m1:0"));
        assert_eq!(DocumentId::parse(id.as_str()), Some(id));
        assert_eq!(DocumentId::parse("nocolon"), None);
    }
}
