//! [`Dataset`]: JSONL records to [`Sample`]s, all of them before anything is trained.
//!
//! A record is a conversation (`messages`), of which the assistant's turns are learnt; a `prompt` and its
//! `completion`, which is learnt; a `text`, learnt whole; or `ids` with a `mask` of what is learnt, for who
//! encoded them by this very tokenizer, as episodes are. The first two are laid out by the model's
//! own chat template where it has one. Each turn of the assistant is encoded on its own after all that stands
//! before it, just as a policy's tokens follow a prompt that was encoded; what is learnt ends with the token that
//! ends a turn, not with what a template puts after it. No text of a record can become a special token.

mod layout;
pub mod preference;
pub mod question;
pub mod sample;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde_json::Value;

pub use self::layout::Text;
use crate::recipe::{Duplicates, Overlong};
use crate::{Error, Result, Sample};

/// The longest line that is read.
const LINE: u64 = 1 << 26;
/// Lines that are laid out together.
const TOGETHER: usize = 1024;

/// Which records are let in, and how.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The most tokens of a sample.
    pub max_tokens: usize,
    /// What is done with longer ones.
    pub overlong: Overlong,
    /// What is done with samples that occur twice.
    pub duplicates: Duplicates,
}

/// Samples, and what was done to the records on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dataset {
    /// What is learnt from, in the order of files and lines.
    pub samples: Vec<Sample>,
    /// How many records were left out because they were too long.
    pub too_long: usize,
    /// How many lost their end.
    pub cut: usize,
    /// How many were left out because they occur earlier.
    pub repeated: usize,
}

impl Dataset {
    /// Tokens of all samples.
    pub fn tokens(&self) -> usize {
        self.samples.iter().map(Sample::tokens).sum()
    }

    /// Tokens that are learnt.
    pub fn learnt(&self) -> usize {
        self.samples.iter().map(Sample::learnt).sum()
    }

