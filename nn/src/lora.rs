//! LoRA (arXiv 2106.09685): a low-rank addition to frozen linear layers, and [`Adapter`], all of a model's.
//!
//! An adapter's variables are `f32`. Clones share them, so that what trains an adapter and what
//! serves it hold the same numbers; [`Adapter::refresh`] carries a change over to the layout in
//! which the processor serves.

mod packed;
mod peft;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use candle_core::{DType, Device as CandleDevice, Tensor, Var};

pub(crate) use self::packed::{Group, PackedLora, SIDE_BY_SIDE};
use crate::ops::tensor::product;
use crate::{DecoderConfig, Error, Result, Stream};

/// The most ranks of one addition.
const MAX_RANK: usize = 4096;

/// A linear layer of a decoder layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// `q_proj`
    Query,
    /// `k_proj`
    Key,
    /// `v_proj`
    Value,
    /// `o_proj`
    Output,
    /// `gate_proj`
    Gate,
    /// `up_proj`
    Up,
    /// `down_proj`
    Down,
}

impl Target {
    /// Every linear layer of a decoder layer.
    pub const ALL: [Self; 7] = [Self::Query, Self::Key, Self::Value, Self::Output, Self::Gate, Self::Up, Self::Down];

    /// Where it stands in a layer.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Query => "self_attn.q_proj",
            Self::Key => "self_attn.k_proj",
            Self::Value => "self_attn.v_proj",
            Self::Output => "self_attn.o_proj",
            Self::Gate => "mlp.gate_proj",
            Self::Up => "mlp.up_proj",
            Self::Down => "mlp.down_proj",
        }
    }

    /// Its short name.
    pub fn name(self) -> &'static str {
        let path = self.path();
        path.split_once('.').map_or(path, |(_, name)| name)
    }

    /// Inputs and outputs in a decoder of this configuration.
    pub(crate) fn sizes(self, config: &DecoderConfig) -> (usize, usize) {
        let (width, wide) = (config.hidden_size, config.intermediate_size);
        match self {
            Self::Query => (width, config.query_width()),
            Self::Key | Self::Value => (width, config.key_width()),
            Self::Output => (config.query_width(), width),
            Self::Gate | Self::Up => (width, wide),
            Self::Down => (wide, width),
        }
    }
}

/// The addition to one linear layer: `scale * (x A^T) B^T`.
#[derive(Clone, Debug)]
pub(crate) struct Lora {
    /// (rank, inputs)
    pub(crate) a: Var,
    /// (outputs, rank)
    pub(crate) b: Var,
    pub(crate) scale: f64,
    /// The layer's number, and which linear layer of it.
    place: (usize, Target),
}

impl Lora {
    /// (T, inputs) to (T, outputs), differentiable.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let low = product(x, &self.a)?; // (T, rank)
        Ok((product(&low, &self.b)? * self.scale)?)
    }

    /// The name of a variable in PEFT's files, `which` is A or B.
    pub(crate) fn name(&self, which: &str) -> String {
        peft::tensor_name(self.place.0, self.place.1, which)
    }

    /// What it adds to the weight, (outputs, inputs).
    pub(crate) fn delta(&self) -> Result<Tensor> {
        Ok((self.b.as_detached_tensor().matmul(self.a.as_tensor())? * self.scale)?.detach())
    }
}

/// LoRA for a decoder. Clones share their variables.
#[derive(Clone, Debug)]
pub struct Adapter {
    rank: usize,
    alpha: f64,
    /// Whether the scale is `alpha / sqrt(rank)` instead of `alpha / rank`.
    rank_stabilised: bool,
    pairs: BTreeMap<(usize, Target), Lora>,
    packed: Arc<RwLock<Vec<Group>>>,
}

