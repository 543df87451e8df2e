//! JSON rows: one object a line, fields by dotted path, values as the text they stand for.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Map, Value};

use super::input::Input;
use super::lines::Lines;
use super::{Item, Record};
use crate::Document;

/// One JSON object.
pub(super) type Row = Map<String, Value>;

/// Reads `input` line by line; a line that is no object, or that `document` refuses, is rejected, and so is one whose
/// document an earlier line of the file is, in the same version: which of the two was meant, nobody can tell.
pub(super) fn rows(input: Input, document: impl Fn(&Row) -> Result<Document, String>) -> impl Iterator<Item = Item> {
    let mut lines = Lines::new(input);
    let mut seen = HashSet::new();
    std::iter::from_fn(move || {
        let parsed = match lines.next()? {
            Err(rejected) => return Some(Err(rejected)),
            Ok(line) => parse(line).and_then(|row| document(&row)).and_then(|document| {
                let is_new = seen.insert(fold(&document));
                let twice = || format!("an earlier record of this file has the same id, `{}`", document.id);
                if is_new { Ok(document) } else { Err(twice()) }
            }),
        };
        Some(match parsed {
            Ok(document) => Ok(Record::Document(Box::new(document))),
            Err(reason) => Err(lines.reject(reason)),
        })
    })
}

/// A document's id and version in little room: a file can hold many millions.
fn fold(document: &Document) -> u64 {
    let mut hasher = DefaultHasher::new();
    (document.id.as_str(), document.version).hash(&mut hasher);
    hasher.finish()
}

/// The object that `bytes` hold, or why there is none.
pub(super) fn parse(bytes: &[u8]) -> Result<Row, String> {
    serde_json::from_slice(bytes).map_err(|error| match std::str::from_utf8(bytes) {
        Err(invalid) => format!("invalid UTF-8 at byte {} of it", invalid.valid_up_to()),
        Ok(_) => format!("no JSON object: {error}"),
    })
}

/// The value at `path`: a field of that very name, else a dotted path through objects.
pub(super) fn at<'r>(row: &'r Row, path: &str) -> Option<&'r Value> {
    row.get(path).or_else(|| {
        let (first, rest) = path.split_once('.')?;
        at(row.get(first)?.as_object()?, rest)
    })
}

/// The text of a string or number that is not blank.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The texts of an array, or the one of a single value.
pub(super) fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().filter_map(text).collect(),
        value => text(value).into_iter().collect(),
    }
}

/// The text of field `name`.
pub(super) fn field(row: &Row, name: &str) -> Option<String> {
    row.get(name).and_then(text)
}
