//! What is minimised: pure functions from log-probabilities, rewards and logits to a [`Loss`].
//!
//! * [`likelihood`]: SFT, cross entropy of the tokens that count;
//! * [`dpo`], [`preference`]: of a better and a worse answer;
//! * [`policy`]: GRPO and its kin, from [`advantage`], [`surrogate`], [`kl`], [`mismatch`] and [`aggregation`];
//! * [`ppo`]: advantages from a value head, that head's own loss, and KL as a part of the reward; [`reward_scale`];
//! * [`classes`]: the scorer's three labels; [`contrast`]: the encoder's pairs.
//!
//! The vectors are short, a number a token, so each objective is computed on the host in `f64` with
//! its derivative written beside it, and the sum is tied to the tensor it came from: a scalar whose
//! value is the loss and whose gradient is that derivative. Stop-gradients, clamps and ties then mean
//! what the papers say (candle halves a gradient at a bound), sums run in one order, and `f32`
//! log-probabilities lose nothing on the way. A log-probability that is not finite makes the loss
//! NaN, for the guard of the run to catch.
//!
//! A denominator always counts the whole optimiser batch, so that the losses and the gradients of
//! its micro-batches add up to those of the batch.

use candle_core::{DType, Device, Tensor};

use crate::{Error, Result};

pub mod advantage;
pub mod aggregation;
pub mod classes;
pub mod contrast;
pub mod dpo;
pub mod kl;
pub mod likelihood;
mod logistic;
pub mod metrics;
pub mod mismatch;
pub mod policy;
pub mod ppo;
pub mod preference;
pub mod reward_scale;
pub mod surrogate;

pub use advantage::{Advantages, Scaling, advantages, advantages_by_term};
pub use aggregation::{Aggregation, Denominator};
pub use classes::{class_loss, weighted_class_loss};
pub use contrast::contrast_loss;
pub use dpo::{DpoConfig, Pair, dpo_loss};
pub use kl::{Estimator, Kl, KlControl};
pub use likelihood::likelihood_loss;
pub use metrics::Metrics;
pub use mismatch::{Correction, Mode};
pub use policy::{GrpoConfig, Level, Mask, Recorded, policy_loss};
pub use ppo::{Gae, PpoConfig, gae, value_loss};
pub use preference::preference_loss;
pub use reward_scale::RewardScale;
pub use surrogate::Surrogate;

/// What an objective gives: a scalar to call `backward` on, its value, and what to write down.
#[derive(Clone, Debug)]
pub struct Loss {
    /// The loss as a scalar tensor, in the type and on the device of what it was computed from.
    pub loss: Tensor,
    /// The same in `f64`, without waiting for a device.
    pub value: f64,
    /// Of this micro-batch; those of a whole batch are merged.
    pub metrics: Metrics,
}

impl Loss {
    /// A loss of `value` whose gradient with respect to `tensor` is `gradient`, in its order.
    fn tied(tensor: &Tensor, value: f64, gradient: Vec<f64>, mut metrics: Metrics) -> Result<Self> {
        let gradient = Tensor::from_vec(gradient, tensor.shape(), &Device::Cpu)?;
        let gradient = gradient.to_dtype(tensor.dtype())?.to_device(tensor.device())?;
        let zero = ((tensor - tensor.detach())? * gradient)?.sum_all()?;
        metrics.sum("loss", value);
        Ok(Self { loss: (zero + value)?, value, metrics })
    }
}

/// The numbers of `tensor`, in row-major order; NaN for those that are not finite.
fn host(tensor: &Tensor) -> Result<Vec<f64>> {
    let mut numbers = tensor.detach().to_device(&Device::Cpu)?.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?;
    numbers.iter_mut().filter(|number: &&mut f64| !number.is_finite()).for_each(|number| *number = f64::NAN);
    Ok(numbers)
}

/// Refuses a vector that is not as long as `count`.
fn same_length(what: &str, length: usize, count: usize) -> Result<()> {
    if length == count {
        return Ok(());
    }
    Err(fault(format!("{length} {what} for {count} values")))
}

/// Refuses a setting out of its range.
fn in_range(name: &str, value: f64, is_inside: bool, range: &str) -> Result<()> {
    if is_inside && value.is_finite() {
        return Ok(());
    }
    Err(Error::Input(format!("{name} is {value}, not {range}")))
}

/// Refuses a batch that holds more than its denominator counts.
fn within(what: &str, here: usize, all: usize) -> Result<()> {
    if here <= all {
        return Ok(());
    }
    Err(fault(format!("{here} {what} in this micro-batch, but its optimiser batch is said to hold {all}")))
}

fn fault(reason: String) -> Error {
    Error::Shape(reason)
}
