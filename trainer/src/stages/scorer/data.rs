//! [`Examples`]: records of claims, evidence and labels, to pairs to learn from and sets to be judged by.
//!
//! A record is a JSON object with `claim`, `evidence` and `label` (`supports`, `refutes`, `neutral`, or their
//! relatives), and perhaps `split`. In sets made from abstracts what supports or refutes is a sentence or two and what
//! is neutral is the whole abstract, so that length alone would tell: of neutral evidence a stretch of sentences
//! is learnt, half of the time as long as a random piece of evidence of another label in the same file, half of the
//! time as long as a window. Evidence of other labels that exceeds a window loses its end, and is counted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use agent::judge::{self, Label, Pair};
use nn::{Stream, Tokenizer, Tokens};
use serde::Deserialize;

use super::ScorerSection;
use crate::recipe::{DataSection, Duplicates};
use crate::{Error, Result};

/// One labelled pair.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    /// A sentence.
    pub claim: String,
    /// What bears it out or not.
    pub evidence: String,
    /// Its place in [`Label::ALL`].
    pub label: usize,
}

/// Rows that are judged together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Set {
    /// The name of their file, with that of their split.
    pub name: String,
    /// In the order of the file.
    pub rows: Vec<Row>,
}

impl Set {
    /// Which labels of [`Label::ALL`] it has.
    pub fn labels(&self) -> Vec<usize> {
        (0..Label::ALL.len()).filter(|label| self.rows.iter().any(|row| row.label == *label)).collect()
    }
}

/// A pair as it is learnt from.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// What the model reads.
    pub tokens: Tokens,
    /// The claim with the stretch of evidence that is read, for who wants to see it.
    pub row: Row,
}

/// All that a run learns from and is measured by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Examples {
    /// To learn from.
    pub train: Vec<Example>,
    /// Of the same files, other claims: to choose a checkpoint and a temperature by.
    pub calibration: Set,
    /// To be judged by at the end, and by nothing else.
    pub heldout: Vec<Set>,
    /// How many rows lost the end of their evidence.
    pub cut: usize,
    /// How many were left out because they occur earlier.
    pub repeated: usize,
    /// How many were left out because their claim is held out.
    pub leaked: usize,
}

#[derive(Deserialize)]
struct Record {
    claim: String,
    evidence: String,
    label: String,
    #[serde(default)]
    split: String,
}

/// What the random numbers of an example are for.
#[derive(Clone, Copy)]
enum Purpose {
    Claim,
    Sample,
    Stretch,
}

impl Examples {
    /// Reads the files of a recipe. What is random is so by `seed`.
    ///
    /// # Errors
    /// [`Error::Data`] with file and line of the first record that cannot be learnt from, or when nothing is left.
    pub fn read(data: &DataSection, section: &ScorerSection, tokenizer: &Tokenizer, seed: u64) -> Result<Self> {
        let mut examples = Self::default();
        let mut heldout: BTreeMap<String, Set> = BTreeMap::new();
        let mut train: Vec<(PathBuf, Vec<Row>)> = Vec::new();
        let mut seen = HashMap::new();
        for file in &data.train {
            let mut rows = Vec::new();
            read(file, &mut |line, split, row| {
                if section.heldout_splits.contains(&split) {
                    hold(&mut heldout, file, &split, row);
                    return Ok(());
                }
                if data.duplicates != Duplicates::Keep
                    && let Some(earlier) = seen.insert(row.clone(), line)
                {
                    if data.duplicates == Duplicates::Refuse {
                        let reason = format!(
                            "is the same as an earlier record, at line {earlier}: set data.duplicates to drop or keep"
                        );
                        return Err(Error::Data { file: file.clone(), line, reason });
                    }
                    examples.repeated += 1;
                    return Ok(());
                }
                rows.push(row);
                Ok(())
            })?;
            train.push((file.clone(), rows));
        }
        for file in &data.heldout {
            read(file, &mut |_, split, row| {
                hold(&mut heldout, file, &split, row);
                Ok(())
            })?;
        }
        examples.heldout = heldout.into_values().collect();
        let held = examples.heldout.iter().flat_map(|set| &set.rows).map(|row| claim(&row.claim));
        let held: HashSet<String> = held.collect();
        "calibration".clone_into(&mut examples.calibration.name);
        for (number, (file, mut rows)) in train.into_iter().enumerate() {
            let before = rows.len();
            rows.retain(|row| !held.contains(&claim(&row.claim)));
            examples.leaked += before - rows.len();
            if section.per_file > 0 {
                rows = sample(rows, section.per_file, seed, number as u32);
            }
            let (kept, learnt): (Vec<Row>, Vec<Row>) =
                rows.into_iter().partition(|row| share(seed, &row.claim) < section.calibration);
            examples.calibration.rows.extend(kept);
            examples.learn(learnt, section.window_tokens, tokenizer, (seed, number as u32))?;
            if examples.train.is_empty() && number + 1 == data.train.len() {
                return Err(Error::Data { file, line: 0, reason: "holds no record to learn from".to_owned() });
            }
        }
        Ok(examples)
    }

    /// Examples by label.
    pub fn histogram(&self) -> [u64; 3] {
        let mut histogram = [0; 3];
        for example in &self.train {
            histogram[example.row.label] += 1;
        }
        histogram
    }

