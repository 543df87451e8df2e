//! Traces: lists, ends, what is left of erased ones, and answers that cite what was withdrawn since.

use std::fs;

use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;

use super::*;
use crate::store::{Erase, TraceListing, schema};
use crate::{Standing, Status};

fn ids(store: &Store, listing: &TraceListing) -> Vec<String> {
    store.traces(listing).unwrap().into_iter().map(|row| row.id).collect()
}

fn all(store: &Store) -> Vec<String> {
    ids(store, &TraceListing::default())
}

fn in_hours(hours: i64) -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(hours)
}

#[test]
fn traces_are_kept_by_id_newest_first() {
    let home = Home::new();
    let mut store = home.open();
    store.put_trace(&trace("b"), "{\"n\":1}").unwrap();
    store.put_trace(&NewTrace { caller: "ada".to_owned(), ..trace("a") }, "{\"n\":2}").unwrap();
    store.put_trace(&NewTrace { outcome: "abstained".to_owned(), ..trace("b") }, "{\"n\":3}").unwrap();
    store.put_trace(&NewTrace { caller: "ada".to_owned(), ..trace("c") }, "{}").unwrap();
    let (row, json) = store.trace("b").unwrap().unwrap();
    assert_eq!((row.outcome.as_str(), row.question.as_str(), json.as_str()), ("abstained", "What is b?", "{\"n\":3}"));
    assert_eq!((row.caller.as_str(), row.created.as_str(), row.expires), ("local", "2026-01-01T00:00:00Z", None));
    assert_eq!(store.trace("d").unwrap(), None);
    assert_eq!(all(&store), ["c", "b", "a"]);
    let caller = Some("ada".to_owned());
    assert_eq!(ids(&store, &TraceListing { caller: caller.clone(), ..TraceListing::default() }), ["c", "a"]);
    let after = Some("c".to_owned());
    assert_eq!(ids(&store, &TraceListing { caller, after: after.clone(), limit: Some(5) }), ["a"]);
    assert_eq!(ids(&store, &TraceListing { after, limit: Some(1), caller: None }), ["b"]);
}

#[test]
fn a_trace_is_found_by_how_its_caller_was_told_it() {
    let home = Home::new();
    let mut store = home.open();
    let told = |id: &str, caller: &str, told: u8, expires: Option<Timestamp>| NewTrace {
        caller: caller.to_owned(),
        told: Some([told; 32]),
        expires,
        ..trace(id)
    };
    for (new, json) in [
        (told("a", "ada", 1, None), "first"),
        (told("b", "ada", 1, None), "second"),
        (told("c", "bob", 1, None), "of bob"),
        (told("d", "bob", 2, Some(in_hours(-1))), "expired"),
        (trace("e"), "told to nobody"),
    ] {
        store.put_trace(&new, json).unwrap();
    }
    let found = |store: &Store, caller: &str, told: u8| store.trace_told(caller, &[told; 32]).unwrap();
    assert_eq!(found(&store, "ada", 1).as_deref(), Some("second"), "the newest");
    assert_eq!(found(&store, "bob", 1).as_deref(), Some("of bob"));
    for (caller, told) in [("eve", 1), ("ada", 2), ("bob", 2), ("local", 1), ("local", 0)] {
        assert_eq!(found(&store, caller, told), None, "{caller} {told}");
    }
    store.erase_traces(&Erase::Named("b".to_owned())).unwrap();
    assert_eq!(found(&store, "ada", 1).as_deref(), Some("first"));
}

#[test]
fn what_expired_is_given_by_nothing_and_then_erased() {
    let home = Home::new();
    let mut store = home.open();
    add(&mut store, [document("1", "A text.")]);
    let cited = vec![(id("1"), Status::Ok)];
    let expires = Some(in_hours(-1));
    store.put_trace(&NewTrace { expires, cited: cited.clone(), ..trace("old") }, "{}").unwrap();
    store.put_trace(&NewTrace { expires: Some(in_hours(1)), cited, ..trace("new") }, "{}").unwrap();
    store.put_trace(&trace("stays"), "{}").unwrap();
    store.remove(&[id("1")], "a reason").unwrap();
    assert_eq!(all(&store), ["stays", "new"]);
    assert_eq!(store.trace("old").unwrap(), None);
    assert_eq!(store.affected(None, 9).unwrap().len(), 1);
    assert_eq!(rows(&store, "traces"), 3);
    assert_eq!(store.erase_traces(&Erase::Expired).unwrap(), 1);
    assert_eq!(store.erase_traces(&Erase::Expired).unwrap(), 0);
    assert_eq!((rows(&store, "traces"), rows(&store, "trace_texts"), rows(&store, "citations")), (2, 2, 1));
}

