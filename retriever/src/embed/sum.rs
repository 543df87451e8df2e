//! The inner loop of the static encoder: a weighted sum of 8-bit rows.

use super::wordpiece::TokenId;

/// Adds `count * scales[t] * rows[t]` to `total` for each `(t, count)` of `bag`. `rows` is (V, D) with D the
/// length of `total`, `scales` is (V), and each token is below V.
pub(super) fn rows(rows: &[i8], scales: &[f32], bag: &[(TokenId, f32)], total: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
        #[expect(unsafe_code, reason = "a function compiled for more than the baseline must be called so")]
        // SAFETY: the features it was compiled for have just been detected.
        return unsafe { rows_avx2(rows, scales, bag, total) };
    }
    rows_portable(rows, scales, bag, total);
}

/// The portable loop, which the compiler turns into 256-bit instructions here.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn rows_avx2(rows: &[i8], scales: &[f32], bag: &[(TokenId, f32)], total: &mut [f32]) {
    rows_portable(rows, scales, bag, total);
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "must be compiled anew for each instruction set")]
fn rows_portable(rows: &[i8], scales: &[f32], bag: &[(TokenId, f32)], total: &mut [f32]) {
    let dimension = total.len();
    for &(token, count) in bag {
        let token = token as usize;
        let scale = count * scales[token];
        let row = &rows[token * dimension..][..dimension];
        for (sum, &x) in total.iter_mut().zip(row) {
            *sum += scale * f32::from(x);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_plain_sum() {
        let dimension = 37;
        let table: Vec<i8> = (0..5 * dimension).map(|i| (i * 37 % 255) as u8 as i8).collect();
        let scales = [0.5, 0.25, -1.0, 0.0, 2.0];
        let bag = [(0, 1.0), (4, 2.5), (2, 1.0), (2, 1.0), (3, 7.0)];
        let mut total = vec![1.0; dimension];
        rows(&table, &scales, &bag, &mut total);
        for (d, sum) in total.iter().enumerate() {
            let term =
                |&(t, count): &(u32, f32)| count * scales[t as usize] * f32::from(table[t as usize * dimension + d]);
            let plain: f32 = bag.iter().map(term).sum();
            assert!((sum - 1.0 - plain).abs() < 1e-3, "{d}: {sum}");
        }
    }
}
