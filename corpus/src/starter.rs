//! The embedded starter corpus: plain clinical facts written for this project, and questions on them.

use include_dir::{Dir, include_dir};
use serde::{Deserialize, Serialize};

use crate::reader::{Rejected, starter_document};
use crate::status::names;
use crate::{Document, Error, Result};

/// The collection its documents are in, and the source of their ids.
pub const COLLECTION: &str = "starter";
/// Where its documents say they come from.
pub const JOURNAL: &str = "Anamnesis starter corpus (written for this project)";

static FILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/starter");

/// A question that the starter corpus answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Area and number.
    pub id: String,
    /// As a clinician would ask it.
    pub question: String,
    /// The fact asked for, in a few words.
    pub answer: String,
    /// Keys of the documents that hold the answer; for two hops first the one that names the bridge.
    pub documents: Vec<String>,
    /// How many documents must be read one after another.
    pub hops: u8,
    /// What it may be used for.
    pub split: Split,
}

/// What a question may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Tuning.
    Dev,
    /// Measuring only.
    Test,
}

names!(Split { Dev = "dev", Test = "test" });

/// The documents, in the order of their paths.
pub fn documents() -> impl Iterator<Item = Result<Document, Rejected>> {
    // A document lies in the folder of its area; what lies beside the folders is about the corpus.
    let mut files: Vec<_> = FILES.dirs().flat_map(Dir::files).collect();
    files.retain(|file| file.path().extension().is_some_and(|ending| ending == "md"));
    files.sort_by_key(|file| file.path());
    files.into_iter().map(|file| {
        let name = file.path().display().to_string();
        let mut document = starter_document(&name, file.contents(), COLLECTION)?;
        document.journal = Some(JOURNAL.to_owned());
        document.language = Some("en".to_owned());
        document.licence = Some("Apache-2.0".to_owned());
        Ok(document)
    })
}

/// The questions, `dev` and `test` together.
///
/// # Errors
/// If the embedded file holds a line that is no question.
pub fn questions() -> Result<Vec<Question>> {
    let file = FILES.get_file("questions.jsonl").ok_or_else(|| Error::Input("no starter questions".to_owned()))?;
    let text = String::from_utf8_lossy(file.contents());
    let parse = |(number, line): (usize, &str)| {
        serde_json::from_str(line)
            .map_err(|error| Error::Input(format!("starter questions, line {}: {error}", number + 1)))
    };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(parse).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::chunk::chunk;
    use crate::{Level, SectionKind};

    #[test]
    fn every_document_is_read_and_has_sections() {
        let mut keys = BTreeSet::new();
        for document in documents() {
            let document = document.unwrap();
            assert_eq!(document.id.source(), COLLECTION);
            assert_eq!(document.level, Level::Unclassified);
            assert!(!document.title.is_empty() && document.date.is_some() && !document.mesh.is_empty());
            assert!(document.sections.len() >= 3, "{}", document.id);
            assert!(document.sections.iter().all(|part| part.kind == SectionKind::Body && !part.heading.is_empty()));
            assert!(!chunk(&document).is_empty());
            assert!(keys.insert(document.id.key().to_owned()), "{} is there twice", document.id);
        }
        assert!(keys.len() >= 120, "only {} documents", keys.len());
    }

    #[test]
    fn every_question_names_documents_that_are_there() {
        let keys: BTreeSet<_> = documents().map(|document| document.unwrap().id.key().to_owned()).collect();
        let questions = questions().unwrap();
        assert!(questions.len() >= 150, "only {} questions", questions.len());
        let two_hop = questions.iter().filter(|question| question.hops == 2).count();
        assert!(two_hop * 3 >= questions.len(), "only {two_hop} two-hop questions");
        for question in &questions {
            assert!(question.documents.iter().all(|key| keys.contains(key)), "{question:?}");
            assert!(question.documents.len() >= usize::from(question.hops), "{question:?}");
        }
        let ids: BTreeSet<_> = questions.iter().map(|question| &question.id).collect();
        assert_eq!(ids.len(), questions.len());
    }
}
