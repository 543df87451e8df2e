//! The scheduler against memory that really holds tokens: a decoder of hashes, whose logits depend
//! on every token before, read through the block tables.

use std::ops::ControlFlow;
use std::time::Duration;

use nn::{Sampled, Sampling, Stream};

use super::*;
use crate::engine::request::{Generation, Received, Request, Watch, pair};

const VOCABULARY: usize = 50;
const END: u32 = 49;

/// A decoder whose key-value memory holds for each token a hash of all up to it.
struct Hashes {
    places: Vec<[u64; BLOCK]>,
}

fn chain(before: u64, id: u32) -> u64 {
    let words = Stream { seed: before, ..Stream::default() }.words(id);
    u64::from(words[0]) << 32 | u64::from(words[1])
}

fn logits(hash: u64) -> Vec<f32> {
    let stream = Stream { seed: hash, ..Stream::default() };
    let mut row: Vec<f32> = (0..VOCABULARY as u32).map(|id| stream.uniform(id) as f32 * 4.0).collect();
    row[END as usize] -= 3.0;
    row
}

impl Hashes {
    fn new(blocks: usize) -> Self {
        Self { places: vec![[0; BLOCK]; blocks] }
    }

    /// One step, in the order a forward pass would write and read.
    fn step(&mut self, scheduler: &Scheduler) -> Vec<f32> {
        for (from, to) in scheduler.copies() {
            self.places[*to as usize] = self.places[*from as usize];
        }
        let mut rows = Vec::new();
        for span in &scheduler.spans {
            let sequence = &scheduler.running[span.running];
            let blocks = sequence.table.blocks();
            let mut hash = 0;
            for (token, id) in sequence.ids[..span.tokens.end].iter().enumerate() {
                hash = chain(hash, *id);
                let place = &mut self.places[blocks[token / BLOCK] as usize][token % BLOCK];
                if token < span.tokens.start {
                    assert_eq!(*place, hash, "token {token} of sequence {} is lost", sequence.arrival);
                }
                *place = hash;
            }
            if span.tokens.end == sequence.ids.len() {
                rows.extend(logits(hash));
            }
        }
        rows
    }
}

struct Bench {
    scheduler: Scheduler,
    hashes: Hashes,
    batch: Batch,
    arrivals: u64,
}

impl Bench {
    fn new(blocks: usize, max_batch: usize, step_tokens: usize) -> Self {
        let bounds = Bounds { positions: 400, end_ids: vec![END] };
        let scheduler = Scheduler::new(blocks, max_batch, step_tokens, NonZero::<usize>::MIN, bounds);
        Self { scheduler, hashes: Hashes::new(blocks), batch: Batch::default(), arrivals: 0 }
    }

    fn submit(&mut self, request: Request) -> Generation {
        let (reply, generation) = pair(0, 0);
        self.scheduler.add(Sequence::new(self.arrivals, request, reply));
        self.arrivals += 1;
        generation
    }

    /// One step; false when there was nothing to compute.
    fn step(&mut self) -> bool {
        let planned = self.scheduler.plan(&mut self.batch);
        if !planned {
            self.scheduler.settle();
            return false;
        }
        let prompts = |span: &&Span| self.scheduler.running[span.running].remaining() > 1;
        let prompts: usize = self.scheduler.spans.iter().filter(prompts).map(|span| span.tokens.len()).sum();
        assert!(prompts <= self.scheduler.step_tokens && self.scheduler.running.len() <= self.scheduler.max_batch);
        let rows = self.hashes.step(&self.scheduler);
        assert_eq!((self.batch.rows() * VOCABULARY, rows.is_empty()), (rows.len(), self.batch.rows() == 0));
        self.scheduler.apply(&rows, VOCABULARY);
        self.scheduler.settle();
        true
    }

    fn finish(&mut self) {
        while !self.scheduler.is_idle() {
            self.step();
        }
        assert_eq!(self.scheduler.stats().held_blocks, 0);
        assert_eq!(self.scheduler.prefix.available(), self.scheduler.prefix.blocks().count());
    }
}

