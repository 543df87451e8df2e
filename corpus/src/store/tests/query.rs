//! Documents come back as they went in, by any of their names.

use super::*;
use crate::document::{Builder, Correction};
use crate::{ChunkId, Level, PartialDate, SectionKind, Status};

fn rich() -> Document {
    let mut builder = Builder::new(DocumentId::new("pmc", "PMC77"), "β-blockers \"and\" 100% of it");
    builder.section("Methods > Participants", SectionKind::Body, "Ünïcode: 1.73 m². A second sentence follows here.");
    builder.section("Table 1", SectionKind::Table, "dose | 5 mg\nrate | 12%");
    let document = builder.document();
    document.version = 3;
    document.identifiers.pmid = Some("4242".to_owned());
    document.identifiers.pmcid = Some("PMC77".to_owned());
    document.identifiers.doi = Some("10.1000/Xy(1)".to_owned());
    document.identifiers.url = Some("https://example.org/77".to_owned());
    document.date = PartialDate::parse("2021-03");
    document.journal = Some("Journal of Examples".to_owned());
    document.language = Some("eng".to_owned());
    document.licence = Some("CC BY".to_owned());
    document.publication_types = vec!["Randomized Controlled Trial".to_owned()];
    document.mesh = vec!["Adrenergic beta-Antagonists".to_owned()];
    document.corrections = vec![Correction { relation: "ErratumIn".to_owned(), pmid: Some("1".to_owned()) }];
    document.status = Status::Corrected;
    document.level = Level::Rct;
    builder.finish()
}

#[test]
fn a_document_comes_back_as_it_went_in() {
    let home = Home::new();
    let mut store = home.open();
    add(&mut store, [rich()]);
    let stored = store.document(&rich().id).unwrap().unwrap();
    assert_eq!(stored.document, rich());
    assert_eq!((stored.collections, stored.changed), (vec!["main".to_owned()], None));
    assert_eq!(store.document(&id("none")).unwrap(), None);
}

#[test]
fn chunks_come_back_in_the_order_asked_for() {
    let home = Home::new();
    let mut store = home.open();
    add(&mut store, documents(0..5).chain([rich()]));
    let cut = crate::chunk::chunk(&rich());
    let mut ids: Vec<ChunkId> = cut.iter().rev().map(|chunk| chunk.id).collect();
    ids.insert(1, ChunkId::from_bytes([7; 12]));
    let found = store.chunks(&ids).unwrap();
    assert_eq!(found.len(), ids.len());
    assert!(found[1].is_none());
    let chunks: Vec<_> = found.iter().flatten().map(|found| found.chunk.clone()).rev().collect();
    assert_eq!(chunks, cut);
    let card = &found[0].as_ref().unwrap().document;
    assert_eq!((card.date.unwrap().year, card.status, card.level), (2021, Status::Corrected, Level::Rct));
    assert_eq!(card.licence.as_deref(), Some("CC BY"));
}

#[test]
fn ids_with_quotes_and_per_cent_are_only_names() {
    let home = Home::new();
    let mut store = home.open();
    let keys = ["it's", "100%", "a_b", "x\"; DROP TABLE documents; --", "a:b:c", "\\", "é"];
    let make = |key: &&str| Document::plain(DocumentId::new("notes", key), "", &format!("Text of {key}."));
    add(&mut store, keys.iter().map(make));
    for key in keys {
        let expected = DocumentId::new("notes", key);
        let only = std::slice::from_ref(&expected);
        assert_eq!(store.resolve(key).unwrap(), only, "{key}");
        assert_eq!(store.document(&expected).unwrap().unwrap().document.id, expected);
        assert_eq!(store.remove(only, "it's 100%").unwrap(), 1);
        assert_eq!(store.audit(Some(&expected), 5).unwrap().len(), 1);
    }
    assert_eq!(store.resolve("%").unwrap(), []);
    assert_eq!(store.resolve("").unwrap(), []);
}

#[test]
fn resolves_every_name_a_person_would_type() {
    let home = Home::new();
    let mut store = home.open();
    let beir = Document::plain(DocumentId::new("scifact", "4242"), "", "A BEIR document of the same number.");
    add(&mut store, [rich(), beir.clone(), document("4242", "The PubMed record.")]);
    let three = [DocumentId::new("pmc", "PMC77"), id("4242"), beir.id.clone()];
    assert_eq!(store.resolve("4242").unwrap(), three);
    assert_eq!(store.resolve(" PMID: 4242 ").unwrap(), three[..2]);
    for name in ["PMC77", "pmc77", "pmc:PMC77", "10.1000/XY(1)", "https://doi.org/10.1000/xy(1)"] {
        assert_eq!(store.resolve(name).unwrap(), three[..1], "{name}");
    }
    assert_eq!(store.resolve("scifact:4242").unwrap(), three[2..]);
}

#[test]
fn tallies_agree_with_what_was_added() {
    let home = Home::new();
    let mut store = home.open();
    add(&mut store, documents(0..10).chain([rich()]));
    store.set_status(&[id("3")], Status::Retracted, "a reason").unwrap();
    let stats = store.stats().unwrap();
    assert_eq!((stats.documents, stats.rejected), (11, 0));
    assert_eq!(
        stats.sources.iter().map(|tally| (tally.of.as_str(), tally.documents)).collect::<Vec<_>>(),
        [("pmc", 1), ("pubmed", 10)]
    );
    assert_eq!(
        stats.statuses.iter().map(|tally| (tally.of, tally.documents)).collect::<Vec<_>>(),
        [(Status::Ok, 9), (Status::Corrected, 1), (Status::Retracted, 1)]
    );
    assert_eq!(stats.levels.iter().map(|tally| tally.of).collect::<Vec<_>>(), [Level::Rct, Level::Unclassified]);
    assert_eq!(stats.dates, PartialDate::parse("2021-03").map(|date| (date, date)));
    assert_eq!(stats.collections[0].documents, 11);
    assert!(stats.bytes > 0);
}

#[test]
fn a_scan_can_be_ended_and_may_ask_the_store() {
    let home = Home::new();
    let mut store = home.open();
    add(&mut store, documents(0..5));
    let mut seen = 0;
    let stopped = store.scan::<Error>(&mut |_, chunk| {
        seen += 1;
        assert!(store.chunks(&[chunk.id])?[0].is_some());
        if seen == 3 { Err(Error::Input("enough".to_owned())) } else { Ok(()) }
    });
    assert!(matches!(stopped, Err(Error::Input(_))));
    assert_eq!((seen, scanned(&store).len()), (3, 5));
}
