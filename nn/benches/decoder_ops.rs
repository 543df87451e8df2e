//! Speed of the decoder's kernels at the shapes of a model of 5 million parameters (hidden 256) and
//! of one of 500 million (hidden 896), with candle's matmul on the same shapes beside them.
//!
//! Items are floating-point operations, so that `Gitem/s` reads GFLOP/s; bytes are the weights, or
//! the keys and values, that one call must read. Weights rotate through copies that together
//! exceed the second-level cache, as those of a model's layers do.

#![expect(clippy::print_stdout, reason = "a bench says what it measures")]

use std::cell::Cell;

use candle_core::{Device, Tensor};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use ops::{
    After, AttentionMemory, Heads, Isa, Pages, Panels, Part, Span, Team, Values, linear, paged_attention, rms_norm,
    swiglu,
};

/// The kernels are private to the crate; a bench compiles those it measures for itself.
#[path = "../src/ops"]
#[expect(dead_code, reason = "not every function is measured")]
#[cfg_attr(test, expect(unused_imports, reason = "tests run in the crate"))]
mod ops {
    mod gelu;
    mod isa;
    mod linear;
    mod math;
    mod paged;
    mod panels;
    mod rms_norm;
    mod softmax;
    mod split;
    mod swiglu;
    mod team;
    mod tile;

    pub(crate) use isa::Isa;
    pub(crate) use linear::{After, Part, linear};
    pub(crate) use paged::{AttentionMemory, Heads, Pages, Span, paged_attention};
    pub(crate) use panels::{Panels, Values};
    pub(crate) use rms_norm::rms_norm;
    pub(crate) use swiglu::swiglu;
    pub(crate) use team::Team;

    #[cfg(test)]
    mod testing;
}

/// (inputs, outputs): the output, gate and up, down and head layers of both models.
const SHAPES: [(usize, usize); 8] =
    [(256, 256), (256, 1408), (704, 256), (256, 4096), (896, 896), (896, 9728), (4864, 896), (896, 151_936)];
const ROWS: [usize; 4] = [1, 8, 16, 512];
/// Weights of one shape take at least this many bytes together.
const SPREAD: usize = 8 << 20;

fn main() {
    println!("threads {}, {:?}", team().threads(), Isa::detect());
    divan::main();
}

fn team() -> Team {
    Team::new(std::thread::available_parallelism().expect("a number of threads"))
}

/// Numbers that are the same in every run.
fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|place| ((place * 7919 % 2003) as f32 - 1001.0) / 1001.0).collect()
}

/// All (inputs, outputs, rows).
fn products() -> impl Iterator<Item = (usize, usize, usize)> {
    let all = SHAPES.into_iter().flat_map(|(inputs, outputs)| ROWS.map(|rows| (inputs, outputs, rows)));
    // Nobody asks for the logits of a whole prompt.
    all.filter(|(_, outputs, rows)| *outputs < 100_000 || *rows < 100)
}

fn copies((inputs, outputs, _): (usize, usize, usize)) -> usize {
    (SPREAD / (4 * inputs * outputs)).max(1)
}

/// Takes the copies in turn.
fn rotate<'a, T>(copies: &'a [T]) -> impl Fn() -> &'a T {
    let next = Cell::new(0);
    move || {
        next.set((next.get() + 1) % copies.len());
        &copies[next.get()]
    }
}

fn product(bencher: Bencher<'_, '_>, case: (usize, usize, usize), weight: &[Panels]) {
    let (inputs, outputs, rows) = case;
    let (isa, team, x) = (Isa::detect(), team(), numbers(rows * inputs));
    let mut y = vec![0.0; rows * outputs];
    let weight = rotate(weight);
    bencher
        .counter(ItemsCount::new(2 * rows * inputs * outputs))
        .counter(BytesCount::new(weight().bytes()))
        .bench_local(|| linear(isa, &team, &x, &[Part { panels: weight(), bias: None }], &mut y, After::Nothing));
}

#[divan::bench(args = products(), max_time = 0.5)]
fn linear_f32(bencher: Bencher<'_, '_>, case: (usize, usize, usize)) {
    let values = numbers(case.0 * case.1);
    let weight = |_| Panels::pack(Values::F32(&values), case.1, case.0);
    product(bencher, case, &(0..copies(case)).map(weight).collect::<Vec<_>>());
}

#[divan::bench(args = products(), max_time = 0.5)]
fn linear_bf16(bencher: Bencher<'_, '_>, case: (usize, usize, usize)) {
    let brief = |value: &f32| ((value.to_bits() >> 16) as u16).to_le_bytes();
    let values: Vec<u8> = numbers(case.0 * case.1).iter().flat_map(brief).collect();
    let weight = |_| Panels::pack(Values::Bf16Bytes(&values), case.1, case.0);
    product(bencher, case, &(0..copies(case)).map(weight).collect::<Vec<_>>());
}

