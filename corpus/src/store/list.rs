//! Lists of documents, a page at a time: a page begins where the last one ended, however far that is.

use rusqlite::{Connection, OptionalExtension, Row as SqlRow, ToSql};
use serde::Serialize;

use super::Store;
use super::card::{date, document_id, named};
use crate::{DocumentId, Level, PartialDate, Result, Standing, Status};

/// Between the values of a list that comes as one text; no name holds it, since it is no text.
const SEPARATOR: char = '\u{1f}';

/// Which documents to list; everything by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Only of this collection.
    pub collection: Option<String>,
    /// Only what lies in one of these collections.
    pub within: Option<Vec<String>>,
    /// Only of this status.
    pub status: Option<Status>,
    /// Only of this standing.
    pub standing: Option<Standing>,
    /// Only with this tag.
    pub tag: Option<String>,
    /// Only where each of its words stands in the title or in the id, as part of a word too.
    pub text: Option<String>,
    /// Only ids behind this one: the last of the page before.
    pub after: Option<DocumentId>,
    /// At most so many.
    pub limit: Option<u32>,
}

/// A line of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// `source:key`.
    pub id: DocumentId,
    /// May be empty.
    pub title: String,
    /// When it was published.
    pub date: Option<PartialDate>,
    /// Journal, book or site.
    pub journal: Option<String>,
    /// How strong a kind of study it is.
    pub level: Level,
    /// What publishers and registries say of it.
    pub status: Status,
    /// What curators decided.
    pub standing: Standing,
    /// How many chunks it was cut into.
    pub chunks: u32,
    /// Names of its collections, sorted.
    pub collections: Vec<String>,
    /// Its tags, sorted.
    pub tags: Vec<String>,
}

impl Store {
    /// Documents in order of ids.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list(&self, listing: &Listing) -> Result<Vec<Row>> {
        self.read(|db| {
            let Some((sql, values)) = select(db, listing)? else { return Ok(Vec::new()) };
            let values: Vec<&dyn ToSql> = values.iter().map(AsRef::as_ref).collect();
            let mut statement = db.prepare_cached(&sql)?;
            let rows = statement.query_map(&values[..], row)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }
}

fn row(row: &SqlRow<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        id: document_id(row, 0)?,
        title: row.get(1)?,
        date: date(row, 2)?,
        level: named(row, 3)?,
        status: named(row, 4)?,
        standing: named(row, 5)?,
        chunks: row.get(6)?,
        journal: row.get(7)?,
        collections: several(row, 8)?,
        tags: several(row, 9)?,
    })
}

fn several(row: &SqlRow<'_>, index: usize) -> rusqlite::Result<Vec<String>> {
    let joined: Option<String> = row.get(index)?;
    let mut values: Vec<String> = joined.iter().flat_map(|text| text.split(SEPARATOR)).map(str::to_owned).collect();
    values.sort_unstable();
    Ok(values)
}

/// What stands for the question marks of a statement.
type Values = Vec<Box<dyn ToSql>>;

/// The statement and its values; none, where a collection is asked for that there is not.
fn select(db: &Connection, listing: &Listing) -> Result<Option<(String, Values)>> {
    let mut conditions = String::new();
    let mut values = Values::new();
    let mut and = |condition: &str, value: Box<dyn ToSql>| {
        conditions.push_str(" AND ");
        conditions.push_str(condition);
        values.push(value);
    };
    if let Some(name) = &listing.collection {
        let Some(number) = number(db, name)? else { return Ok(None) };
        and(MEMBER, Box::new(number));
    }
    if let Some(names) = &listing.within {
        let numbers = names.iter().map(|name| number(db, name)).collect::<Result<Vec<_>>>()?;
        let numbers: Vec<String> = numbers.into_iter().flatten().map(|number| number.to_string()).collect();
        let inside = "EXISTS (SELECT 1 FROM memberships m WHERE m.document = d.number
                      AND m.collection IN (SELECT value FROM json_each(?)))";
        and(inside, Box::new(format!("[{}]", numbers.join(","))));
    }
    if let Some(status) = listing.status {
        and("d.status = ?", Box::new(status.as_str()));
    }
    if let Some(standing) = listing.standing {
        and("d.standing = ?", Box::new(standing.as_str()));
    }
    if let Some(tag) = &listing.tag {
        and("EXISTS (SELECT 1 FROM tags g WHERE g.document = d.number AND g.tag = ?)", Box::new(tag.clone()));
    }
    for word in listing.text.iter().flat_map(|text| text.split_whitespace()) {
        and("(d.title || ' ' || d.id) LIKE ? ESCAPE '\\'", Box::new(format!("%{}%", escaped(word))));
    }
    if let Some(after) = &listing.after {
        and("d.id > ?", Box::new(after.as_str().to_owned()));
    }
    values.push(Box::new(listing.limit.map_or(-1, i64::from)));
    let separator = format!("char({})", u32::from(SEPARATOR));
    // the facts of a document are read only where a row is given: the walk itself stays on the index
    let sql = format!(
        "SELECT d.id, d.title, d.date, d.level, d.status, d.standing, d.chunks, d.facts ->> '$.journal',
                (SELECT group_concat(c.name, {separator}) FROM memberships m JOIN collections c ON c.number = m.collection
                 WHERE m.document = d.number),
                (SELECT group_concat(g.tag, {separator}) FROM tags g WHERE g.document = d.number)
         FROM documents d INDEXED BY {} WHERE 1{conditions} ORDER BY d.id LIMIT ?",
        index(listing)
    );
    Ok(Some((sql, values)))
}

const MEMBER: &str = "EXISTS (SELECT 1 FROM memberships m WHERE m.document = d.number AND m.collection = ?)";

/// The index that is walked: each gives ids in order; that of a rare value passes over the fewest documents.
fn index(listing: &Listing) -> &'static str {
    match (listing.status, listing.standing) {
        (None, None) => "documents_titles",
        (Some(_), None | Some(Standing::Active)) => "documents_status",
        (_, Some(_)) => "documents_standing",
    }
}

fn number(db: &Connection, name: &str) -> Result<Option<i64>> {
    let mut statement = db.prepare_cached("SELECT number FROM collections WHERE name = ?")?;
    Ok(statement.query_row([name], |row| row.get(0)).optional()?)
}

/// A word whose own signs mean nothing in a pattern.
fn escaped(word: &str) -> String {
    word.chars().flat_map(|c| matches!(c, '%' | '_' | '\\').then_some('\\').into_iter().chain([c])).collect()
}
