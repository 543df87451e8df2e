//! A home that its user may read and not write, with the operating system's own refusals.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "test helpers fail by panicking, and say what they skip")]

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use corpus::reader::Record;
use corpus::store::Erase;
use corpus::{Document, DocumentId, Error, Store};

const HOME: &str = "ANAMNESIS_TEST_READ_ONLY_HOME";
/// `nobody`, where the tests run as root, whom no permission stops.
const NOBODY: u32 = 65_534;

fn ingest(store: &mut Store, key: &str) -> Result<corpus::store::Ingested, Error> {
    let document = Document::plain(DocumentId::new("pubmed", key), "A title", "A text.");
    store.ingest("main", std::iter::once(Ok(Record::Document(Box::new(document)))), &mut |_| {})
}

fn lock(folder: &Path, path: &Path, mode: u32) {
    for beside in ["corpus.db", "corpus.db-wal", "corpus.db-shm"] {
        let file = path.with_file_name(beside);
        if file.try_exists().unwrap() {
            set_permissions(file, Permissions::from_mode(mode & 0o666)).unwrap();
        }
    }
    set_permissions(folder, Permissions::from_mode(mode)).unwrap();
}

/// What the user without rights runs; by itself it does nothing.
#[test]
fn reader() {
    let Some(path) = std::env::var_os(HOME).map(PathBuf::from) else {
        return;
    };
    let mut store = Store::open_read_only(&path).unwrap();
    let mut seen = 0;
    store
        .scan::<Error>(&mut |_, _| {
            seen += 1;
            Ok(())
        })
        .unwrap();
    assert_eq!(seen, 2);
    assert!(matches!(ingest(&mut store, "9"), Err(Error::ReadOnly { .. })));
    assert!(matches!(store.erase_traces(&Erase::Expired), Err(Error::ReadOnly { .. })));
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
    let error = Store::open(&path.with_file_name("none").join("corpus.db")).unwrap_err();
    assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
    println!("read everything");
}

fn read_without_rights(path: &Path) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["reader", "--exact", "--nocapture"]).env(HOME, path).current_dir("/");
    if std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0) {
        command.uid(NOBODY).gid(NOBODY);
    }
    match command.output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.contains("read everything"), "{said}\n{errors}");
        }
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            println!("skipped: the test program cannot be run by another user here");
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_read_only_home_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let path = home.join("corpus.db");
    let mut store = Store::open(&path).unwrap();
    ingest(&mut store, "1").unwrap();
    ingest(&mut store, "2").unwrap();
    set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();

    // While its writer is at work.
    lock(&home, &path, 0o555);
    read_without_rights(&path);
    lock(&home, &path, 0o755);

    // Closed.
    drop(store);
    assert!(!path.with_file_name("corpus.db-shm").try_exists().unwrap());
    lock(&home, &path, 0o555);
    read_without_rights(&path);
    lock(&home, &path, 0o755);
}
