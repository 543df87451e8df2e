//! The fingerprint follows what a scan gives, and nothing else.

use proptest::prelude::*;

use super::*;
use crate::{Level, Status};

/// One act on one of a few documents.
#[derive(Clone, Debug)]
enum Act {
    Add { key: u8, text: u8, other: bool },
    Delete(u8),
    Remove(u8),
    Restore(u8),
    Rule(u8, Status),
    Level(u8, Level),
    Tag(u8),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let key = 0..4_u8;
    let act = prop_oneof![
        4 => (key.clone(), 0..3_u8, any::<bool>()).prop_map(|(key, text, other)| Act::Add { key, text, other }),
        1 => key.clone().prop_map(Act::Delete),
        1 => key.clone().prop_map(Act::Remove),
        1 => key.clone().prop_map(Act::Restore),
        1 => (key.clone(), prop::sample::select(Status::ALL)).prop_map(|(key, status)| Act::Rule(key, status)),
        1 => (key.clone(), prop::sample::select(Level::ALL)).prop_map(|(key, level)| Act::Level(key, level)),
        1 => key.prop_map(Act::Tag),
    ];
    prop::collection::vec(act, 1..12)
}

fn perform(store: &mut Store, act: &Act) {
    let reason = "a reason";
    let one = |key: &u8| [id(&key.to_string())];
    match act {
        Act::Add { key, text, other } => {
            let document = document(&key.to_string(), &format!("Text {text}."));
            add_to(store, if *other { "other" } else { "main" }, [document]).unwrap();
        }
        Act::Delete(key) => drop(delete(store, &key.to_string())),
        Act::Remove(key) => drop(store.remove(&one(key), reason).unwrap()),
        Act::Restore(key) => drop(store.restore(&one(key), reason).unwrap()),
        Act::Rule(key, status) => drop(store.set_status(&one(key), *status, reason).unwrap()),
        Act::Level(key, level) => drop(store.set_level(&one(key), *level, reason).unwrap()),
        Act::Tag(key) => drop(store.tag(&one(key), "tag", reason).unwrap()),
    }
}

/// All that a scan gives, in words.
fn view(store: &Store) -> Vec<String> {
    let mut seen = Vec::new();
    store
        .scan::<Error>(&mut |card, chunk| {
            seen.push(format!("{card:?} {chunk:?}"));
            Ok(())
        })
        .unwrap();
    seen
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changes_exactly_when_a_scan_does(acts in acts()) {
        let home = Home::new();
        let mut store = home.open();
        store.connection.execute_batch("PRAGMA synchronous = OFF").unwrap();
        let mut states = vec![(store.fingerprint().unwrap(), view(&store))];
        for act in &acts {
            perform(&mut store, act);
            states.push((store.fingerprint().unwrap(), view(&store)));
        }
        for (fingerprint, view) in &states {
            for (other_fingerprint, other_view) in &states {
                prop_assert_eq!(fingerprint == other_fingerprint, view == other_view, "{:?}", acts);
            }
        }
        let sum: i64 = {
            let mut statement = store.connection.prepare("SELECT mark FROM documents").unwrap();
            let marks = statement.query_map([], |row| row.get::<_, i64>(0)).unwrap();
            marks.fold(0, |sum, mark| sum.wrapping_add(mark.unwrap()))
        };
        let kept: i64 = store.connection.query_row(super::super::write::MARK, [], |row| row.get(0)).unwrap();
        prop_assert_eq!(sum, kept);
    }
}

#[test]
fn does_not_depend_on_the_order_of_adding() {
    let (one, two) = (Home::new(), Home::new());
    let (mut one, mut two) = (one.open(), two.open());
    add(&mut one, documents(0..50));
    add(&mut two, documents(25..50));
    assert_ne!(one.fingerprint().unwrap(), two.fingerprint().unwrap());
    add(&mut two, documents(0..25));
    assert_eq!(one.fingerprint().unwrap(), two.fingerprint().unwrap());
}

#[test]
fn the_data_version_moves_with_commits_of_any_process_but_not_with_traces() {
    let home = Home::new();
    let (mut store, mut other) = (home.open(), home.open());
    let first = store.data_version().unwrap();
    add(&mut other, documents(0..1));
    let second = store.data_version().unwrap();
    assert!(second > first);
    other.put_trace(&trace("t1"), "{}").unwrap();
    assert_eq!(store.data_version().unwrap(), second);
    store.remove(&[id("0")], "a reason").unwrap();
    assert!(store.data_version().unwrap() > second);
}
