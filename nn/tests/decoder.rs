//! The decoder beside transformers, on the tiny models of `fixtures/make_decoders.py`, and beside itself:
//! however a sequence is cut, batched or shared, its logits stay.

mod decoders;

use decoders::{FAMILIES, Run, assert_close, assert_same, expected, load};
use nn::{BLOCK, Batch, BlockId, Decoder, KvCache, Pass, Wanted};
use proptest::prelude::*;

/// Greedy continuation of `ids` by the decoder, over a cache.
fn greedy(decoder: &Decoder, ids: &[u32], count: usize) -> Vec<u32> {
    let mut run = Run::new(decoder, 8);
    let blocks: Vec<BlockId> = (0..8).rev().collect();
    let mut logits = run.step(ids, 0, &blocks, Wanted::Last);
    let mut out = Vec::new();
    loop {
        let best = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).expect("a vocabulary") as u32;
        out.push(best);
        if out.len() == count {
            return out;
        }
        logits = run.step(&[best], ids.len() + out.len() - 1, &blocks, Wanted::Last);
    }
}

#[test]
fn logits_are_those_of_transformers() {
    for family in FAMILIES {
        let decoder = load(family);
        let case = expected(family);
        let width = decoder.config().vocab_size;
        let served = Run::new(&decoder, 3).step(&case.ids, 0, &[0, 1, 2], Wanted::All);
        let mut batch = Batch::default();
        batch.push(&case.ids, 0, &[], Wanted::All);
        let trained = decoder.forward(&batch, Pass::Grad).unwrap().to_vec().unwrap();
        assert_close(&served, &trained, 1e-5, &format!("{family}: serving and training"));
        for (row, logits) in case.rows.iter().zip(&case.logits) {
            assert_close(&served[row * width..][..width], logits, 1e-4, &format!("{family}, row {row}"));
        }
    }
}

#[test]
fn greedy_continuations_are_those_of_transformers() {
    for family in FAMILIES {
        let case = expected(family);
        assert_eq!(greedy(&load(family), &case.ids, 64), case.greedy, "{family}");
    }
}

#[test]
fn a_prompt_may_be_cut_anywhere() {
    for family in FAMILIES {
        let decoder = load(family);
        let ids = expected(family).ids;
        let whole = Run::new(&decoder, 3).step(&ids, 0, &[0, 1, 2], Wanted::All);
        for size in [1, 7, 32, 33] {
            let mut run = Run::new(&decoder, 3);
            let mut cut = Vec::new();
            for (number, chunk) in ids.chunks(size).enumerate() {
                cut.extend(run.step(chunk, number * size, &[2, 0, 1], Wanted::All));
            }
            assert_same(&cut, &whole, &format!("{family} in chunks of {size}"));
        }
    }
}

#[test]
fn neighbours_in_a_batch_change_nothing() {
    for family in FAMILIES {
        let decoder = load(family);
        let ids = expected(family).ids;
        let lengths = [1, 64, 33, 2, 70, 1, 31];
        let alone = |length: usize, wanted| Run::new(&decoder, 3).step(&ids[..length], 0, &[0, 1, 2], wanted);

        let mut cache = KvCache::new(&decoder, 3 * lengths.len()).unwrap();
        let mut batch = Batch::default();
        let blocks = |sequence: usize| [0, 1, 2].map(|block| (3 * sequence + block) as BlockId);
        for (sequence, length) in lengths.into_iter().enumerate() {
            let wanted = [Wanted::Last, Wanted::Nothing, Wanted::All][sequence % 3];
            batch.push(&ids[..length], 0, &blocks(sequence), wanted);
        }
        let together = decoder.forward(&batch, Pass::Infer(&mut cache)).unwrap().to_vec().unwrap();
        let mut expected = Vec::new();
        for (sequence, length) in lengths.into_iter().enumerate() {
            match sequence % 3 {
                0 => expected.extend(alone(length, Wanted::Last)),
                1 => {}
                _ => expected.extend(alone(length, Wanted::All)),
            }
        }
        assert_eq!(together.len(), batch.rows() * decoder.config().vocab_size);
        assert_same(&together, &expected, family);

        // One more token of each, as in decoding.
        let next = |sequence: usize| [(sequence * 17 % 128) as u32];
        batch.clear();
        for (sequence, length) in lengths.into_iter().enumerate() {
            batch.push(&next(sequence), length, &blocks(sequence), Wanted::Last);
        }
        let together = decoder.forward(&batch, Pass::Infer(&mut cache)).unwrap().to_vec().unwrap();
        let mut expected = Vec::new();
        for (sequence, length) in lengths.into_iter().enumerate() {
            let ids: Vec<u32> = ids[..length].iter().copied().chain(next(sequence)).collect();
            expected.extend(Run::new(&decoder, 3).step(&ids, 0, &[0, 1, 2], Wanted::Last));
        }
        assert_same(&together, &expected, &format!("{family}, decoding"));
    }
}

