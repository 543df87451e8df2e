//! [`Tape`]: a forward pass of whole sequences that keeps what the backward pass needs.
//!
//! The operations are those of serving, kernel for kernel, so that what is learned from has the bits
//! of what was sampled. A layer keeps its insides, or its input alone and computes them again.

use std::sync::RwLockReadGuard;

use super::Decoder;
use super::compute::{Compute, Gain};
use super::host::{heads, product, select};
use super::layer::Attention;
use super::linear::Linear;
use super::rope::angles;
use super::rows::{Pool, Rows};
use crate::lora::Group;
use crate::ops::{
    After, AttentionMemory, BackwardMemory, HeadNorms, Heads, Isa, LogProbMemory, Pages, Span, Team, paged_attention,
    rms_norm, swiglu,
};
use crate::{Adapter, BLOCK, Batch, Result};

/// Memory that passes reuse.
#[derive(Debug, Default)]
pub(super) struct TapeMemory {
    pub(super) pool: Pool,
    /// Of one layer of each kind.
    pages: Vec<(Heads, Pages)>,
    attention: AttentionMemory,
    pub(super) backward: BackwardMemory,
    pub(super) logprob: LogProbMemory,
}

/// A batch, and what all layers know of it.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) batch: Batch,
    /// (T, size / 2)
    pub(super) cos: Vec<f32>,
    pub(super) sin: Vec<f32>,
    /// Where the sequences' keys and values lie, one sequence after another.
    tables: Vec<u32>,
    /// As many as all sequences need together.
    blocks: usize,
}

impl Plan {
    pub(super) fn new(decoder: &Decoder, batch: &Batch) -> Self {
        let (mut cos, mut sin) = (Vec::new(), Vec::new());
        let amplitude = decoder.config.rope.amplitude();
        angles(batch.positions(), &decoder.frequencies, amplitude, &mut cos, &mut sin);
        let (mut tables, mut starts, mut blocks) = (Vec::new(), Vec::new(), 0);
        for sequence in batch.sequences() {
            starts.push(tables.len());
            // The full blocks of what it goes on from are its own too.
            let shared = sequence.past / BLOCK;
            if let Some(parent) = sequence.parent {
                tables.extend_from_within(starts[parent]..starts[parent] + shared);
            }
            let new = (sequence.past + sequence.rows.len()).div_ceil(BLOCK) - shared;
            tables.extend((blocks..blocks + new).map(|block| block as u32));
            blocks += new;
        }
        Self { batch: batch.clone(), cos, sin, tables, blocks }
    }

    pub(super) fn spans(&self) -> Vec<Span<'_>> {
        let mut next = 0;
        let span = self.batch.sequences().map(|sequence| {
            let first = next;
            next += (sequence.past + sequence.rows.len()).div_ceil(BLOCK);
            let (past, blocks) = (sequence.past, &self.tables[first..next]);
            Span { rows: sequence.rows, past, blocks, parent: sequence.parent }
        });
        span.collect()
    }
}

/// What is left of a layer for the backward pass.
#[derive(Debug)]
pub(super) enum Record {
    /// Its input, (T, D).
    Input(Rows),
    /// All that its operations need.
    Inside(Inside),
}

/// What the operations of a layer had.
#[derive(Debug, Default)]
pub(super) struct Inside {
    /// What was normalised: the layer's input, (T, D), and what attention made of it.
    pub(super) normed: Vec<Rows>,
    /// Before the norms of heads, where there are any.
    pub(super) raw: Rows,
    /// Queries and keys rotated, and values, (T, (H + 2 KV) size).
    pub(super) qkv: Rows,
    /// What attention gave, (T, H size).
    pub(super) mixed: Rows,
    /// (rows, 2 F), and what was made of it, (rows, F).
    pub(super) gate_up: Rows,
    pub(super) wide: Rows,
}

/// One pass through layers.
pub(super) struct Tape<'a> {
    decoder: &'a Decoder,
    isa: Isa,
    team: &'a Team,
    plan: &'a Plan,
    spans: Vec<Span<'a>>,
    pub(super) memory: &'a mut TapeMemory,
    lora: Option<RwLockReadGuard<'a, Vec<Group>>>,
    /// While a layer's insides are kept.
    inside: Option<Inside>,
}