#[test]
fn many_expired_traces_go_in_several_steps() {
    let home = Home::new();
    let mut store = home.open();
    for number in 0..510 {
        let expires = Some(in_hours(-1));
        store.put_trace(&NewTrace { expires, ..trace(&format!("{number:04}")) }, "{}").unwrap();
    }
    assert_eq!(store.erase_traces(&Erase::Expired).unwrap(), 500);
    assert_eq!(store.erase_traces(&Erase::Expired).unwrap(), 10);
}

#[test]
fn erased_by_name_by_caller_and_by_time() {
    let home = Home::new();
    let mut store = home.open();
    let at = |id: &str, caller: &str, created: &str| NewTrace {
        caller: caller.to_owned(),
        created: created.parse().unwrap(),
        ..trace(id)
    };
    for new in [
        at("1", "ada", "2026-01-01T23:59:59.9Z"),
        at("2", "ada", "2026-01-02T00:00:00Z"),
        at("3", "bob", "2026-01-02T00:00:00.5Z"),
        at("4", "bob", "2026-01-03T00:00:00Z"),
        at("5", "eve", "2026-01-03T00:00:00Z"),
    ] {
        store.put_trace(&new, "{}").unwrap();
    }
    assert_eq!(store.erase_traces(&Erase::Named("9".to_owned())).unwrap(), 0);
    assert_eq!(store.erase_traces(&Erase::Named("5".to_owned())).unwrap(), 1);
    assert_eq!(store.erase_traces(&Erase::Before("2026-01-02T00:00:00Z".parse().unwrap())).unwrap(), 1);
    assert_eq!(all(&store), ["4", "3", "2"]);
    assert_eq!(store.erase_traces(&Erase::Caller("bob".to_owned())).unwrap(), 2);
    assert_eq!(all(&store), ["2"]);
    assert_eq!(rows(&store, "trace_texts"), 1);
}

#[test]
fn nothing_of_an_erased_trace_is_left_in_the_files() {
    let home = Home::new();
    let mut store = home.open();
    let secret = "a question that nobody is to read again";
    for number in 0..20 {
        let new = NewTrace { question: secret.to_owned(), caller: "ada".to_owned(), ..trace(&number.to_string()) };
        store.put_trace(&new, &format!("{{\"question\":\"{secret}\",\"more\":\"{}\"}}", "x".repeat(9_000))).unwrap();
    }
    let found = |home: &Home| {
        let files = fs::read_dir(home.path().parent().unwrap()).unwrap();
        let bytes = files.flat_map(|file| fs::read(file.unwrap().path()).unwrap()).collect::<Vec<_>>();
        memchr::memmem::find(&bytes, secret.as_bytes()).is_some()
    };
    assert!(found(&home));
    store.erase_traces(&Erase::Caller("ada".to_owned())).unwrap();
    assert!(!found(&home));
}

