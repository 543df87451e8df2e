//! Exact top-k by BM25 over tantivy's postings: MaxScore, a window of documents at a time.
//!
//! Lists are sorted by the most they can add. In each window the *essential* ones, without which no
//! document can still reach the best k, are added up in an array that stays in the fastest cache
//! (Turtle and Flood 1995; the windows are Lucene's). What the others say is added only for documents
//! that may yet get there: by skipping to each where they are few, and where they are many by adding
//! the whole list up too, which costs less than searching it. A score is always summed in list order,
//! so it does not depend on `k`, on the mask, on what was skipped or on how it was looked up.

use std::sync::Arc;

use tantivy::postings::BlockSegmentPostings;
use tantivy::schema::Field;
use tantivy::{DocId, SegmentReader, fieldnorm::FieldNormReader};

use crate::simd::Kernel;
use crate::top::Top;
use crate::{Mask, Scored, Slot};

/// BM25's saturation and length normalisation, as tantivy and Lucene set them.
const K1: f32 = 1.2;
const B: f32 = 0.75;

/// Documents scored at a time: 16 KiB of sums.
const WINDOW: usize = 4096;

/// Frequencies below this have what they are worth in a table.
const TABULATED: usize = 8;

/// Postings that are added up in the time that one document is looked up in.
const LOOK_UP: usize = 16;

/// Bounds are sums of rounded numbers: they are widened by more than rounding can take away.
const SLACK: f32 = 1.0 + 1e-5;

/// The sums of one window.
type Sums = [f32; WINDOW];

/// Lengths of the texts of one field, as BM25 sees them.
#[derive(Debug)]
pub(crate) struct Norms {
    /// The length code of each document, and zeros to the end of the last window.
    codes: Vec<u8>,
    /// `k1 * (1 - b + b * length / mean length)` by length code.
    table: [f32; 256],
    /// `frequency / (frequency + norm)` by frequency and length code.
    shares: Box<[[f32; 256]; TABULATED]>,
}

impl Norms {
    pub(crate) fn new(segment: &SegmentReader, field: Field, tokens: u64) -> tantivy::Result<Self> {
        let reader = segment.get_fieldnorms_reader(field)?;
        let documents = segment.max_doc();
        let mean = tokens as f32 / documents.max(1) as f32;
        let table =
            std::array::from_fn(|code| K1 * (1.0 - B + B * FieldNormReader::id_to_fieldnorm(code as u8) as f32 / mean));
        let share = |frequency| std::array::from_fn(|code| share(frequency as u32, table[code]));
        let mut codes: Vec<u8> = (0..documents).map(|doc| reader.fieldnorm_id(doc)).collect();
        codes.resize(codes.len().next_multiple_of(WINDOW), 0);
        Ok(Self { codes, table, shares: Box::new(std::array::from_fn(share)) })
    }

    #[inline]
    fn share(&self, frequency: u32, code: u8) -> f32 {
        match self.shares.get(frequency as usize) {
            Some(shares) => shares[code as usize],
            None => share(frequency, self.table[code as usize]),
        }
    }

    /// The length codes of the window from `start` on.
    fn window(&self, start: DocId) -> Option<&[u8; WINDOW]> {
        self.codes.get(start as usize..)?.first_chunk()
    }
}

/// BM25 without its weight: what a frequency is worth in a text of some length.
#[inline]
fn share(frequency: u32, norm: f32) -> f32 {
    let frequency = frequency as f32;
    frequency / (frequency + norm)
}

/// One term's postings and what they are worth.
pub(crate) struct List {
    name: String,
    postings: BlockSegmentPostings,
    norms: Arc<Norms>,
    /// `idf * (k1 + 1) * weight`: more than this the list cannot add.
    weight: f32,
    /// Place in the current block.
    at: usize,
}

impl List {
    pub(crate) fn new(
        name: String,
        postings: BlockSegmentPostings,
        norms: Arc<Norms>,
        weight: f32,
        documents: u32,
    ) -> Self {
        let (all, with) = (documents as f32, postings.doc_freq() as f32);
        let idf = (1.0 + (all - with + 0.5) / (with + 0.5)).ln();
        Self { name, postings, norms, weight: idf * (K1 + 1.0) * weight, at: 0 }
    }

    /// Adds what this list says of the documents of the window from `start` on.
    fn add(&mut self, start: DocId, sums: &mut Sums) {
        self.seek(start);
        let Self { postings, norms, weight, at, .. } = self;
        let (end, Some(codes)) = (start.saturating_add(WINDOW as DocId), norms.window(start)) else {
            return;
        };
        loop {
            let (docs, frequencies) = (postings.docs(), postings.freqs());
            let Some(left) = docs.get(*at..).filter(|left| !left.is_empty()) else {
                return;
            };
            let inside = if left[left.len() - 1] < end { left.len() } else { left.partition_point(|&doc| doc < end) };
            for (&doc, &frequency) in left[..inside].iter().zip(&frequencies[*at..]) {
                // the remainder changes nothing, and shows that the place lies in both arrays
                let place = (doc - start) as usize % WINDOW;
                sums[place] += *weight * norms.share(frequency, codes[place]);
            }
            *at += inside;
            if *at < docs.len() {
                return;
            }
            postings.advance();
            *at = 0;
        }
    }

