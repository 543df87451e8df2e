//! [`Document`]: normalised text, its sections, and where it came from.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::text::normalise;
use crate::{DocumentId, Level, PartialDate, Status};

/// A document as this project stores it. `text` is normalised (see [`crate::text`]) and every
/// section's span lies in it, in order and without overlap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// `source:key`.
    pub id: DocumentId,
    /// The record's version at its source; a newer version replaces an older one.
    pub version: u32,
    /// May be empty.
    pub title: String,
    /// All sections, in order, separated by blank lines. The title is not part of it.
    pub text: String,
    /// The parts of `text`.
    pub sections: Vec<Section>,
    /// Other names of the same work.
    pub identifiers: Identifiers,
    /// When it was published.
    pub date: Option<PartialDate>,
    /// Journal, book or site.
    pub journal: Option<String>,
    /// ISO 639 code as the source gives it (`eng`, `en`).
    pub language: Option<String>,
    /// Licence as the source states it.
    pub licence: Option<String>,
    /// PubMed publication types or JATS article types.
    pub publication_types: Vec<String>,
    /// MeSH headings, keywords or topics.
    pub mesh: Vec<String>,
    /// Links to corrections, retractions and comments.
    pub corrections: Vec<Correction>,
    /// What the publisher says of it; of a document on its way in, what stands beside the record. A home takes the
    /// graver of this and [`Status::of_record`].
    pub status: Status,
    /// How strong a kind of study it is.
    pub level: Level,
    /// Characters dropped at the door because they could have hidden words: see [`crate::text::concealed`].
    /// Known of a document on its way in, and not stored.
    #[serde(skip)]
    pub concealed: usize,
    /// The file it was read from, where its id comes of that file's name, so that another file can have the same. Kept,
    /// so that a document that is replaced by another file's is told of; no part of what the source says.
    #[serde(skip)]
    pub origin: Option<String>,
}

/// Names of the work elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Identifiers {
    /// PubMed id, digits only.
    pub pmid: Option<String>,
    /// PubMed Central id with its `PMC`.
    pub pmcid: Option<String>,
    /// Digital object identifier without resolver.
    pub doi: Option<String>,
    /// Where a person can read it.
    pub url: Option<String>,
}

impl Identifiers {
    /// A PubMed id in its one spelling: `123` of `PMID: 0123` or `123.0`; `None` for 0 or no number.
    pub fn pmid(text: &str) -> Option<String> {
        let text = text.trim();
        let text = text.strip_prefix("PMID").unwrap_or(text).trim_start_matches([':', ' ']);
        let text = text.strip_suffix(".0").unwrap_or(text).trim_start_matches('0');
        (!text.is_empty() && text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.to_owned())
    }

    /// A PubMed Central id in its one spelling: `PMC123` of `PMC123`, `pmc123` or `123`.
    pub fn pmcid(text: &str) -> Option<String> {
        let text = text.trim();
        let digits = text.get(..3).filter(|prefix| prefix.eq_ignore_ascii_case("pmc")).map_or(text, |_| &text[3..]);
        (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| format!("PMC{digits}"))
    }

    /// A digital object identifier without resolver: `10.1/x` of `https://doi.org/10.1/x` or `doi:10.1/x`.
    pub fn doi(text: &str) -> Option<String> {
        let text = text.trim();
        let start = text.find("10.")?;
        let prefix = text[..start].to_ascii_lowercase();
        let resolver = ["", "doi:", "doi: ", "doi "].contains(&prefix.as_str()) || prefix.ends_with("doi.org/");
        let doi = &text[start..];
        (resolver && doi.contains('/') && !doi.contains(char::is_whitespace)).then(|| doi.to_owned())
    }
}

/// A part of a document's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// Heading path, outermost first, joined by ` > `; empty when the source has none.
    pub heading: String,
    /// What it holds.
    pub kind: SectionKind,
    /// Byte span in [`Document::text`].
    pub span: Range<usize>,
}

/// What a section holds; decides how it may be cut into chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SectionKind {
    /// Part of an abstract: consecutive abstract sections stay one chunk.
    Abstract,
    /// Running text.
    Body,
    /// A table as text, a row a line: never split unless it cannot fit an encoder.
    Table,
    /// A figure or table caption.
    Caption,
}

/// A link from `CommentsCorrections` or JATS `related-article`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    /// The relation as the source names it (`RetractionIn`, `ErratumIn`, …).
    pub relation: String,
    /// The other record, if the source names one.
    pub pmid: Option<String>,
}

