//! Vectors as 8-bit codes: a quarter of the memory to read for a product within a percent, made
//! exact again by rescoring the best with the floats.
//!
//! A passage's numbers become signed bytes with a scale of its own. A query's become bytes shifted
//! by 128, because processors multiply unsigned by signed bytes; what the shift adds to a product is
//! known per passage and taken off as its bias: `q · p ~ (Σ (q' + 128) p' - bias) * scale`, up to the
//! query's own scale, which ranks nothing.

/// A vector's code.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Code {
    pub(crate) bytes: Vec<u8>,
    pub(crate) scale: f32,
    pub(crate) bias: i32,
}

const SHIFT: i32 = 128;

impl Code {
    /// The code of a passage's vector, padded with zeros to `width`.
    pub(crate) fn passage(vector: &[f32], width: usize) -> Self {
        let (steps, scale) = quantise(vector);
        let mut bytes: Vec<u8> = steps.map(|step| step as i8 as u8).collect();
        let bias = bytes.iter().map(|&byte| SHIFT * i32::from(byte as i8)).sum();
        bytes.resize(width, 0);
        Self { bytes, scale, bias }
    }
}

/// The code of a query's vector, padded to `width`, written over `out`.
pub(crate) fn query(vector: &[f32], width: usize, out: &mut Vec<u8>) {
    let (steps, _) = quantise(vector);
    out.clear();
    out.extend(steps.map(|step| (step + SHIFT) as u8));
    out.resize(width, SHIFT as u8);
}

/// Steps from -127 to 127 and what one step is worth.
fn quantise(vector: &[f32]) -> (impl Iterator<Item = i32> + '_, f32) {
    let largest = vector.iter().fold(0.0_f32, |largest, number| largest.max(number.abs()));
    let per_step = if largest > 0.0 { 127.0 / largest } else { 0.0 };
    (vector.iter().map(move |number| (number * per_step).round() as i32), largest / 127.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Kernel;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn products_stay_close(rows in prop::collection::vec((-1.0_f32..1.0, -1.0_f32..1.0), 1..150)) {
            let (a, b): (Vec<f32>, Vec<f32>) = rows.iter().copied().unzip();
            let width = a.len().next_multiple_of(64);
            let (mut coded, mut products) = (Vec::new(), Vec::new());
            query(&a, width, &mut coded);
            let passage = Code::passage(&b, width);
            Kernel::detect().dots(&coded, &passage.bytes, width, &[0], &mut products);
            let query_scale = a.iter().fold(0.0_f32, |largest, number| largest.max(number.abs())) / 127.0;
            let product = (products[0] - passage.bias) as f32 * passage.scale * query_scale;
            let exact: f32 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
            let bound = 0.01 * (a.len() as f32).max(1.0);
            prop_assert!((product - exact).abs() <= bound, "{product} {exact}");
        }
    }
}
