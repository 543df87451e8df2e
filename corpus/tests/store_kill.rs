//! A writer is killed at random moments: the home opens, what was reported is there, every document is whole.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use corpus::reader::{Record, Rejected};
use corpus::{Document, DocumentId, Error, Store};

const HOME: &str = "ANAMNESIS_TEST_KILL_HOME";
const DOCUMENTS: u64 = 12_000;

fn records() -> impl Iterator<Item = Result<Record, Rejected>> {
    (0..DOCUMENTS).map(|key| {
        let sentence = format!("Sentence of document {key}, which says that it is one of many and of no use. ");
        let text = sentence.repeat(if key % 10 == 0 { 40 } else { 3 });
        let document = Document::plain(DocumentId::new("pubmed", &key.to_string()), "A title", &text);
        Ok(Record::Document(Box::new(document)))
    })
}

/// What the killed process runs; by itself it does nothing.
#[test]
fn writer() {
    let Some(path) = std::env::var_os(HOME) else {
        return;
    };
    let mut store = Store::open(Path::new(&path)).unwrap();
    store
        .ingest("main", records(), &mut |done| {
            println!("kept {}", done.added + done.unchanged);
        })
        .unwrap();
}

/// The last count that a writer reported before it died.
fn reported(output: &str) -> u64 {
    let counts = output.lines().filter_map(|line| line.strip_prefix("kept ")?.parse().ok());
    counts.max().unwrap_or(0)
}

fn check(path: &Path, reported: u64) {
    let raw = rusqlite::Connection::open(path).unwrap();
    let verdict: String = raw.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    // A writer that died before its tables were made left a file without any; whoever opens it next makes them.
    drop(Store::open(path).unwrap());
    assert!(!raw.prepare("PRAGMA foreign_key_check").unwrap().exists([]).unwrap());
    let broken = "SELECT 1 FROM documents d WHERE NOT EXISTS (SELECT 1 FROM texts WHERE document = d.number)
                  OR NOT EXISTS (SELECT 1 FROM memberships WHERE document = d.number)
                  OR d.chunks <> (SELECT count(*) FROM chunks WHERE document = d.number)";
    assert!(!raw.prepare(broken).unwrap().exists([]).unwrap(), "a document lacks a part");
    drop(raw);
    let store = Store::open(path).unwrap();
    let documents = store.stats().unwrap().documents;
    assert!(documents >= reported, "{reported} were reported, {documents} are here");
    assert!(documents.is_multiple_of(1000), "half a batch: {documents}");
    store
        .scan::<Error>(&mut |_, chunk| {
            assert!(chunk.text.contains(chunk.document.key()));
            Ok(())
        })
        .unwrap();
}

#[test]
fn ten_kills_lose_nothing_that_was_committed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, clean) = (folder.path().join("corpus.db"), folder.path().join("clean.db"));
    let mut store = Store::open(&clean).unwrap();
    let started = Instant::now();
    store.ingest("main", records(), &mut |_| {}).unwrap();
    let whole_run = started.elapsed();

    let seed = u64::from(std::process::id()) | 1;
    println!("seed {seed}, a whole run takes {whole_run:?}");
    let mut random = seed;
    let mut reports = Vec::new();
    for _ in 0..10 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let delay = Duration::from_micros((random >> 33) % (whole_run.as_micros() as u64 / 4 + 1));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["writer", "--exact", "--nocapture"])
            .env(HOME, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        sleep(delay);
        child.kill().unwrap();
        let mut output = String::new();
        child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
        child.wait().unwrap();
        reports.push(reported(&output));
        if path.try_exists().unwrap() {
            check(&path, reported(&output));
        }
    }
    println!("reported before death: {reports:?}");

    let mut killed = Store::open(&path).unwrap();
    let done = killed.ingest("main", records(), &mut |_| {}).unwrap();
    assert_eq!(done.added + done.unchanged, DOCUMENTS);
    assert_eq!(killed.fingerprint().unwrap(), store.fingerprint().unwrap());
    check(&path, DOCUMENTS);
}
