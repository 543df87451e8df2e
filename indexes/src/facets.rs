//! [`Facets`]: what a filter can ask of a chunk; held per document, in columns.

use std::collections::HashMap;

use corpus::{DocumentId, Level, PartialDate, Status};

use crate::columns::{Lists, Reader, Strings, Writer};
use crate::{Error, Filter, Mask, Result, Slot};

/// What a filter can ask of a chunk. All chunks of one document share one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facets {
    /// The document the chunk is cut from.
    pub document: DocumentId,
    /// When it was published.
    pub date: Option<PartialDate>,
    /// How strong a kind of study it is.
    pub level: Level,
    /// What the publisher says of it.
    pub status: Status,
    /// Publication types.
    pub types: Vec<String>,
    /// Where it came from.
    pub source: String,
    /// Collections that hold it.
    pub collections: Vec<String>,
    /// MeSH headings.
    pub mesh: Vec<String>,
}

const MAGIC: [u8; 8] = *b"ANMFACET";
const VERSION: u32 = 1;

/// The facets of every document of a snapshot, by document number.
#[derive(Debug, Default)]
pub(crate) struct FacetTable {
    ids: Strings,
    /// Document numbers in the order of their ids.
    by_id: Vec<u32>,
    dates: Vec<u32>,
    levels: Vec<u8>,
    statuses: Vec<u8>,
    sources: Vec<u32>,
    types: Lists,
    collections: Lists,
    mesh: Lists,
    /// Names that `sources` and the lists refer to.
    names: Strings,
    /// Slots of each document, ascending.
    slots: Lists,
}

impl FacetTable {
    /// How many documents there are.
    pub(crate) fn documents(&self) -> usize {
        self.ids.len()
    }

    /// The id of a document.
    pub(crate) fn document(&self, number: u32) -> &str {
        self.ids.get(number as usize)
    }

    /// The number of a document.
    pub(crate) fn number(&self, id: &DocumentId) -> Option<u32> {
        let at = self.by_id.binary_search_by(|&number| self.document(number).cmp(id.as_str()));
        at.ok().map(|at| self.by_id[at])
    }

    /// The slots of a document's chunks, ascending.
    pub(crate) fn slots(&self, number: u32) -> &[Slot] {
        self.slots.get(number as usize)
    }

    /// The slots that pass.
    pub(crate) fn mask(&self, filter: &Filter, chunks: usize) -> Mask {
        if filter.is_unrestricted() {
            return Mask::full(chunks);
        }
        let admitted = |admits: &dyn Fn(&str) -> bool| self.names.iter().map(admits).collect::<Vec<_>>();
        let same =
            |wanted: &[String], name: &str| wanted.iter().any(|wanted| wanted.to_lowercase() == name.to_lowercase());
        let types = admitted(&|name| filter.admits_type(name));
        let sources = admitted(&|name| filter.sources.iter().any(|source| source == name));
        let collections = admitted(&|name| filter.collections.iter().any(|collection| collection == name));
        let mesh = admitted(&|name| same(&filter.mesh, name));
        let any =
            |asked: bool, list: &[u32], admitted: &[bool]| !asked || list.iter().any(|&name| admitted[name as usize]);
        let mut mask = Mask::empty(chunks);
        for at in 0..self.documents() {
            let passes = (filter.levels.is_empty()
                || filter.levels.iter().any(|&level| level_code(level) == self.levels[at]))
                && (filter.statuses.is_empty()
                    || filter.statuses.iter().any(|&status| status_code(status) == self.statuses[at]))
                && filter.admits_date(unpack(self.dates[at]))
                && any(!filter.sources.is_empty(), &self.sources[at..=at], &sources)
                && any(!filter.types.is_empty(), self.types.get(at), &types)
                && any(!filter.collections.is_empty(), self.collections.get(at), &collections)
                && any(!filter.mesh.is_empty(), self.mesh.get(at), &mesh);
            if passes {
                self.slots.get(at).iter().for_each(|&slot| mask.insert(slot));
            }
        }
        mask
    }

