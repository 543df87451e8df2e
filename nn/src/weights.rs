//! [`Weights`]: named tensors of a model folder, memory-mapped, checked before they are believed.
//!
//! A folder holds either `model.safetensors` or shards named by `model.safetensors.index.json`.
//! Opening reads and checks headers only; a tensor is read when it is asked for, with the shape its
//! reader expects, so that no size written in a file ever decides an allocation by itself.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device as CandleDevice, Tensor};
use half::{bf16, f16};
use memmap2::Mmap;
use serde::Deserialize;

use crate::error::read_json;
use crate::{Error, Result};

/// The longest header that is believed, in bytes; the limit of the format itself.
const MAX_HEADER: u64 = 100_000_000;
/// Bytes of the header's own length, at the start of a file.
const LENGTH: usize = 8;

/// The tensors of a model folder.
#[derive(Debug)]
pub struct Weights {
    shards: Vec<Shard>,
    tensors: BTreeMap<String, (usize, Entry)>,
}

#[derive(Debug)]
struct Shard {
    path: PathBuf,
    bytes: Mmap,
    /// Where tensor data begins.
    data: usize,
}

/// What a header says of one tensor.
#[derive(Clone, Debug, Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

impl Entry {
    /// Bytes of one element; `None` for types that no encoder has.
    fn width(&self) -> Option<usize> {
        match self.dtype.as_str() {
            "F64" | "I64" | "U64" => Some(8),
            "F32" | "I32" | "U32" => Some(4),
            "F16" | "BF16" | "I16" | "U16" => Some(2),
            "I8" | "U8" | "BOOL" | "F8_E4M3" | "F8_E5M2" => Some(1),
            _ => None,
        }
    }
}

/// A tensor where it lies in its file, with finite values.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// `F32`, `F16` or `BF16`.
    pub dtype: DType,
    /// The values, row-major, little-endian.
    pub bytes: &'a [u8],
}

impl View<'_> {
    /// The values, widened.
    pub fn floats(&self) -> Vec<f32> {
        match self.dtype {
            DType::F16 => self.bytes.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect(),
            DType::BF16 => self.bytes.as_chunks().0.iter().map(|bytes| bf16::from_le_bytes(*bytes).to_f32()).collect(),
            _ => self.bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        }
    }
}

