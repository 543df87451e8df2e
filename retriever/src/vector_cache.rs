//! Vectors of texts already embedded, kept by content hash, so that a killed build goes on where it
//! stopped and an update embeds only what is new.
//!
//! One append-only file an encoder: a header that names the encoder, then records of key, vector and
//! checksum. A torn or damaged tail is cut off when the file is opened: a record is either whole or
//! not there. The file may be deleted at any time.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::embed::Card;
use crate::{Embed, Error, Result, Role};

const MAGIC: &[u8; 8] = b"ANMVECS1";
/// Magic, BLAKE3 of the encoder's fingerprint, dimension.
const HEADER: usize = 8 + 32 + 4;
const KEY: usize = 16;
const CHECK: usize = 4;

type Key = [u8; KEY];

/// An open cache of one encoder's passage vectors.
#[derive(Debug)]
pub(crate) struct VectorCache {
    path: PathBuf,
    file: File,
    dimension: usize,
    /// Place of each record, counted in records.
    places: HashMap<Key, u64>,
    records: u64,
}

impl VectorCache {
    /// Opens the cache of the encoder `card` in `folder`, or starts one. A file of another encoder
    /// or a damaged header is started anew.
    pub(crate) fn open(folder: &Path, card: &Card) -> Result<Self> {
        let name = card.fingerprint.get(..16).unwrap_or(&card.fingerprint);
        let path = folder.join(format!("vectors-{name}.bin"));
        Self::open_file(folder, &path, card).map_err(|source| file_error(&path, source))
    }

    fn open_file(folder: &Path, path: &Path, card: &Card) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut cache =
            Self { path: path.to_owned(), file, dimension: card.dimension, places: HashMap::new(), records: 0 };
        let header = header(card);
        let mut found = [0; HEADER];
        let known = cache.file.read_exact(&mut found).is_ok() && found == header;
        if !known {
            cache.file.set_len(0)?;
            cache.file.seek(SeekFrom::Start(0))?;
            cache.file.write_all(&header)?;
        }
        cache.read_records()?;
        cache.file.set_len(cache.offset(cache.records))?;
        Ok(cache)
    }

    fn record_len(&self) -> usize {
        KEY + self.dimension * 4 + CHECK
    }

    fn offset(&self, record: u64) -> u64 {
        HEADER as u64 + record * self.record_len() as u64
    }

    fn read_records(&mut self) -> io::Result<()> {
        let mut input = BufReader::with_capacity(1 << 20, &self.file);
        input.seek(SeekFrom::Start(HEADER as u64))?;
        let mut record = vec![0; self.record_len()];
        while input.read_exact(&mut record).is_ok() {
            let (body, check) = record.split_at(record.len() - CHECK);
            if check != checksum(body) {
                break;
            }
            self.places.insert(key_of(body), self.records);
            self.records += 1;
        }
        Ok(())
    }

    /// Passage vectors of `texts`, in order: read where known, embedded and appended where not.
    pub(crate) fn embed_through(&mut self, encoder: &dyn Embed, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let keys: Vec<Key> = texts.iter().map(|text| key_of(blake3::hash(text.as_bytes()).as_bytes())).collect();
        let missing: Vec<usize> = (0..texts.len()).filter(|&index| !self.places.contains_key(&keys[index])).collect();
        let fresh = encoder.embed(Role::Passage, &missing.iter().map(|&index| texts[index]).collect::<Vec<_>>())?;
        self.append(missing.iter().map(|&index| keys[index]).zip(&fresh))
            .map_err(|source| file_error(&self.path, source))?;
        let mut fresh = missing.into_iter().zip(fresh).collect::<HashMap<_, _>>();
        let vector = |(index, key): (usize, &Key)| match fresh.remove(&index) {
            Some(vector) => Ok(vector),
            None => self.read(self.places[key]).map_err(|source| file_error(&self.path, source)),
        };
        keys.iter().enumerate().map(vector).collect()
    }

    fn append<'a>(&mut self, rows: impl Iterator<Item = (Key, &'a Vec<f32>)>) -> io::Result<()> {
        let mut bytes = Vec::new();
        let mut added = Vec::new();
        for (key, vector) in rows {
            let start = bytes.len();
            bytes.extend_from_slice(&key);
            bytes.extend(vector.iter().flat_map(|value| value.to_le_bytes()));
            let check = checksum(&bytes[start..]);
            bytes.extend_from_slice(&check);
            added.push(key);
        }
        self.file.seek(SeekFrom::Start(self.offset(self.records)))?;
        self.file.write_all(&bytes)?;
        for key in added {
            self.places.insert(key, self.records);
            self.records += 1;
        }
        Ok(())
    }

    fn read(&self, record: u64) -> io::Result<Vec<f32>> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(self.offset(record) + KEY as u64))?;
        let mut bytes = vec![0; self.dimension * 4];
        file.read_exact(&mut bytes)?;
        Ok(bytes.as_chunks().0.iter().map(|value| f32::from_le_bytes(*value)).collect())
    }
}

