//! Tells a file's format from its first 64 KiB and, where content says nothing, its name.

use super::files::uncompressed;
use super::input::Input;
use super::json::Row;
use super::{Format, jsonl};

/// Is this the head of a tar archive?
pub(super) fn is_tar(head: &[u8]) -> bool {
    head.get(257..262) == Some(b"ustar")
}

/// The format of `input`; `mapped` says that the caller named the fields, so any JSON lines will do.
pub(super) fn format(input: &Input, mapped: bool) -> Option<Format> {
    let name = uncompressed(input.name()).to_ascii_lowercase();
    let head = input.head();
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let by_content = || match head.first()? {
        b'<' => xml(head),
        b'{' => json(head, mapped),
        _ => None,
    };
    if [".md", ".markdown"].iter().any(|ending| name.ends_with(ending)) {
        return Some(Format::Text);
    }
    by_content().or_else(|| {
        // A broken first line does not hide what the name says.
        let by_name = [(".txt", Format::Text), (".jsonl", Format::Jsonl), (".ndjson", Format::Jsonl)];
        by_name.iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, format)| *format)
    })
}

fn xml(head: &[u8]) -> Option<Format> {
    let tags = [
        ("PubmedArticleSet", Format::PubMed),
        ("PubmedArticle", Format::PubMed),
        ("PubmedBookArticle", Format::PubMed),
        ("DeleteCitation", Format::PubMed),
        ("article", Format::Jats),
        ("pmc-articleset", Format::Jats),
    ];
    memchr::memchr_iter(b'<', head).find_map(|at| {
        let name = &head[at + 1..];
        tags.iter().find_map(|(tag, format)| {
            let after = name.strip_prefix(tag.as_bytes())?.first()?;
            (after.is_ascii_whitespace() || matches!(after, b'>' | b'/')).then_some(*format)
        })
    })
}

fn json(head: &[u8], mapped: bool) -> Option<Format> {
    if mapped {
        return Some(Format::Jsonl);
    }
    if is_keyed_by_pmid(head) {
        return Some(Format::PubMedQa);
    }
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    // A first line longer than the head cannot be parsed; its names can still be seen.
    let row = serde_json::from_slice::<Row>(line).ok();
    let has = |name: &str| match &row {
        Some(row) => row.contains_key(name),
        None => memchr::memmem::find(line, format!("\"{name}\"").as_bytes()).is_some(),
    };
    if has("_id") && has("text") {
        Some(Format::Beir)
    } else if has("id") && (has("content") || has("contents")) && has("title") {
        Some(Format::MedRag)
    } else if has("pmid") && has("question") && has("contexts") {
        Some(Format::PubMedQa)
    } else {
        jsonl::TEXT_FIELDS.iter().any(|name| has(name)).then_some(Format::Jsonl)
    }
}

/// `{"21645374": {…"QUESTION"…`, as `ori_pqal.json` begins, in one line or many.
fn is_keyed_by_pmid(head: &[u8]) -> bool {
    let rest = head.strip_prefix(b"{").unwrap_or_default().trim_ascii_start();
    let rest = rest.strip_prefix(b"\"").unwrap_or_default();
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let value = rest[digits..].strip_prefix(b"\"").unwrap_or_default().trim_ascii_start();
    let value = value.strip_prefix(b":").unwrap_or_default().trim_ascii_start();
    digits > 0 && value.starts_with(b"{") && memchr::memmem::find(value, b"\"QUESTION\"").is_some()
}
