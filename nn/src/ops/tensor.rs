//! The decoder's operations on candle tensors: differentiable ones, and fused ones that cut the gradient.
//!
//! `fused` chooses between the two where there are two. The differentiable ones are composed of
//! operations whose gradient candle knows; candle's fused ones return a result without a history.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CudaStorage, CustomOp1, D, DType, Layout, Result, Shape, Storage, Tensor};

/// `x / sqrt(mean(x^2) + epsilon) * gain` over the last dimension, in `f32`.
pub(crate) fn rms_norm(x: &Tensor, gain: &Tensor, epsilon: f32, fused: bool) -> Result<Tensor> {
    if fused {
        return candle_nn::ops::rms_norm(&x.contiguous()?, gain, epsilon);
    }
    let mean = x.sqr()?.mean_keepdim(D::Minus1)?;
    x.broadcast_div(&(mean + f64::from(epsilon))?.sqrt()?)?.broadcast_mul(gain)
}

/// Turns heads, (T, H, size), by angles whose cosine and sine are (T, 1, size / 2).
pub(crate) fn rotate(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    let half = x.dim(D::Minus1)? / 2;
    let (left, right) = (x.narrow(D::Minus1, 0, half)?, x.narrow(D::Minus1, half, half)?);
    let turned = (left.broadcast_mul(cos)? - right.broadcast_mul(sin)?)?;
    Tensor::cat(&[turned, (right.broadcast_mul(cos)? + left.broadcast_mul(sin)?)?], D::Minus1)
}

/// `silu(gate) * up` from `[gate | up]`, (T, 2 F) to (T, F).
pub(crate) fn swiglu(gate_up: &Tensor) -> Result<Tensor> {
    let wide = gate_up.dim(D::Minus1)? / 2;
    gate_up.narrow(D::Minus1, 0, wide)?.contiguous()?.silu()? * gate_up.narrow(D::Minus1, wide, wide)?.contiguous()?
}

/// Attention of B sequences with L new tokens each over S: queries (B, L, H, size), keys and values
/// (B, S, KV, size), a mask of zero and minus infinity (B, 1, 1, L, S). Gives (B, L, H * size) in `f32`.
pub(crate) fn attention(
    queries: &Tensor,
    keys: &Tensor,
    values: &Tensor,
    mask: &Tensor,
    fused: bool,
) -> Result<Tensor> {
    let (batch, new, heads, size) = queries.dims4()?;
    let (_, all, key_heads, _) = keys.dims4()?;
    let group = heads / key_heads;
    let dtype = keys.dtype();
    let queries = (queries * (1.0 / (size as f64).sqrt()))?.to_dtype(dtype)?;
    let queries = queries.reshape((batch, new, key_heads, group, size))?.permute((0, 2, 3, 1, 4))?;
    let queries = queries.reshape((batch * key_heads, group * new, size))?;
    let keys = keys.permute((0, 2, 3, 1))?.reshape((batch * key_heads, size, all))?;
    let values = values.permute((0, 2, 1, 3))?.reshape((batch * key_heads, all, size))?;
    let scores = queries.matmul(&keys)?.to_dtype(DType::F32)?; // (B KV, G L, S)
    let scores = scores.reshape((batch, key_heads, group, new, all))?.broadcast_add(mask)?;
    let shares = if fused { candle_nn::ops::softmax_last_dim(&scores)? } else { softmax(&scores)? };
    let shares = shares.reshape((batch * key_heads, group * new, all))?.to_dtype(dtype)?;
    let mixed = shares.matmul(&values)?.to_dtype(DType::F32)?; // (B KV, G L, size)
    mixed.reshape((batch, key_heads, group, new, size))?.permute((0, 3, 1, 2, 4))?.reshape((batch, new, heads * size))
}

/// Softmax over the last dimension. The maximum is a constant: shifting all scores changes nothing.
fn softmax(scores: &Tensor) -> Result<Tensor> {
    let shifted = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?.detach())?.exp()?;
    shifted.broadcast_div(&shifted.sum_keepdim(D::Minus1)?)
}

/// `x W^T` for a weight that is not trained, (outputs, inputs), in the weight's type: the gradient
/// of `x` alone is computed, where candle's product would compute that of the weight as well.
pub(crate) fn frozen_product(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let x = x.to_dtype(weight.dtype())?.contiguous()?;
    x.apply_op1(FrozenProduct { weight: weight.clone() })?.to_dtype(DType::F32)
}

struct FrozenProduct {
    weight: Tensor,
}

impl FrozenProduct {
    /// The product's sizes as candle's storages want them, and the layout of W^T.
    fn plan(&self, layout: &Layout) -> Result<((usize, usize, usize, usize), Layout, Shape)> {
        let (rows, inputs) = layout.shape().dims2()?;
        let (outputs, _) = self.weight.dims2()?;
        let transposed = self.weight.layout().transpose(0, 1)?;
        Ok(((1, rows, outputs, inputs), transposed, Shape::from((rows, outputs))))
    }
}

impl CustomOp1 for FrozenProduct {
    fn name(&self) -> &'static str {
        "frozen-product"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (sizes, transposed, shape) = self.plan(layout)?;
        match &*self.weight.storage_and_layout().0 {
            Storage::Cpu(weight) => Ok((x.matmul(weight, sizes, layout, &transposed)?, shape)),
            _ => candle_core::bail!("a weight on another device than its input"),
        }
    }

    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (sizes, transposed, shape) = self.plan(layout)?;
        match &*self.weight.storage_and_layout().0 {
            Storage::Cuda(weight) => Ok((x.matmul(weight, sizes, layout, &transposed)?, shape)),
            _ => candle_core::bail!("a weight on another device than its input"),
        }
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        gradient.contiguous()?.matmul(&self.weight).map(Some)
    }
}
