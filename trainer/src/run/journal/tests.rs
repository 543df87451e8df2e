//! Journals that are written, continued and rewound.

use std::collections::BTreeMap;

use agent::journal::{self, Heldout, Step};

use super::*;

fn step(step: u64) -> Entry {
    Entry::Step(Step {
        step,
        stage: "sft".to_owned(),
        epoch: 0.5,
        loss: Some(1.25),
        gradient_norm: None,
        learning_rate: 1e-3,
        skipped: false,
        tokens: 100,
        learnt: 40,
        seconds: 0.5,
        values: BTreeMap::from([("entropy".to_owned(), 2.0)]),
    })
}

#[test]
fn a_resumed_journal_forgets_the_steps_that_are_done_again() {
    let folder = tempfile::tempdir().unwrap();
    let now = Timestamp::UNIX_EPOCH;
    let mut journal = Journal::open(folder.path(), 0, now).unwrap();
    for number in 1..=7 {
        journal.write(&step(number), now).unwrap();
    }
    journal.write(&Entry::Checkpoint { step: 5, best: true }, now).unwrap();
    journal.sync().unwrap();
    drop(journal);
    let path = folder.path().join(FILE);
    let mut torn = fs::read(&path).unwrap();
    torn.extend(b"{\"kind\":\"st");
    fs::write(&path, torn).unwrap();
    let mut journal = Journal::open(folder.path(), 5, now).unwrap();
    journal.write(&step(6), now).unwrap();
    let entries = journal::read(folder.path()).unwrap();
    let steps: Vec<u64> = entries.iter().map(Entry::step).collect();
    assert_eq!(steps, [1, 2, 3, 4, 5, 5, 6]);
    assert_eq!(entries[0], step(1));
}

#[test]
fn numbers_have_names_and_absent_ones_are_left_out() {
    let named = scalars(&step(3));
    assert!(named.contains(&("sft/entropy".to_owned(), 2.0)) && named.contains(&("sft/loss".to_owned(), 1.25)));
    assert!(named.contains(&("sft/tokens_per_second".to_owned(), 200.0)));
    assert!(!named.iter().any(|(name, _)| name == "sft/gradient_norm"));
    let values = BTreeMap::from([("accuracy".to_owned(), 0.5)]);
    let heldout = Entry::Heldout(Heldout { step: 1, phase: "before".to_owned(), values });
    assert_eq!(scalars(&heldout), [("heldout/accuracy".to_owned(), 0.5)]);
    assert!(scalars(&Entry::Checkpoint { step: 1, best: false }).is_empty());
}
