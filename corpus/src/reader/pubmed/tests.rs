//! One record each: what is taken from where, and what is left alone.

use super::*;
use crate::chunk::chunk;
use crate::{SectionKind, Status};

fn record(article: &str, citation: &str, data: &str) -> String {
    format!(
        "<PubmedArticle><MedlineCitation><PMID Version=\"2\">123</PMID><Article>{article}</Article>{citation}\
         </MedlineCitation><PubmedData>{data}</PubmedData></PubmedArticle>"
    )
}

fn read(article: &str, citation: &str, data: &str) -> Document {
    match parse(&record(article, citation, data)).unwrap() {
        Parsed::Document(document) => *document,
        Parsed::Deleted(_) => panic!("no deletion"),
    }
}

#[test]
fn a_whole_record() {
    let document = read(
        "<Journal><JournalIssue><PubDate><Year>2018</Year><Month>May</Month></PubDate></JournalIssue>\
         <Title>The Journal</Title><ISOAbbreviation>J</ISOAbbreviation></Journal>\
         <ArticleTitle>Effect of <i>X</i> &amp; <b>Y</b>.</ArticleTitle>\
         <ELocationID EIdType=\"pii\">S1</ELocationID><ELocationID EIdType=\"doi\">10.1/e</ELocationID>\
         <Abstract><AbstractText Label=\"METHODS\">eGFR 60 mL/min/1.73&#xA0;m<sup>2</sup> in <i>all</i> of them.</AbstractText>\
         <AbstractText Label=\"UNLABELLED\">Then 10<sup>-3</sup>.</AbstractText></Abstract>\
         <Language>eng</Language>\
         <PublicationTypeList><PublicationType>Journal Article</PublicationType>\
         <PublicationType>Randomized Controlled Trial</PublicationType></PublicationTypeList>",
        "<MeshHeadingList><MeshHeading><DescriptorName MajorTopicYN=\"Y\">Asthma</DescriptorName>\
         <QualifierName>drug therapy</QualifierName></MeshHeading></MeshHeadingList>\
         <KeywordList><Keyword>asthma</Keyword><Keyword>inhaler</Keyword></KeywordList>\
         <CommentsCorrectionsList><CommentsCorrections RefType=\"CommentIn\"><PMID>9</PMID></CommentsCorrections>\
         <CommentsCorrections RefType=\"Cites\"><PMID>8</PMID></CommentsCorrections></CommentsCorrectionsList>",
        "<ArticleIdList><ArticleId IdType=\"pubmed\">123</ArticleId><ArticleId IdType=\"pmc\">PMC77</ArticleId></ArticleIdList>\
         <ReferenceList><Reference><ArticleIdList><ArticleId IdType=\"doi\">10.9/other</ArticleId>\
         <ArticleId IdType=\"pmc\">PMC99</ArticleId></ArticleIdList></Reference></ReferenceList>",
    );
    assert_eq!((document.id.as_str(), document.version), ("pubmed:123", 2));
    assert_eq!(document.title, "Effect of X & Y.");
    assert_eq!(document.text, "METHODS: eGFR 60 mL/min/1.73 m² in all of them.\n\nThen 10⁻³.");
    assert_eq!(document.sections[0].heading, "METHODS");
    assert!(document.sections.iter().all(|section| section.kind == SectionKind::Abstract));
    assert_eq!(document.journal.as_deref(), Some("The Journal"));
    assert_eq!(document.date.unwrap().to_string(), "2018-05");
    assert_eq!(document.language.as_deref(), Some("eng"));
    assert_eq!(document.mesh, ["Asthma", "inhaler"]);
    assert_eq!(document.identifiers.pmid.as_deref(), Some("123"));
    assert_eq!(document.identifiers.pmcid.as_deref(), Some("PMC77"));
    assert_eq!(document.identifiers.doi.as_deref(), Some("10.1/e"));
    assert_eq!(document.corrections, [Correction { relation: "CommentIn".to_owned(), pmid: Some("9".to_owned()) }]);
    assert_eq!((document.level, Status::of_record(&document)), (Level::Rct, Status::Ok));
}

#[test]
fn dates_come_as_precise_as_they_are() {
    let check = |dates: &str, expected: &str| {
        let article = format!("<ArticleTitle>T</ArticleTitle>{dates}");
        assert_eq!(read(&article, "", "").date.map(|date| date.to_string()).unwrap_or_default(), expected, "{dates}");
    };
    let issued = |date: &str| format!("<Journal><JournalIssue><PubDate>{date}</PubDate></JournalIssue></Journal>");
    check(&issued("<MedlineDate>1998 Dec-1999 Jan</MedlineDate>"), "1998-12");
    check(&issued("<MedlineDate>Spring 2003</MedlineDate>"), "2003");
    check(&issued("<MedlineDate>2000-2001</MedlineDate>"), "2000");
    check(&issued("<Year>2010</Year><Season>Summer</Season>"), "2010");
    check(&issued("<Year>2010</Year><Month>02</Month><Day>3</Day>"), "2010-02-03");
    let article_date = "<ArticleDate><Year>2009</Year><Month>12</Month><Day>31</Day></ArticleDate>";
    check(&(issued("<Year>2010</Year>") + article_date), "2009-12-31");
    check("", "");
}

