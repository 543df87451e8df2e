//! [`Backward`]: from the gradient of a layer's output to that of its input and of what learns in it.

use std::sync::RwLockReadGuard;

use super::host::{heads, parts, select};
use super::layer::Layer;
use super::learning::{LinearSlot, Slots};
use super::linear::Linear;
use super::rows::Rows;
use super::tape::{Inside, Plan, TapeMemory};
use super::{Decoder, Gain};
use crate::lora::{Group, Lora, PackedLora};
use crate::ops::{
    After, Attended, Columns, HeadNorms, Isa, Part, Team, WeightMemory, bias_gradient, linear, linear_backward,
    paged_attention_backward, rms_norm, rms_norm_backward, swiglu_backward, weight_gradient,
};
use crate::{Adapter, Gradients};

/// One backward pass.
pub(super) struct Backward<'a> {
    decoder: &'a Decoder,
    isa: Isa,
    team: &'a Team,
    plan: &'a Plan,
    pub(super) memory: &'a mut TapeMemory,
    slots: &'a Slots,
    pub(super) gradients: &'a mut Gradients,
    lora: Option<RwLockReadGuard<'a, Vec<Group>>>,
}

impl<'a> Backward<'a> {
    pub(super) fn new(
        decoder: &'a Decoder,
        (isa, team): (Isa, &'a Team),
        plan: &'a Plan,
        memory: &'a mut TapeMemory,
        slots: &'a Slots,
        gradients: &'a mut Gradients,
    ) -> Self {
        let lora = decoder.served_adapter().map(Adapter::packed);
        Self { decoder, isa, team, plan, memory, slots, gradients, lora }
    }

    fn take(&mut self, used: usize) -> Rows {
        self.memory.pool.take(used)
    }

    fn give(&mut self, rows: Rows) {
        self.memory.pool.give(rows);
    }

    /// Adds the gradient of the input of a norm of `x` to `d`, and that of its gain to what learns.
    pub(super) fn norm(&mut self, x: &Rows, gain: &Gain, slot: Option<usize>, g: &Rows, d: &mut Rows) {
        let dgain = slot.map(|slot| self.gradients.get_mut(slot));
        let epsilon = self.decoder.config.rms_norm_eps;
        rms_norm_backward(self.isa, self.team, x.get(), &gain.values, epsilon, g.get(), d.get_mut(), dgain);
    }

    fn normed(&mut self, x: &Rows, gain: &Gain) -> Rows {
        let mut out = self.take(x.len());
        rms_norm(self.isa, self.team, x.get(), &gain.values, self.decoder.config.rms_norm_eps, out.get_mut());
        out
    }

    /// From `d`, the gradient of layer `number`'s output, to that of its input, (T, D).
    pub(super) fn layer(&mut self, number: usize, inside: Inside, mut d: Rows) -> Rows {
        let decoder = self.decoder;
        let layer = &decoder.layers[number];
        let slots = &self.slots.layers[number];
        let is_last = number + 1 == decoder.layers.len();
        let Inside { normed, raw, qkv, mixed, mut gate_up, wide } = inside;
        let Ok([input, middle]) = <[Rows; 2]>::try_from(normed) else {
            unreachable!("a layer has two norms");
        };

        let dwide = self.linear(&layer.down, slots.linears[3], &wide, &d); // (rows, F)
        self.give(wide);
        let width = decoder.config.intermediate_size;
        swiglu_backward(self.isa, self.team, width, dwide.get(), gate_up.get_mut());
        self.give(dwide);
        let x = self.normed(&middle, &layer.feed_norm); // (rows, D)
        let dx = self.linear(&layer.gate_up, slots.linears[2], &x, &gate_up);
        self.give(gate_up);
        self.give(x);
        self.norm(&middle, &layer.feed_norm, slots.feed_norm, &dx, &mut d);
        self.give(dx);
        self.give(middle);

        let selected = is_last.then(|| {
            let pool = &mut self.memory.pool;
            let mixed = pool.copy(mixed.get());
            select(&self.plan.batch, pool, mixed)
        });
        let mut dmixed = self.linear(&layer.output, slots.linears[1], selected.as_ref().unwrap_or(&mixed), &d);
        if let Some(selected) = selected {
            self.give(selected);
            (dmixed, d) = (self.spread(dmixed), self.spread(d));
        }
        let dqkv = self.attention(layer, slots.head_norms, (&qkv, &raw, &mixed), &dmixed); // (T, (H + 2 KV) size)
        for rows in [qkv, raw, mixed, dmixed] {
            self.give(rows);
        }

        let x = self.normed(&input, &layer.attention_norm); // (T, D)
        let dlow = self.learn(&layer.qkv, slots.linears[0], &x, &dqkv);
        self.give(x);
        // Below the first layer, only the embedding asks.
        if number > 0 || self.slots.embedding.is_some() {
            let dx = self.input(&layer.qkv, &dqkv, dlow); // (T, D)
            self.norm(&input, &layer.attention_norm, slots.attention_norm, &dx, &mut d);
            self.give(dx);
        } else if let Some(dlow) = dlow {
            self.give(dlow);
        }
        self.give(dqkv);
        self.give(input);
        d
    }

    /// Rows that were wanted among those that were not, whose gradient is zero; one that was wanted more
    /// than once has the sum.
    fn spread(&mut self, rows: Rows) -> Rows {
        let batch = &self.plan.batch;
        if batch.wants_all() {
            return rows;
        }
        let width = rows.len() / batch.rows();
        let mut all = self.memory.pool.take(batch.tokens() * width);
        all.get_mut().fill(0.0);
        for (row, place) in rows.get().chunks_exact(width).zip(batch.wanted()) {
            let all = &mut all.get_mut()[place * width..(place + 1) * width];
            all.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
        self.give(rows);
        all
    }

    fn attention(
        &mut self,
        layer: &Layer,
        gains: Option<usize>,
        (qkv, raw, mixed): (&Rows, &Rows, &Rows),
        g: &Rows,
    ) -> Rows {
        let config = &self.decoder.config;
        let mut d = self.memory.pool.take(qkv.len());
        let norms = layer.attention.norms.as_ref().map(|(query, key)| HeadNorms {
            query: &query.values,
            key: &key.values,
            epsilon: config.rms_norm_eps,
        });
        let dgains = gains.map(|first| self.gradients.range(first..first + 2).split_at_mut(config.head_dim));
        let Plan { cos, sin, .. } = self.plan;
        let attended = Attended { qkv: qkv.get(), raw: raw.get(), out: mixed.get(), g: g.get(), cos, sin };
        let (heads, spans) = (heads(config, layer.attention.window), self.plan.spans());
        let memory = &mut self.memory.backward;
        paged_attention_backward(self.isa, self.team, memory, heads, norms, &spans, attended, d.get_mut(), dgains);
        d
    }

    /// The gradient of the input `x` of a linear layer, from that of its output; adds those of what
    /// learns in it.
    fn linear(&mut self, layer: &Linear, slot: LinearSlot, x: &Rows, g: &Rows) -> Rows {
        let dlow = self.learn(layer, slot, x, g);
        self.input(layer, g, dlow)
    }

    /// Adds the gradients of what learns in a linear layer; gives that of what lies between A and B of
    /// LoRA, where that learns.
    fn learn(&mut self, layer: &Linear, slot: LinearSlot, x: &Rows, g: &Rows) -> Option<Rows> {
        let (isa, team) = (self.isa, self.team);
        let weights = &mut self.memory.logprob.weights;
        match slot {
            LinearSlot::Nothing => None,
            LinearSlot::Weights(first) => {
                let count = layer.parts.len();
                let (g, x) = (Columns::all(g.get(), layer.outputs()), Columns::all(x.get(), layer.inputs));
                weight_gradient(isa, team, weights, g, x, 1.0, self.gradients.range(first..first + count));
                if layer.has_bias {
                    bias_gradient(team, g, self.gradients.range(first + count..first + 2 * count));
                }
                None
            }
            LinearSlot::Lora(first) => {
                let lora = packed(self.lora.as_deref(), layer)?;
                let between = x.len() / layer.inputs * lora.down.outputs();
                let (mut low, mut dlow) = (self.memory.pool.take(between), self.memory.pool.take(between));
                let part = |panels| [Part { panels, bias: None }];
                linear(isa, team, x.get(), &part(&lora.down), low.get_mut(), After::Nothing);
                linear_backward(isa, team, g.get(), &part(&lora.up), dlow.get_mut(), After::Nothing);
                lora_gradients(isa, team, weights, layer, first, self.gradients, (x, &low, &dlow, g));
                self.memory.pool.give(low);
                Some(dlow)
            }
        }
    }

    /// The gradient of the input of a linear layer, from that of its output, and from what
    /// [`Backward::learn`] gave.
    fn input(&mut self, layer: &Linear, g: &Rows, dlow: Option<Rows>) -> Rows {
        let (isa, team) = (self.isa, self.team);
        let rows = g.len() / layer.outputs();
        let mut dx = self.memory.pool.take(rows * layer.inputs);
        let layers = layer.packed();
        linear_backward(isa, team, g.get(), &parts(layers)[..layers.len()], dx.get_mut(), After::Nothing);
        if let Some((lora, dlow)) = packed(self.lora.as_deref(), layer).zip(dlow) {
            let down = [Part { panels: &lora.down, bias: None }];
            linear_backward(isa, team, dlow.get(), &down, dx.get_mut(), After::Add);
            self.memory.pool.give(dlow);
        }
        dx
    }
}

/// What LoRA adds to a linear layer.
fn packed<'a>(lora: Option<&'a Vec<Group>>, layer: &Linear) -> Option<&'a PackedLora> {
    lora.zip(layer.place).and_then(|(groups, place)| groups[place].packed())
}