fn request(ids: Vec<u32>, max_tokens: usize, seed: u64) -> Request {
    let sampling = Sampling { temperature: 1.0, top_p: 0.95, repetition_penalty: 1.1, ..Sampling::default() };
    Request { ids, max_tokens, sampling, stream: Stream { seed, ..Stream::default() }, watch: Box::new(()) }
}

/// What a request gives with nobody beside it.
fn alone(request: &Request) -> (Vec<Sampled>, Finish) {
    let mut ids = request.ids.clone();
    let mut sampled = Vec::new();
    let mut sampler = Sampler::default();
    loop {
        let hash = ids.iter().fold(0, |hash, id| chain(hash, *id));
        let uniform = request.stream.uniform(ids.len() as u32);
        let token = sampler.sample(&logits(hash), &request.sampling, &ids, uniform, &mut |_| false).unwrap();
        ids.push(token.id);
        sampled.push(token);
        if token.id == END {
            return (sampled, Finish::EndOfSequence);
        }
        if sampled.len() == request.max_tokens || ids.len() == 400 {
            return (sampled, Finish::Length);
        }
    }
}

fn drain(mut generation: Generation) -> (Vec<Sampled>, Finish) {
    let mut tokens = Vec::new();
    loop {
        match generation.recv(Duration::ZERO).unwrap() {
            Received::Token(token) => tokens.push(token),
            Received::End(finish) => return (tokens, finish),
            Received::Nothing => panic!("the request has not ended"),
        }
    }
}

fn number(seed: u64, place: u32, below: usize) -> usize {
    (Stream { seed, step: 1, ..Stream::default() }.uniform(place) * below as f64) as usize
}

fn prompt(family: u64, common: usize, own: u64, length: usize) -> Vec<u32> {
    (0..length).map(|token| number(if token < common { family } else { 100 + own }, token as u32, 40) as u32).collect()
}

#[test]
fn two_hundred_requests_get_what_each_would_get_alone() {
    for seed in 0..4 {
        let blocks = [24, 40, 13, 300][seed as usize];
        let (batch, tokens) = [(6, 64), (64, 200), (10, 1), (16, 500)][seed as usize];
        let mut bench = Bench::new(blocks, batch, tokens);
        let (mut waiting, mut cancelled) = (Vec::new(), 0);
        for one in 0..200_u32 {
            let number = |place: u32, below| number(seed, one * 8 + place, below);
            let ids = prompt(number(0, 3) as u64, number(1, 120), u64::from(one), 1 + number(2, 150));
            let wanted = request(ids.clone(), 1 + number(3, 200), u64::from(one));
            let expected = alone(&wanted);
            let generation = bench.submit(wanted);
            if number(4, 8) == 0 {
                drop(generation);
                cancelled += 1;
            } else {
                waiting.push((generation, expected, number(5, 10) == 0));
            }
            for _ in 0..number(6, 5) {
                bench.step();
                assert!(bench.scheduler.stats().held_blocks <= blocks);
            }
            let count = waiting.len();
            if number(7, 10) == 0 && count > 0 {
                waiting[number(3, count)].0.cancel();
                waiting[number(3, count)].2 = true;
            }
        }
        bench.finish();
        for (generation, expected, may_be_cancelled) in waiting {
            let (tokens, finish) = drain(generation);
            assert_eq!(tokens, expected.0[..tokens.len()]);
            assert!(finish == expected.1 && tokens.len() == expected.0.len() || may_be_cancelled, "{finish:?}");
        }
        let stats = bench.scheduler.stats();
        assert!(stats.peak_blocks <= blocks && cancelled > 0 && stats.reused > 1000, "{stats:?}");
        if blocks < 50 {
            assert!(stats.preemptions > 0 && stats.evictions > 0, "{stats:?}");
        }
    }
}

#[test]
fn a_group_computes_its_prompt_once() {
    let mut bench = Bench::new(100, 16, 64);
    let ids = prompt(1, 150, 0, 150);
    let group: Vec<Generation> = (0..8).map(|seed| bench.submit(request(ids.clone(), 20, seed))).collect();
    // One that shares nothing need not wait for the group.
    let _other = bench.submit(request(prompt(2, 10, 0, 10), 20, 9));
    bench.step();
    assert_eq!(bench.scheduler.stats().running, 1);
    bench.finish();
    let expected = (0..8).map(|seed| alone(&request(ids.clone(), 20, seed)));
    assert!(group.into_iter().map(drain).eq(expected));
    let stats = bench.scheduler.stats();
    assert_eq!((stats.prefilled, stats.reused), (150 + 10, 7 * 149));
}

