//! Exact top-k by BM25 over tantivy's postings: MaxScore, a window of documents at a time.
//!
//! Lists are sorted by the most they can add. In each window the *essential* ones, without which no
//! document can still reach the best k, are added up in an array that stays in the fastest cache;
//! the others are only looked up, by skipping, for documents that may yet get there (Turtle and
//! Flood 1995; the windows are Lucene's). A score is always summed in list order, so it does not
//! depend on `k`, on the mask or on what was skipped.

use std::sync::Arc;

use tantivy::fieldnorm::FieldNormReader;
use tantivy::postings::BlockSegmentPostings;
use tantivy::schema::Field;
use tantivy::{DocId, SegmentReader};

use crate::top::Top;
use crate::{Mask, Scored, Slot};

/// BM25's saturation and length normalisation, as tantivy and Lucene set them.
const K1: f32 = 1.2;
const B: f32 = 0.75;

/// Documents scored at a time: 16 KiB of sums.
const WINDOW: u32 = 4096;

/// Bounds are sums of rounded numbers: they are widened by more than rounding can take away.
const SLACK: f32 = 1.0 + 1e-5;

/// Lengths of the texts of one field, as BM25 sees them.
#[derive(Clone)]
pub(crate) struct Norms {
    reader: FieldNormReader,
    /// `k1 * (1 - b + b * length / mean length)` by length code.
    table: Arc<[f32; 256]>,
}

impl Norms {
    pub(crate) fn new(segment: &SegmentReader, field: Field, tokens: u64) -> tantivy::Result<Self> {
        let reader = segment.get_fieldnorms_reader(field)?;
        let mean = tokens as f32 / segment.max_doc().max(1) as f32;
        let norm = |code: usize| K1 * (1.0 - B + B * FieldNormReader::id_to_fieldnorm(code as u8) as f32 / mean);
        Ok(Self { reader, table: Arc::new(std::array::from_fn(norm)) })
    }
}

/// One term's postings and what they are worth.
pub(crate) struct List {
    name: String,
    postings: BlockSegmentPostings,
    norms: Norms,
    /// `idf * (k1 + 1) * weight`: more than this the list cannot add.
    weight: f32,
    /// Place in the current block.
    at: usize,
}

impl List {
    pub(crate) fn new(
        name: String,
        postings: BlockSegmentPostings,
        norms: &Norms,
        weight: f32,
        documents: u32,
    ) -> Self {
        let (all, with) = (documents as f32, postings.doc_freq() as f32);
        let idf = (1.0 + (all - with + 0.5) / (with + 0.5)).ln();
        Self { name, postings, norms: norms.clone(), weight: idf * (K1 + 1.0) * weight, at: 0 }
    }

    #[inline]
    fn score(&self, doc: DocId, frequency: u32) -> f32 {
        let frequency = frequency as f32;
        self.weight * (frequency / (frequency + self.norms.table[self.norms.reader.fieldnorm_id(doc) as usize]))
    }

    /// Adds what this list says of documents in `start..end` to `sums`.
    fn add(&mut self, start: DocId, end: DocId, sums: &mut [f32]) {
        loop {
            let (docs, frequencies) = (self.postings.docs(), self.postings.freqs());
            let Some(docs_left) = docs.get(self.at..).filter(|left| !left.is_empty()) else {
                return;
            };
            let inside = if docs_left[docs_left.len() - 1] < end {
                docs_left.len()
            } else {
                docs_left.partition_point(|&doc| doc < end)
            };
            for (&doc, &frequency) in docs_left[..inside].iter().zip(&frequencies[self.at..]) {
                sums[(doc - start) as usize] += self.score(doc, frequency);
            }
            self.at += inside;
            if self.at < docs.len() {
                return;
            }
            self.postings.advance();
            self.at = 0;
        }
    }

    /// What this list adds to `doc`; documents must be asked for in ascending order.
    fn find(&mut self, doc: DocId) -> Option<f32> {
        if self.postings.docs().last().is_none_or(|&last| last < doc) {
            if self.postings.docs().is_empty() {
                return None;
            }
            self.at = self.postings.seek(doc);
        } else {
            self.at += self.postings.docs()[self.at..].partition_point(|&other| other < doc);
        }
        (self.postings.docs().get(self.at) == Some(&doc)).then(|| self.score(doc, self.postings.freq(self.at)))
    }

    /// Moves to the first document at or after `start`.
    fn seek(&mut self, start: DocId) {
        self.find(start);
    }
}

/// The best `k` of `documents` documents that the mask holds.
pub(crate) fn search(mut lists: Vec<List>, documents: u32, k: usize, mask: Option<&Mask>) -> Vec<Scored> {
    in_order(&mut lists);
    // The most that this list and all after it can add.
    let mut bounds = vec![0.0_f32; lists.len() + 1];
    for at in (0..lists.len()).rev() {
        bounds[at] = (bounds[at + 1] + lists[at].weight) * SLACK;
    }
    let mut top = Top::new(k, documents as usize);
    let mut sums = vec![0.0_f32; WINDOW.min(documents) as usize];
    let mut candidates: Vec<Scored> = Vec::new();
    // Without postings left in any essential list there is nothing more to find.
    let mut essential = lists.len();
    for start in (0..documents).step_by(WINDOW as usize) {
        let end = documents.min(start.saturating_add(WINDOW));
        if let Some(threshold) = top.threshold() {
            essential = bounds.partition_point(|&bound| bound > threshold).min(lists.len());
        }
        if essential == 0 {
            break;
        }
        let sums = &mut sums[..(end - start) as usize];
        sums.fill(0.0);
        for list in &mut lists[..essential] {
            list.seek(start);
            list.add(start, end, sums);
        }
        let enough = top.threshold().map_or(0.0, |threshold| (threshold / SLACK - bounds[essential]).max(0.0));
        candidates.clear();
        for (at, &sum) in sums.iter().enumerate() {
            let slot = start + at as Slot;
            if sum > enough && mask.is_none_or(|mask| mask.contains(slot)) {
                candidates.push(Scored { slot, score: sum });
            }
        }
        for at in essential..lists.len() {
            let threshold = top.threshold().unwrap_or(0.0) / SLACK;
            candidates.retain_mut(|candidate| {
                let promising = candidate.score + bounds[at] > threshold;
                if promising {
                    candidate.score += lists[at].find(candidate.slot).unwrap_or(0.0);
                }
                promising
            });
        }
        for candidate in &candidates {
            top.push(candidate.slot, candidate.score);
        }
        top.cut();
    }
    top.into_sorted()
}

/// What each list adds to `slot`, in the order in which scores are summed.
pub(crate) fn explain(mut lists: Vec<List>, slot: Slot) -> Vec<(String, f32)> {
    in_order(&mut lists);
    lists.into_iter().filter_map(|mut list| list.find(slot).map(|score| (list.name, score))).collect()
}

fn in_order(lists: &mut [List]) {
    lists.sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| a.name.cmp(&b.name)));
}
