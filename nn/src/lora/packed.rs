//! [`PackedLora`]: the additions to layers that stand side by side, as the processor computes them.

use super::{Lora, Target};
use crate::ops::{Panels, Values};
use crate::{DecoderConfig, Result};

/// What layers of one decoder layer read the same rows, in the order of their places.
pub(crate) const SIDE_BY_SIDE: [&[Target]; 4] =
    [&[Target::Query, Target::Key, Target::Value], &[Target::Output], &[Target::Gate, Target::Up], &[Target::Down]];

/// Layers that stand side by side, with their additions.
#[derive(Debug)]
pub(crate) struct Group {
    inputs: usize,
    /// For each layer its outputs and its addition.
    parts: Vec<(usize, Option<Lora>)>,
    packed: Option<PackedLora>,
}

/// Two products for all additions of a group: the A of all stand one below the other, the B as
/// blocks on the diagonal, scaled. The zeros between the blocks add nothing, not even rounding.
#[derive(Debug)]
pub(crate) struct PackedLora {
    /// (sum of ranks, inputs)
    pub(crate) down: Panels,
    /// (sum of outputs, sum of ranks)
    pub(crate) up: Panels,
}

impl Group {
    /// The groups of all layers, by place: four to a layer.
    pub(super) fn all(config: &DecoderConfig, lora: impl Fn(usize, Target) -> Option<Lora>) -> Result<Vec<Self>> {
        let mut groups = Vec::with_capacity(config.num_hidden_layers * SIDE_BY_SIDE.len());
        for layer in 0..config.num_hidden_layers {
            for targets in SIDE_BY_SIDE {
                let inputs = targets[0].sizes(config).0;
                let parts = targets.iter().map(|target| (target.sizes(config).1, lora(layer, *target))).collect();
                let mut group = Self { inputs, parts, packed: None };
                group.pack()?;
                groups.push(group);
            }
        }
        Ok(groups)
    }

    /// The additions, where there are any.
    pub(crate) fn packed(&self) -> Option<&PackedLora> {
        self.packed.as_ref()
    }

    /// Lays out the present values of the variables.
    pub(super) fn pack(&mut self) -> Result<()> {
        let ranks: usize = self.parts.iter().flat_map(|(_, lora)| lora).map(|lora| lora.a.dims()[0]).sum();
        if ranks == 0 {
            return Ok(());
        }
        let outputs: usize = self.parts.iter().map(|(outputs, _)| outputs).sum();
        let mut down = Vec::with_capacity(ranks * self.inputs);
        let mut up = vec![0.0; outputs * ranks];
        let (mut first_output, mut first_rank) = (0, 0);
        for (outputs, lora) in &self.parts {
            if let Some(lora) = lora {
                let rank = lora.a.dims()[0];
                down.extend(lora.a.flatten_all()?.to_vec1::<f32>()?);
                let rows = lora.b.flatten_all()?.to_vec1::<f32>()?;
                for (output, row) in rows.chunks_exact(rank).enumerate() {
                    let place = (first_output + output) * ranks + first_rank;
                    for (to, from) in up[place..place + rank].iter_mut().zip(row) {
                        *to = from * lora.scale as f32;
                    }
                }
                first_rank += rank;
            }
            first_output += outputs;
        }
        self.packed = Some(PackedLora {
            down: Panels::pack(Values::F32(&down), ranks, self.inputs),
            up: Panels::pack(Values::F32(&up), outputs, ranks),
        });
        Ok(())
    }
}
