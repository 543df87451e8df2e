//! The gradient of attention beside slopes of its definition in `f64`.

use std::num::NonZero;

use super::*;
use crate::ops::testing::{assert_close, numbers};
use crate::ops::{AttentionMemory, Pages, paged_attention};

struct Case {
    heads: Heads,
    lengths: Vec<usize>,
    /// Which sequence each goes on from.
    parents: Vec<Option<usize>>,
    cos: Vec<f64>,
    sin: Vec<f64>,
    /// Gains of queries, then of keys.
    gains: Option<Vec<f64>>,
    qkv: Vec<f64>,
}

impl Case {
    /// Attention as it is defined.
    fn out(&self) -> Vec<f64> {
        let Heads { query, key, size, window } = self.heads;
        let width = self.heads.width();
        let head = |row: usize, number: usize| -> Vec<f64> {
            let mut head = self.qkv[row * width + number * size..][..size].to_vec();
            if number >= query + key {
                return head;
            }
            if let Some(gains) = &self.gains {
                let scale = 1.0 / (head.iter().map(|x| x * x).sum::<f64>() / size as f64 + 1e-5).sqrt();
                let gains = if number < query { &gains[..size] } else { &gains[size..] };
                head.iter_mut().zip(gains).for_each(|(x, gain)| *x *= scale * gain);
            }
            let half = size / 2;
            let angle = |pair: usize| (self.cos[row * half + pair], self.sin[row * half + pair]);
            (0..size)
                .map(|column| {
                    let (cos, sin) = angle(column % half);
                    let other = head[(column + half) % size];
                    head[column] * cos + if column < half { -other * sin } else { other * sin }
                })
                .collect()
        };
        let mut out = Vec::new();
        let paths = self.paths();
        for (path, length) in paths.iter().zip(&self.lengths) {
            for token in path.len() - length..path.len() {
                for number in 0..query {
                    let q = head(path[token], number);
                    let first = window.map_or(0, |window| (token + 1).saturating_sub(window));
                    let of = number / (query / key);
                    let score = |seen: usize| {
                        let k = head(path[seen], query + of);
                        (q.iter().zip(&k).map(|(q, k)| q * k).sum::<f64>() / (size as f64).sqrt()).exp()
                    };
                    let scores: Vec<f64> = (first..=token).map(score).collect();
                    let sum: f64 = scores.iter().sum();
                    let mut mixed = vec![0.0; size];
                    for (seen, score) in (first..=token).zip(&scores) {
                        let v = head(path[seen], query + key + of);
                        mixed.iter_mut().zip(&v).for_each(|(mixed, v)| *mixed += score / sum * v);
                    }
                    out.extend(mixed);
                }
            }
        }
        out
    }

    /// For each sequence, the rows of all its tokens, those that it shares too.
    fn paths(&self) -> Vec<Vec<usize>> {
        let mut paths: Vec<Vec<usize>> = Vec::new();
        let mut start = 0;
        for (length, parent) in self.lengths.iter().zip(&self.parents) {
            let mut path = parent.map_or(Vec::new(), |parent| paths[parent].clone());
            path.extend(start..start + length);
            paths.push(path);
            start += length;
        }
        paths
    }

    fn slope(&mut self, g: &[f32], pick: impl Fn(&mut Self) -> &mut f64) -> f64 {
        let start = *pick(self);
        let mut at = |value: f64| {
            *pick(self) = value;
            self.out().iter().zip(g).map(|(out, g)| out * f64::from(*g)).sum::<f64>()
        };
        let slope = (at(start + 1e-4) - at(start - 1e-4)) / 2e-4;
        *pick(self) = start;
        slope
    }
}

