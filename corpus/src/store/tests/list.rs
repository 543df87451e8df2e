//! Pages of documents, collections and the audit log.

use std::time::Instant;

use super::*;
use crate::store::{Listing, Row};
use crate::{Standing, Status};

/// All pages of `listing`, `size` a page.
fn pages(store: &Store, listing: &Listing, size: u32) -> Vec<Row> {
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = store.list(&Listing { after, limit: Some(size), ..listing.clone() }).unwrap();
        let Some(last) = page.last() else { return seen };
        assert!(page.len() <= size as usize);
        after = Some(last.id.clone());
        seen.extend(page);
    }
}

fn ids(rows: &[Row]) -> Vec<&str> {
    rows.iter().map(|row| row.id.key()).collect()
}

#[test]
fn lists_in_pages_and_by_filter() {
    let home = Home::new();
    let mut store = home.open();
    add(&mut store, documents(0..25));
    add_to(&mut store, "other", documents(20..30)).unwrap();
    store.set_status(&[id("3"), id("22")], Status::Retracted, "a reason").unwrap();
    store.quarantine(&[id("4"), id("22")], "a reason").unwrap();
    store.tag(&[id("5"), id("22"), id("29")], "to read", "a reason").unwrap();
    store.tag(&[id("22")], "a b", "a reason").unwrap();
    let all = pages(&store, &Listing::default(), 7);
    assert_eq!(all.len(), 30);
    assert!(all.is_sorted_by_key(|row| &row.id));

    let status = Some(Status::Retracted);
    let standing = Some(Standing::Quarantined);
    let other = Some("other".to_owned());
    let tag = Some("to read".to_owned());
    let within = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    for (listing, expected) in [
        (Listing { status, ..Listing::default() }, &["22", "3"] as &[_]),
        (Listing { standing, ..Listing::default() }, &["22", "4"]),
        (Listing { status, standing, ..Listing::default() }, &["22"]),
        (Listing { status, standing: Some(Standing::Active), ..Listing::default() }, &["3"]),
        (Listing { collection: other.clone(), status, ..Listing::default() }, &["22"]),
        (Listing { tag: tag.clone(), ..Listing::default() }, &["22", "29", "5"]),
        (Listing { tag, collection: other, ..Listing::default() }, &["22", "29"]),
        (Listing { collection: Some("none".to_owned()), ..Listing::default() }, &[]),
        (Listing { within: within(&["other", "none"]), status, ..Listing::default() }, &["22"]),
        (Listing { within: within(&["none"]), ..Listing::default() }, &[]),
    ] {
        for size in [1, 7] {
            assert_eq!(ids(&pages(&store, &listing, size)), expected, "{listing:?}");
        }
    }
    let row = &store.list(&Listing { text: Some("of 22".to_owned()), ..Listing::default() }).unwrap()[0];
    assert_eq!((row.id.clone(), row.chunks), (id("22"), 1));
    assert_eq!((row.collections.join("|"), row.tags.join("|")), ("main|other".to_owned(), "a b|to read".to_owned()));
}

#[test]
fn words_of_titles_and_ids_are_found() {
    let home = Home::new();
    let mut store = home.open();
    let titled = |key: &str, title: &str| Document::plain(id(key), title, "A text.");
    add(
        &mut store,
        [
            titled("1", "Metformin in type 2 diabetes"),
            titled("2", "Diabetes and 100% of the rest"),
            titled("3", "A_B"),
            titled("4", "AxB, back\\slash"),
        ],
    );
    for (text, expected) in [
        ("metformin", &["1"] as &[_]),
        ("DIABETES", &["1", "2"]),
        ("diabetes  form", &["1"]),
        ("100%", &["2"]),
        ("%", &["2"]),
        ("a_b", &["3"]),
        ("k\\s", &["4"]),
        ("pubmed:3", &["3"]),
        ("", &["1", "2", "3", "4"]),
        ("'", &[]),
    ] {
        let listing = Listing { text: Some(text.to_owned()), ..Listing::default() };
        assert_eq!(ids(&store.list(&listing).unwrap()), expected, "{text}");
    }
}