    /// A hash of all ids and masks, by which a resumed run knows its data.
    pub fn fingerprint(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for sample in &self.samples {
            hasher.update(digest(sample).as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    /// Reads files of records.
    ///
    /// # Errors
    /// [`Error::Data`] with file and line of the first record that cannot be learnt from, or when nothing is left;
    /// [`Error::Io`] for a file that cannot be read.
    pub fn read(files: &[PathBuf], text: &Text, rules: Rules) -> Result<Self> {
        let mut dataset = Self::default();
        let lay = |record: &Value| {
            let sample = text.sample(record).map_err(|reason| reason.to_string())?;
            Ok((digest(&sample), sample))
        };
        let (samples, repeated) = read_records(files, rules.duplicates, lay, |sample| dataset.fit(sample, rules))?;
        (dataset.samples, dataset.repeated) = (samples, repeated);
        match (dataset.samples.is_empty(), files.first()) {
            (true, Some(file)) => {
                let reason = match dataset.too_long {
                    0 => "holds no record".to_owned(),
                    long => {
                        format!("all {long} records are longer than {} tokens: raise data.max_tokens", rules.max_tokens)
                    }
                };
                Err(Error::Data { file: file.clone(), line: 0, reason })
            }
            _ => Ok(dataset),
        }
    }

    /// Refuses data that is also in `other`: what is held out must not be learnt.
    ///
    /// # Errors
    /// [`Error::Input`] with the number of samples that are in both.
    pub fn check_apart(&self, other: &Self) -> Result<()> {
        let held: std::collections::HashSet<&Sample> = other.samples.iter().collect();
        let shared = self.samples.iter().filter(|sample| held.contains(sample)).count();
        if shared == 0 {
            return Ok(());
        }
        Err(Error::Input(format!(
            "{shared} samples of data.train are in data.heldout too: remove them from one of both"
        )))
    }

    /// Applies the rule about length.
    fn fit(&mut self, mut sample: Sample, rules: Rules) -> Result<Option<Sample>, String> {
        let tokens = sample.tokens();
        if tokens <= rules.max_tokens {
            return Ok(Some(sample));
        }
        match rules.overlong {
            Overlong::Refuse => Err(format!(
                "has {tokens} tokens, at most {} are allowed: raise data.max_tokens, or set data.overlong to drop or cut",
                rules.max_tokens
            )),
            Overlong::Drop => {
                self.too_long += 1;
                Ok(None)
            }
            Overlong::Cut => {
                sample.ids.truncate(rules.max_tokens);
                sample.mask.truncate(rules.max_tokens);
                let keep = sample.learnt() > 0;
                *(if keep { &mut self.cut } else { &mut self.too_long }) += 1;
                Ok(keep.then_some(sample))
            }
        }
    }
}

/// Reads files of records, each by `lay`, on all threads, which also gives what stands for it when it is looked for again;
/// then `fit` may leave it out or cut it, one after another. Tells how many were left out because they occur earlier.
pub(crate) fn read_records<T: Send>(
    files: &[PathBuf],
    duplicates: Duplicates,
    lay: impl Fn(&Value) -> Result<(blake3::Hash, T), String> + Sync,
    mut fit: impl FnMut(T) -> Result<Option<T>, String>,
) -> Result<(Vec<T>, usize)> {
    let (mut records, mut repeated) = (Vec::new(), 0);
    let mut seen: HashMap<blake3::Hash, (usize, usize)> = HashMap::new();
    for (number, file) in files.iter().enumerate() {
        let fault = |line: usize, reason: String| Error::Data { file: file.clone(), line, reason };
        let mut take = |lines: &[(usize, Vec<u8>)]| {
            let laid = lines.par_iter().map(|(_, bytes)| parse(bytes).and_then(|record| lay(&record)));
            let laid: Vec<_> = laid.collect();
            for ((line, _), laid) in lines.iter().zip(laid) {
                let (digest, record) = laid.map_err(|reason| fault(*line, reason))?;
                let Some(record) = fit(record).map_err(|reason| fault(*line, reason))? else { continue };
                if duplicates != Duplicates::Keep {
                    match seen.entry(digest) {
                        Entry::Occupied(_) if duplicates == Duplicates::Drop => {
                            repeated += 1;
                            continue;
                        }
                        Entry::Occupied(earlier) => {
                            let (at, earlier) = *earlier.get();
                            let place = format!("{}:{earlier}", files[at].display());
                            let reason =
                                format!("is the same as {place}: remove one, or set data.duplicates to drop or keep");
                            return Err(fault(*line, reason));
                        }
                        Entry::Vacant(place) => {
                            place.insert((number, *line));
                        }
                    }
                }
                records.push(record);
            }
            Ok(())
        };
        let (mut lines, mut bytes) = (Vec::new(), 0);
        for_each_line(file, |line, record| {
            bytes += record.len() as u64;
            lines.push((line, record.to_vec()));
            if lines.len() < TOGETHER && bytes < LINE {
                return Ok(());
            }
            bytes = 0;
            take(&std::mem::take(&mut lines))
        })?;
        take(&lines)?;
    }
    Ok((records, repeated))
}

/// Stands for a sample.
pub(crate) fn digest(sample: &Sample) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(sample.ids.len() as u64).to_le_bytes());
    for (id, learnt) in sample.ids.iter().zip(&sample.mask) {
        hasher.update(&(u64::from(*id) << 1 | u64::from(*learnt)).to_le_bytes());
    }
    hasher.finalize()
}

fn parse(line: &[u8]) -> Result<Value, String> {
    let value: Value = serde_json::from_slice(line).map_err(|error| format!("is no JSON: {error}"))?;
    if value.is_object() { Ok(value) } else { Err("is no JSON object".to_owned()) }
}

/// Calls `each` with every line that is not blank and its number, from 1.
pub(crate) fn for_each_line(file: &Path, mut each: impl FnMut(usize, &[u8]) -> Result<()>) -> Result<()> {
    let unreadable = |source: std::io::Error| Error::Io { path: file.to_owned(), source };
    let mut reader = corpus::reader::open_text(file).map_err(|error| unreadable(std::io::Error::other(error)))?;
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = std::io::Read::take(&mut reader, LINE).read_until(b'\n', &mut line).map_err(unreadable)?;
        if read == 0 {
            break;
        }
        if read as u64 == LINE && line.last() != Some(&b'\n') {
            let reason = format!("is longer than {LINE} bytes");
            return Err(Error::Data { file: file.to_owned(), line: number, reason });
        }
        if !line.trim_ascii().is_empty() {
            each(number, &line)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
