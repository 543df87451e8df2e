//! [`Preferences`]: records of a better and a worse answer, all of them laid out before anything is trained.
//!
//! A record is a `prompt`, or the `messages` of a conversation that waits for the assistant, with the answers
//! `chosen` and `rejected`; or both of these as `ids` with a `mask`, for who encoded them by this very tokenizer, as
//! the episodes of a run are. Of a conversation nothing but the last answer counts. Prompts and answers are laid out as
//! [`data`](crate::data) has it.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::data::{Rules, Text, digest, read_records};
use crate::recipe::{DataSection, Overlong};
use crate::{Error, Result, Sample};

/// Two answers to one prompt.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Preference {
    /// With the better answer.
    pub chosen: Sample,
    /// With the worse.
    pub rejected: Sample,
}

/// Pairs of answers, and what was done to the records on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preferences {
    /// What is learnt from, in the order of files and lines.
    pub pairs: Vec<Preference>,
    /// How many records were left out because an answer was too long.
    pub too_long: usize,
    /// How many lost an end.
    pub cut: usize,
    /// How many were left out because they occur earlier.
    pub repeated: usize,
}

impl Preferences {
    /// Reads files of records; `rules.max_tokens` bounds a prompt with one answer.
    ///
    /// # Errors
    /// [`Error::Data`] with file and line of the first record that cannot be learnt from, or when nothing is left;
    /// [`Error::Io`] for a file that cannot be read.
    pub fn read(files: &[PathBuf], text: &Text, rules: Rules) -> Result<Self> {
        let mut all = Self::default();
        let lay = |record: &Value| {
            let pair = lay(text, record)?;
            Ok((pair.digest(), pair))
        };
        let (pairs, repeated) = read_records(files, rules.duplicates, lay, |pair| all.fit(pair, rules))?;
        (all.pairs, all.repeated) = (pairs, repeated);
        match files.first() {
            Some(file) if all.pairs.is_empty() => {
                let reason = match all.too_long {
                    0 => "holds no record".to_owned(),
                    long => {
                        format!("all {long} records are longer than {} tokens: raise data.max_tokens", rules.max_tokens)
                    }
                };
                Err(Error::Data { file: file.clone(), line: 0, reason })
            }
            _ => Ok(all),
        }
    }

    /// What a recipe learns from and what it measures by, of which none is in both.
    ///
    /// # Errors
    /// As [`Preferences::read`] and [`Preferences::check_apart`].
    pub fn read_both(data: &DataSection, text: &Text, rules: Rules) -> Result<(Self, Self)> {
        let train = Self::read(&data.train, text, rules)?;
        let heldout = Self::read(&data.heldout, text, rules)?;
        train.check_apart(&heldout)?;
        Ok((train, heldout))
    }

    /// A hash of all pairs, and of those that are held out, by which a resumed run knows its data.
    pub fn fingerprint(&self, heldout: &Self) -> String {
        let mut hasher = blake3::Hasher::new();
        for pairs in [&self.pairs, &heldout.pairs] {
            hasher.update(&(pairs.len() as u64).to_le_bytes());
            for pair in pairs {
                hasher.update(pair.digest().as_bytes());
            }
        }
        hasher.finalize().to_hex().to_string()
    }

    /// Refuses data that is also in `other`: what is held out must not be learnt.
    ///
    /// # Errors
    /// [`Error::Input`] with the number of pairs that are in both.
    pub fn check_apart(&self, other: &Self) -> Result<()> {
        let held: std::collections::HashSet<&Preference> = other.pairs.iter().collect();
        let shared = self.pairs.iter().filter(|pair| held.contains(pair)).count();
        if shared == 0 {
            return Ok(());
        }
        Err(Error::Input(format!("{shared} pairs of data.train are in data.heldout too: remove them from one of both")))
    }

    /// Applies the rule about length.
    fn fit(&mut self, mut pair: Preference, rules: Rules) -> Result<Option<Preference>, String> {
        let most = rules.max_tokens;
        let tokens = pair.chosen.tokens().max(pair.rejected.tokens());
        if tokens <= most {
            return Ok(Some(pair));
        }
        match rules.overlong {
            Overlong::Refuse => Err(format!(
                "an answer with its prompt has {tokens} tokens, at most {most} are allowed: raise data.max_tokens, or set data.overlong to drop or cut"
            )),
            Overlong::Drop => {
                self.too_long += 1;
                Ok(None)
            }
            Overlong::Cut => {
                for sample in [&mut pair.chosen, &mut pair.rejected] {
                    sample.ids.truncate(most);
                    sample.mask.truncate(most);
                }
                // Of answers that differ beyond the cut alone neither is better.
                let is_left = |sample: &Sample| sample.learnt() > 0;
                let keep = is_left(&pair.chosen) && is_left(&pair.rejected) && pair.chosen != pair.rejected;
                *(if keep { &mut self.cut } else { &mut self.too_long }) += 1;
                Ok(keep.then_some(pair))
            }
        }
    }
}

impl Preference {
    fn digest(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(digest(&self.chosen).as_bytes()).update(digest(&self.rejected).as_bytes());
        hasher.finalize()
    }
}

/// A record as the model would see it.
fn lay(text: &Text, record: &Value) -> Result<Preference, String> {
    let pair = Preference { chosen: answer(text, record, "chosen")?, rejected: answer(text, record, "rejected")? };
    if pair.chosen == pair.rejected {
        return Err("`chosen` and `rejected` are the same, so neither is better: remove the record".to_owned());
    }
    Ok(pair)
}

/// The prompt of a record with one of its answers.
fn answer(text: &Text, record: &Value, field: &str) -> Result<Sample, String> {
    let sample = |record: &Value| text.sample(record).map_err(|reason| format!("`{field}`: {reason}"));
    let answer = match record.get(field) {
        None | Some(Value::Null) => return Err(format!("has no `{field}`")),
        Some(Value::String(answer)) if answer.trim().is_empty() => return Err(format!("`{field}` is empty")),
        Some(Value::String(answer)) => answer,
        Some(encoded) if encoded.get("ids").is_some() => {
            if record.get("prompt").is_some() || record.get("messages").is_some() {
                return Err(format!("has a prompt beside the `ids` of `{field}`, which hold it: remove one"));
            }
            return sample(encoded);
        }
        Some(_) => return Err(format!("`{field}` is neither text nor `ids` with a `mask`")),
    };
    match (record.get("prompt"), record.get("messages")) {
        (Some(prompt), None) => sample(&json!({ "prompt": prompt, "completion": answer })),
        (None, Some(Value::Array(messages))) => {
            let is_open = messages.last().is_some_and(|last| last["role"] != "assistant");
            if !is_open {
                return Err("`messages` must end where the assistant is to answer".to_owned());
            }
            let whole: Vec<Value> =
                messages.iter().cloned().chain([json!({ "role": "assistant", "content": answer })]).collect();
            Ok(last_turn(sample(&json!({ "messages": whole }))?))
        }
        (None, Some(_)) => Err("`messages` is no list".to_owned()),
        _ => Err("needs a `prompt` or `messages`, and only one of these".to_owned()),
    }
}

/// Leaves of what counts the last turn alone.
fn last_turn(mut sample: Sample) -> Sample {
    let end = sample.mask.iter().rposition(|counts| *counts).unwrap_or(0);
    let start = sample.mask[..end].iter().rposition(|counts| !counts).map_or(0, |before| before + 1);
    sample.mask[..start].fill(false);
    sample
}

#[cfg(test)]
mod tests;
