//! [`Card`]: what is known of a document besides its text.

use std::borrow::Cow;
use std::str::FromStr;

use rusqlite::types::Type;
use rusqlite::{Connection, Row};
use serde::{Deserialize, Serialize};

use crate::document::Correction;
use crate::{Document, DocumentId, Identifiers, Level, PartialDate, Standing, Status};

/// A document without its text: what filters ask, what a reference list shows. Status and level are what
/// holds in this home, rulings included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Card {
    /// `source:key`.
    pub id: DocumentId,
    /// May be empty.
    pub title: String,
    /// Other names of the same work.
    pub identifiers: Identifiers,
    /// When it was published.
    pub date: Option<PartialDate>,
    /// Journal, book or site.
    pub journal: Option<String>,
    /// Licence as the source states it.
    pub licence: Option<String>,
    /// PubMed publication types or JATS article types.
    pub publication_types: Vec<String>,
    /// MeSH headings, keywords or topics.
    pub mesh: Vec<String>,
    /// What publishers and registries say of it.
    pub status: Status,
    /// How strong a kind of study it is.
    pub level: Level,
    /// What this home's curators decided.
    pub standing: Standing,
    /// Names of the collections it is in, sorted.
    pub collections: Vec<String>,
}

/// The part of a document that no query asks for by itself: one JSON column.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Facts<'a> {
    identifiers: Cow<'a, Identifiers>,
    journal: Option<Cow<'a, str>>,
    language: Option<Cow<'a, str>>,
    licence: Option<Cow<'a, str>>,
    publication_types: Cow<'a, [String]>,
    mesh: Cow<'a, [String]>,
    corrections: Cow<'a, [Correction]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<Cow<'a, str>>,
}

impl<'a> Facts<'a> {
    /// All of them.
    pub(super) fn of(document: &'a Document) -> Self {
        Self { origin: document.origin.as_deref().map(Cow::Borrowed), ..Self::said(document) }
    }

    /// Those that the source says: the same wherever the document was read.
    pub(super) fn said(document: &'a Document) -> Self {
        Self {
            identifiers: Cow::Borrowed(&document.identifiers),
            journal: document.journal.as_deref().map(Cow::Borrowed),
            language: document.language.as_deref().map(Cow::Borrowed),
            licence: document.licence.as_deref().map(Cow::Borrowed),
            publication_types: Cow::Borrowed(&document.publication_types),
            mesh: Cow::Borrowed(&document.mesh),
            corrections: Cow::Borrowed(&document.corrections),
            origin: None,
        }
    }
}

/// The columns that [`Cards::read`] expects first, of documents named `d`.
pub(super) const COLUMNS: &str = "d.id, d.title, d.date, d.status, d.level, d.standing, d.facts,
    (SELECT group_concat(m.collection) FROM memberships m WHERE m.document = d.number)";

/// How many [`COLUMNS`] there are: where a statement's own columns begin.
pub(super) const WIDTH: usize = 8;

/// Reads cards; holds the names of the collections, so that a row carries their numbers only.
#[derive(Debug)]
pub(super) struct Cards(Vec<(i64, String)>);

impl Cards {
    pub(super) fn new(connection: &Connection) -> rusqlite::Result<Self> {
        let mut statement = connection.prepare_cached("SELECT number, name FROM collections ORDER BY name")?;
        let names = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        names.collect::<rusqlite::Result<_>>().map(Self)
    }

    pub(super) fn read(&self, row: &Row<'_>) -> rusqlite::Result<Card> {
        let (card, _) = self.read_whole(row)?;
        Ok(card)
    }

    /// A card, and what a document has beyond it.
    pub(super) fn read_whole(&self, row: &Row<'_>) -> rusqlite::Result<(Card, Rest)> {
        let facts: Facts<'static> = json(row, 6)?;
        let numbers: Option<String> = row.get(7)?;
        let numbers: Vec<i64> =
            numbers.iter().flat_map(|list| list.split(',')).filter_map(|number| number.parse().ok()).collect();
        let collections =
            self.0.iter().filter(|(number, _)| numbers.contains(number)).map(|(_, name)| name.clone()).collect();
        let card = Card {
            id: document_id(row, 0)?,
            title: row.get(1)?,
            identifiers: facts.identifiers.into_owned(),
            date: date(row, 2)?,
            journal: facts.journal.map(Cow::into_owned),
            licence: facts.licence.map(Cow::into_owned),
            publication_types: facts.publication_types.into_owned(),
            mesh: facts.mesh.into_owned(),
            status: named(row, 3)?,
            level: named(row, 4)?,
            standing: named(row, 5)?,
            collections,
        };
        let rest = Rest {
            language: facts.language.map(Cow::into_owned),
            corrections: facts.corrections.into_owned(),
            origin: facts.origin.map(Cow::into_owned),
        };
        Ok((card, rest))
    }
}

/// What [`Facts`] holds beyond a [`Card`].
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) language: Option<String>,
    pub(super) corrections: Vec<Correction>,
    pub(super) origin: Option<String>,
}

/// Reads a value that is stored by its name.
pub(super) fn named<T: FromStr<Err = crate::Error>>(row: &Row<'_>, index: usize) -> rusqlite::Result<T> {
    let name = row.get_ref(index)?.as_str()?;
    name.parse().map_err(|error: crate::Error| unreadable(index, error))
}

/// Reads a publication date.
pub(super) fn date(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<PartialDate>> {
    Ok(row.get_ref(index)?.as_str_or_null()?.and_then(PartialDate::parse))
}

/// Reads a document id.
pub(super) fn document_id(row: &Row<'_>, index: usize) -> rusqlite::Result<DocumentId> {
    let id = row.get_ref(index)?.as_str()?;
    DocumentId::parse(id).ok_or_else(|| unreadable(index, format!("`{id}` is no document id")))
}

/// Reads a JSON column.
pub(super) fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, index: usize) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(index)?.as_str()?).map_err(|error| unreadable(index, error))
}

/// A column that holds what this program never wrote.
pub(super) fn unreadable(index: usize, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(index, Type::Text, error.into())
}
