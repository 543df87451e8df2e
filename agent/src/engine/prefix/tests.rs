//! The tree against memory that really holds tokens, and against a plain list of what was computed.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

/// A cache whose blocks hold, for each token, the whole sequence up to it.
struct Memory {
    prefix: Prefix,
    places: Vec<Vec<Vec<u32>>>,
}

struct Sequence {
    ids: Vec<u32>,
    computed: usize,
    table: Table,
}

impl Memory {
    fn new(blocks: usize) -> Self {
        Self { prefix: Prefix::new(blocks), places: vec![vec![Vec::new(); BLOCK]; blocks] }
    }

    /// Begins a sequence with what is cached; `None` when there is no room.
    fn begin(&mut self, ids: Vec<u32>) -> Option<Sequence> {
        let found = self.prefix.find(&ids[..ids.len() - 1]);
        let computed = found.tokens();
        let (table, copy) = self.prefix.hold(&found)?;
        if let Some((from, to)) = copy {
            self.places[to as usize] = self.places[from as usize].clone();
        }
        let sequence = Sequence { ids, computed, table };
        self.check(&sequence);
        Some(sequence)
    }

    /// Computes tokens up to `until`, as far as there is room.
    fn compute(&mut self, sequence: &mut Sequence, until: usize) {
        while sequence.computed < until.min(sequence.ids.len()) {
            if sequence.table.capacity() <= sequence.computed && !self.prefix.grow(&mut sequence.table) {
                break;
            }
            let block = sequence.table.blocks()[sequence.computed / BLOCK];
            self.places[block as usize][sequence.computed % BLOCK] = sequence.ids[..=sequence.computed].to_vec();
            sequence.computed += 1;
        }
        self.prefix.commit(&mut sequence.table, &sequence.ids, sequence.computed);
        self.check(sequence);
    }

    /// Every computed token of the sequence is where its table says.
    fn check(&self, sequence: &Sequence) {
        for token in 0..sequence.computed {
            let block = sequence.table.blocks()[token / BLOCK];
            assert_eq!(self.places[block as usize][token % BLOCK], sequence.ids[..=token], "token {token}");
        }
    }

    /// Held, idle and free blocks make up the whole.
    fn check_counts(&self, live: &[Sequence]) {
        let held: HashSet<BlockId> = live.iter().flat_map(|sequence| sequence.table.blocks()).copied().collect();
        assert_eq!(self.prefix.blocks().held(), held.len());
        assert_eq!(self.prefix.available() + held.len(), self.prefix.blocks().count());
    }
}

fn ids(seed: u64, length: usize, alphabet: u64) -> Vec<u32> {
    let stream = nn::Stream { seed, ..nn::Stream::default() };
    (0..length).map(|token| (stream.uniform(token as u32) * alphabet as f64) as u32).collect()
}

#[test]
fn a_prompt_is_found_to_the_token() {
    let mut memory = Memory::new(20);
    let prompt = ids(1, 70, 100);
    let mut first = memory.begin(prompt.clone()).unwrap();
    assert_eq!(first.computed, 0);
    memory.compute(&mut first, 70);

    let second = memory.begin(prompt.clone()).unwrap();
    assert_eq!(second.computed, 69);
    assert_eq!(second.table.blocks()[..2], first.table.blocks()[..2]);
    assert_ne!(second.table.blocks()[2], first.table.blocks()[2]);

    let mut other = prompt.clone();
    other[50] += 1;
    let third = memory.begin(other).unwrap();
    assert_eq!(third.computed, 50);
    memory.check_counts(&[first, second, third]);
}

#[test]
fn an_unneeded_last_block_is_taken_over() {
    let mut memory = Memory::new(3);
    let mut first = memory.begin(ids(1, 70, 100)).unwrap();
    memory.compute(&mut first, 70);
    memory.prefix.release(first.table);
    let mut longer = ids(1, 70, 100);
    longer.extend([7; 20]);
    // All three blocks are in use, and this needs no fourth.
    let mut second = memory.begin(longer).unwrap();
    assert_eq!(second.computed, 70);
    memory.compute(&mut second, 90);
    assert_eq!((second.computed, memory.prefix.evictions()), (90, 0));
}

