//! The objectives against formulas written down a second time, against TRL's, and on problems with known answers.
#![expect(clippy::unwrap_used, reason = "a helper that cannot set up its input has failed its test")]

mod advantages;
mod decoder;
mod known;
mod oracle;
mod pairs;
mod policy;
mod ppo;
mod rows;
mod trl;

use candle_core::{DType, Device, Tensor, Var};
use trainer::objective::Loss;

/// A variable of these numbers.
fn variable(numbers: &[f64]) -> Var {
    Var::from_slice(numbers, numbers.len(), &Device::Cpu).unwrap()
}

/// The same in single precision.
fn single(numbers: &[f64]) -> Var {
    let tensor = Tensor::from_slice(numbers, numbers.len(), &Device::Cpu).unwrap();
    Var::from_tensor(&tensor.to_dtype(DType::F32).unwrap()).unwrap()
}

/// What `backward` gives `variable`, and the loss as the tensor has it.
fn gradient(variable: &Var, loss: &Loss) -> (f64, Vec<f64>) {
    let gradients = loss.loss.backward().unwrap();
    let gradient = gradients.get(variable).unwrap().flatten_all().unwrap().to_dtype(DType::F64).unwrap();
    (loss.loss.to_dtype(DType::F64).unwrap().to_scalar().unwrap(), gradient.to_vec1().unwrap())
}

/// Central differences of `loss` at `at`.
fn differences(at: &[f64], loss: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    const STEP: f64 = 1e-6;
    let mut moved = at.to_vec();
    let mut slope = |index: usize| {
        moved[index] = at[index] + STEP;
        let above = loss(&moved);
        moved[index] = at[index] - STEP;
        let below = loss(&moved);
        moved[index] = at[index];
        (above - below) / (2.0 * STEP)
    };
    (0..at.len()).map(&mut slope).collect()
}

#[track_caller]
fn assert_close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let is_close = (found - expected).abs() <= tolerance * expected.abs().max(1.0);
        assert!(is_close, "{what}: {found} at {at}, expected {expected}");
    }
}

/// Numbers from -1 to 1 that single precision holds, the same for the same seed.
fn numbers(seed: u64, count: usize) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        f64::from(((mixed ^ (mixed >> 31)) >> 40) as f32 / (1_u32 << 23) as f32 - 1.0)
    };
    (0..count).map(|_| next()).collect()
}
