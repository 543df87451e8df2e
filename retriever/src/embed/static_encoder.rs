//! [`StaticEncoder`]: a text's vector is a sum of its tokens' rows, in 8 bits a number.
//!
//! The rows are fitted, not averaged: [`super::fit`] finds those whose sums come nearest to a
//! sentence encoder's vectors, so a row holds what a token does to a passage and its length is the
//! token's weight. There is no order and no context; one core embeds thousands of documents a second.
//!
//! The file, little-endian, sealed by its last 32 bytes (BLAKE3 of all the others):
//!
//! ```text
//! magic [u8; 8], version u32, bytes of header u32, bytes of vocabulary u32, rows V u32, dimension D u32
//! header      JSON: name, weight of the vector arm, where the rows come from
//! vocabulary  V tokens, a line feed between two
//! scales      f32 (V)
//! rows        i8 (V, D): row v of the table is scales[v] * rows[v]
//! ```

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::bag::Bag;
use super::wordpiece::{TokenId, WordPiece};
use super::{Card, Embed, Role, sum};
use crate::{Error, Result};

const MAGIC: &[u8; 8] = b"anmstat\n";
const VERSION: u32 = 1;
/// Bytes before the header, and of the seal after the rows.
const PREFIX: usize = 28;
const SEAL: usize = blake3::OUT_LEN;
/// Rows wider than this are not read.
const MAX_DIMENSION: usize = 4096;

/// A fitted token table and its tokenizer.
#[derive(Clone, Debug)]
pub struct StaticEncoder {
    card: Card,
    header: Header,
    words: WordPiece,
    /// (V)
    scales: Vec<f32>,
    /// The whole file; the rows start at `rows`.
    file: Cow<'static, [u8]>,
    vocabulary: Range<usize>,
    rows: usize,
}

/// What a file says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    name: String,
    weight: f64,
    origin: Origin,
}

/// Where the rows of a static encoder come from, and how near they came.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Name of the sentence encoder whose vectors were fitted.
    pub teacher: String,
    /// Its fingerprint.
    pub teacher_fingerprint: String,
    /// How many texts it embedded for the fit.
    pub texts: usize,
    /// Mean cosine between fitted and true vectors of texts that were held out of the fit.
    pub cosine: f64,
    /// The same after principal components and 8 bits.
    pub cosine_stored: f64,
}

/// A token table before it is stored.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    /// What the encoder is called in a snapshot's manifest.
    pub name: &'a str,
    /// Weight of the vector arm in min-max fusion.
    pub weight: f64,
    /// Where the rows come from.
    pub origin: &'a Origin,
    /// Token `v` has row `v`.
    pub vocabulary: &'a [String],
    /// (V, D), row by row.
    pub rows: &'a [f32],
}

impl StaticEncoder {
    /// Opens a file that [`StaticEncoder::save`] wrote.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be read, [`Error::Encoder`] when it is not what was written.
    pub fn open(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|source| Error::File { action: "read", path: path.into(), source })?;
        Self::from_bytes(bytes.into(), path)
    }

    /// Takes the bytes of a file; `path` is only named in errors.
    ///
    /// # Errors
    /// [`Error::Encoder`] when they are damaged, cut short, or of another version.
    pub fn from_bytes(file: Cow<'static, [u8]>, path: &Path) -> Result<Self> {
        parse(file).map_err(|reason| Error::Encoder { path: path.into(), reason })
    }

    /// Rounds `table` to 8 bits a number, each row with a scale of its own.
    ///
    /// # Errors
    /// [`Error::Input`] when the table is not (V, D) of finite numbers, or the vocabulary is none.
    pub fn from_table(table: &Table<'_>) -> Result<Self> {
        let bytes = serialise(table).map_err(Error::Input)?;
        Self::from_bytes(bytes.into(), Path::new(table.name))
    }

    /// Writes the file.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        std::fs::write(path, &self.file).map_err(|source| Error::File { action: "write", path: path.into(), source })
    }

    /// Where the rows come from.
    pub fn origin(&self) -> &Origin {
        &self.header.origin
    }

    /// The tokens, by id.
    pub fn vocabulary(&self) -> impl Iterator<Item = &str> {
        let words = &self.file[self.vocabulary.clone()];
        str::from_utf8(words).expect("checked when the file was read").split('\n')
    }

    /// Its tokenizer.
    pub fn words(&self) -> &WordPiece {
        &self.words
    }

    /// The sum of the rows of a word's tokens, not scaled. Its length says how much the word tells of a text (that of a name is
    /// several times that of a common word), its direction of what. All zeros for a word without a known token.
    pub fn word(&self, word: &str) -> Vec<f32> {
        let mut tokens = Vec::new();
        self.words.tokenize(word, &mut tokens);
        tokens.retain(|token| *token != self.words.unknown());
        let bag: Vec<_> = tokens.into_iter().map(|token| (token, 1.0)).collect();
        let mut vector = vec![0.0; self.card.dimension];
        sum::rows(self.table(), &self.scales, &bag, &mut vector);
        vector
    }

    /// (V, D)
    fn table(&self) -> &[i8] {
        bytemuck::cast_slice(&self.file[self.rows..self.file.len() - SEAL])
    }

    /// The unit vector of a text with these tokens and counts.
    pub(super) fn embed_bag(&self, bag: &[(TokenId, f32)]) -> Vec<f32> {
        let mut vector = vec![0.0; self.card.dimension];
        sum::rows(self.table(), &self.scales, bag, &mut vector);
        normalise(&mut vector);
        vector
    }
}

