//! [`Judged`]: queries and what is relevant to them, over the passages of a home or of a BEIR folder, with negatives
//! mined by words.
//!
//! A file of judgments stands in a folder inside a BEIR folder: `qrels/train.tsv`, `queries.jsonl` above it, and
//! `corpus.jsonl` unless a home has the documents. A home's own index finds the negatives; a folder's documents are
//! indexed by words first.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use corpus::reader::{Format, Options};
use corpus::{ChunkId, Store};
use indexes::{Snapshots, VectorKind};
use jiff::Timestamp;
use retriever::indexing::{Settings, build};
use retriever::metrics::Qrels;
use retriever::trec::{read_qrels, read_topics};
use retriever::{Arm, Hybrid, Query, Retrieve};

use super::EncoderSection;
use crate::files::remove_folder;
use crate::recipe::{DataSection, Duplicates};
use crate::{Error, Result};

/// A stretch of a document that is found or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Its document's key, by which judgments name it.
    pub(super) document: String,
    /// What an encoder reads: title and text.
    pub(super) text: String,
}

/// A query with one relevant passage, and others that words take for relevant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lesson {
    /// The number of the query.
    pub(super) query: usize,
    /// The number of the passage.
    pub(super) passage: usize,
}

/// A query to learn from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// The query.
    pub(super) text: String,
    /// Keys of the documents that are relevant.
    pub(super) relevant: Vec<String>,
    /// Numbers of passages of other documents, by words the best first.
    pub(super) negatives: Vec<usize>,
}

/// All that a run learns from and is measured by.
#[derive(Debug, Default)]
pub(super) struct Judged {
    pub(super) passages: Vec<Candidate>,
    pub(super) queries: Vec<Asked>,
    pub(super) lessons: Vec<Lesson>,
    /// Judgments to measure by, and the texts of their queries.
    pub(super) heldout: Qrels,
    pub(super) heldout_queries: BTreeMap<String, String>,
    /// Judgments of documents that there are none of.
    pub(super) missing: usize,
}

impl Judged {
    /// Reads what a recipe names. A folder's documents are indexed in the folder `aside`, once; `now` is the clock.
    ///
    /// # Errors
    /// [`Error::Data`] for judgments without queries or documents, and those of damaged files.
    pub(super) fn read(data: &DataSection, section: &EncoderSection, aside: &Path, now: Timestamp) -> Result<Self> {
        let home = match &data.home {
            Some(home) => home.clone(),
            None => index(&data.train, aside, now)?,
        };
        let retriever = crate::home::Home::open(&home)?.into_retriever();
        let store = Store::open_read_only(&home.join("corpus.db")).map_err(failed)?;
        let mut judged = Self::default();
        let mut of_document: HashMap<String, Vec<usize>> = HashMap::new();
        let mut of_chunk: HashMap<ChunkId, usize> = HashMap::new();
        store
            .scan(&mut |card, chunk| -> corpus::Result<()> {
                let number = judged.passages.len();
                let document = card.id.key().to_owned();
                of_document.entry(document.clone()).or_default().push(number);
                of_chunk.insert(chunk.id, number);
                judged
                    .passages
                    .push(Candidate { document, text: retriever::indexing::passage(&card.title, &chunk.text) });
                Ok(())
            })
            .map_err(failed)?;
        for file in &data.heldout {
            let (qrels, texts) = judgments(file)?;
            for (id, relevant) in qrels {
                // Files may number their queries alike.
                let name = format!("{} {id}", file.display());
                judged.heldout_queries.insert(name.clone(), text(&texts, &id, file)?.to_owned());
                judged.heldout.insert(name, relevant);
            }
        }
        // What is measured is not learnt.
        let held: HashSet<String> = judged.heldout_queries.values().map(|text| text.trim().to_owned()).collect();
        for file in &data.train {
            let (qrels, texts) = judgments(file)?;
            for (id, relevant) in &qrels {
                let text = text(&texts, id, file)?;
                if data.duplicates == Duplicates::Drop && held.contains(text.trim()) {
                    continue;
                }
                judged.ask(text, relevant, section, &retriever, &of_document, &of_chunk)?;
            }
        }
        judged.check(data)?;
        Ok(judged)
    }

