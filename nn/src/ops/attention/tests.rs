//! Attention and its backward pass beside `f64`, alone and in company.

use std::num::NonZero;
use std::slice::from_ref;

use super::*;
use crate::ops::testing::{assert_close, numbers};

/// Lengths of sequences, heads, and the size of each.
const CASES: [(&[usize], usize, usize); 7] = [
    (&[70], 2, 32),
    (&[1], 1, 8),
    (&[12, 0, 1, 5], 3, 16),
    (&[33, 1, 32], 2, 64),
    (&[5, 2], 2, 48),
    (&[13; 5], 4, 1),
    (&[40, 97, 1, 150], 3, 12),
];

fn sequences(lengths: &[usize]) -> Vec<Range<usize>> {
    let mut start = 0;
    let rows = lengths.iter().map(|length| {
        start += length;
        start - length..start
    });
    rows.collect()
}

/// The output of one sequence, (L, D), in `f64`.
fn oracle(heads: usize, width: usize, qkv: &[f64]) -> Vec<f64> {
    let length = qkv.len() / 3 / width;
    let size = width / heads;
    let at = |part: usize, token: usize, column: usize| qkv[(token * 3 + part) * width + column];
    let mut out = vec![0.0; length * width];
    for head in 0..heads {
        for query in 0..length {
            let columns = head * size..(head + 1) * size;
            let score = |key| columns.clone().map(|c| at(0, query, c) * at(1, key, c)).sum::<f64>();
            let scores: Vec<f64> = (0..length).map(|key| (score(key) / (size as f64).sqrt()).exp()).collect();
            let sum: f64 = scores.iter().sum();
            for column in columns.clone() {
                out[query * width + column] = (0..length).map(|key| scores[key] / sum * at(2, key, column)).sum();
            }
        }
    }
    out
}

#[test]
fn agrees_with_its_definition_whatever_was_there_before() {
    for isa in Isa::all() {
        let mut memory = Attention::default();
        for (lengths, heads, size) in CASES {
            let width = heads * size;
            let sequences = sequences(lengths);
            let tokens: usize = lengths.iter().sum();
            let qkv: Vec<f32> = numbers(tokens as u64, tokens * 3 * width).iter().map(|value| value * 2.0).collect();
            let wide: Vec<f64> = qkv.iter().map(|value| f64::from(*value)).collect();
            let exact: Vec<f64> = sequences
                .iter()
                .flat_map(|rows| oracle(heads, width, &wide[rows.start * 3 * width..rows.end * 3 * width]))
                .collect();
            for threads in [1, 3] {
                let team = Team::new(NonZero::new(threads).unwrap());
                let mut out = vec![f32::NAN; tokens * width];
                attention(isa, &team, &mut memory, heads, width, &sequences, &qkv, &mut out);
                assert_close(&out, &exact, 5e-6);
                for rows in &sequences {
                    let mut alone = vec![f32::NAN; rows.len() * width];
                    let own = &qkv[rows.start * 3 * width..rows.end * 3 * width];
                    attention(isa, &team, &mut memory, heads, width, from_ref(&(0..rows.len())), own, &mut alone);
                    assert_eq!(alone, out[rows.start * width..rows.end * width], "{lengths:?} {heads} {size}");
                }
            }
        }
        attention(isa, &Team::new(NonZero::<usize>::MIN), &mut memory, 2, 8, &[], &[], &mut []);
    }
}

