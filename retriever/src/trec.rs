//! Files that other tools read and write: BEIR queries, qrels, and TREC run files.

use std::collections::HashSet;
use std::io::{self, BufRead, Write};
use std::path::Path;

use serde::Deserialize;

use crate::metrics::Qrels;
use crate::{Error, Result};

/// A query of a BEIR `queries.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Topic {
    /// Query id.
    #[serde(rename = "_id", alias = "id")]
    pub id: String,
    /// The query.
    #[serde(alias = "question")]
    pub text: String,
}

/// Reads `queries.jsonl`, plain or compressed, in order.
///
/// # Errors
/// When the file cannot be read, or a line is no query; the message names the line.
pub fn read_topics(path: &Path) -> Result<Vec<Topic>> {
    let mut topics = Vec::new();
    for (number, line) in lines(path)?.enumerate() {
        let line = line.map_err(|source| Error::File { action: "read", path: path.to_owned(), source })?;
        if line.trim().is_empty() {
            continue;
        }
        let topic = serde_json::from_str(&line).map_err(|error| bad_line(path, number, &error))?;
        topics.push(topic);
    }
    Ok(topics)
}

/// Reads BEIR qrels (`query-id corpus-id score`, tab-separated, with or without header) or TREC
/// qrels (`query 0 document grade`).
///
/// # Errors
/// When the file cannot be read, or a line has other columns; the message names the line.
pub fn read_qrels(path: &Path) -> Result<Qrels> {
    let mut qrels = Qrels::new();
    for (number, line) in lines(path)?.enumerate() {
        let line = line.map_err(|source| Error::File { action: "read", path: path.to_owned(), source })?;
        let columns: Vec<&str> = line.split(['\t', ' ']).filter(|column| !column.is_empty()).collect();
        let (query, document, grade) = match columns[..] {
            [] => continue,
            [query, document, grade] | [query, _, document, grade] => (query, document, grade),
            _ => return Err(bad_line(path, number, &"not three or four columns")),
        };
        let Ok(grade) = grade.parse::<f64>() else {
            if number == 0 {
                continue;
            }
            return Err(bad_line(path, number, &"the grade is no number"));
        };
        qrels.entry(query.to_owned()).or_default().insert(document.to_owned(), grade.max(0.0) as u32);
    }
    Ok(qrels)
}

/// Writes the lines of one query: `query Q0 document rank score tag`.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_run(out: &mut impl Write, query: &str, ranked: &[(String, f64)]) -> io::Result<()> {
    for (index, (document, score)) in ranked.iter().enumerate() {
        writeln!(out, "{query} Q0 {document} {} {score:.6} anamnesis", index + 1)?;
    }
    Ok(())
}

/// Keeps each document's first, hence best, entry.
pub fn best_per_document(ranked: impl IntoIterator<Item = (String, f64)>) -> Vec<(String, f64)> {
    let mut seen = HashSet::new();
    ranked.into_iter().filter(|(document, _)| seen.insert(document.clone())).collect()
}

fn lines(path: &Path) -> Result<impl Iterator<Item = io::Result<String>>> {
    Ok(corpus::reader::open_text(path)?.lines())
}

fn bad_line(path: &Path, number: usize, reason: &dyn std::fmt::Display) -> Error {
    Error::Input(format!("{} line {}: {reason}", path.display(), number + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qrels_with_and_without_header() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("qrels.tsv");
        std::fs::write(&path, "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\n").unwrap();
        let qrels = read_qrels(&path).unwrap();
        assert_eq!((qrels["q1"]["d1"], qrels["q1"]["d2"]), (2, 0));
        std::fs::write(&path, "q1 0 d1 1\n").unwrap();
        assert_eq!(read_qrels(&path).unwrap()["q1"]["d1"], 1);
        std::fs::write(&path, "q1 d1 1\nq2 d2 high\n").unwrap();
        assert!(read_qrels(&path).unwrap_err().to_string().contains("line 2"));
    }

    #[test]
    fn topics_name_the_bad_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queries.jsonl");
        std::fs::write(&path, "{\"_id\":\"1\",\"text\":\"a\"}\n\n{\"_id\":2}\n").unwrap();
        assert!(read_topics(&path).unwrap_err().to_string().contains("line 3"));
    }

    #[test]
    fn best_chunk_stands_for_its_document() {
        let ranked = [("a", 3.0), ("b", 2.0), ("a", 1.0)].map(|(d, s)| (d.to_owned(), s));
        assert_eq!(best_per_document(ranked), [("a".to_owned(), 3.0), ("b".to_owned(), 2.0)]);
    }

    #[test]
    fn run_lines() {
        let mut out = Vec::new();
        write_run(&mut out, "q1", &[("d 1".to_owned(), 0.5)]).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "q1 Q0 d 1 1 0.500000 anamnesis\n");
    }
}
