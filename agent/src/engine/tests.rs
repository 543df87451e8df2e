//! The whole engine, thread and all, on a small decoder of random weights.

use std::num::NonZero;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use nn::{Device, Sampled, Sampling, Shape, Stream, Tokenizer};

use super::*;

const LONG: Duration = Duration::from_mins(1);

/// A folder with the smallest shape, made once for the tests of this process.
fn folder() -> PathBuf {
    static FOLDER: std::sync::OnceLock<tempfile::TempDir> = std::sync::OnceLock::new();
    let made = FOLDER.get_or_init(|| {
        let home = tempfile::tempdir().unwrap();
        nn::init(Shape::Tiny, 7, &home.path().join("tiny"), &mut |_, _| ()).unwrap();
        home
    });
    made.path().join("tiny")
}

fn decoder(threads: usize) -> Decoder {
    Decoder::load(&folder(), Device::Cpu { threads: NonZero::new(threads).unwrap() }).unwrap()
}

fn start(blocks: usize, max_batch: usize, step_tokens: usize) -> Engine {
    let decoder = decoder(2);
    let kv_bytes = blocks * KvCache::bytes_per_block(decoder.config());
    let pieces = Tokenizer::open(&folder()).unwrap().pieces();
    Engine::start(decoder, pieces, EngineOptions { kv_bytes, max_batch, step_tokens }).unwrap()
}

fn number(seed: u64, place: u32, below: usize) -> usize {
    (Stream { seed, step: 1, ..Stream::default() }.uniform(place) * below as f64) as usize
}

fn prompt(seed: u64, length: usize) -> Vec<u32> {
    (0..length).map(|token| number(seed, token as u32, 250) as u32).collect()
}

fn request(ids: Vec<u32>, max_tokens: usize, seed: u64) -> Request {
    let sampling = Sampling { temperature: 1.0, top_p: 0.9, ..Sampling::default() };
    Request { ids, max_tokens, sampling, stream: Stream { seed, ..Stream::default() }, watch: Box::new(()) }
}

/// What the decoder gives for a request by itself: the prompt at once, then a token at a time.
fn alone(decoder: &Decoder, request: &Request) -> (Vec<Sampled>, Finish) {
    let mut ids = request.ids.clone();
    let blocks: Vec<u32> = (0..(ids.len() + request.max_tokens).div_ceil(BLOCK) as u32).collect();
    let mut cache = KvCache::new(decoder, blocks.len()).unwrap();
    let (mut batch, mut sampler, mut past) = (Batch::default(), nn::Sampler::default(), 0);
    let mut sampled = Vec::new();
    loop {
        batch.clear();
        batch.push(&ids[past..], past, &blocks, nn::Wanted::Last);
        let logits = decoder.forward(&batch, Pass::Infer(&mut cache)).unwrap();
        past = ids.len();
        let uniform = request.stream.uniform(past as u32);
        let logits = logits.host().unwrap();
        let token = sampler.sample(&logits, &request.sampling, &ids, uniform, &mut |_| false).unwrap();
        sampled.push(token);
        ids.push(token.id);
        if decoder.config().eos_token_ids.contains(&token.id) {
            return (sampled, Finish::EndOfSequence);
        }
        if sampled.len() == request.max_tokens {
            return (sampled, Finish::Length);
        }
    }
}

/// Requests of three families of prompts, of any length, arriving and cancelled at random under
/// memory for about ten: every one ends, and what it got is to the bit what it gets by itself.
#[test]
fn two_hundred_requests_get_what_each_would_get_alone() {
    let (engine, oracle) = (start(40, 40, 96), decoder(1));
    let mut kept = Vec::new();
    for one in 0..200_u32 {
        let number = |place: u32, below| number(5, one * 8 + place, below);
        let mut ids = prompt(number(0, 3) as u64, 1 + number(1, 100));
        ids.extend(prompt(u64::from(one) + 10, number(2, 30)));
        let wanted = || request(ids.clone(), 1 + number(3, 250), u64::from(one));
        let generation = engine.submit(wanted()).unwrap();
        match number(4, 8) {
            0 => drop(generation),
            1 => {
                generation.cancel();
                kept.push((generation, wanted(), true));
            }
            _ => kept.push((generation, wanted(), false)),
        }
        if number(5, 10) == 0 {
            std::thread::sleep(Duration::from_millis(3));
        }
    }
    for (generation, wanted, cancelled) in kept {
        let (tokens, finish) = generation.wait().unwrap();
        let expected = alone(&oracle, &wanted);
        if finish == Finish::Cancelled {
            assert!(cancelled);
            assert_eq!(tokens, expected.0[..tokens.len()]);
        } else {
            assert_eq!((tokens, finish), expected);
        }
    }
    let stats = settled(&engine);
    assert!(stats.peak_blocks <= 40 && stats.held_blocks == 0, "{stats:?}");
    assert!(stats.preemptions > 0 && stats.evictions > 0 && stats.reused > 1000, "{stats:?}");
}

