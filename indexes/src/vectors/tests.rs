//! The graph finds what the scan finds, masks hold, and bad bytes are refused.

use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::fixture::{chunk_id, facets, with_vectors};
use crate::{Build, Entry, Snapshot, Snapshots, VectorKind};

/// Unit rows around 50 centres.
fn clustered(rows: usize, dimension: usize) -> Vec<Vec<f32>> {
    let mut rng = SmallRng::seed_from_u64(11);
    let mut row = |around: Option<&Vec<f32>>| -> Vec<f32> {
        let mut row: Vec<f32> = (0..dimension)
            .map(|at| around.map_or(0.0, |centre| 5.0 * centre[at]) + rng.random_range(-1.0..1.0_f32))
            .collect();
        let length = row.iter().map(|number| number * number).sum::<f32>().sqrt();
        for number in &mut row {
            *number /= length;
        }
        row
    };
    let centres: Vec<Vec<f32>> = (0..50).map(|_| row(None)).collect();
    (0..rows).map(|at| row(Some(&centres[at % 50]))).collect()
}

fn snapshot(rows: &[Vec<f32>], kind: VectorKind) -> (tempfile::TempDir, Snapshot) {
    let dir = tempfile::tempdir().unwrap();
    let mut build = Build::begin(dir.path(), with_vectors(0, kind, rows[0].len())).unwrap();
    for (at, row) in rows.iter().enumerate() {
        let entry = Entry { chunk: chunk_id(at), title: "", heading: "", text: "", facets: &facets("1") };
        build.push(&entry, Some(row)).unwrap();
    }
    build.finish(&mut |_| {}).unwrap();
    let snapshot = Snapshots::new(dir.path()).open_current().unwrap();
    (dir, snapshot)
}

#[test]
fn the_scan_equals_a_plain_loop() {
    let rows = clustered(300, 20);
    let (_dir, snapshot) = snapshot(&rows, VectorKind::Auto);
    assert_eq!(snapshot.manifest().vectors.kind, VectorIndex::Flat);
    for query in &rows[..20] {
        let mut plain: Vec<Scored> = (0..)
            .zip(&rows)
            .map(|(slot, row)| Scored { slot, score: query.iter().zip(row).map(|(a, b)| a * b).sum() })
            .collect();
        plain.sort_by(Scored::best_first);
        let found = snapshot.vectors(query, 7, None, None).unwrap();
        assert_eq!(found.len(), 7);
        assert!(found.iter().zip(&plain).all(|(a, b)| (a.score - b.score).abs() < 1e-5));
        assert_eq!(found[0].slot, plain[0].slot);
        assert_eq!(snapshot.vectors(query, 1000, None, None).unwrap().len(), rows.len());
    }
}

#[test]
fn the_graph_finds_what_the_scan_finds() {
    let rows = clustered(5100, 48);
    let (_dir, snapshot) = snapshot(&rows[..5000], VectorKind::Hnsw);
    let card = &snapshot.manifest().vectors;
    assert!(card.kind == VectorIndex::Hnsw && card.recall_at_10.unwrap() >= 0.98 && card.sample > 0, "{card:?}");
    let mut hits = 0;
    for query in &rows[5000..] {
        let exact = snapshot.vectors_exact(query, 10, None).unwrap();
        let found = snapshot.vectors(query, 10, None, None).unwrap();
        assert_eq!(found, snapshot.vectors(query, 10, None, None).unwrap());
        hits += found.iter().filter(|found| exact.contains(found)).count();
    }
    assert!(hits >= 980, "{hits} of 1000");
    assert_eq!(snapshot.vectors(&rows[0], 10_000, None, None).unwrap().len(), 5000);

    // A few slots are scanned, many are searched for; neither answers with others.
    for (step, all) in [(500, true), (2, false), (1, false)] {
        let mut mask = Mask::empty(5000);
        (0..5000).step_by(step).for_each(|slot| mask.insert(slot));
        let mut hits = 0;
        for query in &rows[5000..5050] {
            let exact = snapshot.vectors_exact(query, 10, Some(&mask)).unwrap();
            let found = snapshot.vectors(query, 10, Some(&mask), None).unwrap();
            assert!(found.len() == 10 && found.iter().all(|found| mask.contains(found.slot)));
            hits += found.iter().filter(|found| exact.contains(found)).count();
        }
        assert!(hits >= if all { 500 } else { 490 }, "every {step}: {hits} of 500");
    }
    assert_eq!(snapshot.vectors(&rows[0], 10, Some(&Mask::empty(5000)), None).unwrap(), []);
}