#[test]
fn status_follows_types_and_links() {
    let record = |types: &str, links: &[&str]| {
        let link =
            |link: &&str| format!("<CommentsCorrections RefType=\"{link}\"><PMID>5</PMID></CommentsCorrections>");
        let links = links.iter().map(link).collect::<Vec<_>>().concat();
        let article = format!(
            "<ArticleTitle>T</ArticleTitle><Abstract><AbstractText>Text.</AbstractText></Abstract>\
             <PublicationTypeList><PublicationType>{types}</PublicationType></PublicationTypeList>"
        );
        read(&article, &format!("<CommentsCorrectionsList>{links}</CommentsCorrectionsList>"), "")
    };
    let status = |types: &str, links: &[&str]| Status::of_record(&record(types, links));
    assert_eq!(status("Retracted Publication", &[]), Status::Retracted);
    assert_eq!(status("Journal Article", &["ErratumIn", "RetractionIn"]), Status::Retracted);
    assert_eq!(status("Journal Article", &["ExpressionOfConcernIn", "ErratumIn"]), Status::Concern);
    assert_eq!(status("Journal Article", &["CorrectedandRepublishedIn"]), Status::Corrected);
    assert_eq!(status("Journal Article", &["CommentIn", "RetractionOf"]), Status::Ok);
    for (notice, link) in [
        ("Retraction of Publication", "RetractionOf"),
        ("Published Erratum", "ErratumFor"),
        ("Expression of Concern", "ExpressionOfConcernFor"),
    ] {
        let document = record(notice, &[link]);
        assert_eq!((Status::of_record(&document), document.level), (Status::Ok, Level::Opinion));
        assert_eq!(document.corrections[0].relation, link);
        assert!(chunk(&document).is_empty());
    }
}

#[test]
fn titles_and_abstracts_have_fallbacks() {
    let document = read("<ArticleTitle></ArticleTitle><VernacularTitle>Über X</VernacularTitle>", "", "");
    assert_eq!((document.title.as_str(), document.text.as_str()), ("Über X", ""));
    let other = "<OtherAbstract Type=\"Publisher\"><AbstractText>From the publisher.</AbstractText></OtherAbstract>";
    assert_eq!(read("<ArticleTitle>T</ArticleTitle>", other, "").text, "From the publisher.");
    assert!(parse(&record("<ArticleTitle/>", "", "")).is_err());
}

#[test]
fn books_and_deletions_are_read() {
    let book = "<PubmedBookArticle><BookDocument><PMID>20301295</PMID><ArticleIdList><ArticleId IdType=\"doi\">10.1/b</ArticleId></ArticleIdList>\
        <Book><BookTitle>GeneReviews</BookTitle><PubDate><Year>1993</Year></PubDate></Book><ArticleTitle>Dystrophy</ArticleTitle>\
        <Abstract><AbstractText Label=\"DIAGNOSIS\">By test.</AbstractText></Abstract></BookDocument></PubmedBookArticle>";
    let Parsed::Document(document) = parse(book).unwrap() else { panic!("no document") };
    assert_eq!(document.journal.as_deref(), Some("GeneReviews"));
    assert_eq!(document.text, "DIAGNOSIS: By test.");
    assert_eq!(document.identifiers.doi.as_deref(), Some("10.1/b"));
    let Parsed::Deleted(ids) =
        parse("<DeleteCitation><PMID Version=\"1\">1</PMID>\n<PMID Version=\"1\">2</PMID></DeleteCitation>").unwrap()
    else {
        panic!("no deletion")
    };
    assert_eq!(ids, [DocumentId::new("pubmed", "1"), DocumentId::new("pubmed", "2")]);
}

#[test]
fn what_is_broken_says_so() {
    for (record, reason) in [
        ("<PubmedArticle></PubmedArticle>", "no MedlineCitation"),
        ("<PubmedArticle><MedlineCitation><Article/></MedlineCitation></PubmedArticle>", "no PMID"),
        ("<PubmedArticle><a></b></PubmedArticle>", "broken XML"),
    ] {
        let error = parse(record).err().unwrap();
        assert!(error.starts_with(reason), "{error}");
    }
    let deep = format!("<PubmedArticle>{}{}</PubmedArticle>", "<b>".repeat(5000), "</b>".repeat(5000));
    assert!(parse(&deep).err().unwrap().contains("nested deeper"));
}
