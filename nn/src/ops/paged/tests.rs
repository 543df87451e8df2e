//! Paged attention against its definition, and the bits of a row however its sequence was cut.

use std::num::NonZero;

use super::*;
use crate::ops::testing::{assert_close, numbers};

/// One sequence: its projections, and the rotations of its positions.
#[derive(Clone)]
struct Case {
    heads: Heads,
    norms: Option<[Vec<f32>; 2]>,
    /// (L, (H + 2 KV) size)
    qkv: Vec<f32>,
    length: usize,
}

const SHAPES: [(usize, usize, usize); 6] = [(2, 2, 16), (7, 1, 64), (4, 2, 80), (14, 2, 32), (3, 1, 2), (1, 1, 224)];

impl Case {
    fn new(seed: u64, shape: (usize, usize, usize), window: Option<usize>, normed: bool, length: usize) -> Self {
        let heads = Heads { query: shape.0, key: shape.1, size: shape.2, window };
        let norms = normed.then(|| [numbers(seed + 100, heads.size), numbers(seed + 200, heads.size)]);
        let qkv = numbers(seed, length * heads.width()).into_iter().map(|value| value * 2.0).collect();
        Self { heads, norms, qkv, length }
    }

    fn norms(&self) -> Option<HeadNorms<'_>> {
        self.norms.as_ref().map(|[query, key]| HeadNorms { query, key, epsilon: 1e-6 })
    }

    /// Cosines and sines of the positions `range`.
    fn turns(&self, range: Range<usize>) -> [Vec<f32>; 2] {
        let half = self.heads.size / 2;
        let angle = |position: usize, i: usize| position as f64 * 10_000_f64.powf(-(i as f64) / half as f64);
        let all = |f: fn(f64) -> f64| {
            range.clone().flat_map(|p| (0..half).map(move |i| (p, i))).map(|(p, i)| f(angle(p, i)) as f32).collect()
        };
        [all(f64::cos), all(f64::sin)]
    }

    fn oracle(&self) -> Vec<f64> {
        let Heads { query, key, size, window } = self.heads;
        let [cos, sin] = self.turns(0..self.length);
        let head = |token: usize, head: usize, gain: Option<&Vec<f32>>, turn: bool| -> Vec<f64> {
            let row = &self.qkv[(token * (query + 2 * key) + head) * size..][..size];
            let mut row: Vec<f64> = row.iter().map(|value| f64::from(*value)).collect();
            if let Some(gain) = gain {
                let square = row.iter().map(|value| value * value).sum::<f64>() / size as f64;
                let scale = 1.0 / (square + 1e-6).sqrt();
                row.iter_mut().zip(gain).for_each(|(value, gain)| *value *= scale * f64::from(*gain));
            }
            if turn {
                for i in 0..size / 2 {
                    let (c, s) = (f64::from(cos[token * size / 2 + i]), f64::from(sin[token * size / 2 + i]));
                    let (x, y) = (row[i], row[i + size / 2]);
                    (row[i], row[i + size / 2]) = (x * c - y * s, x * s + y * c);
                }
            }
            row
        };
        let mut out = Vec::new();
        for token in 0..self.length {
            for number in 0..query {
                let own = head(token, number, self.norms.as_ref().map(|norms| &norms[0]), true);
                let shared = number / (query / key);
                let first = window.map_or(0, |window| (token + 1).saturating_sub(window));
                let weights: Vec<f64> = (first..=token)
                    .map(|past| {
                        let key = head(past, query + shared, self.norms.as_ref().map(|norms| &norms[1]), true);
                        let score: f64 = own.iter().zip(key).map(|(a, b)| a * b).sum();
                        (score / (size as f64).sqrt()).exp()
                    })
                    .collect();
                let sum: f64 = weights.iter().sum();
                let mut mean = vec![0.0; size];
                for (past, weight) in (first..).zip(weights) {
                    let value = head(past, query + key + shared, None, false);
                    mean.iter_mut().zip(value).for_each(|(mean, value)| *mean += weight / sum * value);
                }
                out.extend(mean);
            }
        }
        out
    }

    /// Runs the sequences `cases`, all of one shape, side by side: in each step the next tokens of
    /// each, as many as `cuts` says in turn; gives each one's rows.
    fn run(isa: Isa, team: &Team, cases: &[Case], cuts: &[usize]) -> Vec<Vec<f32>> {
        let heads = cases[0].heads;
        let most = cases.iter().map(|case| case.length.div_ceil(BLOCK)).max().unwrap();
        let mut pages = Pages::new(heads, most * cases.len() + 1);
        let mut memory = AttentionMemory::default();
        // Blocks of the sequences lie interleaved and in falling order.
        let table = |case: usize| -> Vec<u32> { (0..most).map(|i| ((most - i) * cases.len() - case) as u32).collect() };
        let tables: Vec<Vec<u32>> = (0..cases.len()).map(table).collect();
        let mut outs = vec![Vec::new(); cases.len()];
        let mut done = vec![0; cases.len()];
        for step in 0.. {
            let cut = cuts[step % cuts.len()];
            let (mut spans, mut qkv, mut cos, mut sin, mut owners) = (vec![], vec![], vec![], vec![], vec![]);
            let mut rows = 0;
            for (number, case) in cases.iter().enumerate() {
                let next = done[number]..case.length.min(done[number] + cut);
                spans.push(Span {
                    rows: rows..rows + next.len(),
                    past: next.start,
                    blocks: &tables[number],
                    parent: None,
                });
                qkv.extend_from_slice(&case.qkv[next.start * heads.width()..next.end * heads.width()]);
                let [c, s] = case.turns(next.clone());
                cos.extend(c);
                sin.extend(s);
                owners.push((number, rows..rows + next.len()));
                rows += next.len();
                done[number] = next.end;
            }
            if rows == 0 {
                return outs;
            }
            let width = heads.query * heads.size;
            let mut out = vec![f32::NAN; rows * width];
            let norms = cases[0].norms();
            paged_attention(isa, team, &mut memory, &mut pages, heads, norms, &cos, &sin, &spans, &mut qkv, &mut out);
            for (owner, rows) in owners {
                outs[owner].extend_from_slice(&out[rows.start * width..rows.end * width]);
            }
        }
        unreachable!("every sequence ends");
    }
}

