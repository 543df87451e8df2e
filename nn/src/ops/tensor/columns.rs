//! Columns set into a wider tensor of zeros, which candle would make by joining constants that then
//! receive a gradient.

use candle_core::backend::{BackendDevice, BackendStorage};
use candle_core::{CpuStorage, CudaStorage, CustomOp1, Layout, Result, Shape, Tensor};

/// (T, width) that holds `x`, (T, columns), from column `start` on, and zeros beside it.
pub(crate) fn set_columns(x: &Tensor, start: usize, width: usize) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Columns { start, width })
}

struct Columns {
    start: usize,
    width: usize,
}

impl Columns {
    fn forward<S>(&self, x: &S, layout: &Layout) -> Result<(S, Shape)>
    where
        S: BackendStorage,
        S::Device: BackendDevice<Storage = S>,
    {
        let (rows, columns) = layout.shape().dims2()?;
        let shape = Shape::from((rows, self.width));
        let mut out = x.device().zeros_impl(&shape, x.dtype())?;
        x.copy2d(&mut out, rows, columns, columns, self.width, layout.start_offset(), self.start)?;
        Ok((out, shape))
    }
}

impl CustomOp1 for Columns {
    fn name(&self) -> &'static str {
        "set-columns"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        self.forward(x, layout)
    }

    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        self.forward(x, layout)
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        gradient.narrow(1, self.start, x.dim(1)?)?.contiguous().map(Some)
    }
}
