//! [`Head`]: one number for each state of a decoder: what is still to come of an episode, or what an answer is worth.

use std::path::{Path, PathBuf};

use candle_core::backprop::GradStore;
use candle_core::{D, Device, Tensor, Var};
use nn::{Gradients, Parameter, Stream, Weights};

use crate::Result;
use crate::recipe::Learn;
use crate::tensors::{Floats, write_tensors};

/// The weight, as sequence classifiers of Hugging Face name it.
const WEIGHT: &str = "score.weight";

/// What a head tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tells {
    /// What is still to come, at every token: PPO's. It begins at zero.
    Value,
    /// What a whole answer is worth, at its end. It begins at random, since a decoder learns nothing through zeros.
    Reward,
}

impl Tells {
    /// Its file in a checkpoint. A reward belongs to what is exported, a value to the training alone.
    pub(crate) fn file(self, checkpoint: &Path, learn: Learn) -> PathBuf {
        match self {
            Self::Value => checkpoint.join("value_head.safetensors"),
            Self::Reward => super::weights(checkpoint, learn).join(REWARD_FILE),
        }
    }
}

/// The file of a reward's head, in the folder of its model or adapter.
pub(crate) const REWARD_FILE: &str = "reward_head.safetensors";

/// A linear layer of one output and no bias, over the normalised states after the last layer.
#[derive(Debug)]
pub(crate) struct Head {
    tells: Tells,
    /// (1, D)
    parameter: Parameter,
    gradients: Gradients,
}

impl Head {
    /// A head over states of `width` numbers.
    pub(crate) fn new(tells: Tells, width: usize, seed: u64) -> Result<Self> {
        let values = match tells {
            Tells::Value => vec![0.0; width],
            Tells::Reward => normal(width, seed),
        };
        let var = Var::from_vec(values, (1, width), &Device::Cpu)?;
        let parameter = Parameter { name: WEIGHT.to_owned(), var };
        let gradients = Gradients::new(std::slice::from_ref(&parameter));
        Ok(Self { tells, parameter, gradients })
    }

    /// The head in the file `path`, over states of `width` numbers.
    pub(crate) fn open(tells: Tells, width: usize, path: &Path) -> Result<Self> {
        let head = Self::new(tells, width, 0)?;
        head.load(path)?;
        Ok(head)
    }

    pub(crate) fn tells(&self) -> Tells {
        self.tells
    }

    pub(crate) fn parameter(&self) -> &Parameter {
        &self.parameter
    }

    pub(crate) fn gradients(&self) -> &Gradients {
        &self.gradients
    }

    /// A number for each of `states` (N, D), (N). A state's does not depend on the others.
    pub(crate) fn values(&self, states: &Tensor) -> Result<Tensor> {
        let states = states.to_device(&Device::Cpu)?;
        Ok(states.broadcast_mul(self.parameter.var.as_tensor())?.sum(D::Minus1)?)
    }

    /// Adds the gradient that a loss gave.
    pub(crate) fn learn(&mut self, store: &GradStore) -> Result<()> {
        if let Some(gradient) = store.get(self.parameter.var.as_tensor()) {
            let gradient: Vec<f32> = gradient.flatten_all()?.to_vec1()?;
            self.gradients.get_mut(0).iter_mut().zip(gradient).for_each(|(sum, value)| *sum += value);
        }
        Ok(())
    }

    pub(crate) fn forget(&mut self) {
        self.gradients.clear();
    }

    pub(crate) fn load(&self, path: &Path) -> Result<()> {
        let var = &self.parameter.var;
        let values = Weights::open_file(path)?.floats(WEIGHT, var.dims())?;
        Ok(var.set(&Tensor::from_vec(values, var.dims(), var.device())?)?)
    }

    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let Parameter { name, var } = &self.parameter;
        write_tensors(path, &[(name.clone(), var.dims().to_vec(), Floats::Tensor(var.as_tensor()))])
    }
}

/// Numbers of mean 0 and variance 1 / (count + 1), so that a normalised state gives one of about 1.
fn normal(count: usize, seed: u64) -> Vec<f32> {
    let stream = Stream { seed, step: u32::MAX, prompt: u32::MAX, sample: u32::MAX };
    let spread = 1.0 / ((count + 1) as f64).sqrt();
    // Box and Muller's pairs, of which one is taken.
    let number = |at: u32| {
        let (radius, angle) = (1.0 - stream.uniform(2 * at), stream.uniform(2 * at + 1));
        (spread * (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()) as f32
    };
    (0..count as u32).map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_tells_each_state_apart_and_knows_its_slope() {
        let mut head = Head::new(Tells::Reward, 3, 1).unwrap();
        head.parameter.var.set(&Tensor::new(&[[1.0_f32, -2.0, 0.5]], &Device::Cpu).unwrap()).unwrap();
        let states = Var::new(&[[1.0_f32, 0.0, 2.0], [0.0, 1.0, 4.0]], &Device::Cpu).unwrap();
        let values = head.values(states.as_tensor()).unwrap();
        assert_eq!(values.to_vec1::<f32>().unwrap(), [2.0, 0.0]);
        let slopes = Tensor::new(&[3.0_f32, 10.0], &Device::Cpu).unwrap();
        let store = (values * slopes).unwrap().sum_all().unwrap().backward().unwrap();
        head.learn(&store).unwrap();
        head.learn(&store).unwrap();
        assert_eq!(head.gradients.get(0), [6.0, 20.0, 92.0]);
        assert_eq!(store.get(&states).unwrap().to_vec2::<f32>().unwrap(), [[3.0, -6.0, 1.5], [10.0, -20.0, 5.0]]);
        head.forget();
        assert_eq!(head.gradients.norm(), 0.0);
    }

    #[test]
    fn a_head_begins_as_it_should_and_survives_being_written() {
        let spread = |head: &Head| {
            let values: Vec<f32> = head.parameter.var.flatten_all().unwrap().to_vec1().unwrap();
            values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>()
        };
        assert_eq!(spread(&Head::new(Tells::Value, 400, 1).unwrap()), 0.0);
        let head = Head::new(Tells::Reward, 400, 1).unwrap();
        assert!((spread(&head) - 1.0).abs() < 0.2, "{}", spread(&head));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(REWARD_FILE);
        head.save(&path).unwrap();
        assert_eq!(spread(&Head::open(Tells::Reward, 400, &path).unwrap()), spread(&head));
        assert!(Head::open(Tells::Reward, 3, &path).is_err());
    }
}
