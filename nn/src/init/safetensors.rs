//! Random tensors, streamed to safetensors files: memory holds one buffer, never a tensor.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::{normal, save_json, write};
use crate::Result;

/// The most bytes of tensors in one file, as the hub has it.
pub(super) const SHARD: u64 = 5_000_000_000;
/// Bytes that are drawn and written at once; holds whole numbers of either type.
const BUFFER: usize = 8 << 20;

/// A tensor to be: its name and shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tensor {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
}

impl Tensor {
    pub(super) fn elements(&self) -> u64 {
        self.shape.iter().map(|size| *size as u64).product()
    }

    /// Gains of norms are 1, all else is drawn.
    fn is_gain(&self) -> bool {
        self.name.ends_with("norm.weight")
    }
}

/// Writes `tensors` to `dir`: one file, or shards with an index when it would be longer than `limit` bytes.
pub(super) fn write_folder(
    dir: &Path,
    tensors: &[Tensor],
    is_bf16: bool,
    limit: u64,
    seed: u64,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<()> {
    let width = if is_bf16 { 2 } else { 4 };
    let total: u64 = tensors.iter().map(|tensor| tensor.elements() * width).sum();
    let mut done = 0;
    progress(0, total);
    let mut advance = |bytes: u64| {
        done += bytes;
        progress(done, total);
    };
    let shards = split(tensors, width, limit);
    if let [only] = shards[..] {
        return write_file(&dir.join("model.safetensors"), only, is_bf16, seed, &mut advance);
    }
    let mut map = Map::new();
    for (at, shard) in (1..).zip(&shards) {
        let name = format!("model-{at:05}-of-{:05}.safetensors", shards.len());
        write_file(&dir.join(&name), shard, is_bf16, seed, &mut advance)?;
        map.extend(shard.iter().map(|tensor| (tensor.name.clone(), Value::from(name.as_str()))));
    }
    let index = json!({ "metadata": { "total_size": total }, "weight_map": map });
    save_json(&dir.join("model.safetensors.index.json"), &index)
}

/// Runs of tensors of at most `limit` bytes each, in order.
fn split(tensors: &[Tensor], width: u64, limit: u64) -> Vec<&[Tensor]> {
    let mut shards = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (at, tensor) in tensors.iter().enumerate() {
        let size = tensor.elements() * width;
        if at > start && bytes + size > limit {
            shards.push(&tensors[start..at]);
            (start, bytes) = (at, 0);
        }
        bytes += size;
    }
    shards.push(&tensors[start..]);
    shards
}

pub(super) fn write_file(
    path: &Path,
    tensors: &[Tensor],
    is_bf16: bool,
    seed: u64,
    advance: &mut dyn FnMut(u64),
) -> Result<()> {
    let width = if is_bf16 { 2 } else { 4 };
    let mut file = File::create(path).map_err(write(path))?;
    file.write_all(&header(tensors, is_bf16)).map_err(write(path))?;
    let one: &[u8] = if is_bf16 { &half::bf16::ONE.to_le_bytes() } else { &1_f32.to_le_bytes() };
    let mut buffer = vec![0; BUFFER];
    for tensor in tensors {
        let key = normal::key(seed, &tensor.name);
        let (mut start, elements) = (0, tensor.elements());
        while start < elements {
            let count = (elements - start).min((BUFFER / width) as u64);
            let part = &mut buffer[..count as usize * width];
            if tensor.is_gain() {
                part.chunks_exact_mut(width).for_each(|place| place.copy_from_slice(one));
            } else {
                normal::fill(key, start, is_bf16, part);
            }
            file.write_all(part).map_err(write(path))?;
            start += count;
            advance(part.len() as u64);
        }
    }
    file.sync_all().map_err(write(path))
}

/// Length and header, padded so that data begins at a multiple of 8.
fn header(tensors: &[Tensor], is_bf16: bool) -> Vec<u8> {
    let (dtype, width) = if is_bf16 { ("BF16", 2) } else { ("F32", 4) };
    let mut header = r#"{"__metadata__":{"format":"pt"}"#.to_owned();
    let mut offset = 0;
    for tensor in tensors {
        let end = offset + tensor.elements() * width;
        let entry = json!({ "dtype": dtype, "shape": tensor.shape, "data_offsets": [offset, end] });
        let _ = write!(header, ",{}:{entry}", Value::from(tensor.name.as_str()));
        offset = end;
    }
    header.push('}');
    header.extend(std::iter::repeat_n(' ', header.len().next_multiple_of(8) - header.len()));
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.into_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_hold_whole_tensors_in_order() {
        let tensor = |size: usize| Tensor { name: size.to_string(), shape: vec![size] };
        let tensors: Vec<_> = [3, 4, 5, 9, 1, 1].map(tensor).into();
        let sizes = |limit| split(&tensors, 1, limit).iter().map(|shard| shard.len()).collect::<Vec<_>>();
        assert_eq!(sizes(100), [6]);
        assert_eq!(sizes(10), [2, 1, 2, 1]);
        assert_eq!(sizes(1), [1; 6]);
        assert_eq!(split(&tensors, 1, 10).concat(), tensors);
    }

    #[test]
    fn shards_hold_what_one_file_would() {
        let tensor = |(name, shape): (&str, Vec<usize>)| Tensor { name: name.to_owned(), shape };
        let tensors: Vec<_> =
            [("a.weight", vec![3, 5]), ("norm.weight", vec![7]), ("b.bias", vec![2])].map(tensor).into();
        let folders = [(1_000, 1), (40, 2), (10, 3)].map(|(limit, files)| {
            let folder = tempfile::tempdir().unwrap();
            write_folder(folder.path(), &tensors, true, limit, 3, &mut |_, _| {}).unwrap();
            let entries = std::fs::read_dir(folder.path()).unwrap();
            let count = entries.filter(|entry| entry.as_ref().unwrap().path().extension().unwrap() == "safetensors");
            assert_eq!(count.count(), files, "{limit}");
            let weights = crate::Weights::open(folder.path()).unwrap();
            tensors.iter().map(|tensor| weights.floats(&tensor.name, &tensor.shape).unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(folders[0][1], [1.0; 7]);
        assert!(folders[0][0].iter().all(|value| *value != 0.0 && value.abs() < 0.2), "{:?}", folders[0]);
        assert_ne!(folders[0][0][..2], folders[0][2]);
        assert_eq!(folders[0], folders[1]);
        assert_eq!(folders[0], folders[2]);
    }
}
