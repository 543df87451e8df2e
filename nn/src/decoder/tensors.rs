//! [`Tensors`]: a decoder on candle tensors: differentiable, and what serves on an accelerator.
//!
//! Sequences are attended to in groups: one sequence with any number of new tokens, or many with
//! one each, as in decoding. A group's keys are gathered from the cache by block, its shorter
//! sequences masked.

use std::ops::Range;

use candle_core::{DType, IndexOp, Tensor};

use super::Decoder;
use super::compute::{Compute, Gain};
use super::layer::Attention;
use super::linear::Linear;
use super::rope::angles;
use crate::kv_cache::BLOCK;
use crate::ops::tensor;
use crate::{Batch, BlockId, Result};

/// Keys and values of every layer, ((blocks * 32), KV * size) each.
#[derive(Debug)]
pub(crate) struct TensorStore {
    layers: Vec<(Tensor, Tensor)>,
}

impl TensorStore {
    pub(super) fn new(decoder: &Decoder, blocks: usize) -> Result<Self> {
        let shape = (blocks * BLOCK, decoder.config.key_width());
        let dtype = decoder.cache_type().unwrap_or(DType::F32);
        let table = || Tensor::zeros(shape, dtype, &decoder.candle);
        let layers = (0..decoder.config.num_hidden_layers).map(|_| Ok((table()?, table()?)));
        Ok(Self { layers: layers.collect::<Result<_>>()? })
    }

    /// Whether this is what `decoder` needs.
    pub(super) fn fits(&self, decoder: &Decoder) -> bool {
        let alike = |(keys, _): &(Tensor, Tensor)| {
            keys.dims()[1] == decoder.config.key_width()
                && Some(keys.dtype()) == decoder.cache_type()
                && keys.device().same_device(&decoder.candle)
        };
        self.layers.len() == decoder.config.num_hidden_layers && self.layers.iter().all(alike)
    }

    pub(super) fn copy(&mut self, from: BlockId, to: BlockId) -> Result<()> {
        for (keys, values) in &self.layers {
            for table in [keys, values] {
                let block = table.narrow(0, from as usize * BLOCK, BLOCK)?.copy()?;
                table.slice_set(&block, 0, to as usize * BLOCK)?;
            }
        }
        Ok(())
    }
}

/// One forward pass.
pub(super) struct Tensors<'a> {
    decoder: &'a Decoder,
    batch: &'a Batch,
    /// (T, size / 2)
    cos: Tensor,
    sin: Tensor,
    groups: Vec<Group>,
    cache: Option<Cache<'a>>,
    /// Whether the adapter takes part.
    pub(super) adapted: bool,
}

struct Cache<'a> {
    store: &'a TensorStore,
    /// Where each new token goes, (T, KV * size).
    places: Tensor,
}

/// Sequences that are attended to at once: `count` of them with `new` tokens each, one of both is 1.
struct Group {
    rows: Range<usize>,
    count: usize,
    new: usize,
    /// Where the tokens lie, (count * all): in the cache, or, of a sequence that goes on from another,
    /// in the batch.
    slots: Option<Tensor>,
    /// For each window of the model, what a token sees, (count, 1, 1, new, all); `None` for all.
    masks: Vec<(Option<usize>, Option<Tensor>)>,
}

impl<'a> Tensors<'a> {
    pub(super) fn new(decoder: &'a Decoder, batch: &'a Batch, store: Option<&'a TensorStore>) -> Result<Self> {
        let config = &decoder.config;
        let (mut cos, mut sin) = (Vec::new(), Vec::new());
        let rope = &config.rope;
        angles(batch.positions(), &decoder.frequencies, rope.amplitude(), &mut cos, &mut sin);
        let shape = (batch.tokens(), config.head_dim / 2);
        let cache = store
            .map(|store| {
                let places: Vec<u32> = batch
                    .sequences()
                    .flat_map(|sequence| {
                        let past = sequence.past;
                        (past..past + sequence.rows.len()).map(move |token| slot(sequence.blocks, token))
                    })
                    .collect();
                let places = Tensor::from_vec(places, (batch.tokens(), 1), &decoder.candle)?;
                let places = places.broadcast_as((batch.tokens(), config.key_width()))?.contiguous()?;
                Ok::<_, crate::Error>(Cache { store, places })
            })
            .transpose()?;
        Ok(Self {
            decoder,
            batch,
            cos: Tensor::from_vec(cos, shape, &decoder.candle)?,
            sin: Tensor::from_vec(sin, shape, &decoder.candle)?,
            groups: groups(decoder, batch, store.is_some())?,
            cache,
            adapted: true,
        })
    }

