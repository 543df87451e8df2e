//! Normal numbers from counters: number `i` of a tensor depends on the seed, the tensor's name and `i`
//! alone, so that threads may fill it in any order. Integer arithmetic up to the last scaling, so that
//! every machine draws the same.

use std::thread;

use half::bf16;

/// Standard deviation of the weights.
const DEVIATION: f32 = 0.02;

/// The key of a tensor's numbers.
pub(crate) fn key(seed: u64, tensor: &str) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes()).update(tensor.as_bytes());
    let hash = hasher.finalize();
    let (first, _) = hash.as_bytes().split_first_chunk().expect("a hash has 32 bytes");
    u64::from_le_bytes(*first)
}

/// Writes numbers `start..` of the tensor to `bytes`, little-endian, on all cores.
pub(super) fn fill(key: u64, start: u64, is_bf16: bool, bytes: &mut [u8]) {
    let width = if is_bf16 { 2 } else { 4 };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let share = (bytes.len() / width).div_ceil(threads).max(4096);
    thread::scope(|scope| {
        for (at, part) in bytes.chunks_mut(share * width).enumerate() {
            let start = start + (at * share) as u64;
            scope.spawn(move || {
                if is_bf16 {
                    for (at, place) in (start..).zip(part.as_chunks_mut().0) {
                        *place = bf16::from_f32(number(key, at)).to_le_bytes();
                    }
                } else {
                    for (at, place) in (start..).zip(part.as_chunks_mut().0) {
                        *place = number(key, at).to_le_bytes();
                    }
                }
            });
        }
    });
}

/// The first numbers of a tensor.
pub(crate) fn numbers(key: u64, count: usize) -> Vec<f32> {
    (0..count as u64).map(|at| number(key, at)).collect()
}

/// One number. The bits set among 64 are binomial with variance 16; a triangle of variance 1/6 fills the
/// steps between them. The sum's distribution function is within 0.001 of the normal's.
fn number(key: u64, at: u64) -> f32 {
    let steps = mix(key ^ mix(at));
    let between = mix(steps ^ key);
    let triangle = (between >> 32) as i64 - (between & 0xffff_ffff) as i64;
    let sum = ((i64::from(steps.count_ones()) - 32) << 32) + triangle;
    // sqrt(16 + 1/6), times the unit of the sum
    const SCALE: f64 = DEVIATION as f64 / (4.020_779_360_604_945 * 4_294_967_296.0);
    (sum as f64 * SCALE) as f32
}

/// The finaliser of SplitMix64.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(key: u64, start: u64, count: usize) -> Vec<f32> {
        let mut bytes = vec![0; count * 4];
        fill(key, start, false, &mut bytes);
        bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }

    #[test]
    fn any_part_can_be_drawn_alone() {
        let all = filled(7, 0, 20_000);
        assert_eq!(numbers(7, 20_000), all);
        assert_eq!(filled(7, 5_001, 9_000), all[5_001..14_001]);
        assert_ne!(filled(8, 0, 8), all[..8]);
        let mut half = vec![0; 16];
        fill(7, 0, true, &mut half);
        let half: Vec<_> = half.as_chunks().0.iter().map(|bytes| bf16::from_le_bytes(*bytes)).collect();
        assert_eq!(half, all[..8].iter().map(|value| bf16::from_f32(*value)).collect::<Vec<_>>());
    }

    #[test]
    fn numbers_are_normal() {
        let drawn: Vec<_> = numbers(key(1, "a"), 1_000_000).iter().map(|x| f64::from(*x / DEVIATION)).collect();
        let count = drawn.len() as f64;
        let moment = |power: i32| drawn.iter().map(|x| x.powi(power)).sum::<f64>() / count;
        assert!(moment(1).abs() < 0.005 && (moment(2) - 1.0).abs() < 0.01, "{} {}", moment(1), moment(2));
        assert!(moment(3).abs() < 0.02 && (moment(4) - 2.97).abs() < 0.06, "{} {}", moment(3), moment(4));
        for (at, expect) in [(-2.0, 0.022_75), (-1.0, 0.158_66), (0.5, 0.691_46), (1.5, 0.933_19)] {
            let share = drawn.iter().filter(|x| **x < at).count() as f64 / count;
            assert!((share - expect).abs() < 0.002, "{share} of the numbers lie under {at}, expected {expect}");
        }
        let neighbours: f64 = drawn.windows(2).map(|pair| pair[0] * pair[1]).sum::<f64>() / count;
        assert!(neighbours.abs() < 0.005, "{neighbours}");
    }
}