/// The gradients of the input and of the gains.
fn back(isa: Isa, threads: usize, case: &Case, g: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let narrow = |values: &[f64]| values.iter().map(|value| *value as f32).collect::<Vec<_>>();
    let (heads, team) = (case.heads, Team::new(NonZero::new(threads).unwrap()));
    let (raw, cos, sin) = (narrow(&case.qkv), narrow(&case.cos), narrow(&case.sin));
    let gains = case.gains.as_ref().map(|gains| narrow(gains));
    let norms = gains.as_ref().map(|gains| {
        let (query, key) = gains.split_at(heads.size);
        HeadNorms { query, key, epsilon: 1e-5 }
    });
    let (mut next, mut block) = (0, 0);
    let paths = case.paths();
    let mut tables: Vec<Vec<u32>> = Vec::new();
    for ((path, length), parent) in paths.iter().zip(&case.lengths).zip(&case.parents) {
        let shared = (path.len() - length) / BLOCK;
        let mut table = parent.map_or(Vec::new(), |parent| tables[parent][..shared].to_vec());
        table.extend(block..block + (path.len().div_ceil(BLOCK) - shared) as u32);
        block += (path.len().div_ceil(BLOCK) - shared) as u32;
        tables.push(table);
    }
    let spans: Vec<Span<'_>> = paths
        .iter()
        .zip(&case.lengths)
        .zip(tables.iter().zip(&case.parents))
        .map(|((path, length), (blocks, parent))| {
            next += length;
            Span { rows: next - length..next, past: path.len() - length, blocks, parent: *parent }
        })
        .collect();
    let (mut qkv, mut out) = (raw.clone(), vec![0.0; g.len()]);
    let mut pages = Pages::new(heads, block as usize);
    let mut forward = AttentionMemory::default();
    paged_attention(isa, &team, &mut forward, &mut pages, heads, norms, &cos, &sin, &spans, &mut qkv, &mut out);
    let mut memory = BackwardMemory::default();
    let attended = Attended { qkv: &qkv, raw: &raw, out: &out, g, cos: &cos, sin: &sin };
    let mut d = vec![f32::NAN; raw.len()];
    let mut dgains = vec![0.0; 2 * heads.size];
    for _ in 0..2 {
        // What the memory held before reaches nobody.
        dgains.fill(0.0);
        let (query, key) = dgains.split_at_mut(heads.size);
        paged_attention_backward(isa, &team, &mut memory, heads, norms, &spans, attended, &mut d, Some((query, key)));
    }
    (d, dgains)
}

fn case(query: usize, key: usize, size: usize, window: Option<usize>, lengths: &[usize], normed: bool) -> Case {
    let heads = Heads { query, key, size, window };
    let tokens: usize = lengths.iter().sum();
    let wide = |values: Vec<f32>| values.into_iter().map(f64::from).collect::<Vec<_>>();
    let angles = wide(numbers(5, tokens * size / 2));
    Case {
        heads,
        lengths: lengths.to_vec(),
        parents: vec![None; lengths.len()],
        cos: angles.iter().map(|angle| angle.cos()).collect(),
        sin: angles.iter().map(|angle| angle.sin()).collect(),
        gains: normed.then(|| wide(numbers(6, 2 * size))),
        qkv: wide(numbers(7, tokens * heads.width())).iter().map(|value| value * 2.0).collect(),
    }
}

