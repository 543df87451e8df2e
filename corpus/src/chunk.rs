//! [`Chunk`]: a span of one document, small enough for an encoder, with an id that survives rebuilds.
//!
//! Cuts follow structure. An abstract is one chunk up to [`WHOLE_WORDS`]. Longer ones, and running
//! text section by section, are cut into pieces of [`MIN_WORDS`] to [`MAX_WORDS`]: only between
//! sentences, rather between paragraphs, and so that the pieces are about equal (the cheapest cut
//! is found exactly). A table is one chunk up to [`WHOLE_WORDS`], else cut between rows. What has no
//! sentence end within [`UNIT_WORDS`] or [`UNIT_BYTES`] is cut at white space.

mod pack;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use self::pack::{Unit, pack, words};
use crate::{ChunkId, Document, DocumentId, Section, SectionKind};

/// Abstracts and tables up to this many words stay whole.
pub const WHOLE_WORDS: usize = 384;
/// A piece has at least this many words where its section has them.
pub const MIN_WORDS: usize = 128;
/// A piece of several sentences has at most this many words.
pub const MAX_WORDS: usize = 256;
/// A sentence or row beyond this many words is cut at white space.
pub const UNIT_WORDS: usize = 400;
/// A sentence or row beyond this many bytes is cut at white space, or anywhere if it has none.
pub const UNIT_BYTES: usize = 3000;

/// A span of a document. `document.text[span] == text`, always.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Content-derived.
    pub id: ChunkId,
    /// The document it is cut from.
    pub document: DocumentId,
    /// Place among the document's chunks, from 0.
    pub ordinal: u32,
    /// Byte span in the document's text.
    pub span: Range<usize>,
    /// Breadcrumb of headings, outermost first, joined by ` > `; may be empty.
    pub heading: String,
    /// The text of the span.
    pub text: String,
}

/// Cuts `document` along its structure. A notice (of a retraction, an erratum, a concern) has no
/// chunks, so that it can never be evidence; neither has a document of a title only.
pub fn chunk(document: &Document) -> Vec<Chunk> {
    if document.is_notice() {
        return Vec::new();
    }
    let mut chunks = Vec::new();
    let is_abstract = |section: &Section| section.kind == SectionKind::Abstract;
    // Consecutive abstract sections are one group; any other section is a group of its own.
    for group in document.sections.chunk_by(|a, b| is_abstract(a) && is_abstract(b)) {
        let kind = group[0].kind;
        let span = group[0].span.start..group[group.len() - 1].span.end;
        let heading = common_heading(group);
        for span in cut(&document.text, span, kind) {
            let text = document.text[span.clone()].to_owned();
            chunks.push(Chunk {
                id: ChunkId::of(&document.id, span.start, &text),
                document: document.id.clone(),
                ordinal: chunks.len() as u32,
                span,
                heading: heading.clone(),
                text,
            });
        }
    }
    chunks
}

fn cut(text: &str, span: Range<usize>, kind: SectionKind) -> Vec<Range<usize>> {
    let part = &text[span.clone()];
    let (count, lines_only) = match kind {
        SectionKind::Abstract => (WHOLE_WORDS, false),
        SectionKind::Table => (WHOLE_WORDS, true),
        SectionKind::Body | SectionKind::Caption => (MAX_WORDS, false),
    };
    let mut units = Vec::new();
    if words(part) <= count && part.len() <= UNIT_BYTES {
        units.extend(pack::trimmed(text, span).map(|span| Unit::new(text, span, true)));
    } else if lines_only {
        pack::lines(text, span, &mut units);
    } else {
        pack::sentences(text, span, &mut units);
    }
    pack(&units)
}

/// The headings that all sections of `group` share.
fn common_heading(group: &[Section]) -> String {
    let mut common: Vec<&str> = group[0].heading.split(" > ").collect();
    for section in &group[1..] {
        let same = common.iter().zip(section.heading.split(" > ")).take_while(|(a, b)| **a == *b).count();
        common.truncate(same);
    }
    common.join(" > ")
}

#[cfg(test)]
mod tests;