#[test]
fn answers_that_cite_what_was_withdrawn_since_are_told_with_why() {
    let home = Home::new();
    let mut store = home.open();
    add(&mut store, documents(1..7));
    store.set_status(&[id("6")], Status::Concern, "a reason").unwrap();
    let cite = |name: &str, keys: &[&str]| {
        let status = |key: &str| if key == "6" { Status::Concern } else { Status::Ok };
        NewTrace { cited: keys.iter().map(|key| (id(key), status(key))).collect(), ..trace(name) }
    };
    for new in [
        cite("a", &["1"]),
        cite("b", &["2", "5"]),
        cite("c", &["3", "1", "1"]),
        cite("d", &["4"]),
        cite("e", &["6"]),
        cite("f", &["99"]),
    ] {
        store.put_trace(&new, "{}").unwrap();
    }
    assert_eq!(store.affected(None, 9).unwrap(), []);
    store.set_status(&[id("1")], Status::Retracted, "a reason").unwrap();
    store.set_status(&[id("2")], Status::Concern, "a reason").unwrap();
    store.quarantine(&[id("3")], "a reason").unwrap();
    store.remove(&[id("4")], "a reason").unwrap();
    let told = |store: &Store, after: Option<&str>, limit: u32| -> Vec<String> {
        let show = |affected: crate::store::Affected| {
            let one = |d: &crate::store::ChangedDocument| format!("{}:{}:{}", d.id.key(), d.status, d.standing);
            format!("{} {}", affected.trace.id, affected.documents.iter().map(one).collect::<Vec<_>>().join(" "))
        };
        store.affected(after, limit).unwrap().into_iter().map(show).collect()
    };
    let whole =
        ["d 4:ok:removed", "c 1:retracted:active 3:ok:quarantined", "b 2:concern:active", "a 1:retracted:active"];
    assert_eq!(told(&store, None, 9), whole);
    assert_eq!(told(&store, None, 2), whole[..2]);
    assert_eq!(told(&store, Some("c"), 9), whole[2..]);
    let first = &store.affected(None, 1).unwrap()[0].documents[0];
    assert_eq!(
        (first.title.as_str(), first.standing, first.cited_status),
        ("Title of 4", Standing::Removed, Status::Ok)
    );
    store.set_status(&[id("6")], Status::Retracted, "a reason").unwrap();
    assert_eq!(told(&store, None, 1), ["e 6:retracted:active"]);
}

/// A database as the first format had it, with traces as they were written then.
#[test]
fn traces_of_the_first_format_are_taken_over() {
    let home = Home::new();
    fs::create_dir_all(home.path().parent().unwrap()).unwrap();
    let mut old = Connection::open(home.path()).unwrap();
    schema::first().to_latest(&mut old).unwrap();
    let answered = r#"{"version":4,"question":"Which drug?","answer":{"outcome":"answered","citations":[
        {"label":"E1","document":"pubmed:1","status":"ok"},{"label":"E2","document":"pubmed:1","status":"ok"},
        {"label":"E3","document":"pubmed:2","status":"concern"}]}}"#;
    let abstained = r#"{"question":"What else?","answer":{"outcome":{"abstained":"insufficient"},"citations":[]}}"#;
    for (id, json) in [("a", answered), ("b", abstained), ("c", "{}"), ("d", "cut off {"), ("e", "{\"answer\":7}")] {
        let sql = "INSERT INTO traces (id, created, json) VALUES (?, '2026-01-01T00:00:00.25Z', ?)";
        old.execute(sql, [id, json]).unwrap();
    }
    drop(old);
    assert!(matches!(Store::open_read_only(&home.path()), Err(Error::Outdated { found: 1, .. })));

    let mut store = home.open();
    let listed: Vec<_> = store
        .traces(&TraceListing::default())
        .unwrap()
        .into_iter()
        .map(|row| format!("{} {} {} {:?}", row.id, row.outcome, row.question, row.expires))
        .collect();
    assert_eq!(
        listed,
        [
            "e unknown  None",
            "d unknown  None",
            "c unknown  None",
            "b abstained What else? None",
            "a answered Which drug? None",
        ]
    );
    let (row, json) = store.trace("a").unwrap().unwrap();
    assert_eq!(
        (json.as_str(), row.caller.as_str(), row.created.as_str()),
        (answered, "local", "2026-01-01T00:00:00.25Z")
    );
    assert_eq!(store.trace("d").unwrap().unwrap().1, "cut off {");
    add(&mut store, documents(1..3));
    store.set_status(&[id("2")], Status::Concern, "a reason").unwrap();
    assert_eq!(store.affected(None, 9).unwrap(), [], "it was of concern when it was cited");
    store.set_status(&[id("1")], Status::Retracted, "a reason").unwrap();
    let affected = store.affected(None, 9).unwrap();
    assert_eq!((affected.len(), affected[0].trace.id.as_str(), affected[0].documents.len()), (1, "a", 1));
    drop(store);
    assert!(Store::open_read_only(&home.path()).unwrap().trace("a").unwrap().is_some());
}
