//! [`Host`]: a decoder on the processor: fused kernels over reused memory, nothing allocated once warm.

use std::sync::RwLockReadGuard;

use super::Decoder;
use super::compute::{Compute, Gain};
use super::layer::Attention;
use super::linear::Linear;
use super::rope::angles;
use super::rows::{Pool, Rows};
use crate::lora::Group;
use crate::ops::tensor::PackedLayer;
use crate::ops::{
    After, AttentionMemory, HeadNorms, Heads, Isa, Pages, Part, Span, Team, linear, paged_attention, rms_norm, swiglu,
};
use crate::{Adapter, Batch, BlockId, DecoderConfig, Result};

/// The most layers that stand side by side: queries, keys and values.
const SIDE_BY_SIDE: usize = 3;

/// Keys and values of every layer, and the memory of forward passes.
#[derive(Debug)]
pub(crate) struct HostStore {
    heads: Vec<Heads>,
    layers: Vec<Pages>,
    memory: Memory,
}

/// Memory that forward passes reuse.
#[derive(Debug, Default)]
struct Memory {
    pool: Pool,
    /// (rows, vocabulary), of the last pass.
    logits: Option<Rows>,
    /// (T, size / 2)
    cos: Vec<f32>,
    sin: Vec<f32>,
    spans: Vec<Span<'static>>,
    attention: AttentionMemory,
}

impl HostStore {
    pub(super) fn new(config: &DecoderConfig, blocks: usize) -> Self {
        let heads: Vec<Heads> = config.windows.iter().map(|window| heads(config, *window)).collect();
        let layers = heads.iter().map(|heads| Pages::new(*heads, blocks)).collect();
        Self { heads, layers, memory: Memory::default() }
    }

    /// Whether this is what a decoder of that configuration needs.
    pub(super) fn fits(&self, config: &DecoderConfig) -> bool {
        self.heads.iter().copied().eq(config.windows.iter().map(|window| heads(config, *window)))
    }

    pub(super) fn bytes_per_block(config: &DecoderConfig) -> usize {
        config.num_hidden_layers * Pages::bytes_per_block(heads(config, None))
    }

    pub(super) fn copy(&mut self, from: BlockId, to: BlockId) {
        for pages in &mut self.layers {
            pages.copy(from, to);
        }
    }

    /// Logits of the last pass.
    pub(super) fn logits(&self) -> &[f32] {
        self.memory.logits.as_ref().map_or(&[], Rows::get)
    }

    /// Keeps the logits of a pass until the next.
    pub(super) fn keep(&mut self, logits: Rows) {
        self.memory.logits = Some(logits);
    }
}

pub(super) fn heads(config: &DecoderConfig, window: Option<usize>) -> Heads {
    let DecoderConfig { num_attention_heads: query, num_key_value_heads: key, head_dim: size, .. } = *config;
    Heads { query, key, size, window }
}

/// One forward pass.
pub(super) struct Host<'a> {
    decoder: &'a Decoder,
    isa: Isa,
    team: &'a Team,
    batch: &'a Batch,
    layers: &'a mut [Pages],
    memory: &'a mut Memory,
    spans: Vec<Span<'a>>,
    lora: Option<RwLockReadGuard<'a, Vec<Group>>>,
}

impl<'a> Host<'a> {
    pub(super) fn new(
        decoder: &'a Decoder,
        isa: Isa,
        team: &'a Team,
        batch: &'a Batch,
        store: &'a mut HostStore,
    ) -> Self {
        let HostStore { layers, memory, .. } = store;
        if let Some(logits) = memory.logits.take() {
            memory.pool.give(logits);
        }
        let config = &decoder.config;
        let Memory { cos, sin, .. } = memory;
        angles(batch.positions(), &decoder.frequencies, config.rope.amplitude(), cos, sin);
        let mut spans = lend(std::mem::take(&mut memory.spans));
        let sequences = batch.sequences().filter(|sequence| !sequence.rows.is_empty());
        spans.extend(sequences.map(|sequence| Span {
            rows: sequence.rows,
            past: sequence.past,
            blocks: sequence.blocks,
            parent: None,
        }));
        let lora = decoder.served_adapter().map(Adapter::packed);
        Self { decoder, isa, team, batch, layers, memory, spans, lora }
    }

    fn tokens(&self) -> usize {
        self.batch.tokens()
    }

    fn give(&mut self, rows: Rows) {
        self.memory.pool.give(rows);
    }

    /// `y` from `x`, with what `after` says, in memory that is already there.
    fn product(&mut self, x: &Rows, layer: &Linear, y: &mut Rows, after: After) {
        product(self.isa, self.team, &mut self.memory.pool, self.lora.as_deref(), x, layer, y, after);
    }
}

