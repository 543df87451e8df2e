//! Verbs, registries and the audit log.

use super::*;
use crate::registry::Notice;
use crate::{Level, Standing, Status};

fn notice(pmid: Option<&str>, doi: Option<&str>, status: Status) -> Notice {
    Notice { pmid: pmid.map(str::to_owned), doi: doi.map(str::to_owned), status, reason: "fabricated data".to_owned() }
}

fn status(store: &Store, key: &str) -> Status {
    store.document(&id(key)).unwrap().unwrap().document.status
}

#[test]
fn a_registry_retracts_what_it_names_and_nothing_else() {
    let home = Home::new();
    let mut store = home.open();
    let by_doi = |key: &str, doi: &str| {
        let mut document = Document::plain(DocumentId::new("pmc", key), "", "Text of it.");
        document.identifiers.doi = Some(doi.to_owned());
        document
    };
    add(&mut store, documents(0..20).chain([by_doi("a", "10.1/AbC"), by_doi("b", "10.1/abd")]));
    let notices = [
        notice(Some("3"), None, Status::Retracted),
        notice(Some("0"), Some("https://doi.org/10.1/aBc"), Status::Retracted),
        notice(Some("7"), None, Status::Concern),
        notice(Some("4711"), None, Status::Retracted),
        notice(None, None, Status::Retracted),
    ];
    let applied = store.apply_notices(&notices, "list.tsv").unwrap();
    assert_eq!((applied.notices, applied.matched, applied.changed), (5, 3, 3));
    assert_eq!(store.withdrawn().unwrap(), [DocumentId::new("pmc", "a"), id("3")]);
    assert_eq!(status(&store, "7"), Status::Concern);
    assert_eq!(scanned(&store).len(), 20);
    let again = store.apply_notices(&notices, "list.tsv").unwrap();
    assert_eq!((again.matched, again.changed), (3, 0));
    let log = store.audit(Some(&id("3")), 5).unwrap();
    assert_eq!(log.len(), 1);
    assert_eq!((log[0].before.as_deref(), log[0].after.as_deref()), (Some("ok"), Some("retracted")));
    assert_eq!(log[0].reason, "list.tsv: fabricated data");
}

#[test]
fn a_registry_holds_for_documents_that_come_later() {
    let home = Home::new();
    let mut store = home.open();
    store.apply_notices(&[notice(Some("2"), None, Status::Retracted)], "list").unwrap();
    add(&mut store, documents(0..4));
    assert_eq!(store.withdrawn().unwrap(), [id("2")]);
    let mut newer = document("2", "Another text, still not to be trusted.");
    newer.version = 2;
    add(&mut store, [newer]);
    assert_eq!(status(&store, "2"), Status::Retracted);
}

#[test]
fn a_name_that_a_newer_version_brings_makes_a_ruling_graver() {
    let home = Home::new();
    let mut store = home.open();
    let notices = [notice(Some("1"), None, Status::Concern), notice(None, Some("10.1/gone"), Status::Retracted)];
    store.apply_notices(&notices, "list").unwrap();
    add(&mut store, documents(1..2));
    assert_eq!(status(&store, "1"), Status::Concern);
    let named = |version| {
        let mut document = document("1", &format!("Version {version}."));
        document.version = version;
        document.identifiers.doi = Some("10.1/gone".to_owned());
        [document]
    };
    add(&mut store, named(2));
    assert_eq!(status(&store, "1"), Status::Retracted);
    store.set_status(&[id("1")], Status::Ok, "another work has this DOI").unwrap();
    add(&mut store, named(3));
    assert_eq!(status(&store, "1"), Status::Ok);
}

#[test]
fn a_reinstatement_clears_and_a_milder_notice_does_not() {
    let home = Home::new();
    let mut store = home.open();
    add(&mut store, documents(0..3));
    let (gone, mild, back) = (Status::Retracted, Status::Corrected, Status::Ok);
    store.apply_notices(&[notice(Some("1"), None, gone), notice(Some("2"), None, gone)], "first").unwrap();
    store.apply_notices(&[notice(Some("1"), None, mild)], "second").unwrap();
    assert_eq!(status(&store, "1"), Status::Retracted);
    store.apply_notices(&[notice(Some("1"), None, back), notice(Some("1"), None, gone)], "third").unwrap();
    assert_eq!((status(&store, "1"), status(&store, "2")), (Status::Ok, Status::Retracted));
    store.apply_notices(&[notice(Some("1"), None, gone)], "fourth").unwrap();
    assert_eq!(status(&store, "1"), Status::Retracted);
}