impl Embed for StaticEncoder {
    fn embed(&self, _: Role, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let mut bag = Bag::default();
        let embed = |text: &&str| self.embed_bag(bag.read(&self.words, text, usize::MAX));
        Ok(texts.iter().map(embed).collect())
    }

    fn card(&self) -> &Card {
        &self.card
    }
}

/// Scales to unit length. A vector of no length (a text without a known token) becomes the fixed
/// vector with equal entries, so that every text has a direction and none is NaN.
pub(super) fn normalise(vector: &mut [f32]) {
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if norm > 1e-12 && norm.is_finite() {
        for x in vector.iter_mut() {
            *x /= norm;
        }
    } else {
        let equal = 1.0 / (vector.len() as f32).sqrt();
        vector.fill(equal);
    }
}

fn serialise(table: &Table<'_>) -> Result<Vec<u8>, String> {
    let Table { name, weight, origin, vocabulary, rows } = *table;
    let dimension = rows.len().checked_div(vocabulary.len()).unwrap_or(0);
    if dimension == 0 || dimension * vocabulary.len() != rows.len() {
        return Err(format!("{} numbers are no table of {} rows", rows.len(), vocabulary.len()));
    }
    if rows.iter().any(|x| !x.is_finite()) {
        return Err("the table has numbers that are not finite".to_owned());
    }
    let header = Header { name: name.to_owned(), weight, origin: origin.clone() };
    let header = serde_json::to_vec(&header).map_err(|error| error.to_string())?;
    let words = vocabulary.join("\n");
    let mut file = Vec::with_capacity(PREFIX + header.len() + words.len() + vocabulary.len() * 4 + rows.len() + SEAL);
    file.extend_from_slice(MAGIC);
    for number in [VERSION as usize, header.len(), words.len(), vocabulary.len(), dimension] {
        file.extend_from_slice(&(number as u32).to_le_bytes());
    }
    file.extend_from_slice(&header);
    file.extend_from_slice(words.as_bytes());
    let scales = rows.chunks_exact(dimension).map(|row| row.iter().fold(0.0_f32, |most, x| most.max(x.abs())) / 127.0);
    let scales: Vec<_> = scales.collect();
    file.extend(scales.iter().flat_map(|scale| scale.to_le_bytes()));
    for (row, scale) in rows.chunks_exact(dimension).zip(&scales) {
        let scale = if *scale > 0.0 { 1.0 / scale } else { 0.0 };
        file.extend(row.iter().map(|x| (x * scale).round().clamp(-127.0, 127.0) as i8 as u8));
    }
    let seal = blake3::hash(&file);
    file.extend_from_slice(seal.as_bytes());
    Ok(file)
}

/// Checks every length against the file's before it is used, and the seal before anything is believed.
fn parse(file: Cow<'static, [u8]>) -> Result<StaticEncoder, String> {
    let prefix = file.first_chunk::<PREFIX>().ok_or("is too short to be a static encoder")?;
    if &prefix[..8] != MAGIC {
        return Err("is no static encoder".to_owned());
    }
    let number = |at: usize| u32::from_le_bytes([prefix[at], prefix[at + 1], prefix[at + 2], prefix[at + 3]]) as usize;
    if number(8) != VERSION as usize {
        return Err(format!("has format {}, this version reads {VERSION}", number(8)));
    }
    let (header, words, rows, dimension) = (number(12), number(16), number(20), number(24));
    let length = rows.checked_mul(dimension + 4).and_then(|table| table.checked_add(PREFIX + header + words + SEAL));
    if dimension == 0 || dimension > MAX_DIMENSION || length != Some(file.len()) {
        return Err(format!("is damaged: {} bytes do not hold {rows} rows of {dimension}", file.len()));
    }
    let (sealed, seal) = file.split_at(file.len() - SEAL);
    let hash = blake3::hash(sealed);
    if hash.as_bytes() != seal {
        return Err("is damaged: its checksum does not match".to_owned());
    }
    let vocabulary = PREFIX + header..PREFIX + header + words;
    let (header, words, rest) = (&file[PREFIX..vocabulary.start], &file[vocabulary.clone()], &file[vocabulary.end..]);
    let header: Header = serde_json::from_slice(header).map_err(|error| format!("has a bad header: {error}"))?;
    let words = str::from_utf8(words).map_err(|error| format!("has a bad vocabulary: {error}"))?;
    let words = WordPiece::new(words.split('\n'))?;
    let scales: Vec<f32> = rest[..rows * 4].as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    if words.len() != rows || scales.iter().any(|scale| !scale.is_finite()) {
        return Err(format!("is damaged: {} tokens, {rows} rows, or a scale that is not finite", words.len()));
    }
    let card = Card {
        name: header.name.clone(),
        fingerprint: fingerprint(dimension, &sealed[vocabulary.start..]),
        dimension,
        pooling: "sum of token rows".to_owned(),
        query_prefix: String::new(),
        passage_prefix: String::new(),
        weight: header.weight,
    };
    let rows = file.len() - SEAL - rows * dimension;
    Ok(StaticEncoder { card, header, words, scales, file, vocabulary, rows })
}

/// Hash of what decides a vector: vocabulary, scales and rows; not of names, figures or weight.
fn fingerprint(dimension: usize, table: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(MAGIC).update(&(dimension as u64).to_le_bytes()).update(table);
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests;
