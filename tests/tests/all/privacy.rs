//! Real questions hold no identifier of a patient: what is found in them is a false alarm, or an age over 89.

use std::io::Read;
use std::path::Path;
use std::time::Instant;

use agent::phi::{Kind, find};
use flate2::read::GzDecoder;
use serde_json::Value;
use tests::shared_file;

/// Files and the field of each that is a question.
const QUESTIONS: [(&str, &str); 6] = [
    ("corpora/medquad.jsonl.gz", "question"),
    ("qa/mcq.jsonl.gz", "question"),
    ("qa/pubmedqa.jsonl.gz", "question"),
    ("qa/covid_qa_squad.json.gz", "question"),
    ("retrieval/nfcorpus/queries.jsonl.gz", "text"),
    ("retrieval/scifact/queries.jsonl.gz", "text"),
];

#[test]
fn questions_raise_no_alarm() {
    for (name, field) in QUESTIONS {
        let Some(file) = shared_file(name) else { continue };
        let mut questions = Vec::new();
        for value in values(&file) {
            collect(&value, field, &mut questions);
        }
        let start = Instant::now();
        let mut alarms = Vec::new();
        let mut ages = 0;
        for question in &questions {
            for found in find(question) {
                // an age over 89 is an identifier wherever it stands
                if found.kind == Kind::Age {
                    ages += 1;
                } else {
                    alarms.push((found.kind, question[found.span].to_owned()));
                }
            }
        }
        let bytes: usize = questions.iter().map(String::len).sum();
        eprintln!(
            "{name}: {} false alarms and {ages} ages over 89 in {} questions, {:.1} MB/s {alarms:?}",
            alarms.len(),
            questions.len(),
            bytes as f64 / 1e6 / start.elapsed().as_secs_f64()
        );
        assert!(questions.len() >= 1_000 && alarms.len() * 1_000 <= questions.len(), "{alarms:?}");
    }
}

/// One JSON value, or one a line.
fn values(file: &Path) -> Vec<Value> {
    let mut text = String::new();
    GzDecoder::new(std::fs::File::open(file).unwrap()).read_to_string(&mut text).unwrap();
    serde_json::from_str(&text)
        .map_or_else(|_| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), |whole| vec![whole])
}

fn collect(value: &Value, field: &str, out: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str() {
                    Some(text) if name == field => out.push(text.to_owned()),
                    _ => collect(value, field, out),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, field, out)),
        _ => {}
    }
}