    /// As stored.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new(MAGIC, VERSION);
        writer.strings(&self.ids);
        writer.strings(&self.names);
        writer.numbers(&self.by_id);
        writer.numbers(&self.dates);
        writer.bytes(&self.levels);
        writer.bytes(&self.statuses);
        writer.numbers(&self.sources);
        for lists in [&self.types, &self.collections, &self.mesh, &self.slots] {
            writer.lists(lists);
        }
        writer.0
    }

    /// From its stored form, for a snapshot of `chunks` chunks.
    pub(crate) fn from_bytes(bytes: &[u8], chunks: usize) -> Result<Self, String> {
        let mut reader = Reader::new(bytes, MAGIC, VERSION)?;
        let (ids, names) = (reader.strings()?, reader.strings()?);
        let rows = ids.len();
        let table = Self {
            by_id: reader.numbers_of(rows, rows)?,
            dates: reader.numbers_of(rows, usize::MAX)?,
            levels: reader.bytes_of(rows)?.to_vec(),
            statuses: reader.bytes_of(rows)?.to_vec(),
            sources: reader.numbers_of(rows, names.len())?,
            types: reader.lists(rows, names.len())?,
            collections: reader.lists(rows, names.len())?,
            mesh: reader.lists(rows, names.len())?,
            slots: reader.lists(rows, chunks)?,
            ids,
            names,
        };
        reader.finish()?;
        if table.slots.items().len() == chunks {
            Ok(table)
        } else {
            Err("it knows another number of chunks".to_owned())
        }
    }
}

/// Collects facets as chunks are pushed.
#[derive(Debug, Default)]
pub(crate) struct FacetBuilder {
    numbers: HashMap<DocumentId, u32>,
    names: HashMap<String, u32>,
    /// Slots of each document, in the order of pushing.
    slots: Vec<Vec<Slot>>,
    table: FacetTable,
}

impl FacetBuilder {
    /// Takes the facets of the chunk at `slot`; gives its document's number. The first chunk of a
    /// document speaks for all of them.
    pub(crate) fn push(&mut self, slot: Slot, facets: &Facets) -> Result<u32> {
        if let Some(&number) = self.numbers.get(&facets.document) {
            self.slots[number as usize].push(slot);
            return Ok(number);
        }
        if !self.table.ids.has_room(facets.document.as_str().len()) {
            return Err(Error::Input("more documents than one snapshot can name: split the home".to_owned()));
        }
        let number = self.table.ids.len() as u32;
        self.numbers.insert(facets.document.clone(), number);
        self.slots.push(vec![slot]);
        let table = &mut self.table;
        let mut name = |name: &String| {
            *self.names.entry(name.clone()).or_insert_with(|| {
                table.names.push(name);
                table.names.len() as u32 - 1
            })
        };
        table.sources.push(name(&facets.source));
        table.types.push(facets.types.iter().map(&mut name));
        table.collections.push(facets.collections.iter().map(&mut name));
        table.mesh.push(facets.mesh.iter().map(&mut name));
        table.ids.push(facets.document.as_str());
        table.dates.push(pack(facets.date));
        table.levels.push(level_code(facets.level));
        table.statuses.push(status_code(facets.status));
        Ok(number)
    }

    /// The finished table.
    pub(crate) fn finish(self) -> FacetTable {
        let mut table = self.table;
        table.by_id = (0..table.ids.len() as u32).collect();
        let ids = &table.ids;
        table.by_id.sort_unstable_by(|&a, &b| ids.get(a as usize).cmp(ids.get(b as usize)));
        self.slots.into_iter().for_each(|slots| table.slots.push(slots));
        table
    }
}

fn pack(date: Option<PartialDate>) -> u32 {
    date.map_or(0, |date| {
        u32::from(date.year) << 16 | u32::from(date.month.unwrap_or(0)) << 8 | u32::from(date.day.unwrap_or(0))
    })
}