impl<'a> Tape<'a> {
    pub(super) fn new(
        decoder: &'a Decoder,
        (isa, team): (Isa, &'a Team),
        plan: &'a Plan,
        memory: &'a mut TapeMemory,
        adapted: bool,
    ) -> Self {
        let lora = decoder.served_adapter().filter(|_| adapted).map(Adapter::packed);
        Self { decoder, isa, team, plan, spans: plan.spans(), memory, lora, inside: None }
    }

    /// A layer, with its insides.
    pub(super) fn inside(&mut self, number: usize, hidden: Rows) -> Result<(Rows, Inside)> {
        self.inside = Some(Inside::default());
        let hidden = self.layer(number, hidden)?;
        Ok((hidden, self.inside.take().unwrap_or_default()))
    }

    /// A layer; the last gives the rows that are wanted alone.
    pub(super) fn layer(&mut self, number: usize, hidden: Rows) -> Result<Rows> {
        let layers = &self.decoder.layers;
        layers[number].forward(self, hidden, number + 1 == layers.len())
    }

    fn product(&mut self, x: &Rows, layer: &Linear, y: &mut Rows, after: After) {
        product(self.isa, self.team, &mut self.memory.pool, self.lora.as_deref(), x, layer, y, after);
    }
}

impl Compute for Tape<'_> {
    type Rows = Rows;

    fn embed(&mut self) -> Result<Rows> {
        let mut rows = self.memory.pool.take(self.plan.batch.tokens() * self.decoder.config.hidden_size);
        self.decoder.embedding.look_up(&self.decoder.head, self.plan.batch.ids(), rows.get_mut());
        Ok(rows)
    }

    fn norm(&mut self, x: &Rows, gain: &Gain) -> Result<Rows> {
        let mut out = self.memory.pool.take(x.len());
        rms_norm(self.isa, self.team, x.get(), &gain.values, self.decoder.config.rms_norm_eps, out.get_mut());
        if let Some(inside) = &mut self.inside {
            inside.normed.push(self.memory.pool.copy(x.get()));
        }
        Ok(out)
    }

    fn linear(&mut self, x: Rows, layer: &Linear) -> Result<Rows> {
        let mut y = self.memory.pool.take(x.len() / layer.inputs * layer.outputs());
        self.product(&x, layer, &mut y, After::Nothing);
        self.memory.pool.give(x);
        Ok(y)
    }

    fn add_linear(&mut self, x: Rows, layer: &Linear, mut residual: Rows) -> Result<Rows> {
        self.product(&x, layer, &mut residual, After::Add);
        match &mut self.inside {
            Some(inside) if inside.gate_up.len() > 0 => inside.wide = x,
            // What was selected is not all that attention gave.
            Some(inside) if inside.mixed.len() == 0 => inside.mixed = x,
            _ => self.memory.pool.give(x),
        }
        Ok(residual)
    }

    fn attend(&mut self, mut qkv: Rows, attention: &Attention) -> Result<Rows> {
        let config = &self.decoder.config;
        let TapeMemory { pool, pages, attention: memory, .. } = &mut *self.memory;
        let mut mixed = pool.take(self.plan.batch.tokens() * config.query_width());
        let norms = attention.norms.as_ref().map(|(query, key)| HeadNorms {
            query: &query.values,
            key: &key.values,
            epsilon: config.rms_norm_eps,
        });
        if let Some(inside) = self.inside.as_mut().filter(|_| norms.is_some()) {
            inside.raw = pool.copy(qkv.get());
        }
        let heads = heads(config, attention.window);
        let blocks = self.plan.blocks;
        let known = pages.iter().position(|(kind, pages)| *kind == heads && pages.blocks() >= blocks);
        let place = known.unwrap_or_else(|| {
            pages.retain(|(kind, _)| *kind != heads);
            pages.push((heads, Pages::new(heads, blocks)));
            pages.len() - 1
        });
        let Plan { cos, sin, .. } = self.plan;
        let pages = &mut pages[place].1;
        let (rows, out) = (qkv.get_mut(), mixed.get_mut());
        paged_attention(self.isa, self.team, memory, pages, heads, norms, cos, sin, &self.spans, rows, out);
        match &mut self.inside {
            Some(inside) => {
                inside.qkv = qkv;
                if attention.layer + 1 == self.decoder.layers.len() {
                    inside.mixed = pool.copy(mixed.get());
                }
            }
            None => pool.give(qkv),
        }
        Ok(mixed)
    }

    fn swiglu(&mut self, gate_up: Rows) -> Result<Rows> {
        let mut wide = self.memory.pool.take(gate_up.len() / 2);
        swiglu(self.isa, self.team, self.decoder.config.intermediate_size, gate_up.get(), wide.get_mut());
        match &mut self.inside {
            Some(inside) => inside.gate_up = gate_up,
            None => self.memory.pool.give(gate_up),
        }
        Ok(wide)
    }

    fn select(&mut self, x: Rows) -> Result<Rows> {
        Ok(select(&self.plan.batch, &mut self.memory.pool, x))
    }

    fn head(&mut self, x: Rows) -> Result<Rows> {
        let normal = self.norm(&x, &self.decoder.norm)?;
        self.memory.pool.give(x);
        self.linear(normal, &self.decoder.head)
    }
}
