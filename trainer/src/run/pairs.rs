//! [`pairs()`]: from the episodes that a run kept to pairs of a better and a worse one, for DPO and reward models.
//!
//! Of the episodes of one question in one step the best and the worst make a pair, if their rewards are far enough apart.
//! Questions are held out whole, chosen by their names alone.

use std::fs;
use std::path::{Path, PathBuf};

use agent::Trace;
use serde::{Deserialize, Serialize};

use crate::error::read;
use crate::reward::Reward;
use crate::{Error, Result, Sample, files, stages};

/// Where a run keeps its episodes.
const TRACES: &str = "traces";

/// Which pairs are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// The least difference of rewards.
    pub margin: f64,
    /// The share of questions that are held out.
    pub share: f64,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Written {
    /// Groups of episodes on one question.
    pub groups: usize,
    /// Pairs to learn from.
    pub train: usize,
    /// Pairs to measure by.
    pub heldout: usize,
}

/// An episode as a run keeps it, as far as it matters here.
#[derive(Deserialize)]
struct Kept {
    question: String,
    is_masked: bool,
    reward: Reward,
    trace: Trace,
}

/// Two answers to one question, as `dpo` and `reward` read them.
#[derive(Serialize)]
struct Pair {
    question: String,
    margin: f64,
    chosen: Sample,
    rejected: Sample,
}

/// Writes pairs of the episodes of the run in the folder `run`, or of its stages, to the file `train`, and those of
/// held-out questions to `heldout`.
///
/// # Errors
/// [`Error::Input`] when the run has no episodes or none differ, or a setting cannot be; [`Error::Data`] with its line for
/// what is no episode; those of the disk.
pub fn pairs(run: &Path, train: &Path, heldout: Option<&Path>, choice: Choice) -> Result<Written> {
    let Choice { margin, share } = choice;
    if !(margin.is_finite() && margin > 0.0) {
        return Err(Error::Input(format!("a margin of {margin}: it must be above 0, or neither episode is better")));
    }
    if !(0.0..1.0).contains(&share) {
        return Err(Error::Input(format!("a held-out share of {share}: it must be at least 0 and less than 1")));
    }
    let share = if heldout.is_some() { share } else { 0.0 };
    let mut written = Written::default();
    let (mut learnt, mut held) = (Vec::new(), Vec::new());
    let files = episodes(run)?;
    if files.is_empty() {
        let shown = run.display();
        return Err(Error::Input(format!("{shown} has no episodes: name a run of grpo or ppo, or one of its stages")));
    }
    for file in &files {
        for group in groups(file)? {
            written.groups += 1;
            if let Some(pair) = pair(&group, margin)? {
                if is_held(&pair.question, share) { held.push(pair) } else { learnt.push(pair) }
            }
        }
    }
    if learnt.is_empty() {
        let shown = run.display();
        return Err(Error::Input(format!(
            "in {shown} no two episodes of a question are {margin} apart: lower --margin"
        )));
    }
    (written.train, written.heldout) = (learnt.len(), held.len());
    files::lines(train, &learnt)?;
    heldout.map_or(Ok(()), |heldout| files::lines(heldout, &held))?;
    Ok(written)
}

/// The files of episodes of a run and of its stages, in their order.
fn episodes(run: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in std::iter::once(run.to_owned()).chain(stages::begun(run)?) {
        let folder = folder.join(TRACES);
        if folder.is_dir() {
            let entries = fs::read_dir(&folder).map_err(read(&folder))?;
            let mut files = entries
                .map(|entry| Ok(entry.map_err(read(&folder))?.path()))
                .filter(|path| path.as_ref().map_or(true, |path| path.extension().is_some_and(|end| end == "jsonl")))
                .collect::<Result<Vec<PathBuf>>>()?;
            files.sort_unstable();
            found.extend(files);
        }
    }
    Ok(found)
}

/// The episodes of a step, those on one question together.
fn groups(file: &Path) -> Result<Vec<Vec<Kept>>> {
    let text = fs::read_to_string(file).map_err(read(file))?;
    let mut groups: Vec<Vec<Kept>> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let fault = |error: serde_json::Error| Error::Data {
            file: file.to_owned(),
            line: number + 1,
            reason: format!("is no episode: {error}"),
        };
        let kept: Kept = serde_json::from_str(line).map_err(fault)?;
        match groups.last_mut() {
            Some(group) if group[0].question == kept.question => group.push(kept),
            _ => groups.push(vec![kept]),
        }
    }
    Ok(groups)
}

/// The best and the worst of a group; of equals the first.
fn pair(group: &[Kept], margin: f64) -> Result<Option<Pair>> {
    let (mut best, mut worst): (Option<&Kept>, Option<&Kept>) = (None, None);
    for kept in group.iter().filter(|kept| !kept.is_masked && kept.reward.total.is_finite()) {
        if best.is_none_or(|best| kept.reward.total > best.reward.total) {
            best = Some(kept);
        }
        if worst.is_none_or(|worst| kept.reward.total < worst.reward.total) {
            worst = Some(kept);
        }
    }
    let (Some(best), Some(worst)) = (best, worst) else { return Ok(None) };
    let apart = best.reward.total - worst.reward.total;
    if apart < margin {
        return Ok(None);
    }
    let sample = |kept: &Kept| -> Result<Sample> {
        let no_ids = || Error::Input(format!("episode {} has no token ids, so it cannot train", kept.trace.id));
        let (ids, mask) = kept.trace.sequence().ok_or_else(no_ids)?;
        Ok(Sample { ids, mask })
    };
    let (chosen, rejected) = (sample(best)?, sample(worst)?);
    Ok(Some(Pair { question: best.question.clone(), margin: apart, chosen, rejected }))
}

/// Whether a question is among the share that is held out.
fn is_held(question: &str, share: f64) -> bool {
    let [a, b, c, d, ..] = *blake3::hash(question.as_bytes()).as_bytes();
    f64::from(u32::from_le_bytes([a, b, c, d])) < share * f64::from(u32::MAX)
}

#[cfg(test)]
mod tests;