#[test]
fn agrees_with_slopes_of_the_definition() {
    for mut case in [
        case(2, 1, 8, None, &[5, 1, 40], false),
        case(4, 2, 16, Some(7), &[33, 12], true),
        case(3, 3, 34, None, &[20], true),
        case(6, 2, 4, Some(40), &[70], false),
        // Within a block, at the end of one, far from any, and one after another.
        Case { parents: vec![None, Some(0), Some(0)], ..case(2, 1, 8, None, &[5, 3, 40], false) },
        Case { parents: vec![None, Some(0), Some(0), None], ..case(4, 2, 16, Some(7), &[32, 4, 6, 12], true) },
        Case {
            parents: vec![None, Some(0), Some(1), Some(1), Some(0)],
            ..case(3, 3, 6, None, &[37, 9, 2, 30, 5], true)
        },
    ] {
        let tokens: usize = case.lengths.iter().sum();
        let g = numbers(8, tokens * case.heads.query * case.heads.size);
        let places: Vec<usize> = (0..case.qkv.len()).step_by((case.qkv.len() / 60).max(1)).collect();
        let slopes: Vec<f64> = places.iter().map(|place| case.slope(&g, |case| &mut case.qkv[*place])).collect();
        let gains = case.gains.clone().map_or(vec![0.0; 2 * case.heads.size], |gains| {
            (0..gains.len()).map(|place| case.slope(&g, |case| &mut case.gains.as_mut().unwrap()[place])).collect()
        });
        let mut first: Option<(Vec<f32>, Vec<f32>)> = None;
        for isa in Isa::all() {
            for threads in [1, 3] {
                let (d, dgains) = back(isa, threads, &case, &g);
                let found: Vec<f32> = places.iter().map(|place| d[*place]).collect();
                assert_close(&found, &slopes, 5e-5);
                assert_close(&dgains, &gains, 5e-4);
                if threads == 1 {
                    first = Some((d, dgains));
                } else {
                    assert_eq!(first.take(), Some((d, dgains)));
                }
            }
        }
    }
}

#[test]
fn a_sequence_has_the_same_bits_whatever_is_beside_it() {
    let whole = case(4, 2, 16, Some(30), &[45, 70, 3], true);
    let g = numbers(8, 118 * 64);
    let (all, _) = back(Isa::detect(), 3, &whole, &g);
    let width = whole.heads.width();
    let alone = Case {
        lengths: vec![70],
        parents: vec![None],
        cos: whole.cos[45 * 8..115 * 8].to_vec(),
        sin: whole.sin[45 * 8..115 * 8].to_vec(),
        qkv: whole.qkv[45 * width..115 * width].to_vec(),
        gains: whole.gains.clone(),
        ..whole
    };
    let (own, _) = back(Isa::detect(), 1, &alone, &g[45 * 64..115 * 64]);
    assert_eq!(own, all[45 * width..115 * width]);
}

#[test]
fn a_shared_beginning_is_worth_as_much_as_its_copies() {
    for window in [None, Some(11)] {
        let shared = Case { parents: vec![None, Some(0), Some(0)], ..case(4, 2, 16, window, &[45, 30, 20], true) };
        let (width, wide) = (shared.heads.width(), 64);
        let paths = [(0..75).collect::<Vec<_>>(), (0..45).chain(75..95).collect()];
        let rows = |values: &[f64], width: usize| -> Vec<f64> {
            paths.concat().iter().flat_map(|row| values[row * width..(row + 1) * width].to_vec()).collect()
        };
        let repeated = Case {
            lengths: vec![75, 65],
            parents: vec![None, None],
            cos: rows(&shared.cos, 8),
            sin: rows(&shared.sin, 8),
            qkv: rows(&shared.qkv, width),
            gains: shared.gains.clone(),
            ..case(4, 2, 16, window, &[], true)
        };
        let g = numbers(8, 140 * wide);
        let (copies, of_copies) = back(Isa::detect(), 2, &repeated, &g);
        let mut sums = vec![0.0; 95 * width];
        let mut own = vec![0.0; 95 * wide];
        for (row, copy) in paths.concat().iter().enumerate() {
            (0..width).for_each(|place| sums[copy * width + place] += f64::from(copies[row * width + place]));
            (0..wide).for_each(|place| own[copy * wide + place] += g[row * wide + place]);
        }
        let (found, gains) = back(Isa::detect(), 3, &shared, &own);
        assert_close(&found, &sums, 1e-5);
        let of_copies: Vec<f64> = of_copies.into_iter().map(f64::from).collect();
        assert_close(&gains, &of_copies, 1e-5);
    }
}
