//! Tallies of a home.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;

use super::Store;
use super::card::{date, document_id, named};
use crate::{Level, PartialDate, Result, Standing, Status};

/// How many documents there are of something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tally<T> {
    /// The something.
    pub of: T,
    /// How many documents.
    pub documents: u64,
}

/// What a home holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Documents of any standing.
    pub documents: u64,
    /// Their chunks.
    pub chunks: u64,
    /// By collection, sorted by name; a document can be in several.
    pub collections: Vec<Tally<String>>,
    /// By source, sorted by name.
    pub sources: Vec<Tally<String>>,
    /// By status; statuses without documents are left out, here and below.
    pub statuses: Vec<Tally<Status>>,
    /// By standing.
    pub standings: Vec<Tally<Standing>>,
    /// By level.
    pub levels: Vec<Tally<Level>>,
    /// The earliest and the latest publication date.
    pub dates: Option<(PartialDate, PartialDate)>,
    /// Records set aside.
    pub rejected: u64,
    /// Bytes of the database.
    pub bytes: u64,
}

impl Store {
    /// Counts what the home holds.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn stats(&self) -> Result<Stats> {
        self.read(|db| {
            let mut stats = Stats {
                documents: 0,
                chunks: count(db, "SELECT count(*) FROM chunks")?,
                collections: Vec::new(),
                sources: tally_sources(db)?,
                statuses: Vec::new(),
                standings: Vec::new(),
                levels: Vec::new(),
                dates: None,
                rejected: count(db, "SELECT count(*) FROM rejects")?,
                bytes: count(db, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")?,
            };
            let sql = "SELECT c.name, (SELECT count(*) FROM memberships m WHERE m.collection = c.number) FROM collections c ORDER BY 1";
            let mut statement = db.prepare(sql)?;
            let rows = statement.query_map([], |row| Ok(Tally { of: row.get(0)?, documents: row.get::<_, i64>(1)? as u64 }))?;
            stats.collections = rows.collect::<rusqlite::Result<_>>()?;

            let (mut statuses, mut standings, mut levels) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
            let sql = "SELECT status, standing, level, count(*), min(date), max(date) FROM documents GROUP BY 1, 2, 3";
            let mut statement = db.prepare(sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let documents = row.get::<_, i64>(3)? as u64;
                let level: Level = named(row, 2)?;
                *statuses.entry(named::<Status>(row, 0)?).or_default() += documents;
                *standings.entry(named::<Standing>(row, 1)?).or_default() += documents;
                levels.entry(level as u8).or_insert((level, 0)).1 += documents;
                stats.documents += documents;
                for column in [4, 5] {
                    if let Some(date) = date(row, column)? {
                        stats.dates = Some(stats.dates.map_or((date, date), |(from, to)| (from.min(date), to.max(date))));
                    }
                }
            }
            stats.statuses = tallies(statuses);
            stats.standings = tallies(standings);
            stats.levels = tallies(levels.into_values());
            Ok(stats)
        })
    }

    /// Is there no document, of whatever standing?
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn is_empty(&self) -> Result<bool> {
        self.read(|db| Ok(db.query_row("SELECT NOT EXISTS (SELECT 1 FROM documents)", [], |row| row.get(0))?))
    }

    /// Does the home hold the starter collection and nothing else?
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn only_starter(&self) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM memberships) AND NOT EXISTS (
                       SELECT 1 FROM memberships m JOIN collections c ON c.number = m.collection WHERE c.name <> ?)";
        self.read(|db| Ok(db.query_row(sql, [crate::starter::COLLECTION], |row| row.get(0))?))
    }
}

fn tallies<T>(counts: impl IntoIterator<Item = (T, u64)>) -> Vec<Tally<T>> {
    counts.into_iter().map(|(of, documents)| Tally { of, documents }).collect()
}

fn count(connection: &Connection, sql: &str) -> Result<u64> {
    Ok(connection.query_row(sql, [], |row| row.get::<_, i64>(0))? as u64)
}

/// The sources of all documents, in order. The ids of a source lie together, between `source:` and
/// `source;`, so the index on ids is asked once a source.
pub(super) fn sources(connection: &Connection) -> Result<Vec<String>> {
    let mut first = connection.prepare_cached("SELECT id FROM documents WHERE id >= ? ORDER BY id LIMIT 1")?;
    let (mut from, mut sources) = (String::new(), Vec::new());
    while let Some(id) = first.query_row([&from], |row| document_id(row, 0)).optional()? {
        let source = id.source();
        from = format!("{source};");
        sources.push(source.to_owned());
    }
    Ok(sources)
}

fn tally_sources(connection: &Connection) -> Result<Vec<Tally<String>>> {
    let mut size =
        connection.prepare_cached("SELECT count(*) FROM documents WHERE id >= ?1 || ':' AND id < ?1 || ';'")?;
    let tally = |source: String| {
        let documents = size.query_row([&source], |row| row.get::<_, i64>(0))? as u64;
        Ok(Tally { of: source, documents })
    };
    sources(connection)?.into_iter().map(tally).collect()
}
