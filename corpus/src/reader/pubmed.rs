//! PubMed XML: baseline and update files, efetch answers, book articles.

use std::collections::HashSet;

use super::inline;
use super::input::Input;
use super::split::{Splitter, Tags};
use super::xml::{Element, Tree};
use super::{Item, Record};
use crate::document::{Builder, Correction};
use crate::{Document, DocumentId, Identifiers, Level, PartialDate};

/// Articles and deletions in the order of the file.
pub(super) fn records(input: Input) -> impl Iterator<Item = Item> {
    let records = &["PubmedArticle", "PubmedBookArticle", "DeleteCitation"];
    let mut splitter = Splitter::new(input, Tags { records, root: "PubmedArticleSet" });
    let mut deleted = Vec::new().into_iter();
    std::iter::from_fn(move || {
        loop {
            if let Some(id) = deleted.next() {
                return Some(Ok(Record::Delete(id)));
            }
            let parsed = match splitter.next()? {
                Err(rejected) => return Some(Err(rejected)),
                Ok(record) => parse(record),
            };
            match parsed {
                Ok(Parsed::Document(document)) => return Some(Ok(Record::Document(document))),
                Ok(Parsed::Deleted(ids)) => deleted = ids.into_iter(),
                Err(reason) => return Some(Err(splitter.reject(reason))),
            }
        }
    })
}

enum Parsed {
    Document(Box<Document>),
    Deleted(Vec<DocumentId>),
}

fn parse(record: &str) -> Result<Parsed, String> {
    let tree = Tree::parse(record)?;
    let root = tree.root();
    Ok(match root.name() {
        "DeleteCitation" => {
            let pmids = root.all("PMID").filter_map(|pmid| Identifiers::pmid(&inline::text(pmid)));
            Parsed::Deleted(pmids.map(|pmid| DocumentId::new("pubmed", &pmid)).collect())
        }
        "PubmedBookArticle" => Parsed::Document(Box::new(book(root)?)),
        _ => Parsed::Document(Box::new(article(root)?)),
    })
}

fn article(root: Element<'_>) -> Result<Document, String> {
    let citation = root.child("MedlineCitation").ok_or("no MedlineCitation")?;
    let article = citation.child("Article").ok_or("no Article")?;
    let title = ["ArticleTitle", "VernacularTitle"].iter().find_map(|name| filled(article, name));
    let abstracts = article.child("Abstract").or_else(|| citation.child("OtherAbstract"));
    let mut builder = start(citation, title, abstracts)?;
    let document = builder.document();

    let journal = article.child("Journal");
    document.journal =
        journal.and_then(|journal| filled(journal, "Title").or_else(|| filled(journal, "ISOAbbreviation")));
    let issued = journal.and_then(|journal| journal.path(&["JournalIssue", "PubDate"]));
    document.date = article.child("ArticleDate").and_then(date).or_else(|| issued.and_then(date));
    document.language = filled(article, "Language");
    document.publication_types = article
        .child("PublicationTypeList")
        .map(|list| list.all("PublicationType").map(inline::text).collect())
        .unwrap_or_default();
    let headings = citation.child("MeshHeadingList");
    let headings = headings.into_iter().flat_map(|list| list.all("MeshHeading"));
    document.mesh = headings.filter_map(|heading| filled(heading, "DescriptorName")).collect();
    add_keywords(citation, document);
    let links = citation.child("CommentsCorrectionsList");
    let links = links.into_iter().flat_map(|list| list.all("CommentsCorrections"));
    document.corrections = links.filter_map(correction).collect();

    // Ids of cited works lie in the ReferenceList beside this list: never look deeper.
    if let Some(ids) = root.path(&["PubmedData", "ArticleIdList"]) {
        add_identifiers(ids, &mut document.identifiers);
    }
    let mut locations = article.all("ELocationID").filter(|location| location.is("EIdType", "doi"));
    let location = locations.find_map(|location| Identifiers::doi(&inline::text(location)));
    document.identifiers.doi = document.identifiers.doi.take().or(location);
    Ok(finish(builder))
}

