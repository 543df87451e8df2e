//! How much memory a micro-batch will take, and how much there is.

use std::fs;

use nn::DecoderConfig;

use crate::recipe::Recompute;
use crate::{Error, Result};

/// Values that are kept at most before layers are computed again when nobody says.
const AUTO: usize = (1 << 30) / size_of::<f32>();

/// Bytes that training is expected to take beside the weights, before anything of it is allocated.
///
/// Gradients and two moments for each of `parameters` values; of each of `tokens` tokens what a layer keeps for its backward
/// pass, for every layer, or, where layers are computed again, their inputs and one layer's inside.
pub fn forecast(config: &DecoderConfig, parameters: usize, tokens: usize, recompute: Recompute) -> u64 {
    let (width, wide) = (config.hidden_size, config.intermediate_size);
    let queries = config.num_attention_heads * config.head_dim;
    let keys = config.num_key_value_heads * config.head_dim;
    // Input, two normed inputs, attention's output, the sum after it; queries, keys, values; gate, up and their product.
    let inside = 5 * width + 2 * queries + 2 * keys + 3 * wide;
    let layers = config.num_hidden_layers;
    let (all, inputs) = (inside * layers * tokens, (width * layers + inside) * tokens);
    let kept = match recompute {
        Recompute::Off => all,
        Recompute::On => inputs,
        Recompute::Auto => all.min(inputs.max(AUTO)),
    };
    // The backward pass holds the gradients of one layer's inside too.
    let floats = 3 * parameters + kept + inside * tokens;
    (floats * size_of::<f32>()) as u64
}

/// Refuses what the machine has no room for; `setting` is what to change. Says nothing where the machine does not tell.
///
/// # Errors
/// [`Error::Input`] with both sizes and the setting.
pub fn check(needed: u64, available: Option<u64>, setting: &str) -> Result<()> {
    match available {
        Some(available) if needed > available => {
            let megabytes = |bytes: u64| bytes.div_ceil(1_000_000);
            Err(Error::Input(format!(
                "the largest micro-batch needs about {} MB and the machine has {} MB left: {setting}",
                megabytes(needed),
                megabytes(available)
            )))
        }
        _ => Ok(()),
    }
}

/// Bytes that the machine can still give, where Linux tells it.
pub fn available() -> Option<u64> {
    field(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

/// The most bytes that this process has taken so far, where Linux tells it.
pub fn peak() -> Option<u64> {
    field(&fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_tokens_need_more_and_recomputing_less() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("m");
        nn::init(nn::Shape::Small, 0, &model, &mut |_, _| {}).unwrap();
        let config = DecoderConfig::open(&model).unwrap();
        let of = |tokens, recompute| forecast(&config, 5_000_000, tokens, recompute);
        assert!(of(0, Recompute::Off) == 60_000_000);
        assert!(of(4096, Recompute::Off) > 2 * of(1024, Recompute::Off) && of(4096, Recompute::Off) < 1 << 30);
        assert!(of(4096, Recompute::On) < of(4096, Recompute::Off));
        assert_eq!(of(4096, Recompute::Auto), of(4096, Recompute::Off));
        assert!((of(1 << 15, Recompute::On)..of(1 << 15, Recompute::Off)).contains(&of(1 << 15, Recompute::Auto)));
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_setting() {
        check(10, Some(10), "x").unwrap();
        check(u64::MAX, None, "x").unwrap();
        let error = check(2_000_001, Some(1_000_000), "lower sft.micro_tokens").unwrap_err().to_string();
        assert!(error.contains("about 3 MB") && error.ends_with("1 MB left: lower sft.micro_tokens"), "{error}");
        assert_eq!(field("VmHWM:\t    1234 kB\n", "VmHWM:"), Some(1234 * 1024));
        assert_eq!(field("VmHWM:\t many\n", "VmHWM:"), None);
    }
}
