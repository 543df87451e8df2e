//! What the engine saves and what it costs: a group of samples with a common prompt beside as many
//! separate requests, and a step of the engine beside a bare forward pass.
//!
//! On the small shape with random weights, made for the run; `ANAMNESIS_MODEL` names another folder.
//! Both sides of a comparison take turns, and the medians of all turns are compared.

#![expect(clippy::print_stdout, reason = "a bench says what it measures")]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use agent::engine::{Engine, EngineOptions, Generation, Request, Watch};
use nn::{BLOCK, Batch, Decoder, Device, KvCache, Pass, Sampled, Sampler, Sampling, Shape, Stream, Tokenizer, Wanted};

const PROMPT: usize = 512;
const NEW: usize = 64;
const GROUP: usize = 8;

fn main() {
    let made = tempfile::tempdir().expect("a temporary folder");
    let folder = std::env::var_os("ANAMNESIS_MODEL").map_or_else(|| small(made.path()), PathBuf::from);
    let turns = if std::env::args().any(|argument| argument == "--test") { 1 } else { 7 };
    println!("model {}, threads {}", folder.display(), Device::cpu().threads());
    group(&folder, turns);
    for batch in [1, 16] {
        step(&folder, batch, turns);
    }
    sampling(turns);
}

fn small(home: &Path) -> PathBuf {
    let folder = home.join("small");
    nn::init(Shape::Small, 1, &folder, &mut |_, _| ()).expect("a small model");
    folder
}

fn load(folder: &Path) -> Decoder {
    Decoder::load(folder, Device::cpu()).expect("a model folder")
}

fn start(folder: &Path, tokens: usize) -> Engine {
    let decoder = load(folder);
    let kv_bytes = tokens.div_ceil(BLOCK) * KvCache::bytes_per_block(decoder.config());
    let pieces = Tokenizer::open(folder).expect("a tokenizer").pieces();
    let options = EngineOptions { kv_bytes, max_batch: 32, step_tokens: PROMPT };
    Engine::start(decoder, pieces, options).expect("an engine")
}

/// Keeps a request going to its limit.
struct Endless(Vec<u32>);

impl Watch for Endless {
    fn forbids(&mut self, id: u32) -> bool {
        self.0.contains(&id)
    }

