//! JATS full text (PMC and publishers): front matter here, the text of it in [`body`].

mod body;

use std::borrow::Cow;

use super::inline;
use super::input::Input;
use super::split::{Splitter, Tags};
use super::xml::{Element, Tree};
use super::{Item, Record};
use crate::document::{Builder, Correction};
use crate::text::normalise;
use crate::{Document, DocumentId, Identifiers, Level, PartialDate, SectionKind};

/// Abstracts that repeat the real one in other words or pictures.
const LESSER_ABSTRACTS: [&str; 8] =
    ["graphical", "teaser", "toc", "precis", "key-points", "video", "editor", "editors-summary"];

/// Articles are filed under a few subjects; nothing honest has more.
const MAX_SUBJECTS: usize = 100;

/// Articles in the order of the file.
pub(super) fn records(input: Input) -> impl Iterator<Item = Item> {
    let mut splitter = Splitter::new(input, Tags { records: &["article"], root: "pmc-articleset" });
    std::iter::from_fn(move || {
        let parsed = match splitter.next()? {
            Err(rejected) => return Some(Err(rejected)),
            Ok(record) => parse(record),
        };
        Some(match parsed {
            Ok(document) => Ok(Record::Document(Box::new(document))),
            Err(reason) => Err(splitter.reject(reason)),
        })
    })
}

fn parse(record: &str) -> Result<Document, String> {
    let tree = Tree::parse(record)?;
    let article = tree.root();
    let front = article.child("front").ok_or("no front matter")?;
    let meta = front.child("article-meta").ok_or("no article-meta")?;
    let identifiers = identifiers(meta);
    let title = meta.path(&["title-group", "article-title"]).map(inline::text).unwrap_or_default();
    let mut builder = Builder::new(DocumentId::new("jats", "-"), &title);
    abstracts(meta, &mut builder);
    body::write(article, &mut builder);

    let document = builder.document();
    if document.title.is_empty() && document.text.is_empty() {
        return Err("neither title nor text".to_owned());
    }
    document.id = id(&identifiers, document);
    document.identifiers = identifiers;
    document.date = date(meta);
    document.journal = front.child("journal-meta").and_then(|journal| journal.find("journal-title")).and_then(filled);
    document.language = article.attribute("lang").map(Cow::into_owned);
    document.licence = licence(meta);
    document.publication_types = publication_types(article, meta);
    let keywords = meta.all("kwd-group").flat_map(|group| group.all("kwd"));
    document.mesh = keywords.filter_map(filled).collect();
    document.corrections = meta.all("related-article").filter_map(correction).collect();
    document.level =
        if document.is_notice() { Level::Opinion } else { Level::from_publication_types(&document.publication_types) };
    Ok(builder.finish())
}

/// `pmc:PMC1` if it has a PMC id; else named by what it has, and by its content if it has nothing.
fn id(identifiers: &Identifiers, document: &Document) -> DocumentId {
    match identifiers {
        Identifiers { pmcid: Some(pmcid), .. } => DocumentId::new("pmc", pmcid),
        Identifiers { pmid: Some(pmid), .. } => DocumentId::new("jats", pmid),
        Identifiers { doi: Some(doi), .. } => DocumentId::new("jats", doi),
        _ => {
            let hash = blake3::hash(format!("{}\0{}", document.title, document.text).as_bytes());
            DocumentId::new("jats", &hash.to_hex()[..16])
        }
    }
}

fn identifiers(meta: Element<'_>) -> Identifiers {
    let mut identifiers = Identifiers::default();
    for id in meta.all("article-id") {
        let text = inline::text(id);
        match id.attribute("pub-id-type").as_deref() {
            Some("pmid") => identifiers.pmid = Identifiers::pmid(&text),
            Some("pmc" | "pmcid") => identifiers.pmcid = Identifiers::pmcid(&text),
            Some("doi") => identifiers.doi = Identifiers::doi(&text),
            _ => {}
        }
    }
    identifiers
}

/// The abstracts proper; a lesser one only where there is no other.
fn abstracts(meta: Element<'_>, builder: &mut Builder) {
    let is_lesser = |part: &Element<'_>| {
        part.attribute("abstract-type").is_some_and(|kind| LESSER_ABSTRACTS.contains(&kind.as_ref()))
    };
    let mut proper = meta.all("abstract").filter(|part| !is_lesser(part)).peekable();
    if proper.peek().is_some() {
        proper.for_each(|part| write_abstract(part, builder));
    } else if let Some(part) = meta.all("abstract").find(|part| !part.is("abstract-type", "graphical")) {
        write_abstract(part, builder);
    }
}

