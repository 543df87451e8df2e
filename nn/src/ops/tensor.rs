//! Operations on candle tensors: differentiable ones, and fused ones that cut the gradient.
//!
//! `fused` chooses between the two where there are two. The differentiable ones are composed of
//! operations whose gradient candle knows; candle's fused ones return a result without a history.

mod columns;
mod constant;
mod frozen;
mod pool;

use candle_core::{D, DType, Result, Tensor};

pub(crate) use self::columns::set_columns;
pub(crate) use self::constant::{plus, sum, times};
pub(crate) use self::frozen::{Frozen, PackedLayer, frozen_linear, frozen_product, product};
pub(crate) use self::pool::pool;

/// `x / sqrt(mean(x^2) + epsilon) * gain` over the last dimension, in `f32`.
pub(crate) fn rms_norm(x: &Tensor, gain: &Tensor, epsilon: f32, fused: bool) -> Result<Tensor> {
    if fused {
        return candle_nn::ops::rms_norm(&x.contiguous()?, gain, epsilon);
    }
    let mean = x.sqr()?.mean_keepdim(D::Minus1)?;
    times(&x.broadcast_div(&(mean + f64::from(epsilon))?.sqrt()?)?, gain)
}

/// Turns heads, (T, H, size), by angles whose cosine and sine are (T, size / 2).
pub(crate) fn rotate(x: &Tensor, cos: &Tensor, sin: &Tensor, fused: bool) -> Result<Tensor> {
    if fused {
        return candle_nn::rotary_emb::rope_thd(&x.unsqueeze(0)?, cos, sin)?.squeeze(0);
    }
    let (cos, sin) = (cos.unsqueeze(1)?, sin.unsqueeze(1)?); // (T, 1, size / 2)
    let half = x.dim(D::Minus1)? / 2;
    let (left, right) = (x.narrow(D::Minus1, 0, half)?, x.narrow(D::Minus1, half, half)?);
    let turned = (times(&left, &cos)? - times(&right, &sin)?)?;
    Tensor::cat(&[turned, (times(&right, &cos)? + times(&left, &sin)?)?], D::Minus1)
}

/// `silu(gate) * up` from `[gate | up]`, (T, 2 F) to (T, F).
pub(crate) fn swiglu(gate_up: &Tensor) -> Result<Tensor> {
    let wide = gate_up.dim(D::Minus1)? / 2;
    gate_up.narrow(D::Minus1, 0, wide)?.contiguous()?.silu()? * gate_up.narrow(D::Minus1, wide, wide)?.contiguous()?
}

/// Attention of B sequences with L new tokens each over S: queries (B, L, H, size), keys and values
/// (B, S, KV, size), a mask of zero and minus infinity
/// (B, 1, 1, L, S) where not all is seen. Gives (B, L, H * size) in `f32`.
pub(crate) fn attention(
    queries: &Tensor,
    keys: &Tensor,
    values: &Tensor,
    mask: Option<&Tensor>,
    fused: bool,
) -> Result<Tensor> {
    let (batch, new, heads, size) = queries.dims4()?;
    let (_, all, key_heads, _) = keys.dims4()?;
    let group = heads / key_heads;
    let dtype = keys.dtype();
    let queries = (queries * (1.0 / (size as f64).sqrt()))?.to_dtype(dtype)?;
    let queries = queries.reshape((batch, new, key_heads, group, size))?.permute((0, 2, 3, 1, 4))?;
    let queries = queries.reshape((batch * key_heads, group * new, size))?;
    let keys = keys.permute((0, 2, 1, 3))?.reshape((batch * key_heads, all, size))?;
    let values = values.permute((0, 2, 3, 1))?.reshape((batch * key_heads, size, all))?;
    let scores = product(&queries, &keys)?.to_dtype(DType::F32)?; // (B KV, G L, S)
    let scores = scores.reshape((batch, key_heads, group, new, all))?;
    let scores = mask.map(|mask| plus(&scores, mask)).transpose()?.unwrap_or(scores);
    let shares = if fused { candle_nn::ops::softmax_last_dim(&scores)? } else { softmax(&scores)? };
    let shares = shares.reshape((batch * key_heads, group * new, all))?.to_dtype(dtype)?;
    let mixed = product(&shares, &values)?.to_dtype(DType::F32)?; // (B KV, G L, size)
    mixed.reshape((batch, key_heads, group, new, size))?.permute((0, 3, 1, 2, 4))?.reshape((batch, new, heads * size))
}

/// Softmax over the last dimension. The maximum is a constant: shifting all scores changes nothing.
fn softmax(scores: &Tensor) -> Result<Tensor> {
    let shifted = plus(scores, &scores.max_keepdim(D::Minus1)?.detach().neg()?)?.exp()?;
    shifted.broadcast_div(&shifted.sum_keepdim(D::Minus1)?)
}

#[cfg(test)]
mod tests;
