//! PubMedQA: the abstract a question was made from, without its conclusion (which is the answer).
//!
//! Two layouts: `ori_pqal.json`, one object keyed by PMID whose values have `QUESTION`, `CONTEXTS`,
//! `LABELS`, `MESHES`, `YEAR`; and JSON lines with `pmid`, `question` and `contexts` of labelled texts.

use serde_json::Value;

use super::input::Input;
use super::json::{self, Row};
use super::members::Members;
use super::{Item, Record, Records};
use crate::document::Builder;
use crate::{Document, DocumentId, Identifiers, PartialDate};

/// Abstracts of a PubMedQA file in either layout.
pub(super) fn records(input: Input) -> Records {
    let head = input.head();
    let first = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let is_lines = json::parse(first.trim_ascii()).is_ok_and(|row| row.contains_key("contexts"));
    if is_lines { Box::new(json::rows(input, line)) } else { Box::new(members(input)) }
}

fn members(input: Input) -> impl Iterator<Item = Item> {
    let mut members = Members::new(input);
    std::iter::from_fn(move || {
        let parsed = match members.next()? {
            Err(rejected) => return Some(Err(rejected)),
            Ok((pmid, value)) => json::parse(value).and_then(|row| member(pmid, &row)),
        };
        Some(match parsed {
            Ok(document) => Ok(Record::Document(Box::new(document))),
            Err(reason) => Err(members.reject(reason)),
        })
    })
}

fn member(pmid: &str, row: &Row) -> Result<Document, String> {
    let texts = row.get("CONTEXTS").map(json::texts).unwrap_or_default();
    let labels = row.get("LABELS").map(json::texts).unwrap_or_default();
    let label = |at: usize| labels.get(at).cloned().unwrap_or_default();
    let contexts = texts.into_iter().enumerate().map(|(at, text)| (label(at), text));
    let question = json::field(row, "QUESTION").unwrap_or_default();
    let mut document = document(pmid, &question, contexts)?;
    document.mesh = row.get("MESHES").map(json::texts).unwrap_or_default();
    document.date = json::field(row, "YEAR").and_then(|year| PartialDate::parse(&year));
    Ok(document)
}

fn line(row: &Row) -> Result<Document, String> {
    let pmid = json::field(row, "pmid").ok_or("no `pmid`")?;
    let contexts = row.get("contexts").and_then(Value::as_array).ok_or("no `contexts`")?;
    let contexts = contexts.iter().filter_map(|context| match context {
        Value::Object(context) => {
            Some((json::field(context, "label").unwrap_or_default(), json::field(context, "text")?))
        }
        text => Some((String::new(), json::text(text)?)),
    });
    let question = json::field(row, "question").unwrap_or_default();
    let mut document = document(&pmid, &question, contexts)?;
    document.mesh = row.get("meshes").or_else(|| row.get("mesh")).map(json::texts).unwrap_or_default();
    document.date = json::field(row, "year").and_then(|year| PartialDate::parse(&year));
    Ok(document)
}

fn document(pmid: &str, question: &str, contexts: impl Iterator<Item = (String, String)>) -> Result<Document, String> {
    let pmid = Identifiers::pmid(pmid).ok_or_else(|| format!("`{pmid}` is no PubMed id"))?;
    let mut builder = Builder::new(DocumentId::new("pubmedqa", &pmid), question);
    for (label, text) in contexts {
        builder.labelled(&label, &text);
    }
    let document = builder.document();
    if document.text.is_empty() {
        return Err("no context with text".to_owned());
    }
    document.identifiers.pmid = Some(pmid);
    Ok(builder.finish())
}
