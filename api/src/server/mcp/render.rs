//! Results as text, for models that read no structure. Texts of documents and questions are escaped as in the
//! agent's own prompts: they can open no tag and forge no label.

use std::fmt::Write as _;

use agent::protocol::{Profile, escape};
use corpus::store::ChunkInContext;

use crate::server::wire::Answer;
use crate::server::wire::mcp::DocumentText;

/// An answer: sentences with their labels, what a reader should know, the works that are cited, its name, the notice.
pub(super) fn answer(answer: &Answer) -> String {
    let mut out = String::new();
    if answer.is_abstention() {
        let reason = answer.reason().unwrap_or("no reason");
        let _ = writeln!(out, "No answer ({reason}). {}", safe(answer.text()));
    }
    for sentence in answer.sentences() {
        let labels: Vec<_> = sentence.cites().iter().map(|label| format!("[{label}]")).collect();
        let _ = writeln!(out, "{} {}", safe(sentence.text()), labels.concat());
        if let Some(concern) = sentence.concern() {
            let _ = writeln!(out, "  Check this: {}", safe(concern));
        }
    }
    for remark in answer.remarks() {
        let _ = writeln!(out, "{}", safe(&remark));
    }
    for warning in answer.warnings() {
        let _ = writeln!(out, "Note: {}", safe(warning));
    }
    if !answer.citations().is_empty() {
        out.push_str("\nReferences\n");
    }
    for citation in answer.citations() {
        let (label, document) = (citation.label(), line(citation.document()));
        let _ = writeln!(out, "[{label}] {} · {document} · {}", line(citation.title()), line(&citation.source()));
        let _ = writeln!(out, "     “{}”", line(citation.quote()));
    }
    let _ = writeln!(out, "\nTo go on from this answer, ask with `follows`: {}", answer.trace_id());
    let _ = write!(out, "{}", answer.notice());
    out
}

/// A hit.
pub(super) fn hit(rank: usize, found: &ChunkInContext) -> String {
    let ChunkInContext { chunk, document } = found;
    let mut facts = vec![chunk.document.to_string()];
    facts.extend(document.journal.clone());
    facts.extend(document.date.as_ref().map(ToString::to_string));
    facts.push(document.level.label().to_owned());
    facts.push(document.status.to_string());
    quoted(&format!("{rank}. {}", line(&document.title)), &facts.join(" · "), &chunk.text)
}

/// A document, or the part of it that was asked for.
pub(super) fn document(document: &DocumentText) -> String {
    let (title, facts) = document.heading();
    let (text, next) = document.text();
    let mut out = quoted(&line(title), &facts, text);
    if let Some(next) = next {
        let _ = write!(out, "\n\nThe text goes on: ask again with offset {next}.");
    }
    out
}

/// A quotation under its heading, every line of it marked as one.
fn quoted(heading: &str, facts: &str, text: &str) -> String {
    let mut out = format!("{heading}\n{}", line(facts));
    for one in safe(text).lines() {
        let _ = write!(out, "\n> {one}");
    }
    out
}

fn safe(text: &str) -> String {
    escape(Profile::default(), text)
}

/// On one line.
fn line(text: &str) -> String {
    safe(text).split_whitespace().collect::<Vec<_>>().join(" ")
}
