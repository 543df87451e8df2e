//! BEIR corpora: `{"_id", "title", "text", "metadata"}` a line.

use super::input::Input;
use super::json::{self, Row};
use super::{Item, jsonl};
use crate::document::Builder;
use crate::{Document, DocumentId, PartialDate, SectionKind};

/// Documents of a `corpus.jsonl`; the folder's name is the source unless one is given.
pub(super) fn records(input: Input, source: Option<&str>) -> impl Iterator<Item = Item> + use<> {
    let place = input.place();
    let own = if place.stem == "corpus" { &place.folder } else { &place.stem };
    let source = source.unwrap_or(if own.is_empty() { "beir" } else { own }).to_owned();
    json::rows(input, move |row| document(row, &source))
}

fn document(row: &Row, source: &str) -> Result<Document, String> {
    let key = json::field(row, "_id").ok_or("no `_id`")?;
    let title = json::field(row, "title").unwrap_or_default();
    let mut builder = Builder::new(DocumentId::new(source, key.trim()), &title);
    builder.section("", SectionKind::Abstract, &json::field(row, "text").unwrap_or_default());
    if builder.document().text.is_empty() {
        // A benchmark's judgments may name it, so a title alone is its text.
        builder.section("", SectionKind::Abstract, &title);
    }
    let document = builder.document();
    if document.text.is_empty() {
        return Err("neither `text` nor `title`".to_owned());
    }
    // A number as `_id` need not be a PubMed id: only what the metadata names is one.
    if let Some(metadata) = row.get("metadata").and_then(|value| value.as_object()) {
        document.identifiers = jsonl::identifiers(metadata);
        document.date = json::field(metadata, "year").and_then(|year| PartialDate::parse(&year));
    }
    Ok(builder.finish())
}
