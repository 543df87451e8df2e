//! The pass of AdamW over values on the processor.

use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, InplaceOp1, Layout};
use rayon::prelude::*;

use super::Numbers;

/// Values that one thread takes at a time.
const RUN: usize = 1 << 14;

/// An update of one parameter in place.
pub(super) struct Update<'a> {
    numbers: Numbers,
    gradient: &'a [f32],
    /// Behind a lock, since an operation of candle's is given by a shared reference.
    moments: Mutex<(&'a mut [f32], &'a mut [f32])>,
}

impl<'a> Update<'a> {
    pub(super) fn new(numbers: Numbers, gradient: &'a [f32], first: &'a mut [f32], second: &'a mut [f32]) -> Self {
        Self { numbers, gradient, moments: Mutex::new((first, second)) }
    }
}

impl InplaceOp1 for Update<'_> {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn cpu_fwd(&self, value: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let (CpuStorage::F32(values), Some((start, end))) = (value, layout.contiguous_offsets()) else {
            return Err(candle_core::Error::Msg("what is trained must be f32 and contiguous".to_owned()));
        };
        let mut moments = self.moments.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, second) = &mut *moments;
        advance(self.numbers, &mut values[start..end], self.gradient, first, second);
        Ok(())
    }
}

fn advance(numbers: Numbers, values: &mut [f32], gradients: &[f32], first: &mut [f32], second: &mut [f32]) {
    let Numbers { beta1, beta2, scale, keep, rate, unbias, epsilon } = numbers;
    let (gain1, gain2) = ((1.0 - beta1) as f32, (1.0 - beta2) as f32);
    let (beta1, beta2, scale, keep) = (beta1 as f32, beta2 as f32, scale as f32, keep as f32);
    let (rate, unbias, epsilon) = (rate as f32, unbias as f32, epsilon as f32);
    values
        .par_chunks_mut(RUN)
        .zip(gradients.par_chunks(RUN))
        .zip(first.par_chunks_mut(RUN).zip(second.par_chunks_mut(RUN)))
        .for_each(|((values, gradients), (first, second))| {
            let moments = first.iter_mut().zip(second);
            for ((value, gradient), (first, second)) in values.iter_mut().zip(gradients).zip(moments) {
                let gradient = gradient * scale;
                *first = beta1 * *first + gain1 * gradient;
                *second = beta2 * *second + gain2 * gradient * gradient;
                *value = keep * *value - rate * *first / (second.sqrt() * unbias + epsilon);
            }
        });
}