fn teams() -> [Team; 2] {
    [1, 3].map(|threads| Team::new(NonZero::new(threads).unwrap()))
}

#[test]
fn agrees_with_its_definition() {
    for isa in Isa::all() {
        for team in teams() {
            for (number, shape) in SHAPES.into_iter().enumerate() {
                for (length, window) in [(1, None), (33, None), (70, Some(9)), (65, Some(40))] {
                    let case = Case::new(number as u64, shape, window, number % 2 == 0, length);
                    let out = Case::run(isa, &team, std::slice::from_ref(&case), &[length]);
                    assert_close(&out[0], &case.oracle(), 1e-5);
                }
            }
        }
    }
}

#[test]
fn a_row_has_the_same_bits_however_its_sequence_is_cut_and_whatever_is_beside_it() {
    for isa in Isa::all() {
        for team in teams() {
            for (shape, window) in [((14, 2, 64), None), ((4, 4, 16), Some(37)), ((4, 2, 96), None)] {
                let cases: Vec<Case> =
                    (0..3).map(|n| Case::new(n, shape, window, false, [150, 31, 97][n as usize])).collect();
                let whole: Vec<Vec<f32>> = (cases.iter())
                    .map(|case| Case::run(isa, &team, std::slice::from_ref(case), &[case.length]).remove(0))
                    .collect();
                for cuts in [vec![1], vec![7], vec![32], vec![33], vec![50, 1, 1, 13]] {
                    assert_eq!(Case::run(isa, &team, &cases, &cuts), whole, "cuts {cuts:?}");
                }
                assert_eq!(Case::run(isa, &team, &cases[..1], &[5]), whole[..1]);
            }
        }
    }
}

/// One more token after `past` of `case`, on `pages`.
fn next(case: &Case, pages: &mut Pages, past: usize, blocks: &[u32]) -> Vec<f32> {
    let heads = case.heads;
    let [cos, sin] = case.turns(past..past + 1);
    let mut qkv = case.qkv[past * heads.width()..][..heads.width()].to_vec();
    let mut out = vec![0.0; heads.query * heads.size];
    let span = Span { rows: 0..1, past, blocks, parent: None };
    let (team, mut memory) = (&teams()[0], AttentionMemory::default());
    paged_attention(Isa::detect(), team, &mut memory, pages, heads, None, &cos, &sin, &[span], &mut qkv, &mut out);
    out
}

#[test]
fn a_copied_block_serves_as_the_original_and_apart_from_it() {
    let (one, other) = (Case::new(1, (4, 2, 48), None, false, 60), Case::new(2, (4, 2, 48), None, false, 60));
    let mut pages = Pages::new(one.heads, 4);
    for past in 0..40 {
        next(&one, &mut pages, past, &[0, 1]);
    }
    pages.copy(1, 3);
    let expected = next(&one, &mut pages, 40, &[0, 1]);
    assert_eq!(next(&one, &mut pages, 40, &[0, 3]), expected);
    next(&other, &mut pages, 40, &[0, 3]);
    assert_eq!(next(&one, &mut pages, 40, &[0, 1]), expected);
    assert_ne!(next(&one, &mut pages, 41, &[0, 3]), next(&one, &mut pages, 41, &[0, 1]));
}

#[test]
fn what_a_block_held_before_reaches_nobody() {
    let case = Case::new(1, (2, 1, 32), None, false, 5);
    let mut pages = Pages::new(case.heads, 2);
    let fresh: Vec<_> = (0..5).map(|past| next(&case, &mut pages, past, &[0])).collect();
    let mut bad = Case::new(2, (2, 1, 32), None, false, 32);
    bad.qkv.fill(f32::INFINITY);
    for past in 0..32 {
        next(&bad, &mut pages, past, &[1]);
    }
    let reused: Vec<_> = (0..5).map(|past| next(&case, &mut pages, past, &[1])).collect();
    assert_eq!(reused, fresh);
}

#[test]
fn memory_is_as_it_says() {
    let heads = Heads { query: 8, key: 2, size: 40, window: None };
    assert_eq!(Pages::bytes_per_block(heads), 2 * (40 + 64) * 32 * 4);
    let pages = Pages::new(heads, 7);
    assert_eq!(pages.blocks(), 7);
}

#[test]
#[should_panic(expected = "a span has blocks of these pages")]
fn a_block_beyond_the_pages_is_refused() {
    let case = Case::new(1, (2, 1, 32), None, false, 1);
    next(&case, &mut Pages::new(case.heads, 2), 0, &[2]);
}
