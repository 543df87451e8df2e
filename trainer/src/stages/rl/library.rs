//! [`Library`]: what episodes may search: the current index of a home, or a few documents in memory.

use std::fs;
use std::path::Path;

use retriever::{Fixed, Retrieve};

use crate::error::read;
use crate::home::Home;
use crate::recipe::DataSection;
use crate::{Error, Result};

/// What episodes may search.
pub(crate) struct Library {
    retriever: Box<dyn Retrieve>,
    identity: String,
}

impl Library {
    pub(crate) fn retriever(&self) -> &dyn Retrieve {
        self.retriever.as_ref()
    }

    /// What finds chunks, alone.
    pub(crate) fn into_retriever(self) -> Box<dyn Retrieve> {
        self.retriever
    }

    /// Another one for other contents.
    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }
}

/// Opens what a recipe names.
///
/// # Errors
/// [`Error::Input`] when it names nothing; those of a damaged home, or of one whose encoder is not at hand.
pub(crate) fn open(data: &DataSection) -> Result<Library> {
    of(data.home.as_deref(), data.documents.as_deref())
}

/// Opens a home, or else a file of documents.
///
/// # Errors
/// As [`open`].
pub(crate) fn of(home: Option<&Path>, documents: Option<&Path>) -> Result<Library> {
    match (home, documents) {
        (Some(home), _) => {
            let home = Home::open(home)?;
            let identity = home.identity().to_owned();
            Ok(Library { identity, retriever: Box::new(home.into_retriever()) })
        }
        (None, Some(file)) => {
            let bytes = fs::read(file).map_err(read(file))?;
            let retriever = Box::new(Fixed::of_documents(crate::task::lookup::documents(file)?));
            Ok(Library { retriever, identity: blake3::hash(&bytes).to_hex().to_string() })
        }
        (None, None) => {
            Err(Error::Input("nothing to search: set data.home to a home, or data.documents to a file".to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use corpus::reader::Record;
    use corpus::{Document, DocumentId, Store};
    use indexes::{Snapshots, VectorKind};
    use retriever::Query;
    use retriever::indexing::{Settings, build};

    use super::*;
    use crate::recipe::Recipe;

    fn section() -> DataSection {
        Recipe::parse(Path::new("a.toml"), crate::recipe::TEMPLATE, &[]).unwrap().data
    }

    #[test]
    fn a_home_is_searched_by_the_index_that_it_has() {
        let home = tempfile::tempdir().unwrap();
        let data = DataSection { home: Some(home.path().to_owned()), ..section() };
        let mut store = Store::open(&home.path().join("corpus.db")).unwrap();
        let document = Document::plain(DocumentId::new("a", "1"), "Bameto", "The dose of bameto is 40 mg.");
        store.ingest("mine", std::iter::once(Ok(Record::Document(Box::new(document)))), &mut |_| {}).unwrap();
        assert!(open(&data).err().unwrap().to_string().contains("index build"));

        let settings =
            Settings { created: jiff::Timestamp::UNIX_EPOCH, place: "", vectors: VectorKind::Auto, cache: None };
        build(&store, &Snapshots::new(&home.path().join("snapshots")), None, &settings, &mut |_| {}).unwrap();
        let library = open(&data).unwrap();
        let hits = library.retriever().retrieve(&Query::new("dose of bameto")).unwrap();
        assert_eq!((hits.len(), hits[0].document.key()), (1, "1"));
        assert!(library.identity().starts_with(library.retriever().snapshot()));
    }

    #[test]
    fn other_documents_are_another_library() {
        let folder = tempfile::tempdir().unwrap();
        let identity = |text: &str| {
            let file = folder.path().join("documents.jsonl");
            fs::write(&file, format!("{{\"id\": \"1\", \"title\": \"Bameto\", \"text\": \"{text}\"}}\n")).unwrap();
            let library = open(&DataSection { documents: Some(file), ..section() }).unwrap();
            assert_eq!(library.retriever().retrieve(&Query::new("bameto")).unwrap().len(), 1);
            library.identity().to_owned()
        };
        assert_eq!(identity("40 mg"), identity("40 mg"));
        assert_ne!(identity("40 mg"), identity("50 mg"));
        assert!(open(&section()).err().unwrap().to_string().contains("data.home"));
    }
}
