//! The running text of an article: sections under their heading path, tables row by row, captions.

use super::{filled, paragraph};
use crate::SectionKind;
use crate::document::Builder;
use crate::reader::inline;
use crate::reader::xml::{Child, Element};

/// Appends body, appendices and floating tables and figures of `article`.
pub(super) fn write(article: Element<'_>, builder: &mut Builder) {
    let mut walk = Walk { builder, path: Vec::new(), paragraphs: String::new() };
    if let Some(body) = article.child("body") {
        walk.blocks(body);
    }
    if let Some(back) = article.child("back") {
        let parts = back.elements().filter(|part| matches!(part.name(), "sec" | "app-group" | "app"));
        parts.for_each(|part| walk.block(part));
    }
    for floats in article.elements().filter(|part| matches!(part.name(), "floats-group" | "floats-wrap")) {
        walk.blocks(floats);
    }
    walk.flush();
}

/// Where the walk stands: the headings around it, and paragraphs not yet in a section.
struct Walk<'b> {
    builder: &'b mut Builder,
    path: Vec<String>,
    paragraphs: String,
}

impl Walk<'_> {
    fn blocks(&mut self, element: Element<'_>) {
        element.elements().for_each(|child| self.block(child));
    }

    fn block(&mut self, element: Element<'_>) {
        match element.name() {
            "sec" | "app" | "boxed-text" | "statement" => self.section(element),
            "p" => self.paragraph(element),
            "list" | "def-list" => {
                let mut lines = Vec::new();
                list_lines(element, &mut lines);
                self.add(&lines.join("\n"));
            }
            "table-wrap" => self.table(element),
            "fig" => self.caption(element),
            "disp-formula" | "verse-group" | "preformat" | "attrib" => {
                self.add(&inline::text(element));
            }
            "body" | "disp-quote" | "speech" | "fig-group" | "table-wrap-group" | "app-group" | "alternatives"
            | "disp-formula-group" => self.blocks(element),
            // Headings are taken by their section; the rest is no text of the article.
            _ => {}
        }
    }

    fn section(&mut self, element: Element<'_>) {
        self.flush();
        let title = element.child("title").or_else(|| element.path(&["caption", "title"])).and_then(filled);
        let depth = self.path.len();
        self.path.extend(title);
        self.blocks(element);
        self.flush();
        self.path.truncate(depth);
    }

    /// Text goes on around a list or formula inside; tables and figures follow their paragraph.
    fn paragraph(&mut self, element: Element<'_>) {
        let mut text = String::new();
        let mut floats = Vec::new();
        for child in element.children() {
            match child {
                Child::Element(block) => match block.name() {
                    "table-wrap" | "fig" | "fig-group" | "table-wrap-group" | "boxed-text" => {
                        floats.push(block);
                    }
                    "list" | "def-list" | "disp-quote" | "verse-group" | "preformat" | "p" => {
                        self.add(&inline::finish(std::mem::take(&mut text)));
                        self.block(block);
                    }
                    _ => inline::write_child(child, &mut text),
                },
                Child::Text(_) | Child::Entity(_) => inline::write_child(child, &mut text),
            }
        }
        self.add(&inline::finish(text));
        for float in floats {
            self.block(float);
        }
    }

    fn table(&mut self, element: Element<'_>) {
        self.flush();
        let mut lines = vec![caption_line(element)];
        rows(element, &mut lines);
        let has_rows = lines.len() > 1;
        if let Some(foot) = element.child("table-wrap-foot") {
            lines.extend(foot.elements().map(foot_line));
        }
        lines.retain(|line| !line.is_empty());
        let kind = if has_rows { SectionKind::Table } else { SectionKind::Caption };
        self.builder.section(&self.path.join(" > "), kind, &lines.join("\n"));
    }

    fn caption(&mut self, element: Element<'_>) {
        self.flush();
        self.builder.section(&self.path.join(" > "), SectionKind::Caption, &caption_line(element));
    }

    fn add(&mut self, paragraph: &str) {
        if !paragraph.trim().is_empty() {
            if !self.paragraphs.is_empty() {
                self.paragraphs.push_str("\n\n");
            }
            self.paragraphs.push_str(paragraph);
        }
    }

    fn flush(&mut self) {
        let paragraphs = std::mem::take(&mut self.paragraphs);
        self.builder.section(&self.path.join(" > "), SectionKind::Body, &paragraphs);
    }
}

/// `Table 2. Baseline characteristics`, on one line.
fn caption_line(element: Element<'_>) -> String {
    let label = element.child("label").and_then(filled).unwrap_or_default();
    let caption = element.child("caption").and_then(filled).unwrap_or_default();
    let dot = if label.is_empty() || caption.is_empty() || label.ends_with(['.', ':']) { "" } else { "." };
    format!("{label}{dot} {caption}").trim().to_owned()
}

/// A footnote is dropped from running text, so its content is written part by part.
fn foot_line(element: Element<'_>) -> String {
    match element.name() {
        "fn" | "fn-group" => {
            element.elements().map(foot_line).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
        }
        _ => paragraph(element),
    }
}

/// The rows of every table below `element`, cells joined by ` | `.
fn rows(element: Element<'_>, lines: &mut Vec<String>) {
    for child in element.elements() {
        match child.name() {
            "tr" => {
                let cells = child.elements().filter(|cell| matches!(cell.name(), "td" | "th"));
                let cells: Vec<_> = cells.map(paragraph).collect();
                if cells.iter().any(|cell| !cell.is_empty()) {
                    lines.push(cells.join(" | "));
                }
            }
            "table" | "thead" | "tbody" | "tfoot" | "alternatives" => rows(child, lines),
            _ => {}
        }
    }
}

/// One line an item, with its label or a dash.
fn list_lines(list: Element<'_>, lines: &mut Vec<String>) {
    for item in list.elements() {
        match item.name() {
            "list-item" => {
                let label = item.child("label").and_then(filled).unwrap_or_else(|| "-".to_owned());
                let mut text = String::new();
                let mut nested = Vec::new();
                for part in item.elements().filter(|part| part.name() != "label") {
                    item_part(part, &mut text, &mut nested);
                }
                lines.push(format!("{label} {}", text.trim()));
                for list in nested {
                    list_lines(list, lines);
                }
            }
            "def-item" => {
                let part = |name: &str| item.child(name).and_then(filled).unwrap_or_default();
                lines.push(format!("{}: {}", part("term"), part("def")));
            }
            _ => {}
        }
    }
}

/// Text of a part of a list item; lists in it come after its line.
fn item_part<'t>(part: Element<'t>, text: &mut String, nested: &mut Vec<Element<'t>>) {
    if matches!(part.name(), "list" | "def-list") {
        nested.push(part);
        return;
    }
    let mut own = String::new();
    for child in part.children() {
        match child {
            Child::Element(list) if matches!(list.name(), "list" | "def-list") => nested.push(list),
            child => inline::write_child(child, &mut own),
        }
    }
    text.push(' ');
    text.push_str(&crate::text::normalise(&inline::finish(own)).replace('\n', " "));
}