/// The largest of the numbers that `number` makes of the bytes of each element; 0 of none.
fn largest<const WIDTH: usize, T: Copy + Default + Ord>(bytes: &[u8], number: impl Fn([u8; WIDTH]) -> T) -> T {
    bytes.as_chunks().0.iter().fold(T::default(), |largest, bytes| largest.max(number(*bytes)))
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Weights {
    /// Opens the weights of the model folder `dir` and checks every header.
    ///
    /// # Errors
    /// [`Error::Io`] for a file that is missing or unreadable, [`Error::Weights`] for a header that
    /// is damaged, [`Error::Config`] for a damaged shard index.
    pub fn open(dir: &Path) -> Result<Self> {
        let index = dir.join("model.safetensors.index.json");
        let Some(Index { weight_map }) = read_json(&index)? else {
            let file = dir.join("model.safetensors");
            let pickled = dir.join("pytorch_model.bin");
            if file.try_exists().is_ok_and(|exists| !exists) && pickled.is_file() {
                let reason = "a pickle can run code when it is read: let transformers write the model as safetensors, \
                              by `from_pretrained(folder).save_pretrained(folder)`";
                return Err(Error::Config { file: pickled, reason: reason.to_owned() });
            }
            return Self::from_files(&[file]);
        };
        let mut names: Vec<&str> = weight_map.values().map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        if let Some(name) = names.iter().find(|name| Path::new(name).file_name() != Some(name.as_ref())) {
            return Err(Error::Config { file: index, reason: format!("shard `{name}` is no plain file name") });
        }
        let weights = Self::from_files(&names.iter().map(|name| dir.join(name)).collect::<Vec<_>>())?;
        for (tensor, file) in &weight_map {
            let shard = weights.tensors.get(tensor).map(|(shard, _)| &weights.shards[*shard].path);
            if shard != Some(&dir.join(file)) {
                let reason = format!("listed in the index, but {file} does not hold it");
                return Err(Error::Weights { file: dir.join(file), tensor: tensor.clone(), reason });
            }
        }
        Ok(weights)
    }

    fn from_files(paths: &[PathBuf]) -> Result<Self> {
        let mut weights = Self { shards: Vec::new(), tensors: BTreeMap::new() };
        for (number, path) in paths.iter().enumerate() {
            let (shard, entries) = Shard::open(path)?;
            for (name, entry) in entries {
                if weights.tensors.contains_key(&name) {
                    return Err(shard.fault(&name, "also stands in another shard"));
                }
                weights.tensors.insert(name, (number, entry));
            }
            weights.shards.push(shard);
        }
        Ok(weights)
    }

    /// Opens one file and checks its header.
    ///
    /// # Errors
    /// As [`Weights::open`].
    pub fn open_file(path: &Path) -> Result<Self> {
        Self::from_files(&[path.to_owned()])
    }

    /// The names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Whether a tensor of this name exists.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Name, type and shape of every tensor, in order of their names.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &str, &[usize])> {
        self.tensors.iter().map(|(name, (_, entry))| (name.as_str(), entry.dtype.as_str(), entry.shape.as_slice()))
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.shards.iter().map(|shard| shard.bytes.len() as u64).sum()
    }

    /// The shape of a tensor, if it exists.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|(_, entry)| entry.shape.as_slice())
    }

    /// The tensor `name` as `f32` (`f16` and `bf16` are widened), which must have this shape.
    ///
    /// # Errors
    /// [`Error::Weights`] when it is missing, has another shape, or is no float of 16 or 32 bits.
    pub fn get(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        Ok(Tensor::from_vec(self.floats(name, shape)?, shape, &CandleDevice::Cpu)?)
    }

    /// The values of [`Weights::get`], row-major.
    ///
    /// # Errors
    /// As [`Weights::get`].
    pub fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        Ok(self.view(name, shape)?.floats())
    }

    /// The tensor `name` where it lies in its file, which must have this shape and finite values.
    ///
    /// # Errors
    /// As [`Weights::get`].
    pub fn view(&self, name: &str, shape: &[usize]) -> Result<View<'_>> {
        let Some((shard, entry)) = self.tensors.get(name) else {
            let file = self.shards.first().map_or_else(PathBuf::new, |shard| shard.path.clone());
            return Err(Error::Weights { file, tensor: name.to_owned(), reason: "is missing".to_owned() });
        };
        let shard = &self.shards[*shard];
        if entry.shape != shape {
            return Err(shard.fault(name, format!("has shape {:?}, expected {shape:?}", entry.shape)));
        }
        let (start, end) = entry.data_offsets;
        let bytes = &shard.bytes[shard.data + start..shard.data + end];
        let (dtype, finite) = match entry.dtype.as_str() {
            "F32" => (DType::F32, largest(bytes, |bytes| u32::from_le_bytes(bytes) & 0x7fff_ffff) < 0x7f80_0000),
            "F16" => (DType::F16, largest(bytes, |bytes| u16::from_le_bytes(bytes) & 0x7fff) < 0x7c00),
            "BF16" => (DType::BF16, largest(bytes, |bytes| u16::from_le_bytes(bytes) & 0x7fff) < 0x7f80),
            other => {
                return Err(shard.fault(name, format!("has type {other}, expected F32, F16 or BF16")));
            }
        };
        if !finite {
            return Err(shard.fault(name, "holds a value that is not finite"));
        }
        Ok(View { dtype, bytes })
    }

    /// Lets the system take back the memory in which the file's pages of a tensor lie. A later read
    /// fetches them from the file again.
    pub fn forget(&self, name: &str) {
        let Some((shard, entry)) = self.tensors.get(name) else { return };
        let shard = &self.shards[*shard];
        let (start, end) = entry.data_offsets;
        #[cfg(unix)]
        #[expect(unsafe_code, reason = "pages of a file can only be given back by their address")]
        // SAFETY: the map is read-only, so that no page of it can hold anything but the file's bytes.
        let given = unsafe {
            shard.bytes.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, shard.data + start, end - start)
        };
        #[cfg(unix)]
        if let Err(error) = given {
            tracing::debug!(%error, name, "pages of a tensor stay in memory");
        }
    }

    /// Feeds the bytes of all files, in order of their names, to `hasher`.
    pub(crate) fn hash_into(&self, hasher: &mut blake3::Hasher) {
        for shard in &self.shards {
            hasher.update(&(shard.bytes.len() as u64).to_le_bytes());
            hasher.update(&shard.bytes);
        }
    }
}

