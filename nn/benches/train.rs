//! Tokens a second of learning: forward, backward, and the new weights' layout, for a model of 5 million
//! parameters at 8 sequences of 256 tokens; all of its weights, or LoRA of rank 16 on every linear layer.
//!
//! Beside it, the share of candle's plain matrix product that the operations of the products alone make.
#![expect(clippy::print_stdout, reason = "a bench prints")]

use std::time::Instant;

use nn::{Adapter, Batch, Ceiling, Decoder, Device, Gradients, Recompute, Shape, Target, Trainable};

const SEQUENCES: usize = 8;
const LENGTH: usize = 256;
const STEPS: usize = 7;

fn main() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let folder = home.path().join("small");
    nn::init(Shape::Small, 1, &folder, &mut |_, _| {}).expect("a random model");
    for (what, recompute) in [
        (Trainable::All, Recompute::Off),
        (Trainable::All, Recompute::On),
        (Trainable::Adapter, Recompute::Off),
        (Trainable::Adapter, Recompute::On),
    ] {
        let mut decoder = Decoder::load(&folder, Device::cpu()).expect("a model just made");
        if what == Trainable::Adapter {
            let adapter = Adapter::new(decoder.config(), 16, 32.0, &Target::ALL, 1).expect("an adapter");
            decoder.set_adapter(Some(adapter)).expect("a fitting adapter");
        }
        let parameters = decoder.train(what, recompute).expect("a trainable decoder");
        let mut gradients = Gradients::new(&parameters);
        let config = decoder.config();
        let vocabulary = config.vocab_size;
        // What a token's products take: two operations a weight forward, two for its input's gradient,
        // and two for its own where it learns.
        let products = config.parameters() - vocabulary * config.hidden_size;
        let operations = 2.0 * products as f64 * if what == Trainable::All { 3.0 } else { 2.0 };
        let mut batch = Batch::default();
        let mut targets = Vec::new();
        for sequence in 0..SEQUENCES {
            let ids: Vec<u32> =
                (0..LENGTH).map(|token| ((token * 7919 + sequence * 104_729) % vocabulary) as u32).collect();
            batch.push_wanting(&ids, |token| token + 1 < LENGTH);
            targets.extend_from_slice(&ids[1..]);
        }
        let slopes = vec![-1.0 / targets.len() as f32; targets.len()];
        let mut best = [f64::INFINITY; 3];
        for _ in 0..STEPS {
            gradients.clear();
            let start = Instant::now();
            let pass = decoder.logprobs(&batch, &targets, 1.0).expect("a fitting batch");
            let forward = start.elapsed().as_secs_f64();
            decoder.backward_from(pass, &slopes, &mut gradients).expect("gradients of these parameters");
            let backward = start.elapsed().as_secs_f64() - forward;
            decoder.refresh().expect("the same variables");
            let refresh = start.elapsed().as_secs_f64() - forward - backward;
            for (best, seconds) in best.iter_mut().zip([forward, backward, refresh]) {
                *best = best.min(seconds);
            }
        }
        let ceiling = Ceiling::measure(Device::cpu()).expect("a processor").matmul_flops;
        let tokens = (SEQUENCES * LENGTH) as f64 / best.iter().sum::<f64>();
        println!(
            "{what:?}, recompute {recompute:?}: {tokens:.0} tokens/s ({:.1} ms forward, {:.1} backward, {:.1} refresh), {:.0}% of {:.0} GFLOP/s",
            best[0] * 1e3,
            best[1] * 1e3,
            best[2] * 1e3,
            100.0 * tokens * operations / ceiling,
            ceiling / 1e9,
        );
    }
}
