//! MedRAG chunk files: `{"id", "title", "content", "contents"}` a line, one document a row.

use super::Item;
use super::input::Input;
use super::json::{self, Row};
use crate::document::Builder;
use crate::{Document, DocumentId, Identifiers, SectionKind};

/// Rows of MedRAG's `chunk/*.jsonl`.
pub(super) fn records(input: Input) -> impl Iterator<Item = Item> {
    json::rows(input, document)
}

fn document(row: &Row) -> Result<Document, String> {
    let key = json::field(row, "id").ok_or("no `id`")?;
    let title = json::field(row, "title").unwrap_or_default();
    // `contents` is the title, a stop and the content.
    let text = json::field(row, "content").or_else(|| {
        let contents = json::field(row, "contents")?;
        let rest = contents.strip_prefix(&title).map(|rest| rest.trim_start_matches(['.', ' ']));
        Some(rest.map(str::to_owned).unwrap_or(contents))
    });
    let text = text.ok_or("neither `content` nor `contents`")?;
    let mut builder = Builder::new(DocumentId::new("medrag", key.trim()), &title);
    builder.section("", SectionKind::Abstract, &text);
    let document = builder.document();
    if document.text.is_empty() {
        return Err("no text".to_owned());
    }
    document.identifiers.pmid = json::field(row, "PMID").and_then(|pmid| Identifiers::pmid(&pmid));
    Ok(builder.finish())
}