/// Adds the gradients of A and B of the parts that have LoRA, whose first parameter is `first`; `low`
/// and `dlow` are what lies between A and B, (T, sum of ranks), and its gradient.
fn lora_gradients(
    isa: Isa,
    team: &Team,
    memory: &mut WeightMemory,
    layer: &Linear,
    first: usize,
    gradients: &mut Gradients,
    (x, low, dlow, g): (&Rows, &Rows, &Rows, &Rows),
) {
    let rank = |lora: &Lora| lora.a.dims()[0];
    let loras = layer.parts.iter().filter(|part| part.lora.is_some()).count();
    let ranks: usize = layer.parts.iter().filter_map(|part| part.lora.as_ref()).map(rank).sum();
    let da = gradients.range(first..first + loras);
    weight_gradient(isa, team, memory, Columns::all(dlow.get(), ranks), Columns::all(x.get(), layer.inputs), 1.0, da);
    let (mut output, mut start, mut number) = (0, 0, first + loras);
    for part in &layer.parts {
        if let Some(lora) = &part.lora {
            let g = Columns { values: g.get(), stride: layer.outputs(), start: output, width: part.outputs };
            let low = Columns { values: low.get(), stride: ranks, start, width: rank(lora) };
            weight_gradient(isa, team, memory, g, low, lora.scale as f32, gradients.get_mut(number));
            start += rank(lora);
            number += 1;
        }
        output += part.outputs;
    }
}
