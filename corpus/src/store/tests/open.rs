//! Opening: new, old, newer, foreign, damaged and read-only homes.

use std::fs;

use rusqlite::Connection;

use super::*;
use crate::store::schema;

#[test]
fn a_store_can_change_threads() {
    fn is_send<T: Send>() {}
    is_send::<Store>();
}

#[test]
fn makes_the_home_and_opens_it_again() {
    let home = Home::new();
    add(&mut home.open(), documents(0..3));
    assert_eq!(home.open().stats().unwrap().documents, 3);
    let mode: String = home.open().connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
}

#[test]
fn first_openings_at_once_all_succeed() {
    let home = Home::new();
    let path = home.path();
    std::thread::scope(|scope| {
        for key in 0..6 {
            let path = &path;
            scope.spawn(move || add(&mut Store::open(path).unwrap(), documents(key..key + 1)));
        }
    });
    assert_eq!(home.open().stats().unwrap().documents, 6);
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let home = Home::new();
    let store = home.open();
    store.connection.pragma_update(None, "user_version", schema::VERSION + 1).unwrap();
    drop(store);
    let before = fs::read(home.path()).unwrap();
    for error in [Store::open(&home.path()).unwrap_err(), Store::open_read_only(&home.path()).unwrap_err()] {
        assert!(matches!(error, Error::Format { found, .. } if found == schema::VERSION + 1), "{error}");
    }
    assert_eq!(fs::read(home.path()).unwrap(), before);
}

#[test]
fn an_older_format_is_brought_up_to_date() {
    let home = Home::new();
    fs::create_dir_all(home.path().parent().unwrap()).unwrap();
    fs::write(home.path(), include_bytes!("../../../tests/fixtures/store_v1.db")).unwrap();
    let store = home.open();
    let stored = store.document(&id("1")).unwrap().unwrap();
    assert_eq!(stored.document.title, "Title of 1");
    let version: i64 = store.connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version, schema::VERSION);
    assert_eq!(scanned(&store).len(), 2);
    assert_eq!(store.withdrawn().unwrap(), [id("2")]);
}

#[test]
fn an_empty_file_becomes_a_home() {
    let home = Home::new();
    fs::create_dir_all(home.path().parent().unwrap()).unwrap();
    fs::write(home.path(), "").unwrap();
    assert!(matches!(Store::open_read_only(&home.path()), Err(Error::Input(_))));
    assert!(home.open().is_empty().unwrap());
}

#[test]
fn files_of_others_are_refused_and_left_alone() {
    let home = Home::new();
    fs::create_dir_all(home.path().parent().unwrap()).unwrap();
    Connection::open(home.path()).unwrap().execute_batch("CREATE TABLE bookmarks (url TEXT)").unwrap();
    let foreign = fs::read(home.path()).unwrap();
    let garbage: Vec<u8> = (0..9000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for bytes in [foreign, garbage, b"hello".to_vec(), b"SQLite format 3\0".to_vec()] {
        fs::write(home.path(), &bytes).unwrap();
        for opened in [Store::open(&home.path()), Store::open_read_only(&home.path())] {
            let error = opened.unwrap_err();
            assert!(matches!(error, Error::Unusable { .. }), "{error:?}");
        }
        assert_eq!(fs::read(home.path()).unwrap(), bytes);
    }
}

#[test]
fn a_truncated_file_is_an_error_at_any_length() {
    let home = Home::new();
    add(&mut home.open(), documents(0..300));
    let whole = fs::read(home.path()).unwrap();
    for length in [1, 99, 100, 512, 4095, 4096, 5000, 8192, whole.len() / 2, whole.len() - 4096, whole.len() - 1] {
        fs::write(home.path(), &whole[..length]).unwrap();
        let use_it = |store: Store| {
            let mut chunks = 0;
            store.scan::<Error>(&mut |_, _| {
                chunks += 1;
                Ok(())
            })?;
            store.stats().map(|stats| (stats, chunks))
        };
        for outcome in
            [Store::open_read_only(&home.path()).and_then(use_it), Store::open(&home.path()).and_then(use_it)]
        {
            assert!(matches!(outcome, Err(Error::Unusable { .. })), "{length}: {outcome:?}");
        }
        for beside in ["-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{beside}", home.path().display()));
        }
    }
}

#[test]
fn flipped_bytes_never_panic() {
    let home = Home::new();
    add(&mut home.open(), documents(0..40));
    let whole = fs::read(home.path()).unwrap();
    let mut place = 12_345_usize;
    for _ in 0..60 {
        place = place.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut bytes = whole.clone();
        let at = (place >> 20) % bytes.len();
        bytes[at] ^= 0xff;
        fs::write(home.path(), &bytes).unwrap();
        if let Ok(store) = Store::open_read_only(&home.path()) {
            let _ = store.scan::<Error>(&mut |_, _| Ok(()));
            let _ = store.list(&crate::store::Listing::default());
            let _ = store.document(&id("7"));
        }
    }
}

#[test]
fn a_missing_home_names_the_command_that_makes_one() {
    let home = Home::new();
    let error = Store::open_read_only(&home.path()).unwrap_err();
    assert!(error.to_string().contains("anamnesis corpus add"), "{error}");
    assert!(!home.path().try_exists().unwrap(), "nothing is made");
}

/// Puts a link to nowhere in the place of the shared-memory file: like a read-only folder, and for root too.
#[cfg(unix)]
fn forbid_shared_memory(path: &std::path::Path) {
    std::os::unix::fs::symlink("/nowhere/at/all", format!("{}-shm", path.display())).unwrap();
}

#[cfg(unix)]
#[test]
fn reads_where_no_shared_memory_file_can_be_made() {
    let home = Home::new();
    add(&mut home.open(), documents(0..3));
    forbid_shared_memory(&home.path());
    let mut store = Store::open_read_only(&home.path()).unwrap();
    assert_eq!(scanned(&store).len(), 3);
    for error in [store.remove(&[id("1")], "a reason").unwrap_err(), store.put_trace(&trace("t"), "{}").unwrap_err()] {
        assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
    }
    fs::write(format!("{}-wal", home.path().display()), "left by a killed writer").unwrap();
    let error = Store::open_read_only(&home.path()).unwrap_err();
    assert!(error.to_string().contains("not closed"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_home_whose_name_has_odd_characters_is_read_too() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("100% o'clock? #1 é").join("corpus.db");
    add(&mut Store::open(&path).unwrap(), documents(0..2));
    forbid_shared_memory(&path);
    assert_eq!(Store::open_read_only(&path).unwrap().stats().unwrap().documents, 2);
}