impl Document {
    /// A document of one unnamed section; `title` and `text` are normalised here.
    pub fn plain(id: DocumentId, title: &str, text: &str) -> Self {
        let mut builder = Builder::new(id, title);
        builder.section("", SectionKind::Abstract, text);
        builder.finish()
    }

    /// What stands beside the text wherever it is evidence, a line each: id, journal, title and headings.
    pub fn head(&self) -> String {
        let mut head = self.id.as_str().to_owned();
        let mut headings: Vec<_> = self.sections.iter().map(|section| section.heading.as_str()).collect();
        headings.dedup();
        let lines = self.journal.as_deref().into_iter().chain([self.title.as_str()]).chain(headings);
        for line in lines.filter(|line| !line.is_empty()) {
            head.push('\n');
            head.push_str(line);
        }
        head
    }

    /// Is this record itself a notice (a retraction, an erratum, an expression of concern) about
    /// another? Notices are kept for what they link to, but are never evidence: they have no chunks.
    pub fn is_notice(&self) -> bool {
        const NOTICES: [&str; 9] = [
            "retraction of publication",
            "retraction notice",
            "retraction",
            "partial-retraction",
            "published erratum",
            "erratum",
            "correction",
            "expression of concern",
            "expression-of-concern",
        ];
        self.publication_types.iter().any(|name| NOTICES.iter().any(|notice| name.eq_ignore_ascii_case(notice)))
    }
}

/// Lays sections one after another into a document's text, normalising as it goes.
#[derive(Debug)]
pub struct Builder {
    document: Document,
}

impl Builder {
    /// Starts a document without sections; `title` is normalised here.
    pub fn new(id: DocumentId, title: &str) -> Self {
        Self {
            document: Document {
                id,
                version: 1,
                title: normalise(title).replace('\n', " "),
                text: String::new(),
                sections: Vec::new(),
                identifiers: Identifiers::default(),
                date: None,
                journal: None,
                language: None,
                licence: None,
                publication_types: Vec::new(),
                mesh: Vec::new(),
                corrections: Vec::new(),
                status: Status::Ok,
                level: Level::Unclassified,
                concealed: crate::text::concealed(title),
                origin: None,
            },
        }
    }

    /// Appends a section; one that is empty once normalised is left out.
    pub fn section(&mut self, heading: &str, kind: SectionKind, text: &str) -> &mut Self {
        self.document.concealed += crate::text::concealed(heading) + crate::text::concealed(text);
        let text = normalise(text);
        if !text.is_empty() {
            let document = &mut self.document;
            if !document.text.is_empty() {
                document.text.push_str("\n\n");
            }
            let start = document.text.len();
            document.text.push_str(&text);
            let heading = normalise(heading).replace('\n', " ");
            document.sections.push(Section { heading, kind, span: start..document.text.len() });
        }
        self
    }

    /// Appends a part of an abstract. A label becomes its heading and stands before its text, so that
    /// it is read wherever the text is: `METHODS: We searched …`.
    pub fn labelled(&mut self, label: &str, text: &str) -> &mut Self {
        let label = label.trim().trim_end_matches(':');
        if label.is_empty() || label.eq_ignore_ascii_case("unlabelled") || text.trim().is_empty() {
            self.section("", SectionKind::Abstract, text)
        } else {
            self.section(label, SectionKind::Abstract, &format!("{label}: {}", text.trim_start()))
        }
    }

    /// The document so far, for fields that are plain data.
    pub fn document(&mut self) -> &mut Document {
        &mut self.document
    }

    /// The finished document.
    pub fn finish(self) -> Document {
        self.document
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_have_one_spelling() {
        assert_eq!(Identifiers::pmid(" PMID: 00123 ").as_deref(), Some("123"));
        assert_eq!(Identifiers::pmid("123.0").as_deref(), Some("123"));
        assert_eq!(Identifiers::pmid("0"), None);
        assert_eq!(Identifiers::pmid("PMC12"), None);
        assert_eq!(Identifiers::pmcid("12").as_deref(), Some("PMC12"));
        assert_eq!(Identifiers::pmcid("pmc12").as_deref(), Some("PMC12"));
        assert_eq!(Identifiers::pmcid("PMC"), None);
        assert_eq!(Identifiers::doi("https://doi.org/10.1/a(b)").as_deref(), Some("10.1/a(b)"));
        assert_eq!(Identifiers::doi("doi:10.1/x").as_deref(), Some("10.1/x"));
        assert_eq!(Identifiers::doi("Unavailable"), None);
        assert_eq!(Identifiers::doi("see page 10.5"), None);
    }
}