#[test]
fn copies_do_not_break_a_graph() {
    let rows = vec![clustered(1, 8).remove(0); 400];
    let (_dir, snapshot) = snapshot(&rows, VectorKind::Hnsw);
    assert_eq!(snapshot.vectors(&rows[0], 10, None, None).unwrap().len(), 10);
}

#[test]
fn a_single_vector_makes_a_graph() {
    let rows = clustered(1, 8);
    let (_dir, snapshot) = snapshot(&rows, VectorKind::Hnsw);
    assert_eq!(snapshot.vectors(&rows[0], 10, None, None).unwrap().len(), 1);
}

#[test]
fn queries_that_do_not_fit_are_refused() {
    let rows = clustered(60, 8);
    let (_dir, snapshot) = snapshot(&rows, VectorKind::Hnsw);
    assert!(matches!(snapshot.vectors(&[1.0; 7], 3, None, None), Err(Error::Mismatch { .. })));
    assert!(matches!(snapshot.vectors(&[f32::NAN; 8], 3, None, None), Err(Error::Input(_))));
}

#[test]
fn vectors_that_do_not_fit_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let entry = |facets| Entry { chunk: chunk_id(0), title: "", heading: "", text: "", facets };
    let facets = facets("1");
    let mut build = Build::begin(dir.path(), with_vectors(0, VectorKind::Flat, 3)).unwrap();
    for bad in [None, Some(&[0.0; 3][..]), Some(&[f32::NAN; 3]), Some(&[f32::INFINITY; 3]), Some(&[1.0; 2])] {
        assert!(build.push(&entry(&facets), bad).is_err(), "{bad:?}");
    }
    build.push(&entry(&facets), Some(&[3.0, 0.0, 4.0])).unwrap();
    build.finish(&mut |_| {}).unwrap();
    let snapshot = Snapshots::new(dir.path()).open_current().unwrap();
    let found = snapshot.vectors(&[0.0, 0.0, 1.0], 1, None, None).unwrap();
    assert!((found[0].score - 0.8).abs() < 1e-6, "{found:?}");
    assert!(Build::begin(dir.path(), crate::fixture::options(1)).unwrap().push(&entry(&facets), Some(&[1.0])).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Behind the checksums the loader still trusts nothing.
    #[test]
    fn no_graph_makes_the_loader_panic(at in 0_usize..20_000, byte: u8, cut in 0_usize..20_000, graph in Just(frozen())) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("graph.bin");
        let mut bytes = graph;
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(bytes.len() - if cut % 4 == 0 { cut % bytes.len() } else { 0 });
        std::fs::write(&path, bytes).unwrap();
        if let Ok(graph) = Graph::open(&path, map(&path).unwrap(), 40, 6) {
            let matrix = dir.path().join("matrix.f32");
            std::fs::write(&matrix, vec![0; 40 * 6 * 4]).unwrap();
            let flat = Flat::open(&matrix, map(&matrix).unwrap(), 40, 6).unwrap();
            Searcher::default().search(&graph, &flat, &[0.5; 6], 5, 20, None);
        }
    }
}

fn frozen() -> Vec<u8> {
    use std::sync::OnceLock;
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    let build = || {
        let matrix = clustered(40, 6).concat();
        let links = graph::link::sketch(&matrix, 6, 4, &mut |_| {});
        let mut bytes = Vec::new();
        graph::freeze(&links, &matrix, 6, 4, &mut bytes).unwrap();
        bytes
    };
    BYTES.get_or_init(build).clone()
}
