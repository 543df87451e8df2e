//! [`Ceiling`]: what a device can do at most, measured, so that a speed can be judged.

use std::hint::black_box;
use std::thread;
use std::time::Instant;

use candle_core::{DType, Tensor};

use crate::{Device, Result};

/// Bytes that are read to measure memory: more than any cache holds.
const BYTES: usize = 512 << 20;
/// Rows and columns of the matrices that are multiplied on a processor.
const SIDE: usize = 1024;
/// The same on an accelerator, in bf16.
#[cfg(feature = "cuda")]
const ACCELERATOR_SIDE: usize = 8192;
/// The best of so many attempts counts.
const ATTEMPTS: usize = 5;

/// Rates that no model can exceed for long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ceiling {
    /// Bytes of memory that can be read in a second.
    pub read_bytes_per_s: f64,
    /// Floating-point operations in a second of candle's matrix product: f32 on a processor (on all of
    /// its cores), bf16 on an accelerator.
    pub matmul_flops: f64,
}

impl Ceiling {
    /// Measures `device` for about a second.
    ///
    /// # Errors
    /// [`crate::Error::Candle`] when the device fails or lacks memory.
    pub fn measure(device: Device) -> Result<Self> {
        match device {
            Device::Cpu { .. } => {
                Ok(Self { read_bytes_per_s: read(device.threads()), matmul_flops: matmul(device, SIDE, DType::F32)? })
            }
            #[cfg(feature = "cuda")]
            Device::Cuda { .. } => Ok(Self {
                read_bytes_per_s: copy(device)?,
                matmul_flops: matmul(device, ACCELERATOR_SIDE, DType::BF16)?,
            }),
        }
    }
}

/// The shortest of [`ATTEMPTS`], in seconds.
fn best(mut attempt: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..ATTEMPTS {
        let start = Instant::now();
        attempt()?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(best)
}

fn read(threads: usize) -> f64 {
    let words = vec![1_u64; BYTES / size_of::<u64>()];
    let attempt = || {
        thread::scope(|scope| {
            for part in words.chunks(words.len().div_ceil(threads)) {
                scope.spawn(|| black_box(part.iter().fold(0_u64, |sum, word| sum.wrapping_add(*word))));
            }
        });
        Ok(())
    };
    BYTES as f64 / best(attempt).unwrap_or(f64::INFINITY)
}

fn matmul(device: Device, side: usize, dtype: DType) -> Result<f64> {
    let device = device.candle()?;
    let matrix = Tensor::full(0.5_f32, (side, side), &device)?.to_dtype(dtype)?;
    let seconds = best(|| {
        let product = matrix.matmul(&matrix)?;
        device.synchronize()?;
        black_box(product);
        Ok(())
    })?;
    Ok(2.0 * (side as f64).powi(3) / seconds)
}

/// A copy reads every byte and writes it.
#[cfg(feature = "cuda")]
fn copy(device: Device) -> Result<f64> {
    let device = device.candle()?;
    let bytes = Tensor::zeros(BYTES, DType::U8, &device)?;
    let seconds = best(|| {
        let twin = bytes.copy()?;
        device.synchronize()?;
        black_box(twin);
        Ok(())
    })?;
    Ok(2.0 * BYTES as f64 / seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_reads_and_multiplies() {
        let Ceiling { read_bytes_per_s, matmul_flops } = Ceiling::measure(Device::cpu()).unwrap();
        assert!((1e8..1e13).contains(&read_bytes_per_s), "{read_bytes_per_s}");
        assert!((1e8..1e15).contains(&matmul_flops), "{matmul_flops}");
    }
}
