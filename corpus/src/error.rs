//! What can go wrong between a file and the store, and whose fault it is.

use std::path::{Path, PathBuf};

use rusqlite::{ErrorCode, ffi};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the corpus. Bad *records* are not errors: see [`crate::reader::Rejected`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller asked for something that cannot be (input).
    #[error("{0}")]
    Input(String),
    /// A file could not be read or written (input or environment).
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried, as a verb phrase.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// Nothing tells what format a file has (input).
    #[error("cannot tell the format of {}: name it with --format (pubmed, jats, beir, medrag, pubmedqa, jsonl, text)", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// The home is in use by another writer (environment).
    #[error("{} is locked by another process: wait for it to end, then try again", path.display())]
    Locked {
        /// The database.
        path: PathBuf,
    },
    /// The home cannot be written (environment).
    #[error("{} is read-only: choose a writable home with --home DIR", path.display())]
    ReadOnly {
        /// The database.
        path: PathBuf,
    },
    /// The disk is full (environment).
    #[error("no space left for {}: free some and run the same command again, nothing committed was lost", path.display())]
    Full {
        /// The database.
        path: PathBuf,
    },
    /// The database was written by a newer or a foreign program (artefact).
    #[error("{} has format {found}, this program reads up to {supported}: use a newer anamnesis, or another --home", path.display())]
    Format {
        /// The database.
        path: PathBuf,
        /// The version found.
        found: i64,
        /// The newest version understood.
        supported: i64,
    },
    /// The database was written by an older program, and is only to be read (artefact).
    #[error("{} has the older format {found}: bring it up to date with `anamnesis corpus migrate`; programs that read format {found} do not open it afterwards", path.display())]
    Outdated {
        /// The database.
        path: PathBuf,
        /// The version found.
        found: i64,
    },
    /// The database file is damaged or not ours (artefact).
    #[error("{} cannot be used: {reason}; move it away and add the documents again, or choose another home with --home DIR", path.display())]
    Unusable {
        /// The database.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The database refused (artefact or internal).
    #[error("corpus database: {0}")]
    Database(#[from] rusqlite::Error),
}

/// What SQLite says where the disk refuses a write: of the file, its log or the memory that its readers share.
const NOT_WRITTEN: [i32; 7] = [
    ffi::SQLITE_IOERR_WRITE,
    ffi::SQLITE_IOERR_FSYNC,
    ffi::SQLITE_IOERR_DIR_FSYNC,
    ffi::SQLITE_IOERR_TRUNCATE,
    ffi::SQLITE_IOERR_SHMOPEN,
    ffi::SQLITE_IOERR_SHMSIZE,
    ffi::SQLITE_IOERR_SHMMAP,
];

impl Error {
    /// Tells apart what the database at `path` refused, so that the message can say what to do.
    pub(crate) fn at(self, path: &Path) -> Self {
        let path = path.to_owned();
        let failure = match &self {
            Self::Database(rusqlite::Error::SqliteFailure(failure, _)) => failure,
            Self::Database(rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..)) => {
                return Self::Unusable { path, reason: "it holds what no anamnesis wrote".to_owned() };
            }
            _ => return self,
        };
        match failure.code {
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Locked { path },
            ErrorCode::ReadOnly => Self::ReadOnly { path },
            ErrorCode::DiskFull => Self::Full { path },
            ErrorCode::SystemIoFailure if NOT_WRITTEN.contains(&failure.extended_code) => {
                Self::File { action: "write", path, source: std::io::Error::other(self.to_string()) }
            }
            ErrorCode::NotADatabase => Self::Unusable { path, reason: "it is no SQLite database".to_owned() },
            ErrorCode::DatabaseCorrupt => Self::Unusable { path, reason: "it is damaged".to_owned() },
            _ => self,
        }
    }
}