/// `y` from `x` through a linear layer and what LoRA adds to it.
#[expect(clippy::too_many_arguments, reason = "what a product takes, each once")]
pub(super) fn product(
    isa: Isa,
    team: &Team,
    pool: &mut Pool,
    lora: Option<&Vec<Group>>,
    x: &Rows,
    layer: &Linear,
    y: &mut Rows,
    after: After,
) {
    let layers = layer.packed();
    linear(isa, team, x.get(), &parts(layers)[..layers.len()], y.get_mut(), after);
    let group = lora.zip(layer.place).map(|(groups, place)| &groups[place]);
    if let Some(lora) = group.and_then(Group::packed) {
        let part = |panels| [Part { panels, bias: None }];
        let mut low = pool.take(x.len() / layer.inputs * lora.down.outputs());
        linear(isa, team, x.get(), &part(&lora.down), low.get_mut(), After::Nothing);
        linear(isa, team, low.get(), &part(&lora.up), y.get_mut(), After::Add);
        pool.give(low);
    }
}

/// Layers that stand side by side; of fewer than there can be, the last again.
pub(super) fn parts(layers: &[PackedLayer]) -> [Part<'_>; SIDE_BY_SIDE] {
    std::array::from_fn(|number| layers[number.min(layers.len() - 1)].part())
}

/// The rows that `batch` wants, each as often as it does.
pub(super) fn select(batch: &Batch, pool: &mut Pool, mut x: Rows) -> Rows {
    if batch.wants_all() {
        return x;
    }
    let (width, wanted) = (x.len() / batch.tokens(), batch.wanted());
    if wanted.is_sorted_by(|one, next| one < next) {
        // None is overwritten before it is read.
        for (to, from) in wanted.iter().enumerate() {
            x.get_mut().copy_within(from * width..(from + 1) * width, to * width);
        }
        x.truncate(wanted.len() * width);
        return x;
    }
    let mut rows = pool.take(wanted.len() * width);
    for (to, from) in rows.get_mut().chunks_exact_mut(width).zip(wanted) {
        to.copy_from_slice(&x.get()[from * width..(from + 1) * width]);
    }
    pool.give(x);
    rows
}

impl Drop for Host<'_> {
    fn drop(&mut self) {
        self.memory.spans = lend(std::mem::take(&mut self.spans));
    }
}

/// An empty vector in the memory of another, whose elements are dropped.
fn lend<'to>(mut spans: Vec<Span<'_>>) -> Vec<Span<'to>> {
    spans.clear();
    // Collecting an iterator over a vector reuses the vector's memory.
    spans.into_iter().map(|span| Span { rows: span.rows, past: span.past, blocks: &[], parent: None }).collect()
}

impl Compute for Host<'_> {
    type Rows = Rows;

    fn embed(&mut self) -> Result<Rows> {
        let mut rows = self.memory.pool.take(self.tokens() * self.decoder.config.hidden_size);
        self.decoder.embedding.look_up(&self.decoder.head, self.batch.ids(), rows.get_mut());
        Ok(rows)
    }

    fn norm(&mut self, x: &Rows, gain: &Gain) -> Result<Rows> {
        let mut out = self.memory.pool.take(x.len());
        rms_norm(self.isa, self.team, x.get(), &gain.values, self.decoder.config.rms_norm_eps, out.get_mut());
        Ok(out)
    }

    fn linear(&mut self, x: Rows, layer: &Linear) -> Result<Rows> {
        let mut y = self.memory.pool.take(x.len() / layer.inputs * layer.outputs());
        self.product(&x, layer, &mut y, After::Nothing);
        self.give(x);
        Ok(y)
    }

    fn add_linear(&mut self, x: Rows, layer: &Linear, mut residual: Rows) -> Result<Rows> {
        self.product(&x, layer, &mut residual, After::Add);
        self.give(x);
        Ok(residual)
    }

    fn attend(&mut self, mut qkv: Rows, attention: &Attention) -> Result<Rows> {
        let config = &self.decoder.config;
        let mut mixed = self.memory.pool.take(self.tokens() * config.query_width());
        let norms = attention.norms.as_ref().map(|(query, key)| HeadNorms {
            query: &query.values,
            key: &key.values,
            epsilon: config.rms_norm_eps,
        });
        let Memory { cos, sin, attention: memory, .. } = &mut *self.memory;
        paged_attention(
            self.isa,
            self.team,
            memory,
            &mut self.layers[attention.layer],
            heads(config, attention.window),
            norms,
            cos,
            sin,
            &self.spans,
            qkv.get_mut(),
            mixed.get_mut(),
        );
        self.give(qkv);
        Ok(mixed)
    }

    fn swiglu(&mut self, gate_up: Rows) -> Result<Rows> {
        let mut wide = self.memory.pool.take(gate_up.len() / 2);
        swiglu(self.isa, self.team, self.decoder.config.intermediate_size, gate_up.get(), wide.get_mut());
        self.give(gate_up);
        Ok(wide)
    }

    fn select(&mut self, x: Rows) -> Result<Rows> {
        Ok(select(self.batch, &mut self.memory.pool, x))
    }

    fn head(&mut self, x: Rows) -> Result<Rows> {
        let normal = self.norm(&x, &self.decoder.norm)?;
        self.give(x);
        self.linear(normal, &self.decoder.head)
    }
}
