//! [`Rows`]: a matrix in memory that a [`Pool`] lends from pass to pass.

/// Rows of some width in memory that may be larger than they are.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    memory: Vec<f32>,
    used: usize,
}

impl Rows {
    pub(crate) fn get(&self) -> &[f32] {
        &self.memory[..self.used]
    }

    pub(crate) fn get_mut(&mut self) -> &mut [f32] {
        &mut self.memory[..self.used]
    }

    /// How many values they have.
    pub(crate) fn len(&self) -> usize {
        self.used
    }

    /// Keeps the first so many values.
    pub(crate) fn truncate(&mut self, used: usize) {
        self.used = self.used.min(used);
    }
}

/// Rows that nobody holds.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    free: Vec<Rows>,
}

impl Pool {
    /// Rows of `used` values, whatever they are: the smallest that suffice, else the largest there is.
    pub(crate) fn take(&mut self, used: usize) -> Rows {
        let size = |rows: &Rows| rows.memory.len();
        let fitting = |number: &usize| size(&self.free[*number]) >= used;
        let places = 0..self.free.len();
        let best = places.clone().filter(fitting).min_by_key(|number| size(&self.free[*number]));
        let best = best.or_else(|| places.max_by_key(|number| size(&self.free[*number])));
        let mut rows = best.map(|best| self.free.swap_remove(best)).unwrap_or_default();
        if rows.memory.len() < used {
            rows.memory.resize(used, 0.0);
        }
        rows.used = used;
        rows
    }

    /// Takes rows back.
    pub(crate) fn give(&mut self, rows: Rows) {
        self.free.push(rows);
    }

    /// Rows with these values.
    pub(crate) fn copy(&mut self, values: &[f32]) -> Rows {
        let mut rows = self.take(values.len());
        rows.get_mut().copy_from_slice(values);
        rows
    }
}
