//! Tokens a second through the decoder on the processor: prefill, and decoding by batch size.
//!
//! The `small` shape (5M parameters, f32) by default. With `ANAMNESIS_MODEL` set to a model folder, that
//! model; with `ANAMNESIS_THREADS` set, so many threads.

#![expect(clippy::print_stdout, reason = "a bench says what it measures")]

use std::path::PathBuf;
use std::sync::LazyLock;

use divan::Bencher;
use divan::counter::ItemsCount;
use nn::{BLOCK, Batch, BlockId, Decoder, Device, KvCache, Pass, Shape, Wanted, init};

/// Tokens of a sequence before it is decoded.
const PROMPT: usize = 128;
/// Steps of one sample of decoding.
const STEPS: usize = 64;

static DECODER: LazyLock<Decoder> = LazyLock::new(|| {
    let threads = std::env::var("ANAMNESIS_THREADS").ok().and_then(|text| text.parse().ok());
    let device = threads.map_or_else(Device::cpu, |threads| Device::Cpu { threads });
    let folder = std::env::var_os("ANAMNESIS_MODEL").map_or_else(
        || {
            let folder = std::env::temp_dir().join("anamnesis-bench-small");
            if !folder.join("config.json").is_file() {
                init(Shape::Small, 0, &folder, &mut |_, _| {}).expect("a writable temporary folder");
            }
            folder
        },
        PathBuf::from,
    );
    Decoder::load(&folder, device).expect("a model folder")
});

fn main() {
    let threads = Device::cpu().threads();
    let config = DECODER.config();
    let (weights, block) = (DECODER.bytes() as f64 / 1e6, DECODER.bytes_per_block() / BLOCK);
    println!(
        "{} with {:.1}M parameters, {weights:.1} MB of weights, {block} bytes of cache a token, {} of {threads} threads",
        config.family.name(),
        config.parameters() as f64 / 1e6,
        std::env::var("ANAMNESIS_THREADS").unwrap_or_else(|_| threads.to_string()),
    );
    divan::main();
}

/// Sequences of so many tokens in a cache, with room for more.
struct Serving {
    cache: KvCache,
    batch: Batch,
    blocks: Vec<Vec<BlockId>>,
}

impl Serving {
    fn new(sequences: usize, tokens: usize) -> Self {
        let each = tokens.div_ceil(BLOCK);
        let cache = KvCache::new(&DECODER, sequences * each).expect("a cache");
        let blocks = |sequence: usize| (sequence * each..(sequence + 1) * each).map(|block| block as BlockId).collect();
        Self { cache, batch: Batch::default(), blocks: (0..sequences).map(blocks).collect() }
    }

    fn step(&mut self, ids: &[u32], past: usize) -> f32 {
        self.batch.clear();
        for blocks in &self.blocks {
            self.batch.push(ids, past, blocks, Wanted::Last);
        }
        let logits = DECODER.forward(&self.batch, Pass::Infer(&mut self.cache)).expect("a sound batch");
        logits.host().expect("logits")[0]
    }
}

fn ids(count: usize) -> Vec<u32> {
    (0..count).map(|place| (place * 37 % DECODER.config().vocab_size.min(4000)) as u32).collect()
}

#[divan::bench(args = [1, 4, 8, 16], sample_count = 5, sample_size = 1)]
fn decode(bencher: Bencher<'_, '_>, sequences: usize) {
    let mut serving = Serving::new(sequences, PROMPT + STEPS);
    serving.step(&ids(PROMPT), 0);
    bencher
        .counter(ItemsCount::new(sequences * STEPS))
        .bench_local(|| (0..STEPS).map(|step| serving.step(&[step as u32 + 3], PROMPT + step)).sum::<f32>());
}

#[divan::bench(args = [128, 512], sample_count = 5, sample_size = 1)]
fn prefill(bencher: Bencher<'_, '_>, tokens: usize) {
    let mut serving = Serving::new(1, tokens);
    let ids = ids(tokens);
    bencher.counter(ItemsCount::new(tokens)).bench_local(|| serving.step(&ids, 0));
}