fn book(root: Element<'_>) -> Result<Document, String> {
    let book_document = root.child("BookDocument").ok_or("no BookDocument")?;
    let book = book_document.child("Book");
    let book_title = book.and_then(|book| filled(book, "BookTitle"));
    let title = filled(book_document, "ArticleTitle").or_else(|| book_title.clone());
    let mut builder = start(book_document, title, book_document.child("Abstract"))?;
    let document = builder.document();
    document.journal = book_title;
    document.date = book.and_then(|book| book.child("PubDate")).and_then(date);
    document.language = filled(book_document, "Language");
    document.publication_types = book_document.all("PublicationType").map(inline::text).collect();
    add_keywords(book_document, document);
    if let Some(ids) = book_document.child("ArticleIdList") {
        add_identifiers(ids, &mut document.identifiers);
    }
    Ok(finish(builder))
}

/// A document with what both kinds have: id, version, title, abstract.
fn start(citation: Element<'_>, title: Option<String>, abstracts: Option<Element<'_>>) -> Result<Builder, String> {
    let named = citation.child("PMID").ok_or("no PMID")?;
    let pmid = Identifiers::pmid(&inline::text(named)).ok_or("its PMID is no number")?;
    let mut builder = Builder::new(DocumentId::new("pubmed", &pmid), &title.unwrap_or_default());
    for part in abstracts.into_iter().flat_map(|list| list.all("AbstractText")) {
        builder.labelled(&part.attribute("Label").unwrap_or_default(), &inline::text(part));
    }
    let document = builder.document();
    if document.title.is_empty() && document.text.is_empty() {
        return Err("neither title nor abstract".to_owned());
    }
    document.version = named.attribute("Version").and_then(|version| version.parse().ok()).unwrap_or(1);
    document.identifiers.pmid = Some(pmid);
    Ok(builder)
}

fn finish(mut builder: Builder) -> Document {
    let document = builder.document();
    document.level =
        if document.is_notice() { Level::Opinion } else { Level::from_publication_types(&document.publication_types) };
    builder.finish()
}

/// The text of the child `name`, unless blank.
fn filled(element: Element<'_>, name: &str) -> Option<String> {
    let text = crate::text::normalise(&inline::text(element.child(name)?));
    (!text.is_empty()).then_some(text)
}

fn add_keywords(citation: Element<'_>, document: &mut Document) {
    let mut known: HashSet<String> = document.mesh.iter().map(|name| name.to_lowercase()).collect();
    for keyword in citation.all("KeywordList").flat_map(|list| list.all("Keyword")) {
        let keyword = crate::text::normalise(&inline::text(keyword));
        if !keyword.is_empty() && known.insert(keyword.to_lowercase()) {
            document.mesh.push(keyword);
        }
    }
}

fn add_identifiers(list: Element<'_>, identifiers: &mut Identifiers) {
    for id in list.all("ArticleId") {
        let text = inline::text(id);
        match id.attribute("IdType").as_deref() {
            Some("doi") => identifiers.doi = Identifiers::doi(&text).or(identifiers.doi.take()),
            Some("pmc") => {
                identifiers.pmcid = Identifiers::pmcid(&text).or(identifiers.pmcid.take());
            }
            _ => {}
        }
    }
}

/// Links to other records, without the works it cites (older files list them here).
fn correction(link: Element<'_>) -> Option<Correction> {
    let relation = link.attribute("RefType").filter(|relation| relation != "Cites")?.into_owned();
    let pmid = link.child("PMID").and_then(|pmid| Identifiers::pmid(&inline::text(pmid)));
    Some(Correction { relation, pmid })
}

/// `Year`, `Month` (a number or a name), `Day`; or a `MedlineDate` such as `1998 Dec-1999 Jan`.
fn date(element: Element<'_>) -> Option<PartialDate> {
    if let Some(medline) = filled(element, "MedlineDate") {
        return medline_date(&medline);
    }
    let year = filled(element, "Year")?.parse().ok()?;
    let month = filled(element, "Month").and_then(|month| self::month(&month));
    let day = filled(element, "Day").and_then(|day| day.parse().ok());
    PartialDate::new(year, month, day)
}

/// The first year of a free date, with the month behind it if there is one.
fn medline_date(text: &str) -> Option<PartialDate> {
    let mut words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let year = words.by_ref().find_map(|word| word.parse().ok().filter(|year| (1000..=9999).contains(year)))?;
    let month = words.next().filter(|word| word.starts_with(char::is_alphabetic)).and_then(month);
    PartialDate::new(year, month, None)
}

fn month(text: &str) -> Option<u8> {
    const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    text.parse().ok().or_else(|| {
        let name = text.get(..3)?.to_ascii_lowercase();
        MONTHS.iter().position(|month| *month == name).map(|at| at as u8 + 1)
    })
}

#[cfg(test)]
mod tests;