impl Adapter {
    /// A new adapter that changes nothing yet: A is uniform in `±1 / sqrt(inputs)`, B is zero.
    ///
    /// # Errors
    /// [`Error::Shape`] for a rank of zero or beyond 4096, an alpha that is not positive, or no targets.
    pub fn new(config: &DecoderConfig, rank: usize, alpha: f64, targets: &[Target], seed: u64) -> Result<Self> {
        if rank == 0 || rank > MAX_RANK || targets.is_empty() || !(alpha > 0.0 && alpha.is_finite()) {
            return Err(Error::Shape(format!(
                "LoRA of rank {rank}, alpha {alpha} on {} targets: expected rank 1 to {MAX_RANK}, a positive alpha, a target",
                targets.len()
            )));
        }
        let mut adapter = Self::empty(rank, alpha, false);
        for layer in 0..config.num_hidden_layers {
            for target in targets {
                let (inputs, outputs) = target.sizes(config);
                let bound = 1.0 / (inputs as f32).sqrt();
                let stream = Stream { seed, step: 0, prompt: layer as u32, sample: *target as u32 };
                let a: Vec<f32> = (0..(rank * inputs).div_ceil(4) as u32)
                    .flat_map(|place| stream.words(place))
                    .take(rank * inputs)
                    .map(|word| ((word >> 8) as f32 / (1 << 23) as f32 - 1.0) * bound)
                    .collect();
                let a = Tensor::from_vec(a, (rank, inputs), &CandleDevice::Cpu)?;
                let b = Tensor::zeros((outputs, rank), DType::F32, &CandleDevice::Cpu)?;
                adapter.insert(layer, *target, &a, &b)?;
            }
        }
        Ok(adapter)
    }

    fn empty(rank: usize, alpha: f64, rank_stabilised: bool) -> Self {
        Self { rank, alpha, rank_stabilised, pairs: BTreeMap::new(), packed: Arc::default() }
    }

    fn insert(&mut self, layer: usize, target: Target, a: &Tensor, b: &Tensor) -> Result<()> {
        let lora =
            Lora { a: Var::from_tensor(a)?, b: Var::from_tensor(b)?, scale: self.scale(), place: (layer, target) };
        self.pairs.insert((layer, target), lora);
        Ok(())
    }

    /// The width of what lies between A and B.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// What the product of B and A is multiplied by.
    pub fn scale(&self) -> f64 {
        let rank = self.rank as f64;
        self.alpha / if self.rank_stabilised { rank.sqrt() } else { rank }
    }

    /// Number of trained values.
    pub fn parameters(&self) -> usize {
        self.variables().map(|(_, variable)| variable.elem_count()).sum()
    }

    /// Every variable by its name in PEFT's files, in a fixed order.
    pub fn variables(&self) -> impl Iterator<Item = (String, &Var)> {
        self.pairs.values().flat_map(|lora| [(lora.name("A"), &lora.a), (lora.name("B"), &lora.b)])
    }

    /// Carries the variables' present values over to every decoder on the processor that serves this
    /// adapter, between two of its forward passes.
    ///
    /// # Errors
    /// [`Error::Candle`] when a variable cannot be read.
    pub fn refresh(&self) -> Result<()> {
        let mut groups = self.packed.write().unwrap_or_else(PoisonError::into_inner);
        for group in groups.iter_mut() {
            group.pack()?;
        }
        Ok(())
    }

    /// The addition to a layer.
    pub(crate) fn get(&self, layer: usize, target: Target) -> Option<&Lora> {
        self.pairs.get(&(layer, target))
    }

    /// The additions as the processor computes them, held still for one forward pass.
    pub(crate) fn packed(&self) -> RwLockReadGuard<'_, Vec<Group>> {
        self.packed.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses an adapter that was made for a decoder of another shape.
    pub(crate) fn check(&self, config: &DecoderConfig) -> Result<()> {
        for ((layer, target), lora) in &self.pairs {
            let (inputs, outputs) = target.sizes(config);
            let name = format!("layers.{layer}.{}", target.path());
            if *layer >= config.num_hidden_layers {
                let layers = config.num_hidden_layers;
                return Err(Error::Shape(format!("the adapter changes `{name}`, but the model has {layers} layers")));
            }
            let (a, b) = (lora.a.dims(), lora.b.dims());
            if a != [self.rank, inputs] || b != [outputs, self.rank] {
                let reason =
                    format!("the adapter's {b:?} by {a:?} does not fit `{name}`, which has {outputs} by {inputs}");
                return Err(Error::Shape(reason));
            }
        }
        Ok(())
    }

    /// The same adapter with its variables on `device`, and its layout for the processor made anew.
    pub(crate) fn attach(mut self, config: &DecoderConfig, device: &CandleDevice) -> Result<Self> {
        self.check(config)?;
        for lora in self.pairs.values_mut() {
            if !lora.a.device().same_device(device) {
                lora.a = Var::from_tensor(&lora.a.to_device(device)?)?;
                lora.b = Var::from_tensor(&lora.b.to_device(device)?)?;
            }
        }
        if device.is_cpu() {
            let groups = Group::all(config, |layer, target| self.get(layer, target).cloned())?;
            *self.packed.write().unwrap_or_else(PoisonError::into_inner) = groups;
        }
        Ok(self)
    }
}