/// Counts once nothing is under way.
fn settled(engine: &Engine) -> Stats {
    for _ in 0..2000 {
        let stats = engine.stats();
        if stats.running + stats.waiting == 0 {
            return stats;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("something is under way for ever: {:?}", engine.stats());
}

#[test]
fn a_group_and_the_next_turn_share_what_was_computed() {
    let (engine, oracle) = (start(60, 16, 64), decoder(2));
    let mut ids = prompt(1, 150);
    let wanted = |seed| request(ids.clone(), 20, seed);
    let group: Vec<Generation> = (0..8).map(|seed| engine.submit(wanted(seed)).unwrap()).collect();
    let group: Vec<_> = group.into_iter().map(|generation| generation.wait().unwrap()).collect();
    assert!(group.iter().eq(&(0..8).map(|seed| alone(&oracle, &wanted(seed))).collect::<Vec<_>>()));
    let stats = settled(&engine);
    // Members may come while the first of them computes, or after: each computes the last token.
    assert_eq!((stats.prefilled, stats.reused), (150, 7 * 149));

    ids.extend(group[3].0.iter().map(|token| token.id));
    let kept = ids.len() - 1;
    ids.extend(prompt(9, 30));
    let wanted = || request(ids.clone(), 20, 3);
    assert_eq!(engine.submit(wanted()).unwrap().wait().unwrap(), alone(&oracle, &wanted()));
    let later = settled(&engine);
    assert_eq!((later.prefilled - stats.prefilled, later.reused - stats.reused), (31, kept as u64));
}

#[test]
fn what_can_never_be_met_is_refused_at_once() {
    let engine = start(3, 4, 64);
    let refused = |wanted: Request| engine.submit(wanted).unwrap_err().to_string();
    let bytes = 4 * KvCache::bytes_per_block(engine.config());
    let large = refused(request(prompt(1, 97), 1, 1));
    assert!(large.contains(&bytes.to_string()) && large.contains("kv_bytes"), "{large}");
    assert!(refused(request(Vec::new(), 1, 1)).contains("empty"));
    assert!(refused(request(vec![1, 512], 1, 1)).contains("512"));
    assert!(refused(request(vec![1; 1 << 20], 1, 1)).contains("positions"));
    let hot = Sampling { temperature: -1.0, ..Sampling::default() };
    assert!(refused(Request { sampling: hot, ..request(vec![1], 1, 1) }).contains("temperature"));
    assert_eq!(engine.submit(request(vec![1], 0, 1)).unwrap().wait().unwrap(), (Vec::new(), Finish::Length));

    let decoder = decoder(1);
    let pieces = Tokenizer::open(&folder()).unwrap().pieces();
    let none = EngineOptions { kv_bytes: 100, max_batch: 1, step_tokens: 1 };
    assert!(Engine::start(decoder, pieces, none).unwrap_err().to_string().contains("100 bytes"));
}

/// Forbids every other id, and stops after so many tokens.
struct Odd(usize);

impl Watch for Odd {
    fn forbids(&mut self, id: u32) -> bool {
        id.is_multiple_of(2)
    }

    fn push(&mut self, token: Sampled) -> ControlFlow<()> {
        assert!(!token.id.is_multiple_of(2));
        self.0 -= 1;
        if self.0 == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[test]
fn a_watch_forbids_and_stops_on_the_token() {
    let engine = start(20, 4, 64);
    for sampling in [Sampling::default(), Sampling { temperature: 2.0, top_k: 5, ..Sampling::default() }] {
        let watched = Request { sampling, watch: Box::new(Odd(9)), ..request(prompt(1, 5), 50, 1) };
        let (tokens, finish) = engine.submit(watched).unwrap().wait().unwrap();
        assert!(finish == Finish::Stop && tokens.len() == 9 || finish == Finish::EndOfSequence);
    }
}

#[test]
fn cancelling_ends_within_a_step_and_streaming_comes_token_by_token() {
    let engine = start(60, 4, 64);
    let watch = || Box::new(Odd(usize::MAX));
    let mut generation = engine.submit(Request { watch: watch(), ..request(prompt(1, 5), 1500, 1) }).unwrap();
    let mut tokens = 0;
    while tokens < 5 {
        assert!(matches!(generation.recv(LONG).unwrap(), Received::Token(_)));
        tokens += 1;
    }
    generation.cancel();
    while let Received::Token(_) = generation.recv(LONG).unwrap() {
        tokens += 1;
    }
    assert!(matches!(generation.recv(LONG).unwrap(), Received::End(Finish::Cancelled)));
    assert!(tokens < 1000, "{tokens} tokens came before the end");
    assert_eq!(settled(&engine).held_blocks, 0);
}

#[test]
fn dropping_the_engine_ends_what_is_under_way() {
    let engine = start(60, 4, 64);
    let watch = || Box::new(Odd(usize::MAX));
    let submit = |seed| engine.submit(Request { watch: watch(), ..request(prompt(seed, 5), 1500, 1) }).unwrap();
    let generations: Vec<Generation> = (0..8).map(submit).collect();
    let clone = engine.clone();
    drop(engine);
    assert_eq!(clone.stats().blocks, 60);
    drop(clone);
    for generation in generations {
        assert!(generation.wait().unwrap_err().to_string().contains("stopped before"));
    }
}

fn other_decoder() -> Decoder {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("other");
    nn::init(nn::Shape::Tiny, 8, &dir, &mut |_, _| ()).unwrap();
    Decoder::load(&dir, Device::Cpu { threads: NonZero::new(2).unwrap() }).unwrap()
}

#[test]
fn changed_weights_answer_at_once_and_from_nothing_cached() {
    let engine = start(60, 4, 64);
    let wanted = || request(prompt(1, 100), 40, 1);
    let submitted = |version| {
        let mut generation = engine.submit(wanted()).unwrap();
        assert!(matches!(generation.recv(LONG).unwrap(), Received::Token(_)));
        assert_eq!(generation.version(), version);
        generation.wait().unwrap()
    };
    let before = submitted(0);
    assert_eq!(submitted(0), before);
    let cached = settled(&engine);
    assert!(cached.reused >= 99, "{cached:?}");

    let other = other_decoder();
    let expected = alone(&other, &wanted());
    assert_ne!(expected, before);
    assert_eq!(engine.update(|decoder| std::mem::replace(decoder, other).bytes()).unwrap(), decoder(1).bytes());
    assert_eq!(engine.version(), 1);
    assert_eq!(submitted(1), expected);
    let after = settled(&engine);
    assert_eq!((after.reused, after.prefilled), (cached.reused, cached.prefilled + 100));
    assert_eq!(after.evictions, cached.evictions);
    assert_eq!(engine.read(Decoder::bytes), decoder(1).bytes());
}

/// Requests come from several threads while the weights change: each gets what one set of weights
/// gives from its first token to its last, and says which.
#[test]
fn no_request_sees_two_sets_of_weights() {
    let (engine, oracles) = (start(40, 8, 64), [decoder(1), other_decoder(), decoder(1)]);
    std::thread::scope(|scope| {
        let ask = |seed: u64| {
            let (engine, oracles) = (&engine, &oracles);
            move || {
                for round in 0..6 {
                    let wanted = || request(prompt(seed % 2, 40), 30, seed * 100 + round);
                    let mut generation = engine.submit(wanted()).unwrap();
                    let mut tokens = Vec::new();
                    while let Received::Token(token) = generation.recv(LONG).unwrap() {
                        tokens.push(token);
                    }
                    let version = generation.version();
                    assert_eq!(tokens, alone(&oracles[version as usize], &wanted()).0);
                }
            }
        };
        let askers: Vec<_> = (0..4).map(|seed| scope.spawn(ask(seed))).collect();
        for next in [other_decoder(), decoder(2)] {
            std::thread::sleep(Duration::from_millis(15));
            engine.update(|decoder| *decoder = next).unwrap();
        }
        for asker in askers {
            asker.join().unwrap();
        }
    });
    assert_eq!((engine.version(), settled(&engine).held_blocks), (2, 0));
}

#[test]
fn a_change_that_panics_leaves_the_engine_serving() {
    let engine = start(20, 4, 64);
    let panics = || engine.update(|_| -> () { panic!("on purpose") });
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
    assert_eq!(engine.version(), 1);
    let wanted = || request(prompt(1, 20), 10, 1);
    assert_eq!(engine.submit(wanted()).unwrap().wait().unwrap(), alone(&decoder(1), &wanted()));
}