#[test]
fn a_curator_takes_a_retraction_back_whoever_said_it() {
    let home = Home::new();
    let mut store = home.open();
    let mut own = document("3", "Its own source says so.");
    own.status = Status::Retracted;
    add(&mut store, documents(0..3).chain([own.clone()]));
    store.set_status(&[id("0")], Status::Retracted, "a mix-up").unwrap();
    store.apply_notices(&[notice(Some("1"), None, Status::Retracted)], "first").unwrap();
    let all = [id("0"), id("1"), id("2"), id("3"), id("nowhere")];
    assert_eq!(store.retracted(&all).unwrap(), [id("0"), id("1"), id("3")]);
    assert_eq!(store.restore(&all, "no retraction is undone by this").unwrap(), 0);
    assert_eq!(store.reinstate(&all, "each was looked into").unwrap(), 3, "of one nothing was said");
    assert!(store.retracted(&all).unwrap().is_empty() && scanned(&store).len() == 4);
    assert_eq!(store.reinstate(&all, "again").unwrap(), 0);
    // the same again changes nothing; what is said later counts
    own.text.push_str(" And more.");
    own.sections[0].span.end = own.text.len();
    add(&mut store, [own]);
    assert_eq!(status(&store, "3"), Status::Ok);
    store.apply_notices(&[notice(Some("1"), None, Status::Retracted)], "second").unwrap();
    assert_eq!(store.retracted(&all).unwrap(), [id("1")]);
    assert!(matches!(store.reinstate(&all, " "), Err(Error::Input(_))));
    let log = store.audit(Some(&id("0")), 9).unwrap();
    assert_eq!((log[0].verb.as_str(), log[0].reason.as_str()), ("reinstate", "each was looked into"));
}

#[test]
fn every_verb_counts_what_it_changed_and_logs_it() {
    let home = Home::new();
    let mut store = home.open();
    store.set_operator("curator");
    add(&mut store, documents(0..3));
    let ids = [id("0"), id("1"), id("nowhere")];
    assert_eq!(store.quarantine(&ids, "odd doses").unwrap(), 2);
    assert_eq!(store.quarantine(&ids, "odd doses").unwrap(), 0);
    assert_eq!(store.restore(&ids[..1], "checked").unwrap(), 1);
    assert_eq!(store.remove(&ids[..1], "duplicate").unwrap(), 1);
    assert_eq!(store.set_status(&[id("2")], Status::Concern, "letter to the editor").unwrap(), 1);
    assert_eq!(store.set_level(&[id("2")], Level::Guideline, "mislabelled").unwrap(), 1);
    assert_eq!(store.tag(&[id("2")], "renal", "topic").unwrap(), 1);
    assert_eq!(store.tag(&[id("2")], "renal", "topic").unwrap(), 0);
    let stored = store.document(&id("2")).unwrap().unwrap();
    assert_eq!((stored.document.status, stored.document.level), (Status::Concern, Level::Guideline));
    assert_eq!(stored.tags, ["renal"]);
    assert_eq!(store.untag(&[id("2")], "renal", "topic").unwrap(), 1);
    assert_eq!(store.document(&id("0")).unwrap().unwrap().standing, Standing::Removed);
    let log = store.audit(None, 100).unwrap();
    let verbs: Vec<_> = log.iter().rev().map(|row| row.verb.as_str()).collect();
    assert_eq!(verbs, ["quarantine", "quarantine", "restore", "remove", "status", "level", "tag", "untag"]);
    assert!(log.iter().all(|row| row.who == "curator" && !row.reason.is_empty()));
    assert!(matches!(store.remove(&ids, "  "), Err(Error::Input(_))));
    assert!(matches!(store.tag(&ids, "", "x"), Err(Error::Input(_))));
}