    fn push(&mut self, _: Sampled) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

fn submit(engine: &Engine, ids: Vec<u32>, sample: usize) -> Generation {
    let sampling = Sampling { temperature: 1.0, ..Sampling::default() };
    let stream = Stream { sample: sample as u32, ..Stream::default() };
    let watch = Box::new(Endless(engine.config().eos_token_ids.clone()));
    engine.submit(Request { ids, max_tokens: NEW, sampling, stream, watch }).expect("a request")
}

fn finish(generations: Vec<Generation>) {
    for generation in generations {
        assert_eq!(generation.wait().expect("tokens").0.len(), NEW);
    }
}

fn prompt(seed: usize) -> Vec<u32> {
    let stream = Stream { seed: seed as u64, ..Stream::default() };
    (0..PROMPT as u32).map(|token| (stream.uniform(token) * 256.0) as u32).collect()
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// A group with a common prompt; as many requests with prompts of their own, at once; and these one
/// after another. No prompt comes twice.
fn group(folder: &Path, turns: usize) {
    let engine = start(folder, 4 * GROUP * (PROMPT + NEW));
    let mut seed = 0..;
    let mut fresh = || prompt(seed.next().unwrap_or_default());
    let (mut group, mut at_once, mut in_turn) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..turns {
        let ids = fresh();
        group.push(timed(|| finish((0..GROUP).map(|sample| submit(&engine, ids.clone(), sample)).collect())));
        at_once.push(timed(|| finish((0..GROUP).map(|sample| submit(&engine, fresh(), sample)).collect())));
        in_turn.push(timed(|| (0..GROUP).for_each(|sample| finish(vec![submit(&engine, fresh(), sample)]))));
    }
    let stats = engine.stats();
    let per_second = |times: &mut [Duration]| (GROUP * NEW) as f64 / median(times);
    let (group, at_once, in_turn) = (per_second(&mut group), per_second(&mut at_once), per_second(&mut in_turn));
    println!("{GROUP} requests of {PROMPT} + {NEW} tokens, sampled tokens a second:");
    println!("  common prompt {group:.0}, own prompts at once {at_once:.0}, one after another {in_turn:.0}");
    println!("  ratios {:.2} and {:.2}; {stats:?}", group / at_once, group / in_turn);
}

/// Greedy decoding of `batch` sequences by a bare loop over the decoder, and by the engine.
fn step(folder: &Path, batch: usize, turns: usize) {
    let decoder = load(folder);
    let engine = start(folder, 2 * batch * (PROMPT + 2 * NEW));
    let blocks = (PROMPT + NEW).div_ceil(BLOCK);
    let mut cache = KvCache::new(&decoder, batch * blocks).expect("memory");
    let (mut forward, mut bare, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    let vocabulary = decoder.config().vocab_size;
    let mut sampler = Sampler::default();
    let mut work = Batch::default();
    for turn in 0..turns {
        let prompts: Vec<Vec<u32>> = (0..batch).map(|one| prompt(1000 * (turn + 1) + one)).collect();
        let tables: Vec<Vec<u32>> =
            (0..batch).map(|one| (0..blocks as u32).map(|block| (one * blocks) as u32 + block).collect()).collect();
        let mut next: Vec<u32> = vec![0; batch];
        for samples in [false, true] {
            for one in 0..batch {
                work.clear();
                work.push(&prompts[one][..PROMPT - 1], 0, &tables[one], Wanted::Nothing);
                decoder.forward(&work, Pass::Infer(&mut cache)).expect("a pass");
                next[one] = prompts[one][PROMPT - 1];
            }
            let time = timed(|| {
                for past in PROMPT - 1..PROMPT - 1 + NEW {
                    work.clear();
                    for one in 0..batch {
                        work.push(&[next[one]], past, &tables[one], Wanted::Last);
                    }
                    let logits = decoder.forward(&work, Pass::Infer(&mut cache)).expect("a pass");
                    let logits = logits.host().expect("logits");
                    if samples {
                        for (one, row) in logits.chunks(vocabulary).enumerate() {
                            let chosen = sampler.sample(row, &Sampling::default(), &[], 0.0, &mut |_| false);
                            next[one] = chosen.expect("a token").id;
                        }
                    }
                }
            });
            if samples { bare.push(time) } else { forward.push(time) }
        }
        // Prompts are in the cache when the clock starts. Joining and leaving, which the bare loop
        // does not do, is in the time of one token too, and taken away with it.
        finish_short(&engine, &prompts, 1);
        let one = timed(|| finish_short(&engine, &prompts, 1));
        whole.push(timed(|| finish_short(&engine, &prompts, 1 + NEW)).saturating_sub(one));
    }
    let micros = |times: &mut [Duration]| median(times) / NEW as f64 * 1e6;
    let (forward, bare, whole) = (micros(&mut forward), micros(&mut bare), micros(&mut whole));
    println!(
        "a step at batch {batch}: forward {forward:.0} us, with sampling {bare:.0} us, in the engine {whole:.0} us: {:+.0} us, {:+.1}%",
        whole - bare,
        100.0 * (whole / bare - 1.0)
    );
}

fn finish_short(engine: &Engine, prompts: &[Vec<u32>], max_tokens: usize) {
    let mut generations = Vec::new();
    for ids in prompts {
        let watch = Box::new(Endless(engine.config().eos_token_ids.clone()));
        let (sampling, stream) = (Sampling::default(), Stream::default());
        let request = Request { ids: ids.clone(), max_tokens, sampling, stream, watch };
        generations.push(engine.submit(request).expect("a request"));
    }
    for generation in generations {
        assert_eq!(generation.wait().expect("tokens").0.len(), max_tokens);
    }
}

/// One choice among so many tokens, by how it is made, for peaked and for flat logits.
fn sampling(turns: usize) {
    let hot = Sampling { temperature: 1.0, ..Sampling::default() };
    let ways = [
        ("greedy", Sampling::default()),
        ("temperature", hot),
        ("top-k 50", Sampling { top_k: 50, ..hot }),
        ("top-p 0.95", Sampling { top_p: 0.95, ..hot }),
        ("all", Sampling { top_k: 50, top_p: 0.95, min_p: 0.05, repetition_penalty: 1.1, ..hot }),
    ];
    let mut sampler = Sampler::default();
    for vocabulary in [4096, 151_936] {
        for (kind, scale) in [("peaked", 40.0), ("flat", 2.0)] {
            let stream = Stream { seed: 5, ..Stream::default() };
            let logits: Vec<f32> = (0..vocabulary).map(|id| stream.uniform(id) as f32 * scale).collect();
            for (way, sampling) in ways {
                let mut times = Vec::new();
                for turn in 0..20 * turns as u32 {
                    let uniform = stream.uniform(turn);
                    times.push(timed(|| {
                        sampler.sample(&logits, &sampling, &[1, 2, 3], uniform, &mut |_| false).expect("a token");
                    }));
                }
                println!("one of {vocabulary} tokens, {kind}, {way}: {:.1} us", median(&mut times) * 1e6);
            }
        }
    }
}