#[test]
fn others_pass_those_who_wait_for_a_beginning() {
    let mut bench = Bench::new(100, 16, 64);
    let ids = prompt(1, 60, 0, 60);
    let _group: Vec<Generation> = (0..3).map(|seed| bench.submit(request(ids.clone(), 5, seed))).collect();
    let _other = bench.submit(request(prompt(2, 30, 0, 30), 5, 9));
    bench.step();
    assert_eq!((bench.scheduler.stats().running, bench.scheduler.stats().waiting), (2, 2));
    bench.step();
    assert_eq!((bench.scheduler.stats().running, bench.scheduler.stats().waiting), (4, 0));
}

#[test]
fn the_next_turn_computes_only_what_is_new() {
    let mut bench = Bench::new(100, 16, 1000);
    let mut ids = prompt(1, 100, 0, 100);
    let first = bench.submit(request(ids.clone(), 30, 1));
    bench.finish();
    let (tokens, _) = drain(first);
    ids.extend(tokens.iter().map(|token| token.id));
    let kept = ids.len() - 1;
    ids.extend(prompt(7, 40, 0, 40));
    let before = bench.scheduler.stats();
    let wanted = request(ids, 30, 1);
    let expected = alone(&wanted);
    let second = bench.submit(wanted);
    bench.finish();
    assert_eq!(drain(second), expected);
    let after = bench.scheduler.stats();
    assert_eq!((after.reused - before.reused, after.prefilled - before.prefilled), (kept as u64, 41));
}

#[test]
fn growth_beyond_the_memory_ends_with_length() {
    let mut bench = Bench::new(2, 4, 100);
    let lone = bench.submit(Request { sampling: Sampling::default(), ..request(prompt(1, 60, 0, 60), 100, 1) });
    bench.finish();
    let (tokens, finish) = drain(lone);
    // Sixty-four places, and the token after the last needs none.
    assert!(finish == Finish::Length && tokens.len() == 5 || finish == Finish::EndOfSequence, "{tokens:?} {finish:?}");
}

#[test]
fn the_youngest_gives_way() {
    let mut bench = Bench::new(6, 4, 1000);
    let wanted = |seed| Request { watch: Box::new(Forbid(END)), ..request(prompt(seed, 60, 0, 60), 60, seed) };
    let generations: Vec<Generation> = (1..4).map(|seed| bench.submit(wanted(seed))).collect();
    let mut order = Vec::new();
    while !bench.scheduler.is_idle() {
        bench.step();
        order.extend(bench.scheduler.running.iter().map(|sequence| sequence.arrival));
    }
    let stats = bench.scheduler.stats();
    assert!(stats.preemptions > 0 && stats.held_blocks == 0, "{stats:?}");
    // The oldest never left: it is in as many steps as it took alone.
    assert_eq!(order.iter().filter(|arrival| **arrival == 0).count(), 59);
    for generation in generations {
        let (tokens, finish) = drain(generation);
        assert_eq!((tokens.len(), finish), (60, Finish::Length));
    }
}

struct Forbid(u32);

impl Watch for Forbid {
    fn forbids(&mut self, id: u32) -> bool {
        id == self.0
    }

    fn push(&mut self, token: Sampled) -> ControlFlow<()> {
        assert_ne!(token.id, self.0);
        ControlFlow::Continue(())
    }
}

struct StopAfter(usize);

impl Watch for StopAfter {
    fn forbids(&mut self, id: u32) -> bool {
        id == END
    }