#[test]
fn collections_tell_what_is_no_evidence() {
    let home = Home::new();
    let mut store = home.open();
    assert_eq!(store.collections().unwrap(), []);
    add(&mut store, documents(0..5));
    add_to(&mut store, "a second", documents(4..6)).unwrap();
    store.remove(&[id("4")], "a reason").unwrap();
    store.set_status(&[id("0")], Status::Retracted, "a reason").unwrap();
    let told: Vec<_> =
        store.collections().unwrap().into_iter().map(|c| (c.name, c.documents, c.chunks, c.withdrawn)).collect();
    assert_eq!(store.collections_of(&id("4")).unwrap(), Some(vec!["a second".to_owned(), "main".to_owned()]));
    assert_eq!(store.collections_of(&id("9")).unwrap(), None);
    assert_eq!(told, [("a second".to_owned(), 2, 2, 1), ("main".to_owned(), 5, 5, 2)]);
}

#[test]
fn the_audit_log_comes_in_pages() {
    let home = Home::new();
    let mut store = home.open();
    add(&mut store, documents(0..5));
    for key in 0..5 {
        store.tag(&[id(&key.to_string())], "x", "a reason").unwrap();
    }
    let first = store.audit_page(None, None, 2).unwrap();
    let second = store.audit_page(None, Some(first[1].number), 9).unwrap();
    let numbers: Vec<_> = first.iter().chain(&second).map(|row| row.number).collect();
    assert_eq!(numbers, [5, 4, 3, 2, 1]);
    assert_eq!(store.audit_page(Some(&id("3")), Some(4), 9).unwrap(), []);
    assert_eq!(store.audit_page(Some(&id("3")), Some(5), 9).unwrap().len(), 1);
}

#[test]
fn documents_that_are_sent_leave_a_line_that_says_why() {
    let home = Home::new();
    let mut store = home.open();
    store.set_operator("ada");
    let send = |store: &mut Store, reason: &str| {
        let records = documents(0..3).map(|document| Ok(Record::Document(Box::new(document))));
        store.ingest_because("main", reason, records)
    };
    assert!(matches!(send(&mut store, " "), Err(Error::Input(_))));
    assert!(store.is_empty().unwrap());
    assert_eq!(send(&mut store, "a new guideline").unwrap().added, 3);
    assert_eq!(send(&mut store, "again").unwrap().unchanged, 3);
    let log = store.audit(None, 9).unwrap();
    assert_eq!(log.len(), 1, "what changes nothing leaves no line: {log:?}");
    assert_eq!((log[0].who.as_str(), log[0].verb.as_str(), log[0].after.as_deref()), ("ada", "add", Some("main")));
    assert_eq!(log[0].reason, "a new guideline");
}

/// Of ten thousand documents, any page by any filter takes far less than a person or a client notices.
#[test]
fn a_page_of_ten_thousand_documents_comes_at_once() {
    let home = Home::new();
    let mut store = home.open();
    add(&mut store, documents(0..10_000));
    store.tag(&[id("9999")], "rare", "a reason").unwrap();
    store.remove(&[id("9998")], "a reason").unwrap();
    let after = Some(id("9"));
    let listings = [
        Listing::default(),
        Listing { after: after.clone(), ..Listing::default() },
        Listing { text: Some("title of 9999".to_owned()), ..Listing::default() },
        Listing { text: Some("nowhere".to_owned()), ..Listing::default() },
        Listing { tag: Some("rare".to_owned()), ..Listing::default() },
        Listing { collection: Some("main".to_owned()), after, ..Listing::default() },
        Listing { standing: Some(Standing::Removed), status: Some(Status::Ok), ..Listing::default() },
    ];
    for listing in listings {
        let listing = Listing { limit: Some(200), ..listing };
        // the best of three: other tests may hold the processor
        let took = (0..3).map(|_| {
            let start = Instant::now();
            store.list(&listing).unwrap();
            start.elapsed()
        });
        let took = took.min().unwrap();
        assert!(took.as_millis() < 50, "{took:?} for {listing:?}");
    }
}
