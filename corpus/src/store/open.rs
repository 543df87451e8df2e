//! Opening a home's database: checked before it is touched, migrated under the lock, or only read.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::{Store, schema};
use crate::{Error, Result};

/// How long a writer waits for another to finish, unless told otherwise.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

impl Store {
    /// Opens the database at `path` for reading and writing. The folder and the file are made when
    /// missing, for their owner alone; a database of an older format is migrated, with a word in the log, since
    /// programs of that format cannot open it any more.
    ///
    /// # Errors
    /// [`Error::Format`] for a newer format, [`Error::Unusable`] for a file that is damaged or of another
    /// program, [`Error::ReadOnly`], [`Error::Locked`], [`Error::Full`] or [`Error::File`].
    pub fn open(path: &Path) -> Result<Self> {
        create(path)?;
        Self::open_existing(path).map_err(|error| match error.at(path) {
            // The file is writable but nothing can be laid beside it.
            Error::Database(rusqlite::Error::SqliteFailure(failure, _)) if failure.code == ErrorCode::CannotOpen => {
                Error::ReadOnly { path: path.to_owned() }
            }
            error => error,
        })
    }

    fn open_existing(path: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        if connection.is_readonly("main")? {
            return Err(Error::ReadOnly { path: path.to_owned() });
        }
        let found = check(&connection, path, true)?;
        switch_to_wal(&connection)?;
        connection.execute_batch(
            "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -65536;
             PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864;",
        )?;
        migrate(&mut connection, path)?;
        if (1..schema::VERSION).contains(&found) {
            let (path, now) = (path.display(), schema::VERSION);
            tracing::warn!("{path} was brought from format {found} to {now}: older programs do not open it any more");
        }
        Ok(Self::with(connection, path))
    }

    /// Opens the database at `path` for reading only; nothing is migrated. A home on read-only storage
    /// works: where the usual shared-memory file cannot be made, the database is read as a file that
    /// nobody writes.
    ///
    /// # Errors
    /// [`Error::Input`] when there is none; [`Error::Outdated`] or [`Error::Format`] when it is of an older or newer
    /// format.
    pub fn open_read_only(path: &Path) -> Result<Self> {
        match fs::metadata(path) {
            Ok(_) => {}
            Err(source) if source.kind() == io::ErrorKind::NotFound => {
                let home = path.parent().unwrap_or(path).display();
                return Err(Error::Input(format!("no documents in {home} yet: run `anamnesis corpus add PATH`")));
            }
            Err(source) => {
                return Err(Error::File { action: "read", path: path.to_owned(), source });
            }
        }
        let shared = read_only(path, path, OpenFlags::empty());
        let connection = match shared {
            Err(Error::Database(rusqlite::Error::SqliteFailure(failure, _)))
                if matches!(failure.code, ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::SystemIoFailure) =>
            {
                read_alone(path)
            }
            other => other,
        };
        connection.map(|connection| Self::with(connection, path)).map_err(|error| error.at(path))
    }

    fn with(connection: Connection, path: &Path) -> Self {
        connection.set_prepared_statement_cache_capacity(64);
        Self { connection, path: path.to_owned(), who: operator(), bounds: None }
    }

    /// How long a write waits for another writer before it gives up with [`Error::Locked`]; 5 s unless set.
    ///
    /// # Errors
    /// None in practice: the database library may refuse.
    pub fn set_busy_timeout(&self, timeout: Duration) -> Result<()> {
        Ok(self.connection.busy_timeout(timeout)?)
    }

    /// Binds all changes of documents from here on to those that stand in none but these collections; no bounds unless set. A
    /// change that reaches beyond is an [`Error::Input`], told within its own transaction.
    pub fn set_bounds(&mut self, collections: Option<&[String]>) {
        self.bounds = collections.map(<[String]>::to_vec);
    }

    /// Names who acts from here on, for the audit log; the user of the operating system unless set.
    pub fn set_operator(&mut self, who: &str) {
        who.clone_into(&mut self.who);
    }
}

/// Makes the folder and an empty file, where the operating system's own words say why it cannot.
fn create(path: &Path) -> Result<()> {
    let fail = |action, path: PathBuf, source: io::Error| match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Error::ReadOnly { path },
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full { path },
        _ => Error::File { action, path, source },
    };
    if let Some(folder) = path.parent() {
        private_folder(folder).map_err(|source| fail("create", folder.to_owned(), source))?;
    }
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    // questions are kept in it; what SQLite lays beside it has its mode
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(source) => Err(fail("open", path.to_owned(), source)),
    }
}