impl Shard {
    /// Maps a file and checks its header: every tensor lies in the file, is as long as its shape
    /// says, and shares no byte with another.
    fn open(path: &Path) -> Result<(Self, BTreeMap<String, Entry>)> {
        let io = |source| Error::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        #[expect(unsafe_code, reason = "a memory map is the only way to open gigabytes at once")]
        // SAFETY: the map is read-only and private to this value. Model files are written once and
        // replaced by rename, so nobody changes the bytes under us; every read is bounds-checked.
        let bytes = unsafe { Mmap::map(&file) }.map_err(io)?;
        let mut shard = Self { path: path.to_owned(), bytes, data: 0 };
        let entries = shard.header()?;
        Ok((shard, entries))
    }

    fn header(&mut self) -> Result<BTreeMap<String, Entry>> {
        let fault = |reason: String| self.fault("header", reason);
        let Some((length, rest)) = self.bytes.split_first_chunk::<LENGTH>() else {
            return Err(fault(format!("the file has only {} bytes", self.bytes.len())));
        };
        let length = u64::from_le_bytes(*length);
        if length > MAX_HEADER || length > rest.len() as u64 {
            return Err(fault(format!("claims {length} bytes of a file of {}", self.bytes.len())));
        }
        let (header, data) = rest.split_at(length as usize);
        let mut raw: BTreeMap<String, serde_json::Value> =
            serde_json::from_slice(header).map_err(|error| fault(error.to_string()))?;
        raw.remove("__metadata__");

        let mut entries = BTreeMap::new();
        for (name, value) in raw {
            let entry: Entry = serde_json::from_value(value).map_err(|error| self.fault(&name, error.to_string()))?;
            let (start, end) = entry.data_offsets;
            if start > end || end > data.len() {
                return Err(self.fault(&name, format!("bytes {start}..{end} lie outside the {} of data", data.len())));
            }
            let elements = entry.shape.iter().try_fold(1_usize, |product, size| product.checked_mul(*size));
            let size = entry.width().and_then(|width| elements?.checked_mul(width));
            if size.is_some_and(|size| size != end - start) || elements.is_none() {
                let reason = format!("{} of {:?} cannot have {} bytes", entry.dtype, entry.shape, end - start);
                return Err(self.fault(&name, reason));
            }
            entries.insert(name, entry);
        }
        let mut spans: Vec<_> = entries.iter().map(|(name, entry)| (entry.data_offsets, name)).collect();
        spans.sort_unstable();
        if let Some([(_, first), (_, second)]) = spans.array_windows().find(|[left, right]| left.0.1 > right.0.0) {
            return Err(self.fault(second, format!("shares bytes with `{first}`")));
        }
        self.data = LENGTH + length as usize;
        Ok(entries)
    }

    fn fault(&self, tensor: &str, reason: impl Into<String>) -> Error {
        Error::Weights { file: self.path.clone(), tensor: tensor.to_owned(), reason: reason.into() }
    }
}

#[cfg(test)]
mod tests;