    fn push(&mut self, _: Sampled) -> ControlFlow<()> {
        self.0 -= 1;
        if self.0 == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

struct Panics;

impl Watch for Panics {
    fn forbids(&mut self, _: u32) -> bool {
        false
    }

    fn push(&mut self, _: Sampled) -> ControlFlow<()> {
        panic!("a watch that panics")
    }
}

#[test]
fn watches_stop_on_the_token_and_forbidden_ids_never_come() {
    let mut bench = Bench::new(100, 40, 1000);
    let mut stops = Vec::new();
    let mut forbids = Vec::new();
    for seed in 0..20 {
        let ids = prompt(seed, 9, 0, 9);
        stops.push(bench.submit(Request { watch: Box::new(StopAfter(7)), ..request(ids.clone(), 50, seed) }));
        forbids.push(bench.submit(Request { watch: Box::new(Forbid(3)), ..request(ids, 50, seed) }));
    }
    let broken = bench.submit(Request { watch: Box::new(Panics), ..request(vec![1, 2], 50, 1) });
    bench.finish();
    for generation in stops {
        let (tokens, finish) = drain(generation);
        assert_eq!((tokens.len(), finish), (7, Finish::Stop));
    }
    for generation in forbids {
        assert!(drain(generation).0.iter().all(|token| token.id != 3));
    }
    assert!(broken.wait().unwrap_err().to_string().contains("a watch that panics"));
}

#[test]
fn cancelling_frees_blocks_within_one_step() {
    let mut bench = Bench::new(10, 4, 1000);
    let long = || Request { watch: Box::new(Forbid(END)), ..request(prompt(1, 70, 0, 70), 300, 1) };
    let mut first = bench.submit(long());
    let second = bench.submit(request(prompt(2, 300, 0, 300), 5, 1));
    for _ in 0..4 {
        bench.step();
    }
    assert_eq!((bench.scheduler.stats().running, bench.scheduler.stats().waiting), (1, 1));
    first.cancel();
    second.cancel();
    bench.step();
    assert_eq!(bench.scheduler.stats().held_blocks, 0);
    assert!(bench.scheduler.is_idle());
    let mut tokens = 0;
    while let Received::Token(_) = first.recv(Duration::ZERO).unwrap() {
        tokens += 1;
    }
    assert_eq!((tokens, first.recv(Duration::ZERO).unwrap()), (4, Received::End(Finish::Cancelled)));
    assert_eq!(second.wait().unwrap().1, Finish::Cancelled);
}

#[test]
fn a_failed_step_ends_its_requests_and_spares_the_rest() {
    let mut bench = Bench::new(40, 2, 1000);
    let wanted = |seed| request(prompt(seed, 40, 0, 40), 10, seed);
    let failed = [bench.submit(wanted(1)), bench.submit(wanted(2))];
    let spared = bench.submit(wanted(3));
    bench.step();
    assert!(bench.scheduler.plan(&mut bench.batch));
    bench.scheduler.fail("the device is gone");
    bench.scheduler.settle();
    for generation in failed {
        assert_eq!(generation.wait().unwrap_err().to_string(), "engine: the device is gone");
    }
    bench.finish();
    assert_eq!(drain(spared), alone(&wanted(3)));
}

#[test]
fn many_logits_are_sampled_on_threads_to_the_same_tokens() {
    let (rows, vocabulary) = (5, 250_000);
    let stream = Stream { seed: 11, ..Stream::default() };
    let logits: Vec<f32> = (0..rows * vocabulary).map(|place| stream.uniform(place as u32) as f32 * 9.0).collect();
    assert!(logits.len() >= WORTH_THREADS);
    let bounds = Bounds { positions: 400, end_ids: vec![] };
    let run = |threads: usize| {
        let mut pairs: Vec<_> = (0..rows as u64)
            .map(|seed| {
                let (reply, generation) = pair(0, 0);
                let wanted = Request { watch: Box::new(StopAfter(1)), ..request(vec![1, 2], 9, seed) };
                (Sequence::new(seed, wanted, reply), generation)
            })
            .collect();
        let mut samplers: Vec<Sampler> = (0..threads).map(|_| Sampler::default()).collect();
        let ready = pairs.iter_mut().map(|(sequence, _)| sequence);
        assert_eq!(sample(ready, &logits, vocabulary, &mut samplers, &bounds), rows as u64);
        assert!(pairs.iter().all(|(sequence, _)| sequence.end == Some(Ok(Finish::Stop))));
        pairs.into_iter().map(|(sequence, _)| sequence.ids).collect::<Vec<_>>()
    };
    let expected = run(1);
    for threads in [2, 3, 9] {
        assert_eq!(run(threads), expected);
    }
}
