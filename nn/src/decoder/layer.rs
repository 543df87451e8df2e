//! [`Layer`]: the one definition of a decoder layer.

use super::compute::{Compute, Gain};
use super::linear::Linear;
use super::load::Source;
use crate::lora::SIDE_BY_SIDE;
use crate::{Adapter, DecoderConfig, Result};

/// One layer's weights.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) attention_norm: Gain,
    /// (D) to ((H + 2 KV) size)
    pub(super) qkv: Linear,
    pub(super) attention: Attention,
    /// (H size) to (D)
    pub(super) output: Linear,
    pub(super) feed_norm: Gain,
    /// (D) to (2 F)
    pub(super) gate_up: Linear,
    /// (F) to (D)
    pub(super) down: Linear,
}

/// What attention of one layer is made of, beside its linear layers.
#[derive(Debug)]
pub(super) struct Attention {
    /// The layer's number.
    pub(super) layer: usize,
    /// How many tokens one sees, itself among them.
    pub(super) window: Option<usize>,
    /// Gains that normalise queries and keys head by head, (size) each.
    pub(super) norms: Option<(Gain, Gain)>,
}

impl Layer {
    /// The residual stream after this layer, (T, D) to (T, D); of the rows whose logits are wanted
    /// alone, (rows, D), when the layer is the `last`: nobody reads the others any more.
    pub(super) fn forward<C: Compute>(&self, compute: &mut C, mut hidden: C::Rows, last: bool) -> Result<C::Rows> {
        let x = compute.norm(&hidden, &self.attention_norm)?; // (T, D)
        let qkv = compute.linear(x, &self.qkv)?; // (T, (H + 2 KV) size)
        let mut mixed = compute.attend(qkv, &self.attention)?; // (T, H size)
        if last {
            (mixed, hidden) = (compute.select(mixed)?, compute.select(hidden)?); // from here on T is rows
        }
        let hidden = compute.add_linear(mixed, &self.output, hidden)?; // (T, D)
        let x = compute.norm(&hidden, &self.feed_norm)?; // (T, D)
        let gate_up = compute.linear(x, &self.gate_up)?; // (T, 2 F)
        let wide = compute.swiglu(gate_up)?; // (T, F)
        compute.add_linear(wide, &self.down, hidden) // (T, D)
    }

    /// The layer's linear layers, in the order of their places.
    pub(super) fn linears(&self) -> [&Linear; 4] {
        [&self.qkv, &self.output, &self.gate_up, &self.down]
    }

    /// As [`Layer::linears`], to be changed.
    pub(super) fn linears_mut(&mut self) -> [&mut Linear; 4] {
        [&mut self.qkv, &mut self.output, &mut self.gate_up, &mut self.down]
    }

    /// Puts what an adapter has for this layer on its linear layers.
    pub(super) fn adapt(&mut self, adapter: Option<&Adapter>) {
        let number = self.attention.layer;
        for (linear, targets) in self.linears_mut().into_iter().zip(SIDE_BY_SIDE) {
            for (part, target) in linear.parts.iter_mut().zip(targets) {
                part.lora = adapter.and_then(|adapter| adapter.get(number, *target)).cloned();
            }
        }
    }
}

impl Layer {
    /// Reads layer `number`.
    pub(super) fn load(source: &Source<'_>, config: &DecoderConfig, number: usize) -> Result<Self> {
        let (width, wide, size) = (config.hidden_size, config.intermediate_size, config.head_dim);
        let (queries, keys) = (config.query_width(), config.key_width());
        let name = |part: &str| source.name(&format!("layers.{number}.{part}"));
        let attention = |part: &str| name(&format!("self_attn.{part}"));
        let feed = |part: &str| name(&format!("mlp.{part}"));
        let qkv = [(attention("q_proj"), queries), (attention("k_proj"), keys), (attention("v_proj"), keys)];
        let gate_up = [(feed("gate_proj"), wide), (feed("up_proj"), wide)];
        let norm = |part: &str, width| source.gain(&format!("{part}.weight"), width);
        let norms = if config.qk_norm {
            Some((norm(&attention("q_norm"), size)?, norm(&attention("k_norm"), size)?))
        } else {
            None
        };
        let place = |group: usize| Some(number * SIDE_BY_SIDE.len() + group);
        Ok(Self {
            attention_norm: norm(&name("input_layernorm"), width)?,
            qkv: Linear::load(source, place(0), &qkv, width, config.qkv_bias)?,
            attention: Attention { layer: number, window: config.windows[number], norms },
            output: Linear::load(source, place(1), &[(attention("o_proj"), width)], queries, config.output_bias)?,
            feed_norm: norm(&name("post_attention_layernorm"), width)?,
            gate_up: Linear::load(source, place(2), &gate_up, width, config.mlp_bias)?,
            down: Linear::load(source, place(3), &[(feed("down_proj"), width)], wide, config.mlp_bias)?,
        })
    }

    /// Bytes of the weights.
    pub(super) fn bytes(&self) -> usize {
        self.linears().into_iter().map(Linear::bytes).sum()
    }
}