    /// A hash of all that is learnt, by which a resumed run knows its data.
    pub fn fingerprint(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for Example { tokens, row } in &self.train {
            hasher.update(&[row.label as u8]).update(&(tokens.ids.len() as u64).to_le_bytes());
            for (id, kind) in tokens.ids.iter().zip(&tokens.types) {
                hasher.update(&id.to_le_bytes()).update(&kind.to_le_bytes());
            }
        }
        for row in &self.calibration.rows {
            hasher.update(&[row.label as u8]).update(row.claim.as_bytes()).update(row.evidence.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    /// Makes the rows of one file examples.
    fn learn(&mut self, rows: Vec<Row>, window_tokens: usize, tokenizer: &Tokenizer, seed: (u64, u32)) -> Result<()> {
        let neutral = Label::ALL.len() - 1;
        let count = |text: &str| Ok(tokenizer.encode_text(&tokenizer.defuse(text))?.len());
        let told = rows.iter().filter(|row| row.label != neutral);
        let lengths: Vec<usize> = told.map(|row| count(&row.evidence)).collect::<Result<_>>()?;
        for (number, mut row) in rows.into_iter().enumerate() {
            if row.label == neutral {
                let stream =
                    Stream { seed: seed.0, step: seed.1, prompt: number as u32, sample: Purpose::Stretch as u32 };
                row.evidence = stretch(row.evidence, window_tokens, &lengths, stream, &count)?;
            }
            let pair = Pair { claim: &row.claim, evidence: &row.evidence };
            let first = judge::spans(tokenizer, pair, window_tokens)?.into_iter().next().unwrap_or(0..0);
            if row.evidence[first.end..].trim().is_empty() {
                let read = row.evidence[first].to_owned();
                row.evidence = read;
            } else {
                self.cut += 1;
                row.evidence.truncate(first.end);
            }
            let pair = Pair { claim: &row.claim, evidence: &row.evidence };
            let tokens = judge::encode(tokenizer, pair, window_tokens)?;
            self.train.push(Example { tokens, row });
        }
        Ok(())
    }
}

/// Sentences of neutral evidence, from a random one on, until they are as long as a random one of `lengths` or, half of
/// the time and where there are none, until the end of the window.
fn stretch(
    evidence: String,
    window_tokens: usize,
    lengths: &[usize],
    stream: Stream,
    count: &dyn Fn(&str) -> Result<usize>,
) -> Result<String> {
    let [first, second, third, _] = stream.words(0);
    let is_window = lengths.is_empty() || first % 2 == 0;
    let wanted = if is_window { window_tokens } else { lengths[second as usize % lengths.len()] };
    let sentences: Vec<_> = corpus::sentence::sentences(&evidence).collect();
    if sentences.len() < 2 {
        return Ok(evidence);
    }
    let start = third as usize % sentences.len();
    let mut end = start;
    let mut length = 0;
    while end < sentences.len() && length < wanted {
        length += count(&evidence[sentences[end].clone()])?;
        end += 1;
    }
    // From the last sentences on, what is lacking is taken from before them.
    let mut start = start;
    while start > 0 && length < wanted {
        start -= 1;
        length += count(&evidence[sentences[start].clone()])?;
    }
    Ok(evidence[sentences[start].start..sentences[end - 1].end].to_owned())
}

/// Reads one file of records.
fn read(file: &Path, each: &mut dyn FnMut(usize, String, Row) -> Result<()>) -> Result<()> {
    crate::data::for_each_line(file, |line, bytes| {
        let fault = |reason: String| Error::Data { file: file.to_owned(), line, reason };
        let record: Record = serde_json::from_slice(bytes)
            .map_err(|error| fault(format!("{error}: a record has claim, evidence, label and perhaps split")))?;
        let Some(label) = Label::from_name(&record.label) else {
            let label = &record.label;
            return Err(fault(format!("label is `{label}`, expected supports, refutes or neutral")));
        };
        let label = Label::ALL.iter().position(|known| *known == label).unwrap_or_default();
        if record.claim.trim().is_empty() || record.evidence.trim().is_empty() {
            return Err(fault("claim or evidence is empty".to_owned()));
        }
        each(line, record.split, Row { claim: record.claim, evidence: record.evidence, label })
    })
}

/// Puts a row into the set of its file and split.
fn hold(sets: &mut BTreeMap<String, Set>, file: &Path, split: &str, row: Row) {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.split('.').next().unwrap_or_default();
    let name = if split.is_empty() || stem.ends_with(split) { stem.to_owned() } else { format!("{stem}_{split}") };
    let set = sets.entry(name.clone()).or_insert_with(|| Set { name, rows: Vec::new() });
    set.rows.push(row);
}

/// A claim without what does not tell it from others.
fn claim(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// Where a claim falls in [0, 1), the same for all of its rows.
fn share(seed: u64, text: &str) -> f64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes()).update(&[Purpose::Claim as u8]).update(claim(text).as_bytes());
    let mut word = [0; 4];
    word.copy_from_slice(&hasher.finalize().as_bytes()[..4]);
    f64::from(u32::from_le_bytes(word)) / (f64::from(u32::MAX) + 1.0)
}

/// At most `most` of `rows`, in their order.
fn sample(rows: Vec<Row>, most: usize, seed: u64, file: u32) -> Vec<Row> {
    let stream = Stream { seed, step: file, prompt: u32::MAX, sample: Purpose::Sample as u32 };
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_cached_key(|number| (stream.words(*number as u32), *number));
    let kept: HashSet<usize> = order.into_iter().take(most).collect();
    rows.into_iter().enumerate().filter(|(number, _)| kept.contains(number)).map(|(_, row)| row).collect()
}

#[cfg(test)]
mod tests;
