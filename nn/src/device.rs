//! [`Device`]: where tensors are computed, and with how much of it.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use candle_core::Device as CandleDevice;

use crate::Result;

/// Where a model runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Device {
    /// The processor.
    Cpu {
        /// How many threads one call may use.
        threads: NonZero<usize>,
    },
    /// An accelerator of NVIDIA.
    #[cfg(feature = "cuda")]
    Cuda {
        /// Its number, from 0.
        ordinal: usize,
    },
}

impl Device {
    /// The processor, with every core this process may use.
    pub fn cpu() -> Self {
        Self::Cpu { threads: thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN) }
    }

    /// The same place in candle's words.
    #[cfg_attr(not(feature = "cuda"), expect(clippy::unnecessary_wraps, reason = "an accelerator may be missing"))]
    pub(crate) fn candle(self) -> Result<CandleDevice> {
        match self {
            Self::Cpu { .. } => Ok(CandleDevice::Cpu),
            #[cfg(feature = "cuda")]
            Self::Cuda { ordinal } => Ok(CandleDevice::new_cuda(ordinal)?),
        }
    }

    /// How many threads of the processor one call may use; `None` on an accelerator.
    #[cfg_attr(not(feature = "cuda"), expect(clippy::unnecessary_wraps, reason = "an accelerator has no threads"))]
    pub(crate) fn processor(self) -> Option<NonZero<usize>> {
        match self {
            Self::Cpu { threads } => Some(threads),
            #[cfg(feature = "cuda")]
            Self::Cuda { .. } => None,
        }
    }

    /// How many threads one call may use.
    pub fn threads(self) -> usize {
        match self {
            Self::Cpu { threads } => threads.get(),
            #[cfg(feature = "cuda")]
            Self::Cuda { .. } => 1,
        }
    }

    /// Runs `work` on the numbers `0..jobs` and gives the results in their order. Each thread takes
    /// the next number when it is free and keeps one `State` of its own; a single job, or a single
    /// thread, stays on the caller's.
    pub(crate) fn spread<State: Default, T: Send>(
        self,
        jobs: usize,
        work: impl Fn(&mut State, usize) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let threads = self.threads().min(jobs);
        if threads <= 1 {
            let mut state = State::default();
            return (0..jobs).map(|job| work(&mut state, job)).collect();
        }
        let next = AtomicUsize::new(0);
        let worker = || {
            let mut state = State::default();
            let mut done = Vec::new();
            loop {
                let job = next.fetch_add(1, Ordering::Relaxed);
                if job >= jobs {
                    return done;
                }
                done.push((job, work(&mut state, job)));
            }
        };
        let mut results = thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(worker)).collect();
            let mut results = worker();
            for other in others {
                results.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
            }
            results
        });
        results.sort_unstable_by_key(|(job, _)| *job);
        results.into_iter().map(|(_, result)| result).collect()
    }
}

impl Default for Device {
    fn default() -> Self {
        Self::cpu()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn order_is_kept_whatever_the_threads() {
        for threads in [1, 2, 5] {
            let device = Device::Cpu { threads: NonZero::new(threads).unwrap() };
            let squares = device.spread(40, |seen: &mut usize, job| {
                *seen += 1;
                Ok(job * job)
            });
            assert_eq!(squares.unwrap(), (0..40).map(|job| job * job).collect::<Vec<_>>());
        }
    }

    #[test]
    fn first_error_by_order_wins() {
        let device = Device::Cpu { threads: NonZero::new(3).unwrap() };
        let result = device.spread(
            20,
            |(): &mut (), job| {
                if job % 7 == 5 { Err(Error::Shape(format!("job {job}"))) } else { Ok(job) }
            },
        );
        assert_eq!(result.unwrap_err().to_string(), "job 5");
    }
}