    fn fused(&self) -> bool {
        self.cache.is_some()
    }

    /// Heads of some columns of (T, wide), (T, heads, size).
    fn heads(&self, qkv: &Tensor, start: usize, heads: usize) -> Result<Tensor> {
        let size = self.decoder.config.head_dim;
        Ok(qkv.narrow(1, start, heads * size)?.contiguous()?.reshape((qkv.dim(0)?, heads, size))?)
    }
}

/// Where a token of a sequence lies.
fn slot(blocks: &[BlockId], token: usize) -> u32 {
    blocks[token / BLOCK] * BLOCK as u32 + (token % BLOCK) as u32
}

/// The rows of all tokens that a sequence is made of.
fn path(batch: &Batch, sequence: &crate::batch::Sequence<'_>) -> impl Iterator<Item = usize> {
    let mut parts = vec![sequence.rows.clone()];
    let mut parent = sequence.parent;
    while let Some(sequence) = parent.and_then(|number| batch.sequences().nth(number)) {
        parts.push(sequence.rows);
        parent = sequence.parent;
    }
    parts.into_iter().rev().flatten()
}

fn groups(decoder: &Decoder, batch: &Batch, cached: bool) -> Result<Vec<Group>> {
    let mut windows: Vec<Option<usize>> = decoder.config.windows.clone();
    windows.sort_unstable();
    windows.dedup();
    let sequences: Vec<_> = batch.sequences().filter(|sequence| !sequence.rows.is_empty()).collect();
    let together = |left: &crate::batch::Sequence<'_>, right: &crate::batch::Sequence<'_>| {
        cached && left.rows.len() == 1 && right.rows.len() == 1
    };
    sequences
        .chunk_by(together)
        .map(|group| {
            let (count, new) = (group.len(), group[0].rows.len());
            let all = group.iter().map(|sequence| sequence.past + new).max().unwrap_or_default();
            let slots = if cached {
                let slots: Vec<u32> = group
                    .iter()
                    .flat_map(|sequence| {
                        (0..all).map(|token| slot(sequence.blocks, token.min(sequence.past + new - 1)))
                    })
                    .collect();
                Some(Tensor::from_vec(slots, count * all, &decoder.candle)?)
            } else if group[0].parent.is_some() {
                let path: Vec<u32> = path(batch, &group[0]).map(|row| row as u32).collect();
                Some(Tensor::from_vec(path, count * all, &decoder.candle)?)
            } else {
                None
            };
            let masks = windows.iter().map(|window| {
                let mask: Vec<f32> = group
                    .iter()
                    .flat_map(|sequence| (sequence.past..sequence.past + new).map(|token| (token, window)))
                    .flat_map(|(token, window)| {
                        let first = window.map_or(0, |window| (token + 1).saturating_sub(window));
                        (0..all).map(move |seen| if (first..=token).contains(&seen) { 0.0 } else { f32::NEG_INFINITY })
                    })
                    .collect();
                let is_seen = mask.iter().all(|value| *value == 0.0);
                let mask = (!is_seen).then(|| Tensor::from_vec(mask, (count, 1, 1, new, all), &decoder.candle));
                Ok((*window, mask.transpose()?))
            });
            let rows = group[0].rows.start..group[count - 1].rows.end;
            Ok(Group { rows, count, new, slots, masks: masks.collect::<Result<_>>()? })
        })
        .collect()
}