#[test]
fn a_shared_prefix_is_as_good_as_a_repeated_one() {
    for family in FAMILIES {
        let decoder = load(family);
        let ids = expected(family).ids;
        let (prefix, rest) = ids.split_at(BLOCK + 8);
        let own = |rest: &[u32]| {
            let ids: Vec<u32> = prefix.iter().chain(rest).copied().collect();
            Run::new(&decoder, 3).step(&ids, 0, &[0, 1, 2], Wanted::Last)
        };
        let (left, right) = (&rest[..20], &rest[5..30]);

        // Both read block 0; the second half-full block is copied before either writes to it.
        let mut run = Run::new(&decoder, 6);
        run.step(prefix, 0, &[0, 1], Wanted::Nothing);
        run.cache.copy(1, 4).unwrap();
        let mut batch = Batch::default();
        batch.push(left, prefix.len(), &[0, 1, 2], Wanted::Last);
        batch.push(right, prefix.len(), &[0, 4, 5], Wanted::Last);
        let both = decoder.forward(&batch, Pass::Infer(&mut run.cache)).unwrap().to_vec().unwrap();
        assert_same(&both, &[own(left), own(right)].concat(), family);
    }
}

#[test]
fn training_sees_each_sequence_by_itself() {
    let decoder = load("qwen3");
    let ids = expected("qwen3").ids;
    let forward = |sequences: &[&[u32]]| {
        let mut batch = Batch::default();
        for ids in sequences {
            batch.push(ids, 0, &[], Wanted::All);
        }
        decoder.forward(&batch, Pass::Grad).unwrap().to_vec().unwrap()
    };
    let parts = [&ids[..1], &ids[3..40], &ids[..20], &[]];
    let together = forward(&parts);
    let alone: Vec<f32> = parts.iter().flat_map(|part| forward(&[part])).collect();
    assert_close(&together, &alone, 1e-5, "together and alone");
    let mut batch = Batch::default();
    batch.push(parts[1], 0, &[], Wanted::Nothing);
    let hidden = decoder.hidden(&batch).unwrap();
    assert_eq!(hidden.dims(), [37, 32]);
}

#[test]
fn impossible_batches_are_refused() {
    let decoder = load("llama");
    let mut cache = KvCache::new(&decoder, 2).unwrap();
    let mut refused = |ids: &[u32], past: usize, blocks: &[BlockId], expect: &str| {
        let mut batch = Batch::default();
        batch.push(&[1], 0, &[0], Wanted::Last);
        batch.push(ids, past, blocks, Wanted::Last);
        let message = decoder.forward(&batch, Pass::Infer(&mut cache)).unwrap_err().to_string();
        assert!(message.contains(expect), "{message}");
    };
    refused(&[128], 0, &[0], "token 128 is beyond the 128");
    refused(&[1], 0, &[2], "block 2 is beyond the 2");
    refused(&[1], 0, &[], "0 blocks cannot hold 1 tokens");
    refused(&[1], 32, &[0], "1 blocks cannot hold 33 tokens");
    refused(&[1; 33], 0, &[0], "1 blocks cannot hold 33 tokens");
    refused(&[1], 512, &[0; 20], "1 tokens after 512 exceed the 512 positions");
    refused(&[1], usize::MAX, &[0; 20], "exceed the 512 positions");
    assert!(cache.copy(0, 2).unwrap_err().to_string().contains("block 2"));

    let mut batch = Batch::default();
    batch.push(&[1], 1, &[0], Wanted::Last);
    let message = decoder.forward(&batch, Pass::Grad).unwrap_err().to_string();
    assert!(message.contains("no cache"), "{message}");
    for blocks in [usize::MAX, usize::MAX / 1000, 1 << 33, 1 << 26] {
        let message = KvCache::new(&decoder, blocks).unwrap_err().to_string();
        assert!(message.contains(&blocks.to_string()) && message.contains("ask for fewer"), "{message}");
    }
    let mut none = Batch::default();
    assert!(decoder.forward(&none, Pass::Infer(&mut cache)).unwrap().to_vec().unwrap().is_empty());
    assert!(decoder.forward(&none, Pass::Grad).unwrap().to_vec().unwrap().is_empty());
    none.push(&[3, 4], 0, &[0], Wanted::Nothing);
    assert!(decoder.forward(&none, Pass::Infer(&mut cache)).unwrap().to_vec().unwrap().is_empty());
}

