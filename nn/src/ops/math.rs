//! Scalar functions written so that the compiler can turn a loop over them into vector code.
//!
//! `FMA` says whether the surrounding function is compiled with fused multiply-add; without the
//! instruction, `f32::mul_add` would be a call into the C library.
#![expect(clippy::inline_always, reason = "must be compiled with the features of their caller")]

/// `a * b + c`.
#[inline(always)]
pub(super) fn fma<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// The polynomial with these coefficients, highest power first.
#[inline(always)]
fn polynomial<const FMA: bool, const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    let mut value = coefficients[0];
    for coefficient in &coefficients[1..] {
        value = fma::<FMA>(value, x, *coefficient);
    }
    value
}

/// e^x to two units in the last place for x up to 88; zero below -87.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2, then a polynomial in r (Cephes `expf`).
#[inline(always)]
pub(super) fn exp<const FMA: bool>(x: f32) -> f32 {
    /// Adding and taking away 1.5 * 2^23 rounds to an integer, left in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let clamped = x.clamp(-87.0, 88.0);
    let shifted = fma::<FMA>(clamped, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = fma::<FMA>(n, -0.693_359_4, clamped);
    let r = fma::<FMA>(n, 2.121_944_4e-4, r);
    let tail =
        polynomial::<FMA, 6>(r, [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5]);
    let mantissa = fma::<FMA>(tail, r * r, r + 1.0);
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    if x < -87.0 { 0.0 } else { mantissa * power }
}

/// The error function to 3e-7 everywhere: an odd rational function on [-4, 4], where erf is one
/// to `f32` beyond (the fit is Eigen's).
#[inline(always)]
pub(super) fn erf<const FMA: bool>(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let square = x * x;
    let above = polynomial::<FMA, 7>(
        square,
        [-2.726_142_3e-10, 2.770_681_4e-8, -2.101_024e-6, -5.692_506_5e-5, -7.349_906e-4, -2.954_6e-3, -1.609_603_3e-2],
    );
    let below =
        polynomial::<FMA, 5>(square, [-1.456_607_2e-5, -2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_473_9e-2]);
    x * above / below
}

/// Independent partial sums, so that a reduction needs no chain of dependent additions.
pub(super) const LANES: usize = 16;

/// Adds up `LANES` partial results pairwise.
#[inline(always)]
pub(super) fn total(lanes: [f32; LANES]) -> f32 {
    let mut lanes = lanes;
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// The sum of products of `a` and `b`, in one fixed order.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (left, rest) = a.as_chunks::<LANES>();
    let (right, other) = b.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for (left, right) in left.iter().zip(right) {
        for ((lane, a), b) in lanes.iter_mut().zip(left).zip(right) {
            *lane += a * b;
        }
    }
    total(lanes) + rest.iter().zip(other).map(|(a, b)| a * b).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::erf as oracle;

    #[test]
    fn exp_is_close_everywhere() {
        for step in -8700..=8800_i32 {
            let x = step as f32 / 100.0;
            let exact = f64::from(x).exp();
            for value in [exp::<true>(x), exp::<false>(x)] {
                assert!((f64::from(value) / exact - 1.0).abs() < 4e-7, "exp({x}) = {value}");
            }
        }
        assert_eq!(exp::<true>(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp::<true>(0.0), 1.0);
    }

    #[test]
    fn erf_is_within_a_millionth() {
        for step in -600_000..=600_000_i32 {
            let x = step as f32 / 100_000.0;
            let error = f64::from(erf::<true>(x)) - oracle(f64::from(x));
            assert!(error.abs() < 5e-7, "erf({x}) is off by {error}");
        }
    }
}
