//! Exact search: every vector is compared with the query. The oracle of the graph, and the choice
//! for small snapshots.

use std::path::Path;

use memmap2::Mmap;

use crate::simd::Kernel;
use crate::top::Top;
use crate::{Error, Mask, Result, Scored, Slot};

/// A mapped matrix of `rows` unit vectors of `dimension` 32-bit floats, row after row, little-endian.
#[derive(Debug)]
pub(crate) struct Flat {
    bytes: Mmap,
    rows: usize,
    dimension: usize,
    kernel: Kernel,
}

impl Flat {
    /// Takes a mapping whose checksum has been verified.
    pub(crate) fn open(path: &Path, bytes: Mmap, rows: usize, dimension: usize) -> Result<Self> {
        let expected = rows.checked_mul(dimension).and_then(|count| count.checked_mul(4));
        if expected != Some(bytes.len()) {
            return Err(Error::corrupt(path, format!("it does not hold {rows} vectors of {dimension}")));
        }
        Ok(Self { bytes, rows, dimension, kernel: Kernel::detect() })
    }

    /// The vectors, row after row.
    pub(crate) fn matrix(&self) -> &[f32] {
        // A mapping begins at a page, so the cast cannot fail; an empty one has nothing to cast.
        bytemuck::try_cast_slice(&self.bytes).unwrap_or(&[])
    }

    /// The vector at `slot`, which must be below the number of rows.
    #[inline]
    pub(crate) fn row(&self, slot: Slot) -> &[f32] {
        &self.matrix()[slot as usize * self.dimension..][..self.dimension]
    }

    /// How many vectors there are.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Inner product of `query` and the vector at `slot`, which must be below the number of rows.
    #[inline]
    pub(crate) fn score(&self, query: &[f32], slot: Slot) -> f32 {
        self.kernel.dot(query, self.row(slot))
    }

    /// A query must have the dimension of the vectors and only finite numbers.
    pub(crate) fn check(&self, query: &[f32]) -> Result<()> {
        if query.len() != self.dimension {
            let numbers = |count| format!("{count} numbers");
            return Err(Error::Mismatch {
                what: "the query's vector",
                expected: numbers(self.dimension),
                found: numbers(query.len()),
            });
        }
        if query.iter().all(|number| number.is_finite()) {
            Ok(())
        } else {
            Err(Error::Input("the query's vector holds a number that is not finite".to_owned()))
        }
    }

    /// The `k` nearest that the mask holds.
    pub(crate) fn search(&self, query: &[f32], k: usize, mask: Option<&Mask>) -> Vec<Scored> {
        let mut top = Top::new(k, self.rows);
        match mask {
            Some(mask) => mask
                .iter()
                .take_while(|&slot| (slot as usize) < self.rows)
                .for_each(|slot| top.push(slot, self.score(query, slot))),
            None => {
                for (slot, row) in self.matrix().chunks_exact(self.dimension.max(1)).enumerate() {
                    top.push(slot as Slot, self.kernel.dot(query, row));
                }
            }
        }
        top.into_sorted()
    }
}