#[test]
fn blocks_of_equal_tokens_become_one() {
    let mut memory = Memory::new(20);
    let mut first = memory.begin(ids(1, 64, 100)).unwrap();
    let mut second = memory.begin(ids(1, 64, 100)).unwrap();
    memory.compute(&mut first, 40);
    memory.compute(&mut second, 50);
    memory.compute(&mut first, 64);
    memory.compute(&mut second, 64);
    assert_eq!(first.table.blocks(), second.table.blocks());
    memory.check_counts(&[first, second]);
}

#[test]
fn the_longest_unused_goes_first_and_ends_before_beginnings() {
    let mut memory = Memory::new(4);
    for seed in [1, 2] {
        let mut sequence = memory.begin(ids(seed, 64, 100)).unwrap();
        memory.compute(&mut sequence, 64);
        memory.prefix.release(sequence.table);
    }
    let mut third = memory.begin(ids(3, 32, 100)).unwrap();
    memory.compute(&mut third, 32);
    // The end of the first went.
    assert_eq!(memory.prefix.find(&ids(1, 64, 100)).tokens(), 32);
    assert_eq!(memory.prefix.find(&ids(2, 64, 100)).tokens(), 64);
    let mut fourth = memory.begin(ids(4, 32, 100)).unwrap();
    memory.compute(&mut fourth, 32);
    assert_eq!(memory.prefix.find(&ids(1, 64, 100)).tokens(), 0);
    assert_eq!(memory.prefix.find(&ids(2, 64, 100)).tokens(), 64);
    // With everything held, there is no more.
    let second = memory.begin(ids(2, 66, 100)).unwrap();
    let mut fifth = memory.begin(ids(5, 10, 100)).unwrap();
    memory.compute(&mut fifth, 10);
    assert_eq!(fifth.computed, 0);
    memory.check_counts(&[third, fourth, second, fifth]);
}

#[derive(Clone, Debug)]
enum Move {
    /// A new sequence of some length, agreeing with the family of that number for so long.
    Begin { family: u64, common: usize, own: u64, length: usize },
    /// One of those under way goes on.
    Compute { which: usize, tokens: usize },
    /// One of those under way ends.
    End { which: usize },
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        (0..3_u64, 0..150_usize, 0..3_u64, 1..150_usize).prop_map(|(family, common, own, length)| Move::Begin {
            family,
            common,
            own,
            length
        }),
        (0..8_usize, 1..60_usize).prop_map(|(which, tokens)| Move::Compute { which, tokens }),
        (0..8_usize).prop_map(|which| Move::End { which }),
    ];
    prop::collection::vec(one, 1..80)
}

fn run(blocks: usize, moves: Vec<Move>) {
    let mut memory = Memory::new(blocks);
    let mut live: Vec<Sequence> = Vec::new();
    let mut computed: Vec<Vec<u32>> = Vec::new();
    for one in moves {
        match one {
            Move::Begin { family, common: shared, own, length } => {
                let mut wanted = ids(family, length, 2);
                for (token, id) in ids(100 + own, length, 2).into_iter().enumerate().skip(shared) {
                    wanted[token] = id;
                }
                let longest = computed.iter().map(|done| common(done, &wanted[..length - 1])).max().unwrap_or(0);
                if let Some(sequence) = memory.begin(wanted) {
                    assert!(sequence.computed <= longest);
                    if memory.prefix.evictions() == 0 {
                        assert_eq!(sequence.computed, longest);
                    }
                    live.push(sequence);
                }
            }
            Move::Compute { which, tokens } if !live.is_empty() => {
                let which = which % live.len();
                let sequence = &mut live[which];
                let until = sequence.computed + tokens;
                memory.compute(sequence, until);
                computed.push(sequence.ids[..sequence.computed].to_vec());
            }
            Move::End { which } if !live.is_empty() => {
                let sequence = live.swap_remove(which % live.len());
                memory.prefix.release(sequence.table);
            }
            Move::Compute { .. } | Move::End { .. } => {}
        }
        for sequence in &live {
            memory.check(sequence);
        }
        memory.check_counts(&live);
    }
    for sequence in live.drain(..) {
        memory.prefix.release(sequence.table);
    }
    memory.check_counts(&[]);
    // Whatever was kept can be had again, all of it.
    let mut table = Table::default();
    while memory.prefix.grow(&mut table) {}
    assert_eq!(table.blocks().len(), blocks);
    assert_eq!(memory.prefix.find(&ids(0, 150, 2)), Match::default());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn tables_hold_their_tokens_whatever_happens(moves in moves()) {
        run(9, moves);
    }

    #[test]
    fn all_that_was_computed_is_found(moves in moves()) {
        run(2_000, moves);
    }
}
