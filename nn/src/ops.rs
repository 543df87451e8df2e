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
pub(crate) mod math;
pub(crate) mod sample;
pub(crate) mod softmax;
mod tile;

pub(crate) use attention::{Attention, attention};
pub(crate) use isa::Isa;
pub(crate) use layer_norm::layer_norm;
pub(crate) use linear::{After, Linear};

#[cfg(test)]
pub(crate) mod testing;