#[test]
fn a_decoder_and_its_parts_cross_threads() {
    fn check<T: Send + Sync>() {}
    check::<Decoder>();
    check::<KvCache>();
    check::<nn::Adapter>();
    let decoder = load("llama");
    let ids = expected("llama").ids;
    let alone = Run::new(&decoder, 3).step(&ids, 0, &[0, 1, 2], Wanted::All);
    std::thread::scope(|scope| {
        let runs: Vec<_> =
            (0..4).map(|_| scope.spawn(|| Run::new(&decoder, 3).step(&ids, 0, &[0, 1, 2], Wanted::All))).collect();
        for run in runs {
            assert_same(&run.join().unwrap(), &alone, "one decoder, many caches");
        }
    });
}

/// What becomes of sequences whose tokens arrive in pieces of any size, in any company.
fn scheduled(decoder: &Decoder, sequences: &[Vec<u32>], order: &[BlockId], pieces: &[(usize, usize)]) -> Vec<Vec<f32>> {
    let each = order.len() / sequences.len();
    let mut run = Run::new(decoder, order.len());
    let mut done = vec![0_usize; sequences.len()];
    let mut last = vec![Vec::new(); sequences.len()];
    let rest = (0..sequences.len()).map(|sequence| (sequence, usize::MAX));
    let pieces: Vec<_> = pieces.iter().copied().chain(rest).collect();
    // Three pieces at a time make a batch, as long as they are of different sequences.
    for pieces in pieces.chunks(3) {
        let mut batch = Batch::default();
        let mut present = Vec::new();
        for (sequence, size) in pieces {
            let sequence = sequence % sequences.len();
            let ids = &sequences[sequence];
            let piece = done[sequence]..ids.len().min(done[sequence].saturating_add(*size));
            if present.contains(&sequence) || piece.is_empty() {
                continue;
            }
            batch.push(&ids[piece.clone()], piece.start, &order[sequence * each..][..each], Wanted::Last);
            present.push(sequence);
            done[sequence] = piece.end;
        }
        let logits = decoder.forward(&batch, Pass::Infer(&mut run.cache)).and_then(nn::Logits::to_vec);
        let logits = logits.expect("a sound batch");
        for (sequence, logits) in present.into_iter().zip(logits.chunks_exact(decoder.config().vocab_size)) {
            last[sequence] = logits.to_vec();
        }
    }
    // What was left out because its sequence was in the batch already.
    for (sequence, ids) in sequences.iter().enumerate() {
        if done[sequence] < ids.len() {
            let blocks = &order[sequence * each..][..each];
            last[sequence] = run.step(&ids[done[sequence]..], done[sequence], blocks, Wanted::Last);
        }
    }
    last
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn no_schedule_changes_a_bit(
        family in 0..FAMILIES.len(),
        sequences in prop::collection::vec(prop::collection::vec(0..128_u32, 1..130), 1..5),
        order in Just((0..20).collect::<Vec<BlockId>>()).prop_shuffle(),
        pieces in prop::collection::vec((0..5_usize, 1..50_usize), 0..30),
    ) {
        let decoder = load(FAMILIES[family]);
        let found = scheduled(&decoder, &sequences, &order, &pieces);
        for (found, ids) in found.iter().zip(&sequences) {
            let alone = Run::new(&decoder, 5).step(ids, 0, &[0, 1, 2, 3, 4], Wanted::Last);
            prop_assert_eq!(found, &alone);
        }
    }
}
