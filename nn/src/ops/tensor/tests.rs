//! Each operation beside its definition in `f64`, and its gradient beside finite differences.

use std::num::NonZero;
use std::sync::Arc;

use candle_core::{Device, Var};

use super::*;
use crate::ops::testing::{assert_close, numbers};
use crate::ops::{Isa, Panels, Team, Values};

fn tensor(seed: u64, shape: &[usize]) -> Tensor {
    Tensor::from_vec(numbers(seed, shape.iter().product()), shape, &Device::Cpu).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn wide(tensor: &Tensor) -> Vec<f64> {
    values(tensor).into_iter().map(f64::from).collect()
}

/// The gradient of a weighted sum of what `work` gives, beside central differences, value by value.
#[track_caller]
fn check_gradient(shape: &[usize], work: impl Fn(&Tensor) -> Result<Tensor>) {
    let x = Var::from_tensor(&tensor(1, shape)).unwrap();
    let weights = tensor(2, work(x.as_tensor()).unwrap().dims());
    let total = |x: &Tensor| (work(x).unwrap() * &weights).unwrap().sum_all().unwrap();
    let gradients = total(x.as_tensor()).backward().unwrap();
    assert_eq!(gradients.get_ids().count(), 2, "of the variable, and of the test's own weights");
    let found = values(gradients.get(x.as_tensor()).expect("a gradient"));
    let start = values(x.as_tensor());
    let step = 1e-2;
    let slopes: Vec<f64> = (0..start.len())
        .map(|place| {
            let at = |side: f32| {
                let mut moved = start.clone();
                moved[place] += side * step;
                let moved = Tensor::from_vec(moved, shape, &Device::Cpu).unwrap();
                f64::from(total(&moved).to_scalar::<f32>().unwrap())
            };
            (at(1.0) - at(-1.0)) / (2.0 * f64::from(step))
        })
        .collect();
    assert_close(&found, &slopes, 3e-3);
}

#[test]
fn normalisation_agrees_with_its_definition() {
    let (x, gain) = (tensor(3, &[5, 12]), tensor(4, &[12]));
    let exact: Vec<f64> = wide(&x)
        .chunks_exact(12)
        .flat_map(|row| {
            let scale = (row.iter().map(|x| x * x).sum::<f64>() / 12.0 + 1e-5).sqrt();
            row.iter().zip(wide(&gain)).map(|(x, gain)| x / scale * gain).collect::<Vec<_>>()
        })
        .collect();
    for fused in [false, true] {
        assert_close(&values(&rms_norm(&x, &gain, 1e-5, fused).unwrap()), &exact, 1e-6);
    }
    check_gradient(&[3, 8], |x| rms_norm(x, &tensor(4, &[8]), 1e-5, false));
}

#[test]
fn rotation_agrees_with_its_definition() {
    let (x, cos, sin) = (tensor(5, &[3, 2, 6]), tensor(6, &[3, 3]), tensor(7, &[3, 3]));
    let (all, along, up) = (wide(&x), wide(&cos), wide(&sin));
    let mut exact = Vec::new();
    for (number, head) in all.chunks_exact(6).enumerate() {
        let at = |pair: usize| (along[number / 2 * 3 + pair], up[number / 2 * 3 + pair]);
        exact.extend((0..3).map(|pair| head[pair] * at(pair).0 - head[pair + 3] * at(pair).1));
        exact.extend((0..3).map(|pair| head[pair + 3] * at(pair).0 + head[pair] * at(pair).1));
    }
    for fused in [false, true] {
        assert_close(&values(&rotate(&x, &cos, &sin, fused).unwrap()), &exact, 1e-6);
    }
    check_gradient(&[3, 2, 6], |x| rotate(x, &cos, &sin, false));
}

#[test]
fn gates_agree_with_their_definition() {
    let x = tensor(8, &[4, 10]);
    let exact: Vec<f64> = wide(&x)
        .chunks_exact(10)
        .flat_map(|row| {
            (0..5).map(|place| row[place] / (1.0 + (-row[place]).exp()) * row[place + 5]).collect::<Vec<_>>()
        })
        .collect();
    assert_close(&values(&swiglu(&x).unwrap()), &exact, 1e-6);
    check_gradient(&[2, 6], swiglu);
}

#[test]
fn attention_agrees_with_its_definition() {
    let (batch, new, all, heads, key_heads, size) = (2, 3, 5, 4, 2, 6);
    let queries = tensor(9, &[batch, new, heads, size]);
    let (keys, rows) = (tensor(10, &[batch, all, key_heads, size]), tensor(11, &[batch, all, key_heads, size]));
    let sees = |row: usize, seen: usize| seen <= row + 2 && seen >= row;
    let mask: Vec<f32> = (0..batch * new * all)
        .map(|place| if sees(place / all % new, place % all) { 0.0 } else { f32::NEG_INFINITY })
        .collect();
    let mask = Tensor::from_vec(mask, (batch, 1, 1, new, all), &Device::Cpu).unwrap();
    let (q, k, v) = (wide(&queries), wide(&keys), wide(&rows));
    let mut exact = Vec::new();
    for place in 0..batch * new * heads {
        let (sequence, row, head) = (place / heads / new, place / heads % new, place % heads);
        let of = |table: &[f64], seen: usize| {
            let start = ((sequence * all + seen) * key_heads + head / 2) * size;
            table[start..start + size].to_vec()
        };
        let query = &q[place * size..][..size];
        let score =
            |seen: usize| query.iter().zip(of(&k, seen)).map(|(a, b)| a * b).sum::<f64>() / (size as f64).sqrt();
        let shares: Vec<f64> = (0..all).map(|seen| if sees(row, seen) { score(seen).exp() } else { 0.0 }).collect();
        let sum: f64 = shares.iter().sum();
        exact.extend(
            (0..size).map(|column| (0..all).map(|seen| shares[seen] / sum * of(&v, seen)[column]).sum::<f64>()),
        );
    }
    for fused in [false, true] {
        let found = attention(&queries, &keys, &rows, Some(&mask), fused).unwrap();
        assert_eq!(found.dims(), [batch, new, heads * size]);
        assert_close(&values(&found), &exact, 1e-6);
    }
    check_gradient(&[batch, new, heads, size], |q| attention(q, &keys, &rows, Some(&mask), false));
    check_gradient(&[batch, all, key_heads, size], |k| attention(&queries, k, &rows, Some(&mask), false));
    check_gradient(&[batch, all, key_heads, size], |v| attention(&queries, &keys, v, None, false));
}

#[test]
fn products_with_frozen_weights_pass_the_gradient_on() {
    let weights = [tensor(12, &[7, 5]), tensor(13, &[33, 5])];
    let bias = numbers(14, 7);
    let packed = |weight: &Tensor, bias: Option<Vec<f32>>| {
        let (outputs, inputs) = weight.dims2().unwrap();
        PackedLayer { panels: Panels::pack(Values::F32(&values(weight)), outputs, inputs), bias }
    };
    let frozen = Frozen {
        isa: Isa::detect(),
        team: Arc::new(Team::new(NonZero::<usize>::MIN)),
        layers: Arc::new(vec![packed(&weights[0], Some(bias.clone())), packed(&weights[1], None)]),
    };
    let x = tensor(15, &[4, 5]);
    let plain = |x: &Tensor| -> Result<Tensor> {
        let bias = Tensor::from_slice(&bias, 7, &Device::Cpu)?;
        let first = x.matmul(&weights[0].t()?)?.broadcast_add(&bias)?;
        Tensor::cat(&[first, x.matmul(&weights[1].t()?)?], 1)
    };
    assert_close(&values(&frozen_linear(&x, frozen.clone()).unwrap()), &wide(&plain(&x).unwrap()), 1e-5);
    assert_close(
        &values(&frozen_product(&x, &weights[1]).unwrap()),
        &wide(&x.matmul(&weights[1].t().unwrap()).unwrap()),
        1e-5,
    );
    check_gradient(&[4, 5], |x| frozen_linear(x, frozen.clone()));
    check_gradient(&[4, 5], |x| frozen_product(x, &weights[0]));
    check_gradient(&[4, 5], |x| frozen_product(&x.narrow(0, 1, 2)?, &weights[0]));
    check_gradient(&[3, 5], |weight| product(&x, weight));
}

#[test]
fn constants_have_no_gradient() {
    let constant = tensor(16, &[6]);
    check_gradient(&[4, 6], |x| times(x, &constant));
    check_gradient(&[4, 6], |x| plus(x, &constant));
    let other = tensor(17, &[4, 6]);
    check_gradient(&[4, 6], |x| sum(&other, x));
    check_gradient(&[4, 6], |x| sum(x, &other));
    check_gradient(&[4, 6], |x| sum(x, x));
}

#[test]
fn columns_stand_where_they_are_set() {
    let x = Tensor::new(&[[1.0_f32, 2.0], [3.0, 4.0]], &Device::Cpu).unwrap();
    let found = set_columns(&x, 1, 4).unwrap().to_vec2::<f32>().unwrap();
    assert_eq!(found, [[0.0, 1.0, 2.0, 0.0], [0.0, 3.0, 4.0, 0.0]]);
    check_gradient(&[3, 5], |x| set_columns(&x.narrow(1, 1, 2)?, 3, 5));
}