#[divan::bench(args = products(), max_time = 0.5)]
fn linear_f32_candle(bencher: Bencher<'_, '_>, case: (usize, usize, usize)) {
    let (inputs, outputs, rows) = case;
    let tensor = |height, width| Tensor::from_vec(numbers(height * width), (height, width), &Device::Cpu);
    let x = tensor(rows, inputs).expect("a tensor");
    let weight = |_| tensor(outputs, inputs).and_then(|weight| weight.t()).expect("a tensor");
    let weights: Vec<_> = (0..copies(case)).map(weight).collect();
    let weight = rotate(&weights);
    bencher
        .counter(ItemsCount::new(2 * rows * inputs * outputs))
        .counter(BytesCount::new(4 * inputs * outputs))
        .bench_local(|| x.matmul(weight()).expect("a product"));
}

/// (query heads, key heads, size): of both models, and of one of 8 billion parameters.
const HEADS: [(usize, usize, usize); 3] = [(4, 4, 64), (14, 2, 64), (32, 8, 128)];

/// (sequences, new tokens of each, tokens before them)
const STEPS: [(usize, usize, usize); 6] =
    [(1, 512, 0), (1, 2048, 0), (1, 1, 512), (16, 1, 512), (1, 1, 4096), (16, 1, 4096)];

#[divan::bench(args = HEADS.into_iter().flat_map(|heads| STEPS.map(|step| (heads, step))), max_time = 0.5)]
fn attention(bencher: Bencher<'_, '_>, case: ((usize, usize, usize), (usize, usize, usize))) {
    let ((query, key, size), (sequences, new, past)) = case;
    let heads = Heads { query, key, size, window: None };
    let blocks = (past + new).div_ceil(32);
    let mut pages = Pages::new(heads, blocks * sequences);
    let tables: Vec<Vec<u32>> =
        (0..sequences).map(|sequence| (0..blocks).map(|block| (sequence * blocks + block) as u32).collect()).collect();
    let span = |(number, blocks)| Span { rows: number * new..(number + 1) * new, past, blocks, parent: None };
    let spans: Vec<Span<'_>> = tables.iter().map(Vec::as_slice).enumerate().map(span).collect();
    let rows = sequences * new;
    let (cos, sin) = (vec![0.6; rows * size / 2], vec![0.8; rows * size / 2]);
    let projected = numbers(rows * (query + 2 * key) * size);
    let (mut qkv, mut out) = (projected.clone(), vec![0.0; rows * query * size]);
    let (isa, team, mut memory) = (Isa::detect(), team(), AttentionMemory::default());
    let seen = sequences * (new * past + new * (new + 1) / 2);
    bencher
        .counter(ItemsCount::new(4 * seen * query * size))
        .counter(BytesCount::new(blocks * sequences * Pages::bytes_per_block(heads)))
        .bench_local(|| {
            qkv.copy_from_slice(&projected);
            paged_attention(isa, &team, &mut memory, &mut pages, heads, None, &cos, &sin, &spans, &mut qkv, &mut out);
        });
}

/// (rows, width of a hidden state, width of the feed-forward net)
const NETS: [(usize, usize, usize); 4] = [(1, 256, 704), (16, 256, 704), (1, 896, 4864), (512, 896, 4864)];

#[divan::bench(args = NETS, max_time = 0.5)]
fn norm(bencher: Bencher<'_, '_>, (rows, width, _): (usize, usize, usize)) {
    let (isa, team, x, gain) = (Isa::detect(), team(), numbers(rows * width), vec![1.0; width]);
    let mut out = vec![0.0; x.len()];
    bencher
        .counter(BytesCount::new(size_of_val(x.as_slice())))
        .bench_local(|| rms_norm(isa, &team, &x, &gain, 1e-6, &mut out));
}

#[divan::bench(args = NETS, max_time = 0.5)]
fn gate(bencher: Bencher<'_, '_>, (rows, _, wide): (usize, usize, usize)) {
    let (isa, team, x) = (Isa::detect(), team(), numbers(rows * 2 * wide));
    let mut out = vec![0.0; rows * wide];
    bencher.counter(BytesCount::new(size_of_val(x.as_slice()))).bench_local(|| swiglu(isa, &team, wide, &x, &mut out));
}

/// What it costs to hand out work at all.
#[divan::bench(max_time = 0.5)]
fn nothing_to_the_team(bencher: Bencher<'_, '_>) {
    let team = team();
    bencher.bench_local(|| team.run(team.threads(), &|_, _| ()));
}