fn header(card: &Card) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(MAGIC);
    header[8..40].copy_from_slice(blake3::hash(card.fingerprint.as_bytes()).as_bytes());
    header[40..].copy_from_slice(&(card.dimension as u32).to_le_bytes());
    header
}

fn key_of(bytes: &[u8]) -> Key {
    let mut key = [0; KEY];
    key.copy_from_slice(&bytes[..KEY]);
    key
}

fn checksum(bytes: &[u8]) -> [u8; CHECK] {
    let mut check = [0; CHECK];
    check.copy_from_slice(&blake3::hash(bytes).as_bytes()[..CHECK]);
    check
}

fn file_error(path: &Path, source: io::Error) -> Error {
    Error::File { action: "use the vector cache", path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Counts what it is asked to embed.
    struct Counting {
        card: Card,
        texts: AtomicUsize,
    }

    impl Counting {
        fn new(fingerprint: &str) -> Self {
            let card = Card {
                name: "counting".to_owned(),
                fingerprint: fingerprint.to_owned(),
                dimension: 2,
                pooling: "none".to_owned(),
                query_prefix: String::new(),
                passage_prefix: String::new(),
                weight: 0.5,
            };
            Self { card, texts: AtomicUsize::new(0) }
        }

        fn count(&self) -> usize {
            self.texts.load(Ordering::Relaxed)
        }
    }

    impl Embed for Counting {
        fn embed(&self, _: Role, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
            self.texts.fetch_add(texts.len(), Ordering::Relaxed);
            Ok(texts.iter().map(|text| vec![text.len() as f32, 1.0]).collect())
        }

        fn card(&self) -> &Card {
            &self.card
        }
    }

    #[test]
    fn embeds_each_text_once_across_openings() {
        let folder = tempfile::tempdir().unwrap();
        let encoder = Counting::new("a");
        for _ in 0..2 {
            let mut cache = VectorCache::open(folder.path(), &encoder.card).unwrap();
            let vectors = cache.embed_through(&encoder, &["one", "three"]).unwrap();
            assert_eq!(vectors, [[3.0, 1.0], [5.0, 1.0]]);
        }
        assert_eq!(encoder.count(), 2);
        let other = Counting::new("b");
        VectorCache::open(folder.path(), &other.card).unwrap().embed_through(&other, &["one"]).unwrap();
        assert_eq!(other.count(), 1, "another encoder shares nothing");
    }

    #[test]
    fn a_torn_or_damaged_tail_is_embedded_again() {
        let folder = tempfile::tempdir().unwrap();
        let encoder = Counting::new("a");
        let mut cache = VectorCache::open(folder.path(), &encoder.card).unwrap();
        cache.embed_through(&encoder, &["one", "three", "fifteen"]).unwrap();
        let path = cache.path.clone();
        let whole = fs::read(&path).unwrap();
        for damage in 0..whole.len() {
            let mut bytes = whole.clone();
            if damage % 2 == 0 {
                bytes.truncate(damage);
            } else {
                bytes[damage] ^= 0x20;
            }
            fs::write(&path, bytes).unwrap();
            let mut cache = VectorCache::open(folder.path(), &encoder.card).unwrap();
            let vectors = cache.embed_through(&encoder, &["fifteen", "one", "three"]).unwrap();
            assert_eq!(vectors, [[7.0, 1.0], [3.0, 1.0], [5.0, 1.0]], "damage at {damage}");
        }
    }
}
