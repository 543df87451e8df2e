//! Chunks hold their document's text exactly, in pieces of the promised size.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::document::Builder;

fn sentences_of(count: usize, words: usize) -> String {
    let sentence = format!("Word{}.", " word".repeat(words - 1));
    vec![sentence; count].join(" ")
}

fn built(sections: &[(&str, SectionKind, &str)]) -> Document {
    let mut builder = Builder::new(DocumentId::new("test", "1"), "Title");
    for (heading, kind, text) in sections {
        builder.section(heading, *kind, text);
    }
    builder.finish()
}

fn check(document: &Document) -> Vec<Chunk> {
    let chunks = chunk(document);
    let mut end = 0;
    let mut ids = HashSet::new();
    for (ordinal, chunk) in chunks.iter().enumerate() {
        assert_eq!(chunk.ordinal as usize, ordinal);
        assert_eq!(document.text[chunk.span.clone()], chunk.text);
        assert_eq!(chunk.text.trim(), chunk.text);
        assert!(chunk.span.start >= end && !chunk.span.is_empty());
        assert!(document.text[end..chunk.span.start].trim().is_empty(), "text is lost before {chunk:?}");
        assert!(chunk.text.len() <= UNIT_BYTES);
        assert!(chunk.text.split_whitespace().count() <= UNIT_WORDS);
        assert!(ids.insert(chunk.id));
        end = chunk.span.end;
    }
    assert!(document.text[end..].trim().is_empty());
    assert_eq!(chunks, chunk(document));
    chunks
}

fn sizes(chunks: &[Chunk]) -> Vec<usize> {
    chunks.iter().map(|chunk| chunk.text.split_whitespace().count()).collect()
}

#[test]
fn an_abstract_is_one_chunk() {
    let text = sentences_of(10, 18);
    let chunks = check(&built(&[
        ("METHODS", SectionKind::Abstract, &text),
        ("RESULTS", SectionKind::Abstract, &text),
        ("Intro", SectionKind::Body, "Body."),
    ]));
    assert_eq!(sizes(&chunks), [360, 1]);
    assert_eq!(chunks[0].heading, "");
    assert_eq!(chunks[1].heading, "Intro");
}

#[test]
fn a_long_abstract_is_cut_into_equal_pieces() {
    let chunks = check(&built(&[("", SectionKind::Abstract, &sentences_of(40, 20))]));
    assert_eq!(sizes(&chunks), [200, 200, 200, 200]);
    let chunks = check(&built(&[("", SectionKind::Abstract, &sentences_of(20, 20))]));
    assert_eq!(sizes(&chunks), [200, 200]);
}

#[test]
fn headings_of_an_abstract_meet_in_what_they_share() {
    let chunks = check(&built(&[
        ("Abstract > Methods", SectionKind::Abstract, "One."),
        ("Abstract > Results", SectionKind::Abstract, "Two."),
    ]));
    assert_eq!(chunks[0].heading, "Abstract");
}

#[test]
fn body_is_gathered_by_paragraph_within_its_section() {
    let paragraph = sentences_of(5, 20);
    let text = vec![paragraph; 6].join("\n\n");
    let chunks = check(&built(&[
        ("Methods > Drugs", SectionKind::Body, &text),
        ("Results", SectionKind::Body, "A short section."),
    ]));
    assert_eq!(sizes(&chunks), [200, 200, 200, 3]);
    assert!(chunks.iter().take(3).all(|chunk| chunk.heading == "Methods > Drugs"));
}

#[test]
fn a_large_paragraph_is_cut_at_sentence_ends() {
    let chunks = check(&built(&[("", SectionKind::Body, &sentences_of(30, 25))]));
    assert!(chunks.iter().all(|chunk| chunk.text.ends_with('.')));
    assert!(sizes(&chunks).iter().all(|words| (MIN_WORDS..=MAX_WORDS).contains(words)), "{:?}", sizes(&chunks));
}

#[test]
fn a_table_is_cut_between_rows_only() {
    let row = "Metformin 500 mg. Twice daily | 30 mL/min. | yes";
    let table = vec![row; 80].join("\n");
    let chunks = check(&built(&[("", SectionKind::Table, &table)]));
    assert!(chunks.len() > 1);
    assert!(chunks.iter().all(|chunk| chunk.text.lines().all(|line| line == row)));
    let small = vec![row; 30].join("\n");
    assert_eq!(check(&built(&[("", SectionKind::Table, &small)])).len(), 1);
}

#[test]
fn text_without_sentence_ends_is_cut_all_the_same() {
    check(&built(&[("", SectionKind::Abstract, &"word ".repeat(5000))]));
    check(&built(&[("", SectionKind::Body, &"ü".repeat(20_000))]));
    check(&built(&[("", SectionKind::Table, &"治療".repeat(5000))]));
}

#[test]
fn notices_and_bare_titles_have_no_chunks() {
    let mut document = built(&[("", SectionKind::Abstract, "This article has been retracted.")]);
    document.publication_types = vec!["Journal Article".to_owned(), "Retraction of Publication".to_owned()];
    assert!(chunk(&document).is_empty());
    assert!(chunk(&built(&[])).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_character_is_in_exactly_one_chunk(
        parts in prop::collection::vec((0..4_usize, "[A-Z][a-zé ]{0,6}", "([A-Za-z0-9éβ²治]{1,12}[ .\\n]{1,2}){0,600}"), 0..6)
    ) {
        let kinds = [SectionKind::Abstract, SectionKind::Body, SectionKind::Table, SectionKind::Caption];
        let sections: Vec<_> = parts.iter().map(|(kind, heading, text)| (heading.as_str(), kinds[*kind], text.as_str())).collect();
        check(&built(&sections));
    }
}
