//! From token rows to the unit vector of each sequence, differentiable.

use std::ops::Range;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use crate::Pooling;

/// Unit vectors (N, D) of sequences from the states of their tokens, (T, D), on the processor. A sequence
/// of no rows, or whose rows add up to nothing, gives zeros and takes no gradient.
pub(crate) fn pool(states: &Tensor, sequences: Vec<Range<usize>>, pooling: Pooling) -> Result<Tensor> {
    states.contiguous()?.apply_op1(Pool { sequences, pooling })
}

struct Pool {
    sequences: Vec<Range<usize>>,
    pooling: Pooling,
}

fn rows<'a>(values: &'a CpuStorage, layout: &Layout) -> Result<(&'a [f32], usize)> {
    let (_, width) = layout.shape().dims2()?;
    let Some((start, end)) = layout.contiguous_offsets() else {
        candle_core::bail!("pool wants rows that lie one after another");
    };
    Ok((&values.as_slice()?[start..end], width))
}

impl CustomOp1 for Pool {
    fn name(&self) -> &'static str {
        "pool"
    }

    fn cpu_fwd(&self, states: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (states, width) = rows(states, layout)?;
        let vector = |rows: &Range<usize>| self.pooling.pool(&states[rows.start * width..rows.end * width], width);
        let vectors: Vec<f32> = self.sequences.iter().flat_map(vector).collect();
        Ok((CpuStorage::F32(vectors), Shape::from((self.sequences.len(), width))))
    }

    fn bwd(&self, states: &Tensor, vectors: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let (tokens, width) = states.dims2()?;
        let flat = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
        let (states, vectors, gradient) = (flat(states)?, flat(vectors)?, flat(gradient)?);
        let mut d = vec![0.0; tokens * width];
        let pairs = vectors.chunks_exact(width).zip(gradient.chunks_exact(width));
        for (rows, (vector, g)) in self.sequences.iter().zip(pairs) {
            let rows = rows.start * width..rows.end * width;
            let slope = self.pooling.slope(&states[rows.clone()], vector, g);
            for row in d[rows].chunks_exact_mut(width).take(self.pooling.rows()) {
                row.copy_from_slice(&slope);
            }
        }
        Tensor::from_vec(d, (tokens, width), &candle_core::Device::Cpu).map(Some)
    }
}
