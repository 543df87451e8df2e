//! [`Sparse`]: which tokens a text has, as a sparse matrix, and its products with narrow dense ones.

/// Columns of a dense matrix that are worked on together: 4 cache lines of a row.
pub(super) const LANES: usize = 64;
/// A row of such a block.
pub(super) type Row = [f32; LANES];

/// A sparse matrix, row by row.
#[derive(Clone, Debug)]
pub(super) struct Sparse {
    /// Row `n` is `entries[starts[n]..starts[n + 1]]`.
    starts: Vec<usize>,
    entries: Vec<(u32, f32)>,
    width: usize,
}

impl Sparse {
    /// A matrix of no rows and `width` columns.
    pub(super) fn new(width: usize) -> Self {
        Self { starts: vec![0], entries: Vec::new(), width }
    }

    /// Adds a row; each column is below the width.
    pub(super) fn push(&mut self, row: impl Iterator<Item = (u32, f32)>) {
        self.entries.extend(row);
        self.starts.push(self.entries.len());
    }

    /// How many rows there are.
    pub(super) fn height(&self) -> usize {
        self.starts.len() - 1
    }

    /// How many columns there are.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Row `n`.
    pub(super) fn row(&self, n: usize) -> &[(u32, f32)] {
        &self.entries[self.starts[n]..self.starts[n + 1]]
    }

    /// Rows become columns.
    pub(super) fn transposed(&self) -> Self {
        let mut starts = vec![0; self.width + 1];
        for &(column, _) in &self.entries {
            starts[column as usize + 1] += 1;
        }
        for column in 0..self.width {
            starts[column + 1] += starts[column];
        }
        let mut places = starts.clone();
        let mut entries = vec![(0, 0.0); self.entries.len()];
        for n in 0..self.height() {
            for &(column, value) in self.row(n) {
                let place = &mut places[column as usize];
                entries[*place] = (n as u32, value);
                *place += 1;
            }
        }
        Self { starts, entries, width: self.height() }
    }

    /// `out = self x dense`: `dense` has a row for each column of `self`, `out` one for each row.
    pub(super) fn times(&self, dense: &[Row], out: &mut [Row]) {
        for (n, sum) in out.iter_mut().enumerate() {
            *sum = [0.0; LANES];
            for &(column, value) in self.row(n) {
                for (sum, x) in sum.iter_mut().zip(&dense[column as usize]) {
                    *sum += value * x;
                }
            }
        }
    }
}
