//! Words: quality on SciFact, then build time and latency on 149,680 passages of trial reports, one
//! query at a time. Data is looked for in `ANAMNESIS_DATA` or `../shared/data`.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use corpus::{ChunkId, DocumentId, Level, Status};
use flate2::read::MultiGzDecoder;
use indexes::{Build, BuildOptions, Entry, Facets, Filter, Snapshot, Snapshots};
use serde_json::Value;

fn main() {
    let root = std::env::var("ANAMNESIS_DATA")
        .map_or_else(|_| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    if !root.join("retrieval/scifact").is_dir() {
        println!("skipped: no data in {}", root.display());
        return;
    }
    let home = tempfile::tempdir().expect("a temporary folder");
    for folder in ["scifact", "nfcorpus"] {
        let folder = root.join("retrieval").join(folder);
        let (snapshot, seconds) = index(&home.path().join("small"), &folder.join("corpus.jsonl.gz"));
        let qrels = qrels(&folder.join("qrels/test.tsv"));
        let queries = queries(&folder.join("queries.jsonl.gz"), &qrels);
        let ndcg = queries.iter().map(|(id, text)| ndcg_at_10(&snapshot, text, &qrels[id])).sum::<f64>()
            / queries.len() as f64;
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        println!(
            "{name}: {} documents, {} queries, nDCG@10 {ndcg:.4}, build {seconds:.2} s",
            snapshot.len(),
            queries.len()
        );
        report(&name, &snapshot, &queries);
    }
    let (snapshot, seconds) = index(&home.path().join("large"), &root.join("corpora/pmc_passages.jsonl.gz"));
    println!("pmc_passages: {} passages, build {seconds:.2} s", snapshot.len());
    let folder = root.join("retrieval/pmc_evidence");
    let queries = queries(&folder.join("queries.jsonl.gz"), &qrels(&folder.join("qrels/validation.tsv")));
    report("pmc_evidence", &snapshot, &queries);
}

/// Builds a snapshot of words alone; the seconds leave out reading the file.
fn index(dir: &Path, corpus: &Path) -> (Snapshot, f64) {
    let rows: Vec<Value> = rows(corpus).collect();
    let text = |row: &Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
    let start = Instant::now();
    let created = "2026-11-21T13:22:00Z".parse().expect("a time");
    let mut build = Build::begin(dir, BuildOptions::at(created)).expect("a writable folder");
    for row in &rows {
        let key = text(row, if row["_id"].is_string() { "_id" } else { "id" });
        let (title, text) = (text(row, "title"), text(row, "text"));
        let facets = Facets {
            document: DocumentId::new("bench", &key),
            date: None,
            level: Level::Unclassified,
            status: Status::Ok,
            types: Vec::new(),
            source: "bench".to_owned(),
            collections: Vec::new(),
            mesh: Vec::new(),
        };
        let chunk = ChunkId::of(&facets.document, 0, &text);
        let entry = Entry { chunk, title: &title, heading: "", text: &text, facets: &facets };
        build.push(&entry, None).expect("a chunk");
    }
    build.finish(&mut |_| {}).expect("a snapshot");
    let seconds = start.elapsed().as_secs_f64();
    (Snapshots::new(dir).open_current().expect("what was just built"), seconds)
}

fn rows(path: &Path) -> impl Iterator<Item = Value> + use<> {
    let file = File::open(path).expect("the corpus");
    BufReader::new(MultiGzDecoder::new(file))
        .lines()
        .map(|line| serde_json::from_str(&line.expect("a line")).expect("a JSON object"))
}

type Qrels = BTreeMap<String, HashMap<String, u32>>;

fn qrels(path: &Path) -> Qrels {
    let mut qrels = Qrels::new();
    for line in BufReader::new(File::open(path).expect("judgments")).lines().skip(1) {
        let line = line.expect("a line");
        let mut fields = line.split('\t');
        let (Some(query), Some(document), Some(grade)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let grade = grade.trim().parse::<f64>().unwrap_or_default() as u32;
        qrels.entry(query.to_owned()).or_default().insert(document.to_owned(), grade);
    }
    qrels
}

fn queries(path: &Path, qrels: &Qrels) -> Vec<(String, String)> {
    rows(path)
        .map(|row| {
            let id = row["_id"].as_str().map_or_else(|| row["_id"].to_string(), str::to_owned);
            (id, row["text"].as_str().unwrap_or_default().to_owned())
        })
        .filter(|(id, _)| qrels.contains_key(id))
        .collect()
}

fn ndcg_at_10(snapshot: &Snapshot, query: &str, judged: &HashMap<String, u32>) -> f64 {
    let gain = |grade: u32, rank: usize| f64::from(grade) / (rank as f64 + 2.0).log2();
    let found = snapshot.lexical(query, 10, None).expect("an answer");
    let key = |slot| snapshot.document(slot).split_once(':').map_or("", |(_, key)| key);
    let got: f64 =
        found.iter().enumerate().map(|(rank, hit)| gain(judged.get(key(hit.slot)).copied().unwrap_or(0), rank)).sum();
    let mut best: Vec<u32> = judged.values().copied().collect();
    best.sort_unstable_by(|a, b| b.cmp(a));
    let ideal: f64 = best.iter().take(10).enumerate().map(|(rank, &grade)| gain(grade, rank)).sum();
    if ideal > 0.0 { got / ideal } else { 0.0 }
}

/// Latency at k = 100 without and with a mask that half of the slots pass: per query the least of
/// four runs, so that what else the machine does counts little.
fn report(name: &str, snapshot: &Snapshot, queries: &[(String, String)]) {
    let mut half = snapshot.mask(&Filter::default());
    for slot in (0..snapshot.len() as u32).step_by(2) {
        half.remove(slot);
    }
    for (label, mask) in [("all", None), ("half masked", Some(&half))] {
        let mut times = vec![Duration::MAX; queries.len()];
        for _ in 0..4 {
            for ((_, text), least) in queries.iter().zip(&mut times) {
                let start = Instant::now();
                divan::black_box(snapshot.lexical(text, 100, mask).expect("an answer"));
                *least = start.elapsed().min(*least);
            }
        }
        times.sort_unstable();
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        println!("{name}, {label}: k 100, p50 {:.3} ms, p95 {:.3} ms, p99 {:.3} ms", at(0.5), at(0.95), at(0.99));
    }
}
