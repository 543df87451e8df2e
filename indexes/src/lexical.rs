//! Words: one tantivy segment whose document ids are slots, searched by [`score`].

mod directory;
mod score;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tantivy::indexer::NoMergePolicy;
use tantivy::schema::{FAST, Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::TextAnalyzer;
use tantivy::{Index, IndexReader, IndexSettings, IndexWriter, ReloadPolicy, TantivyDocument, Term};

use crate::analyzer::{self, Analyzer};
use crate::{Error, Mask, Result, Scored, Slot};

pub(crate) use directory::Frozen;

/// Bytes of postings in memory before a segment is written.
const WRITER_BYTES: usize = 256 << 20;

/// A query keeps at most this many distinct terms: those with the fewest postings.
const MAX_TERMS: usize = 256;

/// What a MeSH heading counts beside a word of the content.
const MESH_BOOST: f32 = 0.25;

/// The fields: everything a chunk says, its headings of MeSH, and its slot.
#[derive(Clone, Copy, Debug)]
struct Fields {
    content: Field,
    mesh: Field,
    slot: Field,
}

fn schema() -> (Schema, Fields) {
    // Frequencies but no positions and no stored text: phrases are not searched, SQLite has the text.
    let indexing =
        TextFieldIndexing::default().set_tokenizer(analyzer::NAME).set_index_option(IndexRecordOption::WithFreqs);
    let options = TextOptions::default().set_indexing_options(indexing);
    let mut schema = Schema::builder();
    let fields = Fields {
        content: schema.add_text_field("content", options.clone()),
        mesh: schema.add_text_field("mesh", options),
        slot: schema.add_u64_field("slot", FAST),
    };
    (schema.build(), fields)
}

/// Writes a lexical index.
pub(crate) struct LexicalWriter {
    writer: IndexWriter,
    fields: Fields,
    pushed: u64,
}

impl LexicalWriter {
    /// Starts one in an empty folder.
    pub(crate) fn create(folder: &Path) -> Result<Self> {
        let (schema, fields) = schema();
        let directory = tantivy::directory::MmapDirectory::open(folder).map_err(tantivy::TantivyError::from)?;
        let index = Index::create(directory, schema, IndexSettings::default())?;
        index.tokenizers().register(analyzer::NAME, TextAnalyzer::from(Analyzer::default()));
        // One thread keeps slots in order; it runs beside the caller, who reads and embeds.
        let writer = index.writer_with_num_threads(1, WRITER_BYTES)?;
        writer.set_merge_policy(Box::new(NoMergePolicy));
        Ok(Self { writer, fields, pushed: 0 })
    }

    /// Adds the next slot.
    pub(crate) fn push(&mut self, content: &str, mesh: &[String]) -> Result<()> {
        let mut document = TantivyDocument::default();
        document.add_text(self.fields.content, content);
        for heading in mesh {
            document.add_text(self.fields.mesh, heading);
        }
        document.add_u64(self.fields.slot, self.pushed);
        self.pushed += 1;
        self.writer.add_document(document)?;
        Ok(())
    }

    /// Writes everything as one segment in slot order.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.writer.commit()?;
        let mut segments = Vec::new();
        for segment in self.writer.index().searchable_segments()? {
            let reader = tantivy::SegmentReader::open(&segment)?;
            segments.push((reader.fast_fields().u64("slot")?.first(0), segment.id()));
        }
        segments.sort_unstable();
        if segments.len() > 1 {
            let in_order: Vec<_> = segments.into_iter().map(|(_, id)| id).collect();
            self.writer.merge(&in_order).wait()?;
            self.writer.garbage_collect_files().wait()?;
        }
        self.writer.wait_merging_threads()?;
        Ok(())
    }
}

/// A lexical index, open for searching.
pub(crate) struct Lexical {
    reader: IndexReader,
    fields: Fields,
    parts: Vec<Part>,
}

/// A field that has words, and what they count.
struct Part {
    field: Field,
    boost: f32,
    /// What explanations put before a term of it.
    label: &'static str,
    norms: Arc<score::Norms>,
}

impl std::fmt::Debug for Lexical {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lexical").field("fields", &self.fields).finish_non_exhaustive()
    }
}