/// The gradient of `sum(g * out)` along everything, by the chain rule as it is written in books.
fn gradient(heads: usize, width: usize, qkv: &[f64], g: &[f64]) -> Vec<f64> {
    let length = qkv.len() / 3 / width;
    let size = width / heads;
    let scale = 1.0 / (size as f64).sqrt();
    let place = |part: usize, token: usize, column: usize| (token * 3 + part) * width + column;
    let mut d = vec![0.0; qkv.len()];
    for head in 0..heads {
        let columns = head * size..(head + 1) * size;
        for query in 0..length {
            let product =
                |key: usize| columns.clone().map(|c| qkv[place(0, query, c)] * qkv[place(1, key, c)]).sum::<f64>();
            let powers: Vec<f64> = (0..length).map(|key| (product(key) * scale).exp()).collect();
            let sum: f64 = powers.iter().sum();
            let shares: Vec<f64> = powers.iter().map(|power| power / sum).collect();
            let along = |key: usize| columns.clone().map(|c| g[query * width + c] * qkv[place(2, key, c)]).sum::<f64>();
            let mean: f64 = (0..length).map(|key| shares[key] * along(key)).sum();
            for key in 0..length {
                let score = shares[key] * (along(key) - mean) * scale;
                for c in columns.clone() {
                    d[place(0, query, c)] += score * qkv[place(1, key, c)];
                    d[place(1, key, c)] += score * qkv[place(0, query, c)];
                    d[place(2, key, c)] += shares[key] * g[query * width + c];
                }
            }
        }
    }
    d
}

#[test]
fn the_gradient_is_that_of_the_definition() {
    // The oracle itself agrees with slopes.
    let (heads, width) = (2, 6);
    let wide = |seed, count| numbers(seed, count).iter().map(|value| f64::from(*value)).collect::<Vec<_>>();
    let (qkv, g) = (wide(1, 7 * 3 * width), wide(2, 7 * width));
    let exact = gradient(heads, width, &qkv, &g);
    for place in 0..qkv.len() {
        let loss = |by: f64| -> f64 {
            let mut qkv = qkv.clone();
            qkv[place] += by;
            oracle(heads, width, &qkv).iter().zip(&g).map(|(out, g)| out * g).sum()
        };
        let slope = (loss(1e-5) - loss(-1e-5)) / 2e-5;
        assert!((slope - exact[place]).abs() < 1e-9, "{place}: {slope}, expected {}", exact[place]);
    }

    for isa in Isa::all() {
        let (mut memory, mut forward) = (AttentionGradient::default(), Attention::default());
        for (lengths, heads, size) in CASES {
            let width = heads * size;
            let sequences = sequences(lengths);
            let tokens: usize = lengths.iter().sum();
            let qkv: Vec<f32> = numbers(tokens as u64, tokens * 3 * width).iter().map(|value| value * 2.0).collect();
            let g = numbers(9, tokens * width);
            let wide = |values: &[f32]| values.iter().map(|value| f64::from(*value)).collect::<Vec<_>>();
            let exact: Vec<f64> = sequences
                .iter()
                .flat_map(|rows| {
                    let qkv = &qkv[rows.start * 3 * width..rows.end * 3 * width];
                    gradient(heads, width, &wide(qkv), &wide(&g[rows.start * width..rows.end * width]))
                })
                .collect();
            let mut first: Option<Vec<f32>> = None;
            for threads in [1, 3] {
                let team = Team::new(NonZero::new(threads).unwrap());
                let mut out = vec![f32::NAN; tokens * width];
                attention(isa, &team, &mut forward, heads, width, &sequences, &qkv, &mut out);
                let mut d = vec![f32::NAN; qkv.len()];
                attention_backward(isa, &team, &mut memory, heads, width, &sequences, &qkv, &out, &g, &mut d);
                assert_close(&d, &exact, 1e-5);
                assert_eq!(first.get_or_insert_with(|| d.clone()), &d);
                for rows in &sequences {
                    let (own, all) =
                        (rows.start * 3 * width..rows.end * 3 * width, rows.start * width..rows.end * width);
                    let mut alone = vec![f32::NAN; own.len()];
                    let (qkv, out, g) = (&qkv[own.clone()], &out[all.clone()], &g[all]);
                    attention_backward(
                        isa,
                        &team,
                        &mut memory,
                        heads,
                        width,
                        from_ref(&(0..rows.len())),
                        qkv,
                        out,
                        g,
                        &mut alone,
                    );
                    assert_eq!(alone, d[own]);
                }
            }
        }
    }
}
