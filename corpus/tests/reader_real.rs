//! Real files, where they are at hand: every record is read, counted against what the file holds.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a helper that cannot look for its input has failed its test, and says what it skips"
)]

use std::fs;
use std::io::{BufReader, Read};
use std::path::PathBuf;

use corpus::chunk::chunk;
use corpus::reader::{Format, Options, Record, Rejected, open};
use corpus::{Document, SectionKind};

fn data(path: &str) -> Option<PathBuf> {
    let folder = std::env::var("ANAMNESIS_DATA")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data").to_owned());
    let path = PathBuf::from(folder).join(path);
    let is_there = path.try_exists().unwrap();
    if !is_there {
        println!("skipped: {} is absent", path.display());
    }
    is_there.then_some(path)
}

fn read(path: &str, count: usize) -> Option<(Vec<Document>, Vec<Rejected>)> {
    let path = data(path)?;
    let (mut documents, mut rejected) = (Vec::new(), Vec::new());
    for item in open(&path, &Options::default()).unwrap().take(count) {
        match item {
            Ok(Record::Document(document)) => documents.push(*document),
            Ok(Record::Delete(id)) => panic!("{id} is deleted"),
            Err(item) => rejected.push(item),
        }
    }
    documents.iter().for_each(check);
    Some((documents, rejected))
}

fn check(document: &Document) {
    let mut end = 0;
    for section in &document.sections {
        assert!(section.span.start >= end && document.text.is_char_boundary(section.span.end), "{}", document.id);
        end = section.span.end;
    }
    for chunk in chunk(document) {
        assert_eq!(document.text[chunk.span.clone()], chunk.text);
    }
}

#[test]
fn pubmed_files_are_read_whole() {
    let Some(folder) = data("formats/pubmed") else {
        return;
    };
    let mut expected = 0;
    for file in fs::read_dir(&folder).unwrap() {
        let mut text = String::new();
        let path = file.unwrap().path();
        let file = BufReader::new(fs::File::open(&path).unwrap());
        if path.extension().is_some_and(|ending| ending == "gz") {
            flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text).unwrap();
        } else {
            BufReader::new(file).read_to_string(&mut text).unwrap();
        }
        expected += text.matches("<PubmedArticle>").count();
    }
    let (documents, rejected) = read("formats/pubmed", usize::MAX).unwrap();
    assert_eq!(rejected, []);
    assert_eq!(documents.len(), expected);
    let with_abstract = documents.iter().filter(|document| !document.text.is_empty()).count();
    assert!(with_abstract * 2 > documents.len());
    for document in &documents {
        assert!(!document.title.is_empty() && document.date.is_some() && document.journal.is_some(), "{}", document.id);
        assert!(!document.text.contains("  ") && !document.text.contains("&#"), "{}", document.id);
    }
    let asthma = documents.iter().find(|document| document.id.as_str() == "pubmed:29768149").unwrap();
    assert!(asthma.text.starts_with("BACKGROUND: In patients with mild asthma"));
    assert!(asthma.text.contains("β₂-agonist"), "{}", asthma.text);
    assert_eq!(asthma.identifiers.doi.as_deref(), Some("10.1056/NEJMoa1715274"));
}

#[test]
fn articles_of_the_archive_are_read_whole() {
    let Some((documents, rejected)) = read("formats/jats_cc_by_300.tar.xz", usize::MAX) else {
        return;
    };
    assert_eq!(rejected, []);
    assert_eq!(documents.len(), 300);
    for document in &documents {
        assert_eq!(document.id.source(), "pmc");
        assert!(!document.sections.is_empty() && !document.title.is_empty(), "{}", document.id);
        assert!(document.date.is_some() && document.journal.is_some(), "{}", document.id);
        assert!(!document.text.contains("\\begin{document}"), "{}", document.id);
    }
    let has = |kind| documents.iter().filter(|document| document.sections.iter().any(|part| part.kind == kind)).count();
    assert!(has(SectionKind::Body) > 290 && has(SectionKind::Table) > 150 && has(SectionKind::Caption) > 150);
    assert!(documents.iter().filter(|document| document.licence.is_some()).count() > 280);
    assert_eq!(documents.iter().filter(|document| document.is_notice()).count(), 5);
}

#[test]
fn json_lines_are_told_apart_and_read() {
    for (path, source) in [
        ("qa/pubmedqa.jsonl.gz", "pubmedqa"),
        ("corpora/abstracts.jsonl.gz", "abstracts"),
        ("corpora/medquad.jsonl.gz", "medquad"),
        ("corpora/openstax_passages.jsonl.gz", "openstax_passages"),
        ("corpora/pmc_articles.jsonl.gz", "pmc_articles"),
        ("corpora/pmc_passages.jsonl.gz", "pmc_passages"),
        ("retrieval/scifact", "scifact"),
        ("retrieval/nfcorpus/corpus.jsonl.gz", "nfcorpus"),
    ] {
        let Some((documents, rejected)) = read(path, 500) else {
            continue;
        };
        // Some articles have no abstract.
        assert!(documents.len() >= 450, "{path}: {:?}", rejected.first());
        for document in &documents {
            assert_eq!(document.id.source(), source, "{path}");
            assert!(!document.text.is_empty(), "{path}: {}", document.id);
        }
    }
}

#[test]
fn pubmedqa_withholds_the_conclusion() {
    let Some((documents, rejected)) = read("qa/pubmedqa.jsonl.gz", usize::MAX) else {
        return;
    };
    assert_eq!((documents.len(), rejected.len()), (1000, 0));
    let first = &documents[0];
    assert_eq!(first.id.as_str(), "pubmedqa:21645374");
    assert_eq!(first.identifiers.pmid.as_deref(), Some("21645374"));
    assert!(first.title.starts_with("Do mitochondria play a role"));
    assert!(first.text.starts_with("BACKGROUND: Programmed cell death"));
    assert!(!first.text.contains("Results depicted mitochondrial dynamics in vivo as PCD progresses"));
}

#[test]
fn a_named_format_is_believed() {
    let Some(path) = data("corpora/abstracts.jsonl.gz") else {
        return;
    };
    let options = Options { format: Some(Format::Beir), ..Options::default() };
    let rejected = open(&path, &options).unwrap().take(3).collect::<Vec<_>>();
    assert!(rejected.iter().all(|item| item.as_ref().is_err_and(|item| item.reason.contains("_id"))));
    assert_eq!(rejected[0].as_ref().unwrap_err().position, "line 1");
}
