//! Vectors: recall and latency of the frozen graph and of the exact scan, one query at a time, beside
//! each other. Rows come from `ANAMNESIS_VECTORS` (a `.npy` of unit float32 rows, the last 500 of
//! which become the queries) or, without it, are clustered at random.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::path::Path;
use std::time::{Duration, Instant};

use corpus::{ChunkId, DocumentId, Level, Status};
use indexes::{Build, BuildOptions, EncoderCard, Entry, Facets, Snapshot, Snapshots, VectorKind};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

const QUERIES: usize = 500;

fn main() {
    let (rows, dimension, origin) = match std::env::var("ANAMNESIS_VECTORS") {
        Ok(path) => {
            let (rows, dimension) = npy(Path::new(&path));
            (rows, dimension, path)
        }
        Err(_) => (clustered(20_000 + QUERIES, 384), 384, "clustered at random".to_owned()),
    };
    let (rows, queries) = rows.split_at(rows.len() - QUERIES * dimension);
    let home = tempfile::tempdir().expect("a temporary folder");
    let start = Instant::now();
    let snapshot = index(home.path(), rows, dimension);
    let card = &snapshot.manifest().vectors;
    println!(
        "{} x {dimension} ({origin}): build {:.1} s, recall@10 of the build's sample {:.4}",
        snapshot.len(),
        start.elapsed().as_secs_f64(),
        card.recall_at_10.unwrap_or_default(),
    );
    let start = Instant::now();
    drop(Snapshots::new(home.path()).open_current().expect("what was just built"));
    println!("open and verify: {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    let queries: Vec<&[f32]> = queries.chunks_exact(dimension).collect();
    for k in [10, 100] {
        let start = Instant::now();
        let exact: Vec<Vec<u32>> =
            queries.iter().map(|query| slots(snapshot.vectors_exact(query, k, None).expect("an answer"))).collect();
        println!("exact scan: k {k}, mean {:.3} ms", start.elapsed().as_secs_f64() * 1e3 / QUERIES as f64);
        for effort in [None, Some(16), Some(24), Some(32), Some(48), Some(64), Some(96), Some(128), Some(200)] {
            if effort.is_none_or(|effort| effort >= k) {
                measure(&snapshot, &queries, &exact, k, effort);
            }
        }
    }
}

fn measure(snapshot: &Snapshot, queries: &[&[f32]], exact: &[Vec<u32>], k: usize, effort: Option<usize>) {
    let mut times = vec![Duration::MAX; queries.len()];
    let mut hits = 0;
    for round in 0..4 {
        for ((query, exact), least) in queries.iter().zip(exact).zip(&mut times) {
            let start = Instant::now();
            let found = divan::black_box(snapshot.vectors(query, k, None, effort).expect("an answer"));
            *least = start.elapsed().min(*least);
            if round == 0 {
                hits += slots(found).iter().filter(|slot| exact.contains(slot)).count();
            }
        }
    }
    times.sort_unstable();
    let mean = times.iter().sum::<Duration>().as_secs_f64() * 1e3 / times.len() as f64;
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "graph: k {k}, effort {}: recall@{k} {:.4}, mean {mean:.4} ms, p50 {:.4}, p95 {:.4}",
        effort.map_or("default".to_owned(), |effort| effort.to_string()),
        hits as f64 / (queries.len() * k) as f64,
        at(0.5),
        at(0.95),
    );
}

fn slots(found: Vec<indexes::Scored>) -> Vec<u32> {
    found.into_iter().map(|scored| scored.slot).collect()
}

fn index(dir: &Path, rows: &[f32], dimension: usize) -> Snapshot {
    let created = "2026-11-21T13:22:00Z".parse().expect("a time");
    let encoder = EncoderCard {
        name: "bench".to_owned(),
        fingerprint: String::new(),
        dimension,
        pooling: "mean".to_owned(),
        query_prefix: String::new(),
        passage_prefix: String::new(),
    };
    let options = BuildOptions {
        vectors: VectorKind::Hnsw,
        encoder: Some(encoder),
        recall_threshold: 0.0,
        ..BuildOptions::at(created)
    };
    let mut build = Build::begin(dir, options).expect("a writable folder");
    for (at, row) in rows.chunks_exact(dimension).enumerate() {
        let facets = Facets {
            document: DocumentId::new("bench", &at.to_string()),
            date: None,
            level: Level::Unclassified,
            status: Status::Ok,
            types: Vec::new(),
            source: "bench".to_owned(),
            collections: Vec::new(),
            mesh: Vec::new(),
        };
        let chunk = ChunkId::of(&facets.document, 0, "");
        let entry = Entry { chunk, title: "", heading: "", text: "", facets: &facets };
        build.push(&entry, Some(row)).expect("a chunk");
    }
    build.finish(&mut |_| {}).expect("a snapshot");
    Snapshots::new(dir).open_current().expect("what was just built")
}

/// Unit rows around 200 centres.
fn clustered(rows: usize, dimension: usize) -> Vec<f32> {
    let mut rng = SmallRng::seed_from_u64(7);
    let centres: Vec<f32> = (0..200 * dimension).map(|_| rng.random_range(-1.0..1.0)).collect();
    (0..rows)
        .flat_map(|_| {
            let centre = rng.random_range(0..200);
            let mut row: Vec<f32> = centres[centre * dimension..][..dimension]
                .iter()
                .map(|number| number + rng.random_range(-1.5..1.5_f32))
                .collect();
            let length = row.iter().map(|number| number * number).sum::<f32>().sqrt();
            for number in &mut row {
                *number /= length;
            }
            row
        })
        .collect()
}

/// The numbers of a version 1 `.npy` of little-endian float32 rows, and the length of a row.
fn npy(path: &Path) -> (Vec<f32>, usize) {
    let bytes = std::fs::read(path).expect("the vectors");
    let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let text = String::from_utf8_lossy(&bytes[10..10 + header]);
    assert!(text.contains("'<f4'") && text.contains("'fortran_order': False"), "float32 rows are wanted: {text}");
    let shape = text.split_once("'shape': (").and_then(|(_, rest)| rest.split_once(')')).expect("a shape").0;
    let dimension = shape.split(',').nth(1).and_then(|part| part.trim().parse().ok()).expect("two dimensions");
    let numbers = bytes[10 + header..].as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
    (numbers.collect(), dimension)
}
