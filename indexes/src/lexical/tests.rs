//! Ranking is exact, deterministic and explained, with and without a mask.

use proptest::prelude::*;
use tantivy::collector::TopDocs;
use tantivy::query::{BooleanQuery, BoostQuery, Occur, Query, TermQuery};

use super::*;
use crate::fixture::{ROWS, Row, build, options};
use crate::{Snapshot, Snapshots};

fn snapshot(rows: &[Row]) -> (tempfile::TempDir, Snapshot) {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path(), options(0), rows).unwrap();
    let snapshot = Snapshots::new(dir.path()).open_current().unwrap();
    (dir, snapshot)
}

fn slots(found: &[Scored]) -> Vec<Slot> {
    found.iter().map(|scored| scored.slot).collect()
}

#[test]
fn finds_what_medicine_writes() {
    let (_dir, snapshot) = snapshot(&ROWS);
    for (query, best) in [
        ("hba1c", 0),
        ("when must metformin be avoided?", 1),
        ("1.73 m2", 1),
        ("IL6 receptor", 2),
        ("il-6", 2),
        ("beta blocker", 3),
        ("β-blockers", 3),
        ("type 1 diabetes", 4),
    ] {
        assert_eq!(snapshot.lexical(query, 3, None).unwrap()[0].slot, best, "{query}");
    }
}

#[test]
fn odd_queries_have_answers() {
    let (_dir, snapshot) = snapshot(&ROWS);
    for query in ["", "  \n", "the of is", "zzzz", "\u{0}\u{feff}"] {
        assert_eq!(snapshot.lexical(query, 10, None).unwrap(), []);
    }
    assert_eq!(snapshot.lexical("metformin", 0, None).unwrap(), []);
    assert_eq!(snapshot.lexical("metformin", usize::MAX, None).unwrap().len(), 2);
    let mut long = "lorem ".repeat(17_000);
    long.extend((0..4000).map(|number| format!("word{number} ")));
    long += "tocilizumab";
    assert_eq!(slots(&snapshot.lexical(&long, 10, None).unwrap()), [2]);
}

#[test]
fn equal_scores_go_by_slot() {
    let rows: Vec<Row> = (0..300).map(|_| ("1", "", "same words")).collect();
    let (_dir, snapshot) = snapshot(&rows);
    assert_eq!(slots(&snapshot.lexical("words", 100, None).unwrap()), (0..100).collect::<Vec<_>>());
}

#[test]
fn explanations_sum_to_the_score() {
    let (_dir, snapshot) = snapshot(&ROWS);
    let query = "metformin diabetes diabetes lowers insulin";
    for found in snapshot.lexical(query, 10, None).unwrap() {
        let parts = snapshot.lexical_explain(query, found.slot).unwrap();
        assert_eq!(parts.iter().map(|(_, part)| part).sum::<f32>(), found.score, "{parts:?}");
        assert!(!parts.is_empty() && parts.iter().all(|(term, part)| !term.is_empty() && *part > 0.0));
    }
}

#[test]
fn only_what_the_mask_holds_is_found_and_scored_alike() {
    let (_dir, snapshot) = snapshot(&ROWS);
    let all = snapshot.lexical("diabetes lowers blood", 10, None).unwrap();
    assert!(all.len() > 2);
    for scored in &all {
        let mut mask = Mask::full(snapshot.len());
        mask.remove(scored.slot);
        let rest: Vec<_> = all.iter().copied().filter(|other| other.slot != scored.slot).collect();
        assert_eq!(snapshot.lexical("diabetes lowers blood", 10, Some(&mask)).unwrap(), rest);
    }
    assert_eq!(snapshot.lexical("diabetes", 10, Some(&Mask::empty(snapshot.len()))).unwrap(), []);
}

/// Words of a skewed distribution, some in nearly every document.
fn text(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut word = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let share = (state >> 11) as f64 / (1_u64 << 53) as f64;
        format!("w{} ", (200.0 * share * share * share) as u32)
    };
    (0..4 + seed % 20).map(|_| word()).collect()
}

/// tantivy's own scorer over the same files is the oracle.
fn oracle(lexical: &Lexical, terms: &[String], k: usize) -> Vec<(Slot, f32)> {
    let clauses = terms.iter().map(|term| {
        let term = Term::from_field_text(lexical.fields.content, term);
        let query: Box<dyn Query> = Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs));
        (Occur::Should, Box::new(BoostQuery::new(query, 1.0)) as Box<dyn Query>)
    });
    let query = BooleanQuery::new(clauses.collect());
    let found = lexical.reader.searcher().search(&query, &TopDocs::with_limit(k).order_by_score()).unwrap();
    found.into_iter().map(|(score, address)| (address.doc_id, score)).collect()
}

/// An index of so many texts over the skewed words.
fn large(documents: u64) -> (tempfile::TempDir, Lexical) {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = LexicalWriter::create(folder.path()).unwrap();
    (0..documents).for_each(|seed| writer.push(&text(seed), &[]).unwrap());
    writer.finish().unwrap();
    let files = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let files = files.map(|path| (path.file_name().unwrap().into(), crate::mapped::map(&path).unwrap()));
    let lexical = Lexical::open(folder.path(), Frozen::new(files), documents as usize).unwrap();
    (folder, lexical)
}

#[test]
fn agrees_with_tantivys_own_scorer() {
    let (_folder, lexical) = large(10_000);
    proptest!(ProptestConfig::with_cases(60), |(words in prop::collection::btree_set(0_u32..200, 1..12), k in 1_usize..150)| {
        let terms: Vec<String> = words.iter().map(|word| format!("w{word}")).collect();
        let found = lexical.search(&terms.join(" "), k, None).unwrap();
        let expected = oracle(&lexical, &terms, k);
        prop_assert_eq!(found.len(), expected.len());
        // Sums are rounded in another order: ranks may differ among scores that are as good as equal.
        for (found, (_, score)) in found.iter().zip(&expected) {
            prop_assert!((found.score - score).abs() <= 1e-5 * score, "{} {}", found.score, score);
        }
    });
}

#[test]
fn what_is_skipped_changes_no_bit() {
    let documents = 20_000;
    let (_folder, lexical) = large(documents);
    proptest!(ProptestConfig::with_cases(80), |(
        words in prop::collection::btree_set(0_u32..200, 1..9), k in 1_usize..60, step in 1_u64..5_000, gap in 0..documents,
    )| {
        let query: Vec<String> = words.iter().map(|word| format!("w{word}")).collect();
        let query = query.join(" ");
        // with room for all there is nothing to skip
        let all = lexical.search(&query, documents as usize, None).unwrap();
        prop_assert_eq!(&lexical.search(&query, k, None).unwrap(), &all[..k.min(all.len())]);
        for found in all.iter().step_by(997) {
            let parts = lexical.explain(&query, found.slot).unwrap();
            prop_assert_eq!(parts.iter().map(|(_, part)| part).sum::<f32>().to_bits(), found.score.to_bits());
        }
        for is_few in [true, false] {
            let mut mask = if is_few { Mask::empty(documents as usize) } else { Mask::full(documents as usize) };
            for slot in (0..documents).step_by(step as usize) {
                if is_few { mask.insert(slot as Slot) } else { mask.remove(slot as Slot) }
            }
            // and a stretch of several windows without any
            (gap..documents.min(gap + 9_000)).for_each(|slot| mask.remove(slot as Slot));
            let held: Vec<_> = all.iter().copied().filter(|found| mask.contains(found.slot)).take(k).collect();
            prop_assert_eq!(lexical.search(&query, k, Some(&mask)).unwrap(), held);
        }
    });
}
