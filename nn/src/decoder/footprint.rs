//! What learning takes of memory, from a configuration alone: known before anything is allocated.

use super::logprobs::KEPT;
use super::{DecoderConfig, Recompute, Trainable};
use crate::Target;

/// Values of one chunk of logits.
const CHUNK: usize = 1 << 20;

impl DecoderConfig {
    /// Values that one layer keeps of a token for its backward pass.
    pub(super) fn kept_by_layer(&self) -> usize {
        let qkv = (self.query_width() + 2 * self.key_width()) * if self.qk_norm { 2 } else { 1 };
        2 * self.hidden_size + qkv + self.query_width() + 3 * self.intermediate_size
    }

    /// Bytes that [`crate::Decoder::logprobs`] and its way back take for so many tokens, all of them learnt,
    /// on the processor, beside weights and gradients.
    pub fn pass_bytes(&self, tokens: usize, what: Trainable, recompute: Recompute) -> usize {
        let (width, wide, layers) = (self.hidden_size, self.intermediate_size, self.num_hidden_layers);
        let (inside, tokens) = (self.kept_by_layer(), tokens.max(1));
        let all = inside.saturating_mul(layers);
        let keeps = match recompute {
            Recompute::Off => true,
            Recompute::On => false,
            Recompute::Auto => all.saturating_mul(tokens).saturating_mul(size_of::<f32>()) <= KEPT,
        };
        let kept = if keeps { all } else { width * layers + inside };
        // The states after the last layer, twice; the attention of one layer in blocks; what is on its way down.
        let passing = 2 * width + 2 * self.key_width() + width + wide;
        // Outputs turned, and inputs as panels, of the widest weight that learns.
        let turned = match what {
            Trainable::All => 3 * wide,
            Trainable::Adapter => 2 * wide,
        };
        let values = kept.saturating_add(passing + turned).saturating_mul(tokens).saturating_add(CHUNK);
        values.saturating_mul(size_of::<f32>())
    }

    /// How many values an adapter of this rank has on `targets`.
    pub fn adapter_parameters(&self, rank: usize, targets: &[Target]) -> usize {
        let of = |target: &Target| {
            let (inputs, outputs) = target.sizes(self);
            (inputs + outputs).saturating_mul(rank)
        };
        targets.iter().map(of).sum::<usize>().saturating_mul(self.num_hidden_layers)
    }
}
