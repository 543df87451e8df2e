//! Products and sums with constants. candle's compute and keep a gradient for both sides, these for
//! the variable side alone.

use candle_core::backend::BackendStorage;
use candle_core::op::{Add, Mul};
use candle_core::{CpuStorage, CudaStorage, CustomOp1, Layout, Result, Shape, Storage, Tensor};

/// `x * constant`; the constant is broadcast to the shape of `x`.
pub(crate) fn times(x: &Tensor, constant: &Tensor) -> Result<Tensor> {
    x.apply_op1(Constant { constant: constant.broadcast_as(x.shape())?, step: Step::Times })
}

/// `x + constant`; the constant is broadcast to the shape of `x`.
pub(crate) fn plus(x: &Tensor, constant: &Tensor) -> Result<Tensor> {
    x.apply_op1(Constant { constant: constant.broadcast_as(x.shape())?, step: Step::Plus })
}

/// `x + y`, where either may be a constant.
pub(crate) fn sum(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    match (x.track_op(), y.track_op()) {
        (true, false) => plus(x, y),
        (false, true) => plus(y, x),
        _ => x + y,
    }
}

struct Constant {
    constant: Tensor,
    step: Step,
}

#[derive(Clone, Copy)]
enum Step {
    Times,
    Plus,
}

impl Constant {
    fn forward<S: BackendStorage>(&self, x: &S, layout: &Layout, constant: &S) -> Result<(S, Shape)> {
        let of_constant = self.constant.layout();
        let result = match self.step {
            Step::Times => x.binary_impl::<Mul>(constant, layout, of_constant)?,
            Step::Plus => x.binary_impl::<Add>(constant, layout, of_constant)?,
        };
        Ok((result, layout.shape().clone()))
    }
}

impl CustomOp1 for Constant {
    fn name(&self) -> &'static str {
        "constant"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        match &*self.constant.storage_and_layout().0 {
            Storage::Cpu(constant) => self.forward(x, layout, constant),
            _ => candle_core::bail!("a constant on another device than its variable"),
        }
    }

    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        match &*self.constant.storage_and_layout().0 {
            Storage::Cuda(constant) => self.forward(x, layout, constant),
            _ => candle_core::bail!("a constant on another device than its variable"),
        }
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        match self.step {
            Step::Times => gradient.mul(&self.constant).map(Some),
            Step::Plus => Ok(Some(gradient.clone())),
        }
    }
}
