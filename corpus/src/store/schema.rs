//! Tables, indexes and triggers, as migrations that are only ever appended to.

use rusqlite_migration::{M, Migrations};

/// `Anam`: tells our files from other programs' SQLite files.
pub(super) const APPLICATION_ID: i32 = 0x416E_616D;

/// The newest `user_version` this program reads: one per migration.
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;

const MIGRATIONS: &[M<'static>] = &[M::up(FIRST), M::up(SECOND), M::up(THIRD)];

/// All migrations, oldest first.
pub(super) fn migrations() -> Migrations<'static> {
    Migrations::from_slice(MIGRATIONS)
}

/// Those of the first format alone, to make a database as it was then.
#[cfg(test)]
pub(super) fn first() -> Migrations<'static> {
    Migrations::from_slice(&MIGRATIONS[..1])
}

/// Documents are split in two: what is asked of many (`documents`) stays narrow, so that lists, tallies
/// and rulings do not drag `texts` through the cache. `status`, `level` and `standing` are derived from the
/// columns before them (see `verdict`) and kept because every query filters by them.
const FIRST: &str = "
PRAGMA application_id = 1097752941;

CREATE TABLE state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO state VALUES ('mark', 0), ('writes', 0);

CREATE TABLE runs (
    number INTEGER PRIMARY KEY,
    collection TEXT NOT NULL,
    started TEXT NOT NULL
);

CREATE TABLE documents (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    pmid TEXT,
    pmcid TEXT,
    doi TEXT,
    date TEXT,
    own_status TEXT NOT NULL,
    ruled_status TEXT,
    status TEXT NOT NULL,
    own_level TEXT NOT NULL,
    ruled_level TEXT,
    level TEXT NOT NULL,
    curated TEXT NOT NULL,
    deleted INTEGER NOT NULL,
    standing TEXT NOT NULL,
    chunks INTEGER NOT NULL,
    content BLOB NOT NULL,
    mark INTEGER NOT NULL,
    run INTEGER NOT NULL REFERENCES runs,
    added TEXT NOT NULL,
    changed TEXT,
    title TEXT NOT NULL,
    facts TEXT NOT NULL
);
CREATE INDEX documents_pmid ON documents (pmid) WHERE pmid IS NOT NULL;
CREATE INDEX documents_pmcid ON documents (pmcid) WHERE pmcid IS NOT NULL;
CREATE INDEX documents_doi ON documents (doi) WHERE doi IS NOT NULL;
CREATE INDEX documents_tally ON documents (status, standing, level, date);
CREATE INDEX documents_withdrawn ON documents (id) WHERE status = 'retracted' OR standing <> 'active';

CREATE TABLE texts (
    document INTEGER PRIMARY KEY REFERENCES documents ON DELETE CASCADE,
    sections TEXT NOT NULL,
    text TEXT NOT NULL
);

CREATE TABLE chunks (
    document INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    ordinal INTEGER NOT NULL,
    id BLOB NOT NULL UNIQUE,
    start INTEGER NOT NULL,
    stop INTEGER NOT NULL,
    heading TEXT NOT NULL,
    PRIMARY KEY (document, ordinal)
) WITHOUT ROWID;

CREATE TABLE collections (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE memberships (
    document INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    collection INTEGER NOT NULL REFERENCES collections,
    PRIMARY KEY (document, collection)
) WITHOUT ROWID;
CREATE INDEX memberships_collection ON memberships (collection, document);

CREATE TABLE tags (
    document INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    tag TEXT NOT NULL,
    PRIMARY KEY (document, tag)
) WITHOUT ROWID;

CREATE TABLE rejects (
    number INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES runs,
    at TEXT NOT NULL,
    file TEXT NOT NULL,
    position TEXT NOT NULL,
    reason TEXT NOT NULL,
    excerpt TEXT NOT NULL,
    UNIQUE (file, position)
);

CREATE TABLE notices (
    name TEXT PRIMARY KEY,
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    at TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    who TEXT NOT NULL,
    verb TEXT NOT NULL,
    document TEXT,
    before TEXT,
    after TEXT,
    reason TEXT NOT NULL
);
CREATE INDEX audit_document ON audit (document);
CREATE TRIGGER audit_keeps_rows BEFORE DELETE ON audit
BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_keeps_words BEFORE UPDATE ON audit
BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;

CREATE TABLE traces (id TEXT PRIMARY KEY, created TEXT NOT NULL, json TEXT NOT NULL);
CREATE INDEX traces_created ON traces (created);
";

/// Traces are split as documents are: what lists ask stays narrow, the JSON lies apart. Who asked, how it ended and
/// what was cited are taken from the JSON of the traces that are there; those are nobody's in particular, and stay.
/// The further indexes let a page of a list begin where the last one ended, whatever it is filtered by.
const SECOND: &str = "
ALTER TABLE traces RENAME TO old_traces;

CREATE TABLE traces (
    id TEXT PRIMARY KEY,
    created TEXT NOT NULL,
    expires TEXT,
    caller TEXT NOT NULL,
    outcome TEXT NOT NULL,
    question TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX traces_caller ON traces (caller, id);
CREATE INDEX traces_expires ON traces (expires) WHERE expires IS NOT NULL;

CREATE TABLE trace_texts (
    trace TEXT PRIMARY KEY REFERENCES traces ON DELETE CASCADE,
    json TEXT NOT NULL
);

CREATE TABLE citations (
    document TEXT NOT NULL,
    trace TEXT NOT NULL REFERENCES traces ON DELETE CASCADE,
    status TEXT NOT NULL,
    PRIMARY KEY (document, trace)
) WITHOUT ROWID;
CREATE INDEX citations_trace ON citations (trace);

INSERT INTO traces
SELECT id, created, NULL, 'local',
       CASE WHEN json_valid(old.json) THEN coalesce(
           CASE json_type(old.json, '$.answer.outcome')
               WHEN 'object' THEN (SELECT key FROM json_each(old.json, '$.answer.outcome'))
               WHEN 'text' THEN old.json ->> '$.answer.outcome'
           END, 'unknown') ELSE 'unknown' END,
       CASE WHEN json_valid(old.json) THEN coalesce(old.json ->> '$.question', '') ELSE '' END
FROM old_traces old;
INSERT INTO trace_texts SELECT id, json FROM old_traces;
INSERT OR IGNORE INTO citations
SELECT one.value ->> '$.document', old.id, coalesce(one.value ->> '$.status', 'ok')
FROM old_traces old,
     json_each(CASE WHEN json_valid(old.json) THEN old.json ELSE '{}' END, '$.answer.citations') one
WHERE one.value ->> '$.document' IS NOT NULL;
DROP TABLE old_traces;

CREATE INDEX documents_titles ON documents (id, title);
CREATE INDEX documents_status ON documents (status, id);
CREATE INDEX documents_standing ON documents (standing, id);
";

/// A client that keeps its conversation itself sends question and answer back as it was told them, and no name of the
/// trace: by what they hash to the trace is found. Those that are there were not told so, or nobody knows how.
const THIRD: &str = "
ALTER TABLE traces ADD COLUMN told BLOB;
CREATE INDEX traces_told ON traces (told, caller) WHERE told IS NOT NULL;
";
