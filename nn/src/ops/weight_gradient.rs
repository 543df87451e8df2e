//! dW = g^T x and db = the sum of g's rows: what a linear layer that learns gets from T rows.
//!
//! The gradient of the outputs is turned, the inputs become panels as they lie, and what is left is
//! the same product as the forward's. Each element sums its rows in their order, on any number of threads.

use super::isa::Isa;
use super::linear::{After, Part, linear};
use super::panels::{Columns, Panels, turn};
use super::split::Split;
use super::team::Team;
use super::tile::{COLUMNS, Line};

/// Rows that one job turns.
const HEIGHT: usize = 8 * COLUMNS;
/// Columns that one job sums.
const STRIP: usize = 2 * COLUMNS;

/// Memory that gradients of weights reuse from call to call.
#[derive(Debug, Default)]
pub(crate) struct WeightMemory {
    /// (outputs, T)
    turned: Vec<f32>,
    lines: Vec<Line>,
}

/// Adds `factor * g^T x` to `dw` (outputs, inputs), from `g` (T, outputs) and `x` (T, inputs).
pub(crate) fn weight_gradient(
    isa: Isa,
    team: &Team,
    memory: &mut WeightMemory,
    g: Columns<'_>,
    x: Columns<'_>,
    factor: f32,
    dw: &mut [f32],
) {
    assert!(g.rows() == x.rows() && dw.len() == g.width * x.width, "a gradient for each row of inputs");
    if g.rows() == 0 || dw.is_empty() {
        return;
    }
    let length = g.rows() * g.width;
    if memory.turned.len() < length {
        memory.turned.resize(length, 0.0);
    }
    let turned = &mut memory.turned[..length];
    transpose(isa, team, g, factor, turned);
    let panels = Panels::transposed(team, x, std::mem::take(&mut memory.lines));
    linear(isa, team, turned, &[Part { panels: &panels, bias: None }], dw, After::Add);
    memory.lines = panels.into_memory();
}

/// `out` (width, T) is `factor` times `g` (T, width), turned.
fn transpose(isa: Isa, team: &Team, g: Columns<'_>, factor: f32, out: &mut [f32]) {
    let rows = g.rows();
    let (strips, blocks) = (g.width.div_ceil(COLUMNS), rows.div_ceil(HEIGHT));
    let out = Split::new(out);
    team.run(strips * blocks, &|_, job| {
        let column = job % strips * COLUMNS;
        let width = COLUMNS.min(g.width - column);
        let last = rows.min((job / strips + 1) * HEIGHT);
        let (mut lines, mut turned) = ([Line::ZERO; COLUMNS], [Line::ZERO; COLUMNS]);
        for first in (job / strips * HEIGHT..last).step_by(COLUMNS) {
            let height = COLUMNS.min(last - first);
            for (row, line) in lines[..height].iter_mut().enumerate() {
                let values = &g.row(first + row)[column..column + width];
                // A known length is what the compiler makes vectors of.
                match values.as_array::<COLUMNS>() {
                    Some(values) => line.0 = values.map(|value| value * factor),
                    None => line.0.iter_mut().zip(values).for_each(|(to, from)| *to = from * factor),
                }
            }
            turn(isa, &lines, &mut turned[..width]);
            for (number, line) in turned[..width].iter().enumerate() {
                let start = (column + number) * rows + first;
                #[expect(unsafe_code, reason = "jobs write different columns of different rows")]
                // SAFETY: no other job has these columns of these rows.
                let out = unsafe { out.part(start..start + height) };
                match out.as_mut_array::<COLUMNS>() {
                    Some(out) => *out = line.0,
                    None => out.copy_from_slice(&line.0[..height]),
                }
            }
        }
    });
}

/// Adds the sum of the rows of `g` (T, width) to `db` (width).
pub(crate) fn bias_gradient(team: &Team, g: Columns<'_>, db: &mut [f32]) {
    assert_eq!(db.len(), g.width, "a sum for each column");
    let split = Split::new(db);
    team.run(g.width.div_ceil(STRIP), &|_, job| {
        let columns = job * STRIP..g.width.min((job + 1) * STRIP);
        #[expect(unsafe_code, reason = "jobs write different columns")]
        // SAFETY: no other job has these columns.
        let db = unsafe { split.part(columns.clone()) };
        for row in 0..g.rows() {
            for (sum, value) in db.iter_mut().zip(&g.row(row)[columns.clone()]) {
                *sum += value;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use super::*;
    use crate::ops::testing::{assert_close, numbers};

    #[test]
    fn agrees_with_its_definition_with_the_same_bits_on_any_number_of_threads() {
        for (rows, outputs, inputs) in [(1, 1, 1), (5, 33, 40), (70, 31, 5), (300, 64, 96), (1500, 13, 33)] {
            // Columns out of the middle of wider rows.
            let (g, x) = (numbers(1, rows * (outputs + 7)), numbers(2, rows * (inputs + 3)));
            let g = Columns { values: &g, stride: outputs + 7, start: 4, width: outputs };
            let x = Columns { values: &x, stride: inputs + 3, start: 1, width: inputs };
            let before = numbers(3, outputs * inputs);
            let mut exact: Vec<f64> = before.iter().map(|value| f64::from(*value)).collect();
            let mut sums = vec![1.0; outputs];
            for row in 0..rows {
                for (output, g) in g.row(row).iter().enumerate() {
                    sums[output] += f64::from(*g);
                    for (input, x) in x.row(row).iter().enumerate() {
                        exact[output * inputs + input] += 0.5 * f64::from(*g) * f64::from(*x);
                    }
                }
            }
            for isa in Isa::all() {
                let mut first: Option<Vec<f32>> = None;
                let mut memory = WeightMemory::default();
                for threads in [1, 3] {
                    let team = Team::new(NonZero::new(threads).unwrap());
                    let mut dw = before.clone();
                    weight_gradient(isa, &team, &mut memory, g, x, 0.5, &mut dw);
                    assert_close(&dw, &exact, 1e-4);
                    assert_eq!(first.get_or_insert_with(|| dw.clone()), &dw);
                    let mut db = vec![1.0; outputs];
                    bias_gradient(&team, g, &mut db);
                    assert_close(&db, &sums, 1e-4);
                }
            }
        }
    }

    #[test]
    fn no_rows_change_nothing() {
        let team = Team::new(NonZero::<usize>::MIN);
        let (mut dw, mut memory) = ([7.0; 6], WeightMemory::default());
        let (g, x) = (Columns::all(&[], 2), Columns::all(&[], 3));
        weight_gradient(Isa::detect(), &team, &mut memory, g, x, 1.0, &mut dw);
        bias_gradient(&team, g, &mut dw[..2]);
        assert_eq!(dw, [7.0; 6]);
    }
}
