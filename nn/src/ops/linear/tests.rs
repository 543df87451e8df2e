//! Linear layers against the plain product, and the bits of a row whatever is beside it.

use std::num::NonZero;

use half::bf16;

use super::*;
use crate::ops::testing::{assert_close, erf, numbers};

fn oracle(x: &[f32], weight: &[f32], bias: &[f32], before: &[f32], after: After) -> Vec<f64> {
    let inputs = weight.len() / bias.len();
    let dot = |row: &[f32], weights: &[f32]| -> f64 {
        row.iter().zip(weights).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let mut y = Vec::new();
    for row in x.chunks_exact(inputs) {
        for (weights, bias) in weight.chunks_exact(inputs).zip(bias) {
            let sum = dot(row, weights) + f64::from(*bias);
            y.push(match after {
                After::Nothing => sum,
                After::Add => sum + f64::from(before[y.len()]),
                After::Gelu => 0.5 * sum * (1.0 + erf(sum / std::f64::consts::SQRT_2)),
            });
        }
    }
    y
}

fn teams() -> [Team; 3] {
    [1, 2, 5].map(|threads| Team::new(NonZero::new(threads).unwrap()))
}

#[test]
fn agrees_with_the_plain_product_at_every_edge() {
    for isa in Isa::all() {
        for (tokens, inputs, outputs) in [(1, 1, 1), (11, 7, 31), (12, 32, 32), (13, 33, 70), (200, 48, 96)] {
            let x = numbers(1, tokens * inputs);
            let weight = numbers(2, outputs * inputs);
            let bias = numbers(3, outputs);
            let before = numbers(4, tokens * outputs);
            let layer = Linear::new(&weight, &bias, inputs);
            let panels = Panels::pack(Values::F32(&weight), outputs, inputs);
            for after in [After::Nothing, After::Add, After::Gelu] {
                let expected = oracle(&x, &weight, &bias, &before, after);
                let mut y = before.clone();
                layer.forward(isa, &x, &mut y, after);
                assert_close(&y, &expected, 1e-5);
                for team in teams() {
                    let mut same = before.clone();
                    let part = Part { panels: &panels, bias: Some(&bias) };
                    linear(isa, &team, &x, &[part], &mut same, after);
                    assert_eq!(same, y);
                }
            }
        }
    }
}

#[test]
fn parts_stand_side_by_side() {
    let (tokens, inputs) = (40, 1100);
    let x = numbers(1, tokens * inputs);
    for isa in Isa::all() {
        for team in teams() {
            let weights =
                [64, 1, 33].map(|outputs| (numbers(outputs as u64 + 10, outputs * inputs), numbers(5, outputs)));
            let panels = weights.each_ref().map(|(weight, bias)| Panels::pack(Values::F32(weight), bias.len(), inputs));
            let parts = [
                Part { panels: &panels[0], bias: Some(&weights[0].1) },
                Part { panels: &panels[1], bias: None },
                Part { panels: &panels[2], bias: Some(&weights[2].1) },
            ];
            let mut y = vec![f32::NAN; tokens * 98];
            linear(isa, &team, &x, &parts, &mut y, After::Nothing);
            let mut start = 0;
            for (part, (weight, bias)) in parts.iter().zip(&weights) {
                let outputs = bias.len();
                let bias = part.bias.map_or(vec![0.0; outputs], <[f32]>::to_vec);
                let found: Vec<f32> =
                    y.chunks_exact(98).flat_map(|row| &row[start..start + outputs]).copied().collect();
                assert_close(&found, &oracle(&x, weight, &bias, &[], After::Nothing), 1e-4);
                start += outputs;
            }
        }
    }
}

#[test]
fn a_row_has_the_same_bits_in_any_company_and_precision_of_storage() {
    let (inputs, outputs) = (1500, 333);
    let x = numbers(1, 200 * inputs);
    let weight: Vec<bf16> = numbers(2, outputs * inputs).into_iter().map(bf16::from_f32).collect();
    let bytes: Vec<u8> = weight.iter().flat_map(|value| value.to_le_bytes()).collect();
    let wide: Vec<f32> = weight.iter().map(|value| value.to_f32()).collect();
    let bias = numbers(3, outputs);
    let stored = [Values::F32(&wide), Values::Bf16Bytes(&bytes)].map(|values| Panels::pack(values, outputs, inputs));
    for isa in Isa::all() {
        let mut alone = Vec::new();
        for row in x.chunks_exact(inputs).take(40) {
            let mut y = vec![0.0; outputs];
            let part = Part { panels: &stored[0], bias: Some(&bias) };
            linear(isa, &teams()[0], row, &[part], &mut y, After::Nothing);
            alone.extend(y);
        }
        for team in teams() {
            for panels in &stored {
                for rows in [1, 2, 3, 4, 5, 6, 7, 12, 13, 16, 40, 97, 200] {
                    let mut y = vec![0.0; rows * outputs];
                    let part = Part { panels, bias: Some(&bias) };
                    linear(isa, &team, &x[..rows * inputs], &[part], &mut y, After::Nothing);
                    let known = y.len().min(alone.len());
                    assert_eq!(y[..known], alone[..known], "{rows} rows on {} threads", team.threads());
                }
            }
        }
    }
}

#[test]
fn nothing_in_nothing_out() {
    let layer = Linear::new(&[1.0, 2.0], &[0.0], 2);
    layer.forward(Isa::detect(), &[], &mut [], After::Nothing);
    let panels = Panels::pack(Values::F32(&[1.0, 2.0]), 1, 2);
    linear(Isa::detect(), &teams()[1], &[], &[Part { panels: &panels, bias: None }], &mut [], After::Nothing);
    linear(Isa::detect(), &teams()[1], &[], &[], &mut [], After::Nothing);
}

#[test]
fn the_backward_is_the_product_with_the_weight() {
    for (rows, inputs, outputs) in [(1, 1, 1), (5, 33, 31), (13, 32, 64), (40, 70, 300), (400, 5, 33)] {
        let weight: Vec<bf16> = numbers(2, outputs * inputs).into_iter().map(bf16::from_f32).collect();
        let bytes: Vec<u8> = weight.iter().flat_map(|value| value.to_le_bytes()).collect();
        let wide: Vec<f32> = weight.iter().map(|value| value.to_f32()).collect();
        let g = numbers(1, rows * outputs);
        let mut exact = vec![0.0; rows * inputs];
        for (g, dx) in g.chunks_exact(outputs).zip(exact.chunks_exact_mut(inputs)) {
            for (g, weights) in g.iter().zip(wide.chunks_exact(inputs)) {
                for (dx, weight) in dx.iter_mut().zip(weights) {
                    *dx += f64::from(*g) * f64::from(*weight);
                }
            }
        }
        for isa in Isa::all() {
            for values in [Values::F32(&wide), Values::Bf16Bytes(&bytes)] {
                let panels = Panels::pack(values, outputs, inputs);
                for team in teams() {
                    let part = Part { panels: &panels, bias: None };
                    let mut dx = vec![f32::NAN; rows * inputs];
                    linear_backward(isa, &team, &g, &[part], &mut dx, After::Nothing);
                    assert_close(&dx, &exact, 1e-4);
                    // The same part twice, with half the gradient each, and added to what is there.
                    let halves: Vec<f32> = g.chunks_exact(outputs).flat_map(|row| [row, row].concat()).collect();
                    let halves: Vec<f32> = halves.iter().map(|value| value / 2.0).collect();
                    linear_backward(isa, &team, &halves, &[part, part], &mut dx, After::Add);
                    let twice: Vec<f64> = exact.iter().map(|value| value * 2.0).collect();
                    assert_close(&dx, &twice, 2e-4);
                }
            }
        }
    }
}
