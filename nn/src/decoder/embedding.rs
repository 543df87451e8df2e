//! [`Embedding`]: from token ids to vectors.

use candle_core::{DType, Device as CandleDevice, Tensor};
use half::bf16;

use super::linear::{Linear, Weight};
use crate::{Parameter, Result};

/// Where the vectors of tokens are.
#[derive(Debug)]
pub(super) enum Embedding {
    /// In a table of their own.
    Own(Table),
    /// In the head.
    Tied,
}

/// Vectors of tokens, (vocabulary, D).
#[derive(Debug)]
pub(super) enum Table {
    Full(Vec<f32>),
    /// bf16
    Half(Vec<u16>),
    Dense(Tensor),
}

impl Embedding {
    /// Bytes of the table, where it is not the head's.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Own(Table::Full(values)) => size_of_val(values.as_slice()),
            Self::Own(Table::Half(values)) => size_of_val(values.as_slice()),
            Self::Own(Table::Dense(table)) => table.elem_count() * table.dtype().size_in_bytes(),
            Self::Tied => 0,
        }
    }

    /// Takes the values of a parameter, where the table is not the head's.
    pub(super) fn refresh(&mut self, parameter: &Parameter) -> Result<()> {
        match self {
            Self::Tied => {}
            Self::Own(Table::Full(table)) => parameter.read(|values| table.copy_from_slice(values))?,
            Self::Own(table) => *table = Table::Full(parameter.read(<[f32]>::to_vec)?),
        }
        Ok(())
    }

    /// The vectors of `ids`, (T, D), into `rows`; of a table on the processor.
    pub(super) fn look_up(&self, head: &Linear, ids: &[u32], rows: &mut [f32]) {
        let width = head.inputs;
        for (id, row) in ids.iter().zip(rows.chunks_exact_mut(width)) {
            let place = *id as usize * width..(*id as usize + 1) * width;
            match (self, &head.weight) {
                (Self::Own(Table::Full(values)), _) => row.copy_from_slice(&values[place]),
                (Self::Own(Table::Half(values)), _) => {
                    for (to, from) in row.iter_mut().zip(&values[place]) {
                        *to = bf16::from_bits(*from).to_f32();
                    }
                }
                (Self::Tied, Weight::Panels(frozen)) => frozen.layers[0].panels.row(*id as usize, row),
                (Self::Own(Table::Dense(_)), _) | (Self::Tied, Weight::Dense(..)) => {
                    unreachable!("dense tables are looked up as tensors")
                }
            }
        }
    }

    /// The vectors of `ids` as a tensor on `device`, (T, D), in `f32`.
    pub(super) fn rows(&self, head: &Linear, ids: &[u32], device: &CandleDevice) -> Result<Tensor> {
        if let (Self::Own(Table::Dense(table)), _) | (Self::Tied, Weight::Dense(table, _)) = (self, &head.weight) {
            let ids = Tensor::from_slice(ids, ids.len(), device)?;
            return Ok(table.index_select(&ids, 0)?.to_dtype(DType::F32)?);
        }
        let mut rows = vec![0.0; ids.len() * head.inputs];
        self.look_up(head, ids, &mut rows);
        Ok(Tensor::from_vec(rows, (ids.len(), head.inputs), device)?)
    }
}
