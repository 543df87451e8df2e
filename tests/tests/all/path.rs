//! From a document to a cited answer, through every library crate, and retrieval quality on real
//! judgments where this machine has them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agent::policy::Extractive;
use agent::{Ask, Cancel, ask::ask};
use corpus::reader::{self, Options, Record, Rejected};
use corpus::{Store, starter};
use indexes::{Snapshots, VectorKind};
use jiff::Timestamp;
use retriever::indexing::{self, Settings};
use retriever::metrics::{Metrics, Run, evaluate};
use retriever::trec::{best_per_document, read_qrels, read_topics};
use retriever::{Arm, Embed, Hybrid, Query, Retrieve, embed};
use tempfile::TempDir;
use tests::shared_file;

/// A home filled with `records` and indexed with the bundled encoder.
fn home(records: impl Iterator<Item = Result<Record, Rejected>>, collection: &str) -> (TempDir, Hybrid) {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("corpus.db")).unwrap();
    store.ingest(collection, records, &mut |_| {}).unwrap();
    let encoder: Arc<dyn Embed> = Arc::new(embed::bundled().unwrap());
    let snapshots = Snapshots::new(&folder.path().join("snapshots"));
    let settings = Settings { created: Timestamp::UNIX_EPOCH, place: "static", vectors: VectorKind::Auto, cache: None };
    indexing::build(&store, &snapshots, Some(&encoder), &settings, &mut |_| {}).unwrap();
    let snapshot = Arc::new(snapshots.open_current().unwrap());
    let retriever = Hybrid::new(snapshot, store, Some(encoder)).unwrap();
    (folder, retriever)
}

fn starter_home() -> (TempDir, Hybrid) {
    let record = |document: Result<_, Rejected>| document.map(|document| Record::Document(Box::new(document)));
    home(starter::documents().map(record), starter::COLLECTION)
}

#[test]
fn a_question_finds_its_way_to_a_document_and_back() {
    let (_folder, retriever) = starter_home();
    let task =
        Ask::new("Which drug is first-line for type 2 diabetes, and when must it be avoided?", Timestamp::UNIX_EPOCH);
    let trace = ask(&task, &Extractive, &retriever, &|| Duration::ZERO, &Cancel::new(), &mut |_| {}).unwrap();
    assert!(trace.answer.is_answered());
    let documents: Vec<_> = trace.answer.documents().iter().map(|id| id.key().to_owned()).collect();
    assert!(documents.contains(&"metformin".to_owned()), "{documents:?}");
    for citation in &trace.answer.citations {
        let found = retriever.read(&[citation.chunk]).unwrap().remove(0).unwrap();
        assert!(found.chunk.text.contains(&citation.quote), "a quote is the stored text, word for word");
        assert_eq!(citation.end - citation.start, citation.quote.len());
    }
    assert!(trace.answer.citations.len() <= 4 && documents.len() <= 3);
}

#[test]
fn equal_questions_have_equal_episodes() {
    let (_folder, retriever) = starter_home();
    let task = Ask::new("How do apixaban and warfarin differ in monitoring?", Timestamp::UNIX_EPOCH);
    let run = || ask(&task, &Extractive, &retriever, &|| Duration::ZERO, &Cancel::new(), &mut |_| {}).unwrap();
    assert_eq!(run(), run());
}

#[test]
fn scifact_is_ranked_as_well_as_it_should_be() {
    let Some(folder) = shared_file("retrieval/scifact") else { return };
    let records = reader::open(&folder, &Options::default()).unwrap();
    let (_home, retriever) = home(records, "scifact");
    let lexical = measure(&retriever, &folder, Arm::Lexical);
    let hybrid = measure(&retriever, &folder, Arm::Hybrid);
    assert_eq!(lexical.queries, 300);
    assert!(lexical.ndcg_at_10 >= 0.675, "{lexical:?}");
    assert!(hybrid.ndcg_at_10 >= 0.685 && hybrid.ndcg_at_10 > lexical.ndcg_at_10, "{hybrid:?}");
}

fn measure(retriever: &Hybrid, folder: &Path, arm: Arm) -> Metrics {
    let qrels = read_qrels(&folder.join("qrels/test.tsv")).unwrap();
    let topics = read_topics(&folder.join("queries.jsonl.gz")).unwrap();
    let mut run = Run::new();
    for topic in topics.iter().filter(|topic| qrels.contains_key(&topic.id)) {
        let query = Query { k: 100, arm, per_document: 1, ..Query::new(&topic.text) };
        let hits = retriever.retrieve(&query).unwrap();
        let ranked = best_per_document(hits.into_iter().map(|hit| (hit.document.key().to_owned(), hit.score)));
        run.insert(topic.id.clone(), ranked.into_iter().map(|(document, _)| document).collect());
    }
    evaluate(&qrels, &run)
}
