//! The chunk table: slot to chunk id and document number, chunk id to slot; mapped, not loaded.

use std::path::Path;

use corpus::ChunkId;
use memmap2::Mmap;

use crate::{Error, Result, Slot};

const MAGIC: [u8; 8] = *b"ANMCHUNK";
const ID: usize = 12;
const HEADER: usize = 16;

/// `magic, count: u64, ids: [12 bytes; count], documents: [u32; count], by_id: [u32; count]`.
#[derive(Debug)]
pub(crate) struct ChunkTable {
    bytes: Mmap,
    len: usize,
}

impl ChunkTable {
    /// As stored. Two equal ids are refused: a chunk has one slot.
    pub(crate) fn to_bytes(ids: &[ChunkId], documents: &[u32]) -> Result<Vec<u8>> {
        let mut by_id: Vec<Slot> = (0..ids.len() as Slot).collect();
        by_id.sort_unstable_by_key(|&slot| ids[slot as usize]);
        if let Some(pair) = by_id.windows(2).find(|pair| ids[pair[0] as usize] == ids[pair[1] as usize]) {
            return Err(Error::Input(format!("chunk {} was pushed twice", ids[pair[0] as usize])));
        }
        let mut bytes = Vec::with_capacity(HEADER + ids.len() * (ID + 8));
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&(ids.len() as u64).to_le_bytes());
        bytes.extend(ids.iter().flat_map(ChunkId::as_bytes));
        bytes.extend(documents.iter().chain(&by_id).flat_map(|number| number.to_le_bytes()));
        Ok(bytes)
    }

    /// Takes a mapping whose checksum has been verified; `documents` bounds the document numbers.
    pub(crate) fn open(path: &Path, bytes: Mmap, chunks: usize, documents: usize) -> Result<Self> {
        let expected = chunks.checked_mul(ID + 8).and_then(|body| body.checked_add(HEADER));
        let header_is_right =
            bytes.get(..8) == Some(&MAGIC[..]) && bytes.get(8..HEADER) == Some(&(chunks as u64).to_le_bytes()[..]);
        if !header_is_right || expected != Some(bytes.len()) {
            return Err(Error::corrupt(path, "it does not hold the chunks that the manifest counts"));
        }
        let table = Self { bytes, len: chunks };
        let sound = (0..chunks).all(|at| {
            (table.document(at as Slot) as usize) < documents && (table.number(chunks, at) as usize) < chunks
        });
        if sound { Ok(table) } else { Err(Error::corrupt(path, "a number in it is out of range")) }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The id of the chunk at `slot`, which must be below `len`.
    pub(crate) fn chunk(&self, slot: Slot) -> ChunkId {
        let at = HEADER + slot as usize * ID;
        let mut id = [0; ID];
        id.copy_from_slice(&self.bytes[at..at + ID]);
        ChunkId::from_bytes(id)
    }

    /// The number of the document of the chunk at `slot`, which must be below `len`.
    pub(crate) fn document(&self, slot: Slot) -> u32 {
        self.number(0, slot as usize)
    }

    /// The slot of a chunk.
    pub(crate) fn slot(&self, id: &ChunkId) -> Option<Slot> {
        let (mut low, mut high) = (0, self.len);
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.chunk(self.number(self.len, middle)) < *id {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        (low < self.len).then(|| self.number(self.len, low)).filter(|&slot| self.chunk(slot) == *id)
    }

    /// The number `at` places after the first `skip` of the two number columns.
    fn number(&self, skip: usize, at: usize) -> u32 {
        let at = HEADER + self.len * ID + (skip + at) * 4;
        let mut number = [0; 4];
        number.copy_from_slice(&self.bytes[at..at + 4]);
        u32::from_le_bytes(number)
    }
}