#[test]
fn who_is_bound_to_collections_changes_nothing_beyond_them() {
    let home = Home::new();
    let mut store = home.open();
    add_to(&mut store, "own", documents(1..4)).unwrap();
    add_to(&mut store, "foreign", documents(3..5)).unwrap();
    store.set_bounds(Some(&["own".to_owned()]));
    let before = (store.fingerprint().unwrap(), rows(&store, "audit"));
    let (shared, foreign) = (id("3"), id("4"));
    for beyond in [&shared, &foreign] {
        let ids = [id("1"), beyond.clone()];
        for refused in [
            store.tag(&ids, "x", "a reason"),
            store.untag(&ids, "x", "a reason"),
            store.quarantine(&ids, "a reason"),
            store.remove(&ids, "a reason"),
            store.restore(&ids, "a reason"),
            store.set_status(&ids, Status::Retracted, "a reason"),
            store.set_level(&ids, Level::Rct, "a reason"),
        ] {
            let Err(Error::Input(message)) = refused else { panic!("{beyond} was changed: {refused:?}") };
            assert!(message.contains(beyond.as_str()), "{message}");
        }
        let newer = [document("1", "Newer."), document(beyond.key(), "Newer.")];
        assert!(matches!(add_to(&mut store, "own", newer), Err(Error::Input(_))));
        let gone = std::iter::once(Ok(Record::Delete(beyond.clone())));
        assert!(matches!(store.ingest("own", gone, &mut |_| {}), Err(Error::Input(_))));
    }
    assert!(matches!(add_to(&mut store, "foreign", documents(9..10)), Err(Error::Input(_))));
    assert!(matches!(store.drop_collection("foreign", "a reason"), Err(Error::Input(_))));
    assert!(matches!(store.apply_notices(&[notice(Some("1"), None, Status::Ok)], "list"), Err(Error::Input(_))));
    assert_eq!((store.fingerprint().unwrap(), rows(&store, "audit")), before);
    assert_eq!(store.quarantine(&[id("1"), id("nowhere")], "a reason").unwrap(), 1);
    assert_eq!(add_to(&mut store, "own", documents(2..3).chain(documents(9..10))).unwrap().added, 1);
    store.set_bounds(None);
    assert_eq!(store.quarantine(&[shared, foreign], "a reason").unwrap(), 2);
}

#[test]
fn a_clearance_holds_until_the_source_says_worse() {
    let home = Home::new();
    let mut store = home.open();
    let version = |version, status| {
        let mut document = document("1", &format!("Version {version}."));
        (document.version, document.status) = (version, status);
        [document]
    };
    add(&mut store, version(1, Status::Concern));
    store.set_status(&[id("1")], Status::Ok, "resolved by the editor").unwrap();
    add(&mut store, version(2, Status::Concern));
    assert_eq!(status(&store, "1"), Status::Ok);
    add(&mut store, version(3, Status::Retracted));
    assert_eq!(status(&store, "1"), Status::Retracted);
}

#[test]
fn the_audit_log_cannot_be_rewritten() {
    let home = Home::new();
    let mut store = home.open();
    add(&mut store, documents(0..1));
    store.remove(&[id("0")], "a reason").unwrap();
    for sql in
        ["UPDATE audit SET reason = 'another'", "DELETE FROM audit", "INSERT OR REPLACE INTO audit SELECT * FROM audit"]
    {
        store.connection.execute_batch("PRAGMA recursive_triggers = ON").unwrap();
        let error = store.connection.execute(sql, []).unwrap_err();
        assert!(error.to_string().contains("append-only"), "{sql}: {error}");
    }
    assert_eq!(store.audit(None, 9).unwrap()[0].reason, "a reason");
}

#[test]
fn a_long_list_of_ids_is_withdrawn_at_once() {
    let home = Home::new();
    let mut store = home.open();
    add(&mut store, documents(0..2000));
    let ids: Vec<_> = (0..100_000).map(|key| id(&key.to_string())).collect();
    assert_eq!(store.remove(&ids, "a whole journal").unwrap(), 2000);
    assert_eq!(store.withdrawn().unwrap().len(), 2000);
    assert_eq!(scanned(&store), []);
}
