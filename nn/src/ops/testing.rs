//! What the tests of operations share: reproducible numbers, `f64` oracles, comparison.

/// Reproducible numbers in [-1, 1), different for each `seed`.
pub(crate) fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
    (0..count)
        .map(|_| {
            // xorshift64*
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            let bits = state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40;
            bits as f32 / (1_u64 << 23) as f32 - 1.0
        })
        .collect()
}

/// The error function by its Maclaurin series, which holds to 1e-9 up to 4; beyond, it is one to 2e-8.
pub(crate) fn erf(x: f64) -> f64 {
    if x.abs() > 4.0 {
        return x.signum();
    }
    let mut term = x;
    let mut sum = x;
    for n in 1..200_u32 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * std::f64::consts::FRAC_2_SQRT_PI
}

/// Panics with the place of the largest difference when it exceeds `tolerance`.
#[track_caller]
pub(crate) fn assert_close(found: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    let off = |place: usize| (f64::from(found[place]) - expected[place]).abs();
    let worst = (0..found.len()).max_by(|a, b| off(*a).total_cmp(&off(*b)));
    if let Some(worst) = worst {
        let (got, want) = (found[worst], expected[worst]);
        assert!(off(worst) <= tolerance, "element {worst}: found {got}, expected {want}");
    }
}