    /// A query to learn from, with its negatives.
    fn ask(
        &mut self,
        text: &str,
        judgments: &HashMap<String, u32>,
        section: &EncoderSection,
        retriever: &Hybrid,
        of_document: &HashMap<String, Vec<usize>>,
        of_chunk: &HashMap<ChunkId, usize>,
    ) -> Result<()> {
        let mut relevant: Vec<String> =
            judgments.iter().filter(|(_, grade)| **grade > 0).map(|(document, _)| document.clone()).collect();
        relevant.sort_unstable();
        let wanted = Query { k: section.depth.max(1), arm: Arm::Lexical, ..Query::new(text) };
        let hits = retriever.retrieve(&wanted).map_err(agent::Error::from)?;
        let hits: Vec<usize> = hits.iter().filter_map(|hit| of_chunk.get(&hit.chunk).copied()).collect();
        let is_relevant = |number: &usize| relevant.contains(&self.passages[*number].document);
        let (found, negatives): (Vec<usize>, Vec<usize>) = hits.into_iter().partition(is_relevant);
        let query = self.queries.len();
        for document in &relevant {
            let Some(passages) = of_document.get(document) else {
                self.missing += 1;
                continue;
            };
            // Of a long document the passage that words find; its beginning where they find none.
            let best = found.iter().find(|number| passages.contains(number)).unwrap_or(&passages[0]);
            self.lessons.push(Lesson { query, passage: *best });
        }
        self.queries.push(Asked { text: text.to_owned(), relevant, negatives });
        Ok(())
    }

    fn check(&self, data: &DataSection) -> Result<()> {
        let fault = |reason: String| {
            let file = data.train.first().cloned().unwrap_or_default();
            Err(Error::Data { file, line: 0, reason })
        };
        if self.lessons.is_empty() {
            return fault(format!(
                "judges none of the {} passages there are: set data.home to the home that holds its documents",
                self.passages.len()
            ));
        }
        let held: HashSet<&str> = self.heldout_queries.values().map(|text| text.trim()).collect();
        let shared = self.queries.iter().filter(|query| held.contains(query.text.trim())).count();
        if shared > 0 {
            return fault(format!(
                "{shared} of its queries are in data.heldout too: remove them from one of both, or set data.duplicates to \"drop\""
            ));
        }
        Ok(())
    }

    /// A hash of all that is learnt, by which a resumed run knows its data.
    pub(super) fn fingerprint(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let mut put = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        };
        for Lesson { query, passage } in &self.lessons {
            let Asked { text, negatives, .. } = &self.queries[*query];
            put(text.as_bytes());
            put(self.passages[*passage].text.as_bytes());
            for number in negatives {
                put(self.passages[*number].text.as_bytes());
            }
        }
        hasher.finalize().to_hex().to_string()
    }
}

/// Indexes by words the documents beside the first file of judgments, in the folder `aside`, unless that is done.
fn index(judgments: &[PathBuf], aside: &Path, now: Timestamp) -> Result<PathBuf> {
    if aside.join("snapshots/CURRENT").is_file() {
        return Ok(aside.to_owned());
    }
    let file = judgments.first().map_or(aside, PathBuf::as_path);
    let Some(corpus) = beside(file, "corpus.jsonl") else {
        let reason = "no corpus.jsonl stands in the folder above: set data.home to the home that holds its documents";
        return Err(Error::Data { file: file.to_owned(), line: 0, reason: reason.to_owned() });
    };
    remove_folder(aside)?;
    std::fs::create_dir_all(aside).map_err(crate::error::write(aside))?;
    let mut store = Store::open(&aside.join("corpus.db")).map_err(failed)?;
    let options = Options { format: Some(Format::Beir), ..Options::default() };
    let reader = corpus::reader::open(&corpus, &options).map_err(failed)?;
    store.ingest("encoder", reader, &mut |_| {}).map_err(failed)?;
    let settings = Settings { created: now, place: "", vectors: VectorKind::Auto, cache: None };
    build(&store, &Snapshots::new(&aside.join("snapshots")), None, &settings, &mut |_| {})
        .map_err(agent::Error::from)?;
    Ok(aside.to_owned())
}

/// The file `name`, plain or compressed, in the folder above that of `judgments`.
fn beside(judgments: &Path, name: &str) -> Option<PathBuf> {
    let folder = judgments.parent()?.parent()?;
    ["", ".gz", ".zst"].iter().map(|end| folder.join(format!("{name}{end}"))).find(|path| path.is_file())
}

/// A file of judgments and the texts of its queries.
fn judgments(file: &Path) -> Result<(Qrels, HashMap<String, String>)> {
    let Some(queries) = beside(file, "queries.jsonl") else {
        let reason = "no queries.jsonl stands in the folder above".to_owned();
        return Err(Error::Data { file: file.to_owned(), line: 0, reason });
    };
    let topics = read_topics(&queries).map_err(agent::Error::from)?;
    let texts = topics.into_iter().map(|topic| (topic.id, topic.text)).collect();
    Ok((read_qrels(file).map_err(agent::Error::from)?, texts))
}

fn text<'a>(texts: &'a HashMap<String, String>, id: &str, file: &Path) -> Result<&'a str> {
    texts.get(id).map(String::as_str).ok_or_else(|| {
        let reason = format!("judges query {id}, which queries.jsonl in the folder above lacks");
        Error::Data { file: file.to_owned(), line: 0, reason }
    })
}

fn failed(error: corpus::Error) -> Error {
    agent::Error::from(retriever::Error::from(error)).into()
}
