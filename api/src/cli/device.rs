//! Where a local model runs: `--device` and `--threads`, the same wherever a model is opened.

use std::num::NonZero;

use agent::model::{Device, device};
use anyhow::Result;

use super::positive;

/// Where a local model runs.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DeviceArgs {
    /// Where a local model runs: cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: String,
    /// Threads of a local model on the processor [default: the number of cores]
    #[arg(long, value_name = "N", value_parser = positive::<NonZero<usize>>)]
    threads: Option<NonZero<usize>>,
}

impl DeviceArgs {
    /// The device that is meant.
    pub(crate) fn device(&self) -> Result<Device> {
        Ok(device(&self.device, self.threads)?)
    }
}
