//! [`Layer`]: one layer of the encoder, for serving and, with what it keeps, for learning.

use super::{Norm, Run};
use crate::BertConfig;
use crate::decoder::rows::{Pool, Rows};
use crate::ops::split::Split;
use crate::ops::{After, Attention, Linear, attention, gelu_to, linear};

#[derive(Debug)]
pub(super) struct Layer {
    /// (D) to (D) each: queries, keys and values.
    pub(super) qkv: [Linear; 3],
    /// (D) to (D)
    pub(super) output: Linear,
    pub(super) attention_norm: Norm,
    /// (D) to (F)
    pub(super) up: Linear,
    /// (F) to (D)
    pub(super) down: Linear,
    pub(super) norm: Norm,
}

/// Memory that forward passes reuse; one for each caller.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(super) pool: Pool,
    /// (T, D), of the last pass.
    result: Rows,
    attention: Attention,
    /// (rows of one block, F), for each thread.
    wide: Vec<Vec<f32>>,
}

/// What the operations of a layer had.
#[derive(Debug, Default)]
pub(super) struct Inside {
    /// The layer's input, (T, D).
    pub(super) input: Rows,
    /// (T, 3 D)
    pub(super) qkv: Rows,
    /// What attention gave, (T, D).
    pub(super) mixed: Rows,
    /// Before the norm after attention, (T, D).
    pub(super) middle: Rows,
    /// Before the activation, (T, F).
    pub(super) wide: Rows,
    /// Before the norm at the end, (T, D).
    pub(super) last: Rows,
}

impl Inside {
    /// Room for so many tokens, whose layer's input is `input`.
    pub(super) fn new(pool: &mut Pool, config: &BertConfig, tokens: usize, input: &Rows) -> Self {
        let (width, wide) = (tokens * config.hidden_size, tokens * config.intermediate_size);
        Self {
            input: pool.copy(input.get()),
            middle: pool.take(width),
            wide: pool.take(wide),
            last: pool.take(width),
            ..Self::default()
        }
    }

    /// Bytes for each token.
    pub(super) fn bytes(config: &BertConfig) -> usize {
        (7 * config.hidden_size + config.intermediate_size) * size_of::<f32>()
    }
}

/// Rows that go through both layers of the feed-forward net at a time, so that what lies between
/// them never leaves the second-level cache.
const BLOCK: usize = 96;

impl Memory {
    /// The result of the last pass.
    pub(super) fn take_result(&mut self) -> Rows {
        std::mem::take(&mut self.result)
    }

    /// Keeps the result of a pass until the next.
    pub(super) fn keep_result(&mut self, rows: Rows) -> &[f32] {
        self.result = rows;
        self.result.get()
    }
}

/// What files call the linear layers, in the order of [`Layer::linears`].
pub(super) const LINEAR_NAMES: [&str; 6] = [
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
];
/// What files call the norms.
pub(super) const NORM_NAMES: [&str; 2] = ["attention.output.LayerNorm", "output.LayerNorm"];

impl Layer {
    pub(super) fn linears(&self) -> [&Linear; 6] {
        let [query, key, value] = &self.qkv;
        [query, key, value, &self.output, &self.up, &self.down]
    }

    pub(super) fn linears_mut(&mut self) -> [&mut Linear; 6] {
        let [query, key, value] = &mut self.qkv;
        [query, key, value, &mut self.output, &mut self.up, &mut self.down]
    }

    /// hidden = norm(hidden + output(attention(hidden))); hidden = norm(hidden + down(gelu(up(hidden))))
    ///
    /// A row has the same bits whether or not its insides are kept, and on any number of threads.
    pub(super) fn forward(
        &self,
        run: Run<'_>,
        memory: &mut Memory,
        hidden: &mut Rows,
        mut inside: Option<&mut Inside>,
    ) {
        let Run { bert, team, sequences } = run;
        let (isa, width, wide) = (bert.isa, bert.config.hidden_size, bert.config.intermediate_size);
        let tokens = hidden.len() / width;
        let mut qkv = memory.pool.take(3 * hidden.len()); // (T, 3 D)
        linear(isa, team, hidden.get(), &self.qkv.each_ref().map(Linear::part), qkv.get_mut(), After::Nothing);
        let mut mixed = memory.pool.take(hidden.len()); // (T, D)
        let heads = bert.config.num_attention_heads;
        attention(isa, team, &mut memory.attention, heads, width, sequences, qkv.get(), mixed.get_mut());

        memory.wide.resize_with(memory.wide.len().max(team.threads()), Vec::new);
        let scratch = Split::new(&mut memory.wide);
        let keeps = inside.is_some();
        let (middle, before, last) = match &mut inside {
            Some(Inside { middle, wide, last, .. }) => (middle.get_mut(), wide.get_mut(), last.get_mut()),
            None => Default::default(),
        };
        let (middle, before, last) = (Split::new(middle), Split::new(before), Split::new(last));
        let rows = Split::new(hidden.get_mut());
        team.run(tokens.div_ceil(BLOCK), &|worker, block| {
            let (first, end) = (block * BLOCK, tokens.min((block + 1) * BLOCK));
            let place = |width: usize| first * width..end * width;
            let kept = |width: usize| if keeps { place(width) } else { 0..0 };
            #[expect(unsafe_code, reason = "jobs write different rows, each thread has memory of its own")]
            // SAFETY: no other job has these rows; a team gives each of its threads another number.
            let (hidden, middle, before, last, scratch) = unsafe {
                let scratch = &mut scratch.part(worker..worker + 1)[0];
                let kept = (middle.part(kept(width)), before.part(kept(wide)), last.part(kept(width)));
                (rows.part(place(width)), kept.0, kept.1, kept.2, scratch)
            };
            scratch.resize(scratch.len().max(BLOCK * wide), 0.0);
            let between = &mut scratch[..(end - first) * wide];
            self.output.forward(isa, &mixed.get()[place(width)], hidden, After::Add); // (block, D)
            if keeps {
                middle.copy_from_slice(hidden);
            }
            bert.normalise(hidden, &self.attention_norm);
            if keeps {
                self.up.forward(isa, hidden, before, After::Nothing); // (block, F)
                gelu_to(isa, before, between);
            } else {
                self.up.forward(isa, hidden, between, After::Gelu); // (block, F)
            }
            self.down.forward(isa, between, hidden, After::Add); // (block, D)
            if keeps {
                last.copy_from_slice(hidden);
            }
            bert.normalise(hidden, &self.norm);
        });
        if let Some(inside) = inside {
            (inside.qkv, inside.mixed) = (qkv, mixed);
        } else {
            memory.pool.give(qkv);
            memory.pool.give(mixed);
        }
    }
}
