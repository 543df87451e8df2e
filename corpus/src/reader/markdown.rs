//! Markdown with optional front matter, and plain text: one document a file.

use std::io::Read;

use super::input::Input;
use super::{Item, RECORD_BYTES, Record, Rejected};
use crate::document::Builder;
use crate::{Document, DocumentId, PartialDate, SectionKind};

/// A line of plain text at least this long was broken by an editor: it goes on in the next.
const WRAPPED_CHARS: usize = 50;

/// The longest target of a link.
const LINK_BYTES: usize = 2048;

/// The one document of `input`; the folder's name is the source unless one is given.
pub(super) fn records(input: Input, source: Option<&str>) -> impl Iterator<Item = Item> + use<> {
    let place = input.place();
    let folder = if place.folder.is_empty() { "text" } else { &place.folder };
    let source = source.unwrap_or(folder).to_owned();
    std::iter::once_with(move || read(input, &source).map(|document| Record::Document(Box::new(document))))
}

fn read(mut input: Input, source: &str) -> Result<Document, Rejected> {
    let place = input.place().clone();
    let is_plain = super::files::uncompressed(&place.name).to_ascii_lowercase().ends_with(".txt");
    let mut bytes = Vec::new();
    let read = (&mut input).take(RECORD_BYTES as u64 + 1).read_to_end(&mut bytes);
    let reject = |position: String, reason: String| Rejected::new(&place.name, position, reason, &bytes);
    read.map_err(|error| reject(format!("byte {}", bytes.len()), format!("cannot be read further: {error}")))?;
    if bytes.len() > RECORD_BYTES {
        return Err(reject("byte 0".to_owned(), "larger than 64 MB".to_owned()));
    }
    let text = std::str::from_utf8(&bytes)
        .map_err(|error| reject(format!("byte {}", error.valid_up_to()), "invalid UTF-8".to_owned()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let parsed = if is_plain { plain(text, &place.stem, source) } else { document(text, &place.stem, source) };
    let mut document = parsed.map_err(|reason| reject("byte 0".to_owned(), reason))?;
    document.origin = place.origin();
    Ok(document)
}

fn plain(text: &str, stem: &str, source: &str) -> Result<Document, String> {
    let mut paragraphs = Paragraphs::default();
    for line in text.lines() {
        let is_wrapped = paragraphs.last_chars >= WRAPPED_CHARS;
        paragraphs.push(line, is_wrapped);
    }
    let title = stem.rsplit('/').next().unwrap_or(stem);
    let mut builder = Builder::new(DocumentId::new(source, stem), title);
    builder.section("", SectionKind::Body, &paragraphs.text);
    finish(builder)
}

/// The document that the Markdown `text` holds. Front matter names it; without, `stem` is its key
/// and the first top heading its title.
pub(super) fn document(text: &str, stem: &str, source: &str) -> Result<Document, String> {
    let (matter, body) = front_matter(text);
    let value = |name: &str| matter.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let key = value("id").unwrap_or_else(|| stem.to_owned());
    let own_title = value("title").or_else(|| {
        let heading = body.lines().find_map(heading).filter(|(level, _)| *level == 1);
        heading.map(|(_, title)| title.to_owned())
    });
    let title = own_title.clone().unwrap_or_else(|| stem.rsplit('/').next().unwrap_or(stem).to_owned());
    let mut builder = Builder::new(DocumentId::new(source, &key), &inline(&title));
    sections(body, own_title.as_deref(), &mut builder);
    let document = builder.document();
    document.date = value("date").or_else(|| value("year")).and_then(|date| PartialDate::parse(&date));
    document.journal = value("journal");
    document.language = value("language");
    document.licence = value("licence").or_else(|| value("license"));
    document.identifiers.url = value("url");
    document.publication_types = value("kind").into_iter().collect();
    let topics = value("topics").unwrap_or_default();
    let topics = topics.split(',').map(str::trim).filter(|topic| !topic.is_empty());
    document.mesh = topics.map(str::to_owned).collect();
    finish(builder)
}

fn finish(mut builder: Builder) -> Result<Document, String> {
    if builder.document().text.is_empty() {
        return Err("no text".to_owned());
    }
    Ok(builder.finish())
}

/// The `key: value` lines between two `---` lines at the very start, and what follows them.
fn front_matter(text: &str) -> (Vec<(String, String)>, &str) {
    let Some(rest) = text.strip_prefix("---").and_then(|rest| rest.trim_start_matches('\r').strip_prefix('\n')) else {
        return (Vec::new(), text);
    };
    let mut at = 0;
    let mut pairs = Vec::new();
    for line in rest.split_inclusive('\n') {
        at += line.len();
        if line.trim_end() == "---" {
            return (pairs, &rest[at..]);
        }
        if let Some((key, value)) = line.split_once(':') {
            let value = value.trim().trim_matches('"');
            if !value.is_empty() {
                pairs.push((key.trim().to_ascii_lowercase(), value.to_owned()));
            }
        }
    }
    // Never closed: it was a rule, not front matter.
    (Vec::new(), text)
}

fn sections(body: &str, title: Option<&str>, builder: &mut Builder) {
    let mut path: Vec<(usize, String)> = Vec::new();
    let mut paragraphs = Paragraphs::default();
    let mut table = String::new();
    let mut fenced = false;
    let flush = |path: &[(usize, String)], paragraphs: &mut Paragraphs, table: &mut String, builder: &mut Builder| {
        let heading: Vec<_> = path.iter().map(|(_, name)| name.as_str()).collect();
        let heading = heading.join(" > ");
        builder.section(&heading, SectionKind::Body, &std::mem::take(paragraphs).text);
        builder.section(&heading, SectionKind::Table, &std::mem::take(table));
    };
    for line in body.lines() {
        let trimmed = line.trim();
        if trimmed.starts_with("```") || trimmed.starts_with("~~~") {
            fenced = !fenced;
        } else if fenced {
            paragraphs.push(line, false);
        } else if let Some((level, name)) = heading(trimmed) {
            flush(&path, &mut paragraphs, &mut table, builder);
            path.retain(|(outer, _)| *outer < level);
            if title != Some(name) {
                path.push((level, inline(name)));
            }
        } else if let Some(row) = table_row(trimmed) {
            if table.is_empty() {
                flush(&path, &mut paragraphs, &mut table, builder);
            }
            table.push_str(&row);
        } else if !is_rule(trimmed) {
            if !table.is_empty() {
                flush(&path, &mut paragraphs, &mut table, builder);
            }
            paragraphs.push(&inline(trimmed), !is_list_item(trimmed));
        }
    }
    flush(&path, &mut paragraphs, &mut table, builder);
}

/// Text gathered line by line; blank lines part paragraphs.
#[derive(Default)]
struct Paragraphs {
    text: String,
    last_chars: usize,
}

impl Paragraphs {
    /// Appends `line`, to the line before it if it goes on there.
    fn push(&mut self, line: &str, goes_on: bool) {
        if !self.text.is_empty() {
            let joined = goes_on && self.last_chars > 0 && !line.trim().is_empty();
            self.text.push(if joined { ' ' } else { '\n' });
        }
        self.text.push_str(line);
        self.last_chars = line.trim().chars().count();
    }
}

/// Level and text of an ATX heading.
fn heading(line: &str) -> Option<(usize, &str)> {
    let level = line.bytes().take_while(|byte| *byte == b'#').count();
    let name = line[level..].strip_prefix([' ', '\t'])?.trim().trim_end_matches('#').trim();
    ((1..=6).contains(&level) && !name.is_empty()).then_some((level, name))
}

/// The cells of a `| a | b |` row, a line each row; nothing for the rule under its head.
fn table_row(line: &str) -> Option<String> {
    let cells = line.strip_prefix('|')?;
    let cells = cells.strip_suffix('|').unwrap_or(cells);
    if cells.bytes().all(|byte| b"|-: ".contains(&byte)) {
        return Some(String::new());
    }
    let cells: Vec<_> = cells.split('|').map(|cell| inline(cell.trim())).collect();
    Some(cells.join(" | ") + "\n")
}

fn is_rule(line: &str) -> bool {
    line.len() >= 3 && ["-", "*", "_"].iter().any(|mark| line.split(*mark).all(|rest| rest.trim().is_empty()))
}

fn is_list_item(line: &str) -> bool {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let rest = &line[digits..];
    if digits == 0 {
        ["- ", "* ", "+ "].iter().any(|mark| line.starts_with(mark))
    } else {
        digits <= 3 && (rest.starts_with(". ") || rest.starts_with(") "))
    }
}

/// `text` without the marks of strong emphasis and with links as their text.
fn inline(text: &str) -> String {
    let text = text.replace("**", "");
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(open) = rest.find('[') {
        out.push_str(&rest[..open]);
        rest = &rest[open..];
        let (shown, len) = link(rest).unwrap_or(("[", 1));
        out.push_str(shown);
        rest = &rest[len..];
    }
    out + rest
}

/// The text and the whole length of the `[text](target)` that `rest` begins with.
fn link(rest: &str) -> Option<(&str, usize)> {
    let middle = 1 + rest[1..].find(['[', ']'])?;
    let target = rest[middle..].strip_prefix("](")?;
    let close = target.bytes().take(LINK_BYTES).position(|byte| byte == b')')?;
    Some((&rest[1..middle], middle + 2 + close + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_make_sections_and_front_matter_names_them() {
        let text = "---\nid: t2d\ntitle: Type 2 diabetes\nkind: condition\nyear: 2026\ntopics: insulin, glucose\n---\n\n\
            # Type 2 diabetes\nIntro.\n\n## Treatment\nFirst-line is **metformin**,\nsee [dosing](d.md).\n\n- 500 mg\n- 1 g\n\n\
            ### Renal\n| eGFR | dose |\n|---|---|\n| 30 | 500 mg |\nAfter.\n\n## Follow-up\nYearly.\n";
        let document = document(text, "x", "starter").unwrap();
        assert_eq!(document.id.as_str(), "starter:t2d");
        assert_eq!(document.mesh, ["insulin", "glucose"]);
        assert_eq!(document.publication_types, ["condition"]);
        assert_eq!(document.date.unwrap().to_string(), "2026");
        let sections: Vec<_> =
            document.sections.iter().map(|s| (s.heading.as_str(), s.kind, &document.text[s.span.clone()])).collect();
        assert_eq!(
            sections,
            [
                ("", SectionKind::Body, "Intro."),
                ("Treatment", SectionKind::Body, "First-line is metformin, see dosing.\n\n- 500 mg\n- 1 g"),
                ("Treatment > Renal", SectionKind::Table, "eGFR | dose\n30 | 500 mg"),
                ("Treatment > Renal", SectionKind::Body, "After."),
                ("Follow-up", SectionKind::Body, "Yearly."),
            ]
        );
    }

    #[test]
    fn plain_text_joins_wrapped_lines_and_keeps_short_ones() {
        let long = "a line that an editor broke because it grew too long for it";
        let text = format!("{long}\nand went on here.\n\nDrug A 5 mg\nDrug B 10 mg\n");
        let document = plain(&text, "notes/ward", "n").unwrap();
        assert_eq!(document.text, format!("{long} and went on here.\n\nDrug A 5 mg\nDrug B 10 mg"));
        assert_eq!((document.id.as_str(), document.title.as_str()), ("n:notes/ward", "ward"));
    }

    #[test]
    fn odd_markdown_is_text() {
        assert!(document("", "x", "s").is_err());
        assert_eq!(document("---\nno end", "x", "s").unwrap().text, "no end");
        assert_eq!(inline("a ]( b [c](d"), "a ]( b [c](d");
        assert_eq!(inline("[a [b](c) d](e) [x] [ü](v)"), "[a b d](e) [x] ü");
        assert_eq!(document("#hash is no heading", "x", "s").unwrap().text, "#hash is no heading");
    }
}