impl Compute for Tensors<'_> {
    type Rows = Tensor;

    fn embed(&mut self) -> Result<Tensor> {
        let decoder = self.decoder;
        decoder.embedding.rows(&decoder.head, self.batch.ids(), &decoder.candle)
    }

    fn norm(&mut self, x: &Tensor, gain: &Gain) -> Result<Tensor> {
        Ok(tensor::rms_norm(x, &gain.tensor, self.decoder.config.rms_norm_eps, self.fused())?)
    }

    fn linear(&mut self, x: Tensor, linear: &Linear) -> Result<Tensor> {
        linear.forward(&x, self.adapted)
    }

    fn add_linear(&mut self, x: Tensor, linear: &Linear, residual: Tensor) -> Result<Tensor> {
        Ok(tensor::sum(&residual, &linear.forward(&x, self.adapted)?)?)
    }

    fn attend(&mut self, qkv: Tensor, attention: &Attention) -> Result<Tensor> {
        let config = &self.decoder.config;
        let (heads, key_heads, size) = (config.num_attention_heads, config.num_key_value_heads, config.head_dim);
        let mut queries = self.heads(&qkv, 0, heads)?;
        let mut keys = self.heads(&qkv, heads * size, key_heads)?;
        let mut values = self.heads(&qkv, (heads + key_heads) * size, key_heads)?;
        if let Some((of_queries, of_keys)) = &attention.norms {
            queries = self.norm(&queries, of_queries)?;
            keys = self.norm(&keys, of_keys)?;
        }
        let queries = tensor::rotate(&queries, &self.cos, &self.sin, self.fused())?; // (T, H, size)
        let mut keys = tensor::rotate(&keys, &self.cos, &self.sin, self.fused())?; // (T, KV, size)
        if let Some(cache) = &self.cache {
            let rows = (self.batch.tokens(), config.key_width());
            let (all_keys, all_values) = &cache.store.layers[attention.layer];
            for (table, new) in [(all_keys, &keys), (all_values, &values)] {
                let new = new.reshape(rows)?.to_dtype(table.dtype())?.contiguous()?;
                table.scatter_set(&cache.places, &new, 0)?;
            }
            (keys, values) = (all_keys.clone(), all_values.clone());
        }
        let mixed = self.groups.iter().map(|group| {
            let queries = queries.i(group.rows.clone())?.reshape((group.count, group.new, heads, size))?;
            let of_group = |table: &Tensor| -> Result<Tensor> {
                let rows = match &group.slots {
                    Some(slots) => table.index_select(slots, 0)?,
                    None => table.i(group.rows.clone())?,
                };
                let all = rows.dim(0)? / group.count;
                Ok(rows.reshape((group.count, all, key_heads, size))?)
            };
            let mask = group.masks.iter().find(|(window, _)| *window == attention.window);
            let mask = mask.and_then(|(_, mask)| mask.as_ref());
            let (keys, values) = (of_group(&keys)?, of_group(&values)?);
            let mixed = tensor::attention(&queries, &keys, &values, mask, self.fused())?;
            Ok(mixed.reshape((group.rows.len(), heads * size))?)
        });
        Ok(Tensor::cat(&mixed.collect::<Result<Vec<_>>>()?, 0)?)
    }

    fn swiglu(&mut self, gate_up: Tensor) -> Result<Tensor> {
        Ok(tensor::swiglu(&gate_up)?)
    }

    fn select(&mut self, x: Tensor) -> Result<Tensor> {
        let wanted = self.batch.wanted();
        if self.batch.wants_all() {
            return Ok(x);
        }
        let wanted: Vec<u32> = wanted.iter().map(|row| *row as u32).collect();
        let rows = wanted.len();
        Ok(x.index_select(&Tensor::from_vec(wanted, rows, &self.decoder.candle)?, 0)?)
    }

    fn head(&mut self, x: Tensor) -> Result<Tensor> {
        self.decoder.head.forward(&self.norm(&x, &self.decoder.norm)?, self.adapted)
    }
}
