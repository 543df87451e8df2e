//! One article each: what becomes a section, and what is dropped.

use super::*;
use crate::Status;
use crate::chunk::chunk;

fn read(attributes: &str, meta: &str, rest: &str) -> Document {
    let record = format!(
        "<article xmlns:xlink=\"x\" {attributes}><front><journal-meta><journal-title-group><journal-title>BMC X</journal-title>\
         </journal-title-group></journal-meta><article-meta>{meta}</article-meta></front>{rest}</article>"
    );
    parse(&record).unwrap()
}

fn sections(document: &Document) -> Vec<(&str, SectionKind, &str)> {
    let section = |section: &'_ crate::Section| section.span.clone();
    document.sections.iter().map(|part| (part.heading.as_str(), part.kind, &document.text[section(part)])).collect()
}

const META: &str = "<article-id pub-id-type=\"pmid\">11</article-id><article-id pub-id-type=\"pmc\">22</article-id>\
    <article-id pub-id-type=\"doi\">10.1/x</article-id>\
    <article-categories><subj-group subj-group-type=\"heading\"><subject>Randomised Controlled Trial</subject></subj-group>\
    <subj-group subj-group-type=\"hwp-journal-coll\"><subject>1506</subject></subj-group></article-categories>\
    <title-group><article-title>Title <italic>in vivo</italic></article-title></title-group>\
    <pub-date pub-type=\"collection\"><year>2005</year></pub-date>\
    <pub-date pub-type=\"epub\"><day>8</day><month>4</month><year>2005</year></pub-date>\
    <pub-date pub-type=\"pmc-release\"><day>1</day><month>1</month><year>2004</year></pub-date>\
    <permissions><license license-type=\"open-access\" xlink:href=\"http://creativecommons.org/licenses/by/4.0/\"><license-p>Free.</license-p></license></permissions>\
    <abstract><sec><title>Background</title><p>Why.</p></sec><sec><title>Results:</title><p>What.</p><p>More.</p></sec></abstract>\
    <abstract abstract-type=\"toc\"><p>Teaser.</p></abstract>\
    <kwd-group><kwd>asthma</kwd><kwd>child</kwd></kwd-group>";

#[test]
fn front_matter_names_the_document() {
    let document = read("article-type=\"research-article\" xml:lang=\"en\"", META, "");
    assert_eq!(document.id.as_str(), "pmc:PMC22");
    assert_eq!(document.title, "Title in vivo");
    assert_eq!(document.identifiers.pmid.as_deref(), Some("11"));
    assert_eq!(document.identifiers.doi.as_deref(), Some("10.1/x"));
    assert_eq!(document.date.unwrap().to_string(), "2005-04-08");
    assert_eq!(document.journal.as_deref(), Some("BMC X"));
    assert_eq!(document.language.as_deref(), Some("en"));
    assert_eq!(document.licence.as_deref(), Some("http://creativecommons.org/licenses/by/4.0/"));
    assert_eq!(document.publication_types, ["research-article", "Randomised Controlled Trial"]);
    assert_eq!(document.level, Level::Rct);
    assert_eq!(document.mesh, ["asthma", "child"]);
    assert_eq!(document.text, "Background: Why.\n\nResults: What.\nMore.");
}

#[test]
fn body_keeps_its_structure() {
    let body = "<body><p>Lead.</p><sec><title>Methods</title><p>One [<xref ref-type=\"bibr\" rid=\"B1\">1</xref>].</p><p>Two:\
        <list list-type=\"bullet\"><list-item><p>a 5 mg</p></list-item><list-item><label>2.</label><p>b<list><list-item><p>c</p></list-item></list></p></list-item></list> after.</p>\
        <sec><title>Participants</title><p>Adults (<xref ref-type=\"table\" rid=\"T1\">Table 1</xref>).\
        <table-wrap id=\"T1\"><label>Table 1</label><caption><p>Baseline</p></caption><table><thead><tr><th>Arm</th><th>n</th></tr></thead>\
        <tbody><tr><td>A<sup>a</sup></td><td>10</td></tr><tr><td/><td/></tr></tbody></table><table-wrap-foot><fn><label>a</label><p>Note.</p></fn></table-wrap-foot></table-wrap></p>\
        <fig><label>Figure 1</label><caption><title>Flow.</title><p>All of it.</p></caption><graphic/></fig></sec></sec>\
        <sec><title>Discussion</title><p>End.</p></sec></body>\
        <back><ref-list><ref><mixed-citation>Dropped</mixed-citation></ref></ref-list><app-group><app><title>Appendix</title><p>Extra.</p></app></app-group></back>";
    let document = read("", META, body);
    assert_eq!(
        sections(&document)[2..],
        [
            ("", SectionKind::Body, "Lead."),
            ("Methods", SectionKind::Body, "One.\n\nTwo:\n\n- a 5 mg\n2. b\n- c\n\nafter."),
            ("Methods > Participants", SectionKind::Body, "Adults (Table 1)."),
            ("Methods > Participants", SectionKind::Table, "Table 1. Baseline\nArm | n\nA^a | 10\na Note."),
            ("Methods > Participants", SectionKind::Caption, "Figure 1. Flow. All of it."),
            ("Discussion", SectionKind::Body, "End."),
            ("Appendix", SectionKind::Body, "Extra."),
        ]
    );
    assert!(chunk(&document).iter().all(|chunk| document.text[chunk.span.clone()] == chunk.text));
}

#[test]
fn notices_are_no_evidence_and_retracted_articles_are_known() {
    let related = "<article-id pub-id-type=\"doi\">10.1/n</article-id><title-group><article-title>Correction to X</article-title></title-group>\
        <related-article related-article-type=\"corrected-article\" ext-link-type=\"pubmed\" xlink:href=\"77\"/>";
    let notice = read("article-type=\"correction\"", related, "<body><p>Sorry.</p></body>");
    assert_eq!(notice.id.as_str(), "jats:10.1/n");
    assert_eq!((Status::of_record(&notice), notice.level), (Status::Ok, Level::Opinion));
    assert_eq!(notice.corrections[0].pmid.as_deref(), Some("77"));
    assert!(chunk(&notice).is_empty());
    let gone = META.to_owned() + "<related-article related-article-type=\"retraction-forward\" xlink:href=\"10.1/r\"/>";
    assert_eq!(Status::of_record(&read("article-type=\"research-article\"", &gone, "")), Status::Retracted);
}

#[test]
fn nameless_articles_are_named_by_content() {
    let meta = "<title-group><article-title>T</article-title></title-group>";
    let document = read("", meta, "<body><p>Text.</p></body>");
    assert_eq!(document.id.source(), "jats");
    assert_eq!(document.id, read("", meta, "<body><p>Text.</p></body>").id);
    assert!(parse("<article><front><article-meta/></front></article>").is_err());
    assert!(parse("<article><body><p>x</p></body></article>").is_err());
}
