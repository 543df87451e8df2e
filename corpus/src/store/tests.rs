//! The store from inside: what the tables hold after each act.

mod curate;
mod fingerprint;
mod ingest;
mod list;
mod open;
mod query;
mod trace;

use std::path::PathBuf;

use tempfile::TempDir;

use super::{Ingested, LOCAL, NewTrace, Store};
use crate::reader::{Record, Rejected};
use crate::{Document, DocumentId, Error};

/// A home for one test.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("home").join("corpus.db")
    }

    fn open(&self) -> Store {
        Store::open(&self.path()).unwrap()
    }
}

fn id(key: &str) -> DocumentId {
    DocumentId::new("pubmed", key)
}

fn document(key: &str, text: &str) -> Document {
    let mut document = Document::plain(id(key), &format!("Title of {key}"), text);
    document.identifiers.pmid = Some(key.to_owned());
    document
}

fn documents(keys: std::ops::Range<u32>) -> impl Iterator<Item = Document> {
    keys.map(|key| document(&key.to_string(), &format!("Text of document {key}. It says nothing else.")))
}

fn add(store: &mut Store, documents: impl IntoIterator<Item = Document>) -> Ingested {
    add_to(store, "main", documents).unwrap()
}

fn add_to(
    store: &mut Store,
    collection: &str,
    documents: impl IntoIterator<Item = Document>,
) -> Result<Ingested, Error> {
    let records = documents.into_iter().map(|document| Ok(Record::Document(Box::new(document))));
    store.ingest(collection, records, &mut |_| {})
}

fn delete(store: &mut Store, key: &str) -> Ingested {
    store.ingest("main", std::iter::once(Ok(Record::Delete(id(key)))), &mut |_| {}).unwrap()
}

/// A trace that cites nothing and stays.
fn trace(id: &str) -> NewTrace {
    NewTrace {
        id: id.to_owned(),
        created: "2026-01-01T00:00:00Z".parse().unwrap(),
        expires: None,
        caller: LOCAL.to_owned(),
        outcome: "answered".to_owned(),
        question: format!("What is {id}?"),
        cited: Vec::new(),
        told: None,
    }
}

fn reject(position: &str) -> Rejected {
    Rejected {
        file: "a.xml".to_owned(),
        position: position.to_owned(),
        reason: "no text".to_owned(),
        excerpt: "<x>".to_owned(),
    }
}

/// Ids and texts of what a scan gives.
fn scanned(store: &Store) -> Vec<(String, String)> {
    let mut seen = Vec::new();
    store
        .scan::<Error>(&mut |card, chunk| {
            assert_eq!(card.id, chunk.document);
            seen.push((card.id.to_string(), chunk.text.clone()));
            Ok(())
        })
        .unwrap();
    seen
}

fn rows(store: &Store, table: &str) -> i64 {
    store.connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}
