//! Products with weights that are not trained: the gradient of the input alone is computed, where
//! candle's product would compute and keep that of the weight as well.

use std::sync::Arc;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CudaStorage, CustomOp1, D, DType, Layout, Result, Shape, Storage, Tensor};

use crate::ops::{After, Isa, Panels, Part, Team, linear, linear_backward};

/// One linear layer as the processor computes it.
#[derive(Debug)]
pub(crate) struct PackedLayer {
    /// (outputs, inputs)
    pub(crate) panels: Panels,
    /// (outputs)
    pub(crate) bias: Option<Vec<f32>>,
}

impl PackedLayer {
    /// The layer as a part of a product.
    pub(crate) fn part(&self) -> Part<'_> {
        Part { panels: &self.panels, bias: self.bias.as_deref() }
    }
}

/// Layers over one input, side by side, and what computes them.
#[derive(Clone, Debug)]
pub(crate) struct Frozen {
    pub(crate) isa: Isa,
    pub(crate) team: Arc<Team>,
    pub(crate) layers: Arc<Vec<PackedLayer>>,
}

/// `x W^T + b` for each of the layers, side by side, on the processor.
pub(crate) fn frozen_linear(x: &Tensor, layers: Frozen) -> Result<Tensor> {
    x.contiguous()?.apply_op1(layers)
}

impl CustomOp1 for Frozen {
    fn name(&self) -> &'static str {
        "frozen-linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, _) = layout.shape().dims2()?;
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("frozen-linear wants rows that lie one after another");
        };
        let outputs: usize = self.layers.iter().map(|layer| layer.panels.outputs()).sum();
        let mut y = vec![0.0; rows * outputs];
        let parts: Vec<Part<'_>> = self.layers.iter().map(PackedLayer::part).collect();
        linear(self.isa, &self.team, &x.as_slice()?[start..end], &parts, &mut y, After::Nothing);
        Ok((CpuStorage::F32(y), Shape::from((rows, outputs))))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        gradient.contiguous()?.apply_op1_no_bwd(&Backward { layers: self }).map(Some)
    }
}

/// The gradient of the layers' input.
struct Backward<'a> {
    layers: &'a Frozen,
}

impl CustomOp1 for Backward<'_> {
    fn name(&self) -> &'static str {
        "frozen-linear-backward"
    }

    fn cpu_fwd(&self, gradient: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, _) = layout.shape().dims2()?;
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("frozen-linear wants gradients that lie one after another");
        };
        let Frozen { isa, team, layers } = self.layers;
        let inputs = layers.first().map_or(0, |layer| layer.panels.inputs());
        let parts: Vec<Part<'_>> = layers.iter().map(PackedLayer::part).collect();
        let mut back = vec![0.0; rows * inputs];
        linear_backward(*isa, team, &gradient.as_slice()?[start..end], &parts, &mut back, After::Nothing);
        Ok((CpuStorage::F32(back), Shape::from((rows, inputs))))
    }
}

/// `x W^T` for a weight on any device, (outputs, inputs), in the weight's type; the result in `f32`.
pub(crate) fn frozen_product(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let x = x.to_dtype(weight.dtype())?.contiguous()?;
    x.apply_op1(FrozenProduct { weight: weight.clone() })?.to_dtype(DType::F32)
}

/// `x y^T` over the last two of two or three dimensions, where either may be a constant.
pub(crate) fn product(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    let frozen =
        |x: &Tensor, weight: &Tensor| x.contiguous()?.apply_op1(FrozenProduct { weight: weight.contiguous()? });
    match (x.track_op(), y.track_op()) {
        (_, false) => frozen(x, y),
        (false, true) => frozen(y, x)?.transpose(D::Minus1, D::Minus2)?.contiguous(),
        (true, true) => x.matmul(&y.transpose(D::Minus1, D::Minus2)?),
    }
}

struct FrozenProduct {
    weight: Tensor,
}

/// Batch, rows, outputs and inputs of a product.
type Sizes = (usize, usize, usize, usize);

impl FrozenProduct {
    /// The product's sizes as candle's storages want them, and the layout of W^T.
    fn plan(&self, layout: &Layout) -> Result<(Sizes, Layout, Shape)> {
        let transposed = |rank: usize| self.weight.layout().transpose(rank - 2, rank - 1);
        match (layout.dims(), self.weight.dims()) {
            ([rows, inputs], [outputs, _]) => {
                Ok(((1, *rows, *outputs, *inputs), transposed(2)?, Shape::from((*rows, *outputs))))
            }
            ([batch, rows, inputs], [_, outputs, _]) => {
                Ok(((*batch, *rows, *outputs, *inputs), transposed(3)?, Shape::from((*batch, *rows, *outputs))))
            }
            (x, weight) => candle_core::bail!("a product of {x:?} and {weight:?}"),
        }
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
