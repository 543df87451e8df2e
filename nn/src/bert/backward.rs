//! [`Backward`]: from the gradient of a layer's output to that of its input and of all its weights.

use super::layer::Inside;
use super::learning::{ATTENTION_NORM, DOWN, LAST_NORM, OUTPUT, QKV, UP, bias, gain, weight};
use super::{Norm, Run};
use crate::Gradients;
use crate::decoder::rows::{Pool, Rows};
use crate::ops::{
    After, AttentionGradient, Columns, Linear, WeightMemory, attention_backward, bias_gradient, gelu_backward,
    layer_norm_backward, layer_norm_to, linear_backward, weight_gradient,
};

/// Memory that backward passes reuse.
#[derive(Debug, Default)]
pub(super) struct BackwardMemory {
    weights: WeightMemory,
    attention: AttentionGradient,
}

/// What is left of a layer for the backward pass.
#[derive(Debug)]
pub(super) enum Kept {
    /// Its input, (T, D).
    Input(Rows),
    /// All that its operations need.
    Inside(Box<Inside>),
}

/// One step of a backward pass.
pub(super) struct Backward<'a> {
    pub(super) run: Run<'a>,
    pub(super) pool: &'a mut Pool,
    pub(super) memory: &'a mut BackwardMemory,
    pub(super) gradients: &'a mut Gradients,
}

impl Backward<'_> {
    /// Turns `d`, (T, D), from the gradient of layer `number`'s output into that of its input.
    pub(super) fn layer(&mut self, number: usize, inside: Inside, d: &mut Rows) {
        let bert = self.run.bert;
        let (isa, team, layer) = (bert.isa, self.run.team, &bert.layers[number]);
        let Inside { input, qkv, mixed, middle, wide: mut before, last } = inside;

        self.norm(&last, &layer.norm, gain(number, LAST_NORM), d);
        let mut wide = self.pool.take(before.len()); // (T, F)
        linear_backward(isa, team, d.get(), &[layer.down.part()], wide.get_mut(), After::Nothing);
        gelu_backward(isa, team, before.get_mut(), wide.get_mut());
        self.learn((number, DOWN), &[&layer.down], &wide, d);
        let mut normal = self.pool.take(middle.len()); // (T, D)
        let Norm { gain: gains, bias: biases } = &layer.attention_norm;
        let epsilon = bert.config.layer_norm_eps;
        layer_norm_to(isa, team, middle.get(), gains, biases, epsilon, normal.get_mut());
        self.learn((number, UP), &[&layer.up], &normal, &before);
        linear_backward(isa, team, before.get(), &[layer.up.part()], d.get_mut(), After::Add);
        self.norm(&middle, &layer.attention_norm, gain(number, ATTENTION_NORM), d);

        let mut dmixed = normal; // (T, D)
        linear_backward(isa, team, d.get(), &[layer.output.part()], dmixed.get_mut(), After::Nothing);
        self.learn((number, OUTPUT), &[&layer.output], &mixed, d);
        let mut dqkv = self.pool.take(qkv.len()); // (T, 3 D)
        let (heads, width) = (bert.config.num_attention_heads, bert.config.hidden_size);
        let (memory, sequences) = (&mut self.memory.attention, self.run.sequences);
        let (attended, out, g) = (qkv.get(), mixed.get(), dmixed.get());
        attention_backward(isa, team, memory, heads, width, sequences, attended, out, g, dqkv.get_mut());
        self.learn((number, QKV), &layer.qkv.each_ref(), &input, &dqkv);
        linear_backward(isa, team, dqkv.get(), &layer.qkv.each_ref().map(Linear::part), d.get_mut(), After::Add);
        for rows in [input, qkv, mixed, middle, before, last, wide, dmixed, dqkv] {
            self.pool.give(rows);
        }
    }

    /// Turns `d` from the gradient of the output of a norm of `x` into that of `x`; adds those of its gain,
    /// whose number is `slot`, and of its bias.
    pub(super) fn norm(&mut self, x: &Rows, norm: &Norm, slot: usize, d: &mut Rows) {
        let (bert, width) = (self.run.bert, norm.gain.len());
        let (dgain, dbias) = self.gradients.range(slot..slot + 2).split_at_mut(width);
        let epsilon = bert.config.layer_norm_eps;
        layer_norm_backward(bert.isa, self.run.team, x.get(), &norm.gain, epsilon, d.get_mut(), dgain, dbias);
    }

    /// Adds the gradients of linear layers that stand side by side over `x`, from that of their outputs.
    fn learn(&mut self, (number, first): (usize, usize), layers: &[&Linear], x: &Rows, g: &Rows) {
        let (inputs, count) = (layers[0].inputs(), layers.len());
        let outputs = layers.iter().map(|layer| layer.outputs()).sum();
        let (g, x) = (Columns::all(g.get(), outputs), Columns::all(x.get(), inputs));
        let (weights, biases) = (weight(number, first), bias(number, first));
        let (isa, team, memory) = (self.run.bert.isa, self.run.team, &mut self.memory.weights);
        weight_gradient(isa, team, memory, g, x, 1.0, self.gradients.range(weights..weights + count));
        bias_gradient(team, g, self.gradients.range(biases..biases + count));
    }
}