/// Labelled by its sections, as PubMed's abstracts are.
fn write_abstract(part: Element<'_>, builder: &mut Builder) {
    for child in part.elements() {
        match child.name() {
            "sec" => {
                let label = child.child("title").and_then(filled).unwrap_or_default();
                let paragraphs: Vec<_> =
                    child.elements().filter(|part| part.name() != "title").map(paragraph).collect();
                builder.labelled(&label, &paragraphs.join("\n"));
            }
            "title" | "label" | "object-id" => {}
            _ => {
                builder.section("", SectionKind::Abstract, &paragraph(child));
            }
        }
    }
}

/// A paragraph, or all in a nested section, as one line.
fn paragraph(element: Element<'_>) -> String {
    normalise(&inline::text(element)).replace('\n', " ")
}

fn filled(element: Element<'_>) -> Option<String> {
    let text = paragraph(element);
    (!text.is_empty()).then_some(text)
}

/// The earliest date of publication; where two are of the same time, the more precise.
fn date(meta: Element<'_>) -> Option<PartialDate> {
    let part = |date: Element<'_>, name: &str| date.child(name).map(inline::text);
    let read = |date: Element<'_>| {
        let number = |name: &str| part(date, name).and_then(|text| text.trim().parse::<u8>().ok());
        let year = part(date, "year").and_then(|text| text.trim().parse().ok());
        match year {
            Some(year) => PartialDate::new(year, number("month"), number("day")),
            None => date.attribute("iso-8601-date").and_then(|iso| PartialDate::parse(&iso)),
        }
    };
    // Archive releases and submissions are no publication.
    let is_publication = |date: &Element<'_>| {
        let kind = date.attribute("pub-type").or_else(|| date.attribute("date-type")).unwrap_or_default();
        !matches!(
            kind.as_ref(),
            "pmc-release" | "nihms-submitted" | "received" | "accepted" | "retracted" | "corrected"
        )
    };
    let sooner = |a: PartialDate, b: PartialDate| {
        let (month, day) = (a.month.zip(b.month), a.day.zip(b.day));
        let later = (a.year, month.map(|pair| pair.0), day.map(|pair| pair.0))
            > (b.year, month.map(|pair| pair.1), day.map(|pair| pair.1));
        let same = a.year == b.year && month.is_none_or(|(a, b)| a == b) && day.is_none_or(|(a, b)| a == b);
        let is_finer = (b.month.is_some(), b.day.is_some()) > (a.month.is_some(), a.day.is_some());
        if later || (same && is_finer) { b } else { a }
    };
    meta.all("pub-date").filter(is_publication).filter_map(read).reduce(sooner)
}

/// The licence's type or address, else how it begins.
fn licence(meta: Element<'_>) -> Option<String> {
    let licence = meta.child("permissions").and_then(|permissions| permissions.child("license"));
    let licence = licence.or_else(|| meta.child("license"))?;
    let address = licence.attribute("href").or_else(|| licence.attribute("resource")).map(Cow::into_owned);
    let address = address.or_else(|| licence.find("license_ref").and_then(filled));
    let linked = || licence.find("ext-link").and_then(|link| link.attribute("href")).map(Cow::into_owned);
    let is_licence = |href: &String| href.contains("creativecommons.org") || href.contains("licen");
    let text = || filled(licence).map(|text| text.chars().take(120).collect());
    let kind = || licence.attribute("license-type").map(Cow::into_owned);
    address.or_else(|| linked().filter(is_licence)).or_else(text).or_else(kind)
}

/// The article type, then the headings it is filed under: journals name study designs there. Other
/// subjects are disciplines or numbers, unless they name a design.
fn publication_types(article: Element<'_>, meta: Element<'_>) -> Vec<String> {
    let mut types: Vec<String> = article.attribute("article-type").map(Cow::into_owned).into_iter().collect();
    for group in meta.child("article-categories").into_iter().flat_map(|list| list.all("subj-group")).take(MAX_SUBJECTS)
    {
        let is_heading = group.attribute("subj-group-type").is_none_or(|kind| kind == "heading");
        for subject in group.all("subject").take(MAX_SUBJECTS).filter_map(filled) {
            let is_type = is_heading || Level::from_publication_types(&[&subject]) != Level::Unclassified;
            if is_type && !types.iter().any(|known| known.eq_ignore_ascii_case(&subject)) {
                types.push(subject);
            }
        }
    }
    types
}

fn correction(link: Element<'_>) -> Option<Correction> {
    let relation = link.attribute("related-article-type")?.into_owned();
    let is_pmid = link.is("ext-link-type", "pubmed") || link.is("ext-link-type", "pmid");
    let pmid = link.attribute("href").filter(|_| is_pmid).and_then(|href| Identifiers::pmid(&href));
    Some(Correction { relation, pmid })
}

#[cfg(test)]
mod tests;
