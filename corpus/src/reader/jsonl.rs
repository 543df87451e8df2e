//! General JSON lines: any object with a text, its fields told by a [`FieldMap`].

use serde_json::Value;

use super::Item;
use super::field_map::FieldMap;
use super::input::Input;
use super::json::{self, Row};
use crate::document::Builder;
use crate::{Document, DocumentId, Identifiers, Level, PartialDate, SectionKind};

/// Where text is looked for when no map says, best first.
pub(super) const TEXT_FIELDS: &[&str] = &["text", "abstract", "content", "answer"];

/// Rows of a JSON lines file; its stem is the source unless one is given.
pub(super) fn records(input: Input, map: Option<FieldMap>, source: Option<&str>) -> impl Iterator<Item = Item> + use<> {
    let map = map.unwrap_or_default();
    let stem = input.place().stem.rsplit('/').next().unwrap_or_default();
    let source = source.unwrap_or(if stem.is_empty() { "jsonl" } else { stem }).to_owned();
    json::rows(input, move |row| document(row, &map, &source))
}

/// Identifiers from fields of their usual names.
pub(super) fn identifiers(row: &Row) -> Identifiers {
    mapped_identifiers(row, &FieldMap::default())
}

fn mapped_identifiers(row: &Row, map: &FieldMap) -> Identifiers {
    Identifiers {
        pmid: map.text(row, "pmid").and_then(|pmid| Identifiers::pmid(&pmid)),
        pmcid: map.text(row, "pmcid").and_then(|pmcid| Identifiers::pmcid(&pmcid)),
        doi: map.text(row, "doi").and_then(|doi| Identifiers::doi(&doi)),
        url: map.text(row, "url"),
    }
}

fn document(row: &Row, map: &FieldMap, source: &str) -> Result<Document, String> {
    let title = map.text(row, "title").unwrap_or_default();
    let heading = map.text(row, "section").unwrap_or_default();
    // The key may need the text, and the builder the key: the text goes into a draft first.
    let mut draft = Builder::new(DocumentId::new(source, "-"), &title);
    let values = map.values(row, "text");
    let is_labelled = |value: &&Value| value.as_array().is_some_and(|parts| parts.iter().any(Value::is_object));
    if values.iter().any(is_labelled) {
        for value in values {
            parts(&mut draft, value);
        }
    } else {
        let text: Vec<_> = values.into_iter().flat_map(json::texts).collect();
        draft.section(&heading, SectionKind::Abstract, &text.join("\n\n"));
    }
    let mut document = draft.finish();
    if document.text.is_empty() {
        return Err("no text: name its field with --map text=FIELD".to_owned());
    }
    let key = map.text(row, "id").map(|key| key.trim().to_owned());
    document.id = DocumentId::new(source, &key.unwrap_or_else(|| content_key(&document)));
    document.identifiers = mapped_identifiers(row, map);
    document.date = map.text(row, "date").and_then(|date| PartialDate::parse(&date));
    document.journal = map.text(row, "journal");
    document.language = map.text(row, "language");
    document.licence = map.text(row, "licence");
    document.publication_types = map.texts(row, "types");
    document.mesh = map.texts(row, "mesh");
    document.level = Level::from_publication_types(&document.publication_types);
    if let Some(version) = map.text(row, "version").and_then(|version| version.parse().ok()) {
        document.version = version;
    }
    Ok(document)
}

/// Labelled parts, `[{"label": "METHODS", "text": "…"}, …]`, or plain ones.
fn parts(draft: &mut Builder, value: &Value) {
    for part in value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice) {
        match part {
            Value::Object(part) => {
                let label = json::field(part, "label").or_else(|| json::field(part, "heading"));
                let text = json::field(part, "text").unwrap_or_default();
                draft.labelled(&label.unwrap_or_default(), &text);
            }
            part => {
                draft.labelled("", &json::text(part).unwrap_or_default());
            }
        }
    }
}

/// A key for a row without one: the same text has the same key whenever it is added.
fn content_key(document: &Document) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(document.title.as_bytes());
    hasher.update(&[0]);
    hasher.update(document.text.as_bytes());
    hasher.finalize().to_hex()[..16].to_owned()
}