impl Lexical {
    /// Opens verified files as a lexical index of `chunks` slots.
    pub(crate) fn open(folder: &Path, files: Frozen, chunks: usize) -> Result<Self> {
        let (schema, fields) = schema();
        let index = Index::open(files)?;
        if index.schema() != schema {
            return Err(Error::corrupt(folder, "its fields are not this program's"));
        }
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        let mut lexical = Self { reader, fields, parts: Vec::new() };
        lexical.check(folder, chunks)?;
        lexical.parts = lexical.parts()?;
        Ok(lexical)
    }

    fn parts(&self) -> Result<Vec<Part>> {
        let searcher = self.reader.searcher();
        let mut parts = Vec::new();
        for segment in searcher.segment_readers() {
            for (field, boost, label) in [(self.fields.content, 1.0, ""), (self.fields.mesh, MESH_BOOST, "mesh:")] {
                let tokens = segment.inverted_index(field)?.total_num_tokens();
                if tokens > 0 {
                    let norms = Arc::new(score::Norms::new(segment, field, tokens)?);
                    parts.push(Part { field, boost, label, norms });
                }
            }
        }
        Ok(parts)
    }

    /// Document ids must be slots: one segment, in order, nothing deleted.
    fn check(&self, folder: &Path, chunks: usize) -> Result<()> {
        let searcher = self.reader.searcher();
        let sound = match searcher.segment_readers() {
            [] => chunks == 0,
            [segment] => {
                let slots = segment.fast_fields().u64("slot")?;
                segment.max_doc() as usize == chunks
                    && !segment.has_deletes()
                    && (0..segment.max_doc()).all(|doc| slots.first(doc) == Some(doc.into()))
            }
            _ => false,
        };
        if sound { Ok(()) } else { Err(Error::corrupt(folder, "its documents are not the chunks of the manifest")) }
    }

    /// The `k` best by BM25 that the mask holds; nothing when no term of the query occurs.
    pub(crate) fn search(&self, query: &str, k: usize, mask: Option<&Mask>) -> Result<Vec<Scored>> {
        let searcher = self.reader.searcher();
        let Some(segment) = searcher.segment_readers().first() else {
            return Ok(Vec::new());
        };
        let lists = self.lists(segment, query)?;
        Ok(score::search(lists, segment.max_doc(), k, mask))
    }

    /// What each term of the query adds to the score of a slot, strongest first; terms that it does
    /// not hold are left out. Summed in this order they are the score.
    pub(crate) fn explain(&self, query: &str, slot: Slot) -> Result<Vec<(String, f32)>> {
        let searcher = self.reader.searcher();
        let Some(segment) = searcher.segment_readers().first() else {
            return Ok(Vec::new());
        };
        let lists = self.lists(segment, query)?;
        Ok(score::explain(lists, slot))
    }

    /// The posting lists of a query's terms in both fields.
    fn lists(&self, segment: &tantivy::SegmentReader, query: &str) -> Result<Vec<score::List>> {
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        let mut analyzer = Analyzer::default();
        for term in analyzer.terms(query) {
            match counts.get_mut(term) {
                Some(count) => *count += 1,
                None => drop(counts.insert(term.to_owned(), 1)),
            }
        }
        let mut found = Vec::with_capacity(counts.len());
        for part in &self.parts {
            let inverted = segment.inverted_index(part.field)?;
            for (term, &count) in &counts {
                let term_of_field = Term::from_field_text(part.field, term);
                if let Some(info) = inverted.get_term_info(&term_of_field).map_err(tantivy::TantivyError::from)? {
                    found.push((info, part, part.boost * count as f32, term));
                }
            }
        }
        found.sort_by_key(|(info, ..)| info.doc_freq);
        found.truncate(MAX_TERMS);
        found
            .into_iter()
            .map(|(info, part, weight, term)| {
                let postings = segment
                    .inverted_index(part.field)?
                    .read_block_postings_from_terminfo(&info, IndexRecordOption::WithFreqs)
                    .map_err(tantivy::TantivyError::from)?;
                let name = format!("{}{term}", part.label);
                Ok(score::List::new(name, postings, Arc::clone(&part.norms), weight, segment.max_doc()))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