    /// Adds what this list says of the documents at `places` of the window from `start` on.
    fn look_up(&mut self, start: DocId, places: &[u32], sums: &mut Sums) {
        for &place in places {
            if let Some(score) = self.find(start + place) {
                sums[place as usize % WINDOW] += score;
            }
        }
    }

    /// What this list adds to `doc`; documents must be asked for in ascending order.
    fn find(&mut self, doc: DocId) -> Option<f32> {
        self.seek(doc);
        if self.postings.docs().get(self.at) != Some(&doc) {
            return None;
        }
        let code = self.norms.codes[doc as usize];
        Some(self.weight * self.norms.share(self.postings.freq(self.at), code))
    }

    /// Where it stands; nowhere at its end.
    fn next(&self) -> Option<DocId> {
        self.postings.docs().get(self.at).copied()
    }

    /// Moves to the first document at or after `doc`.
    fn seek(&mut self, doc: DocId) {
        let docs = self.postings.docs();
        match docs.last() {
            Some(&last) if last >= doc => self.at += docs[self.at..].partition_point(|&other| other < doc),
            Some(_) => self.at = self.postings.seek(doc),
            None => {}
        }
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
    let kernel = Kernel::detect();
    let mut top = Top::new(k, documents as usize);
    let mut sums = [0.0; WINDOW];
    let mut places: Vec<u32> = Vec::new();
    for start in (0..documents).step_by(WINDOW) {
        let essential = top
            .threshold()
            .map_or(lists.len(), |threshold| bounds.partition_point(|&bound| bound > threshold).min(lists.len()));
        // Without postings left in any essential list there is nothing more to find.
        let Some(next) = lists[..essential].iter().filter_map(List::next).min() else {
            break;
        };
        if next as usize >= start as usize + WINDOW || !clear(&mut sums, start, mask) {
            continue;
        }
        for list in &mut lists[..essential] {
            list.add(start, &mut sums);
        }
        let threshold = top.threshold().unwrap_or(0.0) / SLACK;
        let mut rest = essential;
        // While many may get there, all sums are kept whole, and a look at them is one at all documents.
        while rest < lists.len() {
            let list = &mut lists[rest];
            let promising = kernel.count_above(&sums, (threshold - bounds[rest]).max(0.0));
            if promising * LOOK_UP < list.postings.doc_freq() as usize * WINDOW / documents as usize {
                break;
            }
            list.add(start, &mut sums);
            rest += 1;
        }
        kernel.above(&sums, (threshold - bounds[rest]).max(0.0), &mut places);
        for at in rest..lists.len() {
            lists[at].look_up(start, &places, &mut sums);
            keep(&mut places, |place| sums[place as usize % WINDOW] + bounds[at + 1] > threshold);
        }
        for &place in &places {
            top.push(start + place, sums[place as usize % WINDOW]);
        }
        top.cut();
    }
    top.into_sorted()
}

/// Makes the sums ready for the window from `start` on: none for documents that the mask lacks, whose sums
/// never rise above anything. False if it lacks them all.
fn clear(sums: &mut Sums, start: DocId, mask: Option<&Mask>) -> bool {
    let Some(mask) = mask else {
        sums.fill(0.0);
        return true;
    };
    let words = mask.words(start);
    let (blocks, _) = sums.as_chunks_mut::<64>();
    for (at, block) in blocks.iter_mut().enumerate() {
        match words.get(at).copied().unwrap_or(0) {
            0 => block.fill(f32::NEG_INFINITY),
            u64::MAX => block.fill(0.0),
            word => {
                for (bit, sum) in block.iter_mut().enumerate() {
                    *sum = if word >> bit & 1 == 1 { 0.0 } else { f32::NEG_INFINITY };
                }
            }
        }
    }
    words.iter().take(WINDOW / 64).any(|&word| word != 0)
}

/// Keeps what `is_kept` without a branch on it, which no processor could foresee.
fn keep(places: &mut Vec<u32>, is_kept: impl Fn(u32) -> bool) {
    let mut kept = 0;
    for at in 0..places.len() {
        let place = places[at];
        places[kept] = place;
        kept += usize::from(is_kept(place));
    }
    places.truncate(kept);
}

/// What each list adds to `slot`, in the order in which scores are summed.
pub(crate) fn explain(mut lists: Vec<List>, slot: Slot) -> Vec<(String, f32)> {
    in_order(&mut lists);
    lists.into_iter().filter_map(|mut list| list.find(slot).map(|score| (list.name, score))).collect()
}

fn in_order(lists: &mut [List]) {
    lists.sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| a.name.cmp(&b.name)));
}