fn unpack(date: u32) -> Option<PartialDate> {
    let part = |value: u32| Some(value as u8).filter(|&value| value > 0);
    PartialDate::new((date >> 16) as u16, part(date >> 8 & 0xff), part(date & 0xff))
}

/// Codes are places in `ALL`, which only ever grows at its end.
fn level_code(level: Level) -> u8 {
    Level::ALL.iter().position(|&one| one == level).map_or(u8::MAX, |at| at as u8)
}

fn status_code(status: Status) -> u8 {
    Status::ALL.iter().position(|&one| one == status).map_or(u8::MAX, |at| at as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facets(key: &str, date: &str, level: Level, types: &[&str], mesh: &[&str]) -> Facets {
        Facets {
            document: DocumentId::new("pubmed", key),
            date: PartialDate::parse(date),
            level,
            status: if key == "3" { Status::Retracted } else { Status::Ok },
            types: types.iter().map(ToString::to_string).collect(),
            source: "pubmed".to_owned(),
            collections: vec![if key == "1" { "heart" } else { "lung" }.to_owned()],
            mesh: mesh.iter().map(ToString::to_string).collect(),
        }
    }

    fn table() -> FacetTable {
        let rows = [
            facets("2", "2021-03", Level::Rct, &["Randomized Controlled Trial"], &["Asthma"]),
            facets("1", "2019", Level::Opinion, &["Review"], &["Heart Failure", "Humans"]),
            facets("3", "", Level::Unclassified, &[], &[]),
        ];
        let mut builder = FacetBuilder::default();
        // Chunks of one document need not follow each other.
        for (slot, row) in [0, 1, 0, 2, 1].into_iter().enumerate() {
            assert_eq!(builder.push(slot as Slot, &rows[row]).unwrap(), row as u32);
        }
        FacetTable::from_bytes(&builder.finish().to_bytes(), 5).unwrap()
    }

    fn passing(filter: &Filter) -> Vec<Slot> {
        table().mask(filter, 5).iter().collect()
    }

    #[test]
    fn documents_are_found_by_id_and_know_their_slots() {
        let table = table();
        let number = table.number(&DocumentId::new("pubmed", "1")).unwrap();
        assert_eq!((number, table.document(number), table.slots(number)), (1, "pubmed:1", &[1, 4][..]));
        assert_eq!(table.number(&DocumentId::new("pubmed", "9")), None);
    }

    #[test]
    fn lists_are_ored_inside_and_anded_between() {
        let all = Filter::default();
        assert_eq!(passing(&all), [0, 1, 2, 3, 4]);
        assert_eq!(passing(&Filter { levels: vec![Level::Rct, Level::Opinion], ..all.clone() }), [0, 1, 2, 4]);
        assert_eq!(
            passing(&Filter { levels: vec![Level::Rct], types: vec!["review".to_owned()], ..all.clone() }),
            [0_u32; 0]
        );
        assert_eq!(passing(&Filter { from: PartialDate::parse("2020"), ..all.clone() }), [0, 2]);
        assert_eq!(passing(&Filter { to: PartialDate::parse("2030"), ..all.clone() }), [0, 1, 2, 4]);
        assert_eq!(passing(&Filter { statuses: vec![Status::Retracted], ..all.clone() }), [3]);
        assert_eq!(passing(&Filter { mesh: vec!["heart failure".to_owned()], ..all.clone() }), [1, 4]);
        assert_eq!(passing(&Filter { collections: vec!["lung".to_owned()], ..all.clone() }), [0, 2, 3]);
        assert_eq!(passing(&Filter { sources: vec!["pmc".to_owned()], ..all.clone() }), [0_u32; 0]);
        assert_eq!(passing(&Filter { types: vec!["rct".to_owned()], ..all }), [0, 2]);
    }

    #[test]
    fn another_number_of_chunks_is_refused() {
        assert!(FacetTable::from_bytes(&table().to_bytes(), 6).is_err());
        assert!(FacetTable::from_bytes(&table().to_bytes(), 4).is_err());
    }
}