/// Makes a folder, and those above it, for their owner alone; one that is there stays as it is.
///
/// # Errors
/// When it cannot be made.
pub fn private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Refuses what is not ours, or not of a format we read, before anything is written; gives the format.
fn check(connection: &Connection, path: &Path, writable: bool) -> Result<i64> {
    // One snapshot: between two of these answers another process may make a home of an empty file.
    let snapshot = connection.unchecked_transaction()?;
    let pragma = |name| snapshot.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, found) = (pragma("application_id")?, pragma("user_version")?);
    let tables: i64 = snapshot.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    snapshot.finish()?;
    let is_new = application == 0 && found == 0 && tables == 0;
    // SQLite takes a file that is too short for a header for a new one, and would write over it.
    let is_stub = is_new && fs::metadata(path).is_ok_and(|file| (1..512).contains(&file.len()));
    if is_stub {
        return Err(Error::Unusable { path: path.to_owned(), reason: "it is cut off".to_owned() });
    }
    if application != i64::from(schema::APPLICATION_ID) && !is_new {
        let reason = "it belongs to another program".to_owned();
        return Err(Error::Unusable { path: path.to_owned(), reason });
    }
    if is_new && !writable {
        return Err(Error::Input(format!("{} is empty: run `anamnesis corpus add PATH`", path.display())));
    }
    if found > schema::VERSION {
        return Err(Error::Format { path: path.to_owned(), found, supported: schema::VERSION });
    }
    if found < schema::VERSION && !writable {
        return Err(Error::Outdated { path: path.to_owned(), found });
    }
    Ok(found)
}

/// The switch takes a lock that SQLite does not wait for, so two first openings at once have to.
fn switch_to_wal(connection: &Connection) -> rusqlite::Result<()> {
    let start = Instant::now();
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && start.elapsed() < BUSY_TIMEOUT =>
            {
                thread::sleep(Duration::from_millis(10));
            }
            outcome => return outcome,
        }
    }
}

/// Brings the database to [`schema::VERSION`]. The version is read before the lock is taken, so of two
/// processes that open a new home at once the later finds the work done and looks again.
fn migrate(connection: &mut Connection, path: &Path) -> Result<()> {
    let migrations = schema::migrations();
    connection.set_transaction_behavior(TransactionBehavior::Immediate);
    let outcome = migrations.to_latest(connection).or_else(|_| migrations.to_latest(connection));
    connection.set_transaction_behavior(TransactionBehavior::Deferred);
    match outcome {
        Ok(()) => check(connection, path, true).map(|_| ()),
        Err(rusqlite_migration::Error::RusqliteError { err, .. }) => Err(err.into()),
        Err(other) => Err(Error::Unusable { path: path.to_owned(), reason: other.to_string() }),
    }
}

fn read_only(path: &Path, name: &Path, flags: OpenFlags) -> Result<Connection> {
    let flags = flags | OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(name, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    check(&connection, path, false)?;
    connection.execute_batch("PRAGMA cache_size = -65536;")?;
    Ok(connection)
}

/// Reads a database whose folder takes no shared-memory file. Whatever a killed writer left in its log
/// would not be seen that way, so a log with something in it is refused rather than left out.
fn read_alone(path: &Path) -> Result<Connection> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        let reason = "it was not closed and its folder is read-only (open it once where it can be written)".to_owned();
        return Err(Error::Unusable { path: path.to_owned(), reason });
    }
    let absolute =
        std::path::absolute(path).map_err(|source| Error::File { action: "find", path: path.to_owned(), source })?;
    let name = format!("file:{}?immutable=1", percent_encoded(&absolute));
    read_only(path, Path::new(&name), OpenFlags::SQLITE_OPEN_URI)
}

/// A path as SQLite's file names in URI form want it.
fn percent_encoded(path: &Path) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    for &byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            out.push(byte.into());
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The user of the operating system, for the audit log.
fn operator() -> String {
    ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|name| !name.trim().is_empty())
        .unwrap_or_else(|| "anamnesis".to_owned())
}
