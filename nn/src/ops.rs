//! The arithmetic: every fused or hand-written operation of this crate, one file each.
//!
//! An operation is a pair of free functions over row-major `f32` slices: the forward here, its
//! backward beside it in the same file, a device kernel in a file of the same name under that
//! device's folder. Nothing outside this module names a processor feature or a fused operation of
//! candle, several of which cut the gradient without a word. Each operation has a plain `f64`
//! oracle in its tests, and is tested on every instruction set that the machine has.

pub(crate) mod attention;
pub(crate) mod gelu;
pub(crate) mod isa;
pub(crate) mod layer_norm;
pub(crate) mod linear;
pub(crate) mod linear_logprob;
pub(crate) mod math;
pub(crate) mod paged;
pub(crate) mod panels;
pub(crate) mod rms_norm;
pub(crate) mod sample;
pub(crate) mod softmax;
pub(crate) mod split;
pub(crate) mod swiglu;
pub(crate) mod team;
pub(crate) mod tensor;
mod tile;
mod weight_gradient;

pub(crate) use attention::{Attention, AttentionGradient, attention, attention_backward};
pub(crate) use gelu::{gelu_backward, gelu_to};
pub(crate) use isa::Isa;
pub(crate) use layer_norm::{layer_norm, layer_norm_backward, layer_norm_to};
pub(crate) use linear::{After, Linear, Part, linear, linear_backward};
pub(crate) use linear_logprob::{LogProbMemory, Question, TokenProb, linear_logprob, linear_logprob_backward};
pub(crate) use paged::{
    Attended, AttentionMemory, BackwardMemory, HeadNorms, Heads, Pages, Span, paged_attention, paged_attention_backward,
};
pub(crate) use panels::{Columns, Panels, Values};
pub(crate) use rms_norm::{rms_norm, rms_norm_backward};
pub(crate) use swiglu::{swiglu, swiglu_backward};
pub(crate) use team::Team;
pub(crate) use weight_gradient::{WeightMemory, bias_gradient, weight_gradient};

#[cfg(test)]
pub(crate) mod testing;
