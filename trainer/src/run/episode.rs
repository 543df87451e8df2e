//! [`Episode`]: an episode of a step as it was kept: `traces/step-00000001.jsonl` in the folder of a run, a line each.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use agent::Trace;
use serde::{Deserialize, Serialize};

use crate::error::read;
use crate::reward::Reward;
use crate::{Error, Result, stages};

/// Where they are kept, in the folder of a run.
const TRACES: &str = "traces";
/// Bytes of one line that are read; an episode with its evidence has some hundred thousand.
const MAX_LINE: u64 = 1 << 28;

/// An episode with what it was worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Episode {
    /// Steps done with this one.
    pub step: u64,
    /// Name of the question.
    pub question: String,
    /// Whether its time was over, so that nothing was learnt from it.
    pub is_masked: bool,
    /// How much better than its group it was; absent when it was not learnt from.
    pub advantage: Option<f64>,
    /// What it was worth, and why.
    pub reward: Reward,
    /// What happened.
    pub trace: Trace,
}

/// The file of the episodes of `step` of the run in the folder `run`.
pub(crate) fn file(run: &Path, step: u64) -> PathBuf {
    run.join(TRACES).join(format!("step-{step:08}.jsonl"))
}

impl Episode {
    /// The episode `number`, from 1, of `step` of the run in the folder `run`, the last one when no step is named; of a
    /// run of several stages, that of its last stage that had episodes. Gives it with how many the step has.
    ///
    /// # Errors
    /// [`Error::Input`] when there is none; [`Error::Data`] with its line for what is no episode; [`Error::Io`].
    pub fn read(run: &Path, step: Option<u64>, number: usize) -> Result<(Self, usize)> {
        let none = |what: String| Err(Error::Input(format!("{}: {what}", run.display())));
        let mut folders = vec![run.to_owned()];
        folders.extend(stages::begun(run)?);
        let with = folders.into_iter().map(|folder| Ok((steps(&folder)?, folder))).collect::<Result<Vec<_>>>()?;
        let Some((steps, folder)) = with.into_iter().rfind(|(steps, _)| !steps.is_empty()) else {
            return none("has no episodes: they are kept where a policy learns from rewards".to_owned());
        };
        let (first, last) = (steps[0], steps[steps.len() - 1]);
        let step = step.unwrap_or(last);
        if !steps.contains(&step) {
            return none(format!("has no episodes of step {step}: --step may be {first} to {last}"));
        }
        let path = file(&folder, step);
        let mut reader = BufReader::new(File::open(&path).map_err(read(&path))?);
        let (mut count, mut found, mut bytes) = (0, None, Vec::new());
        while reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut bytes).map_err(read(&path))? > 0 {
            count += 1;
            if count == number {
                let fault = |error: serde_json::Error| Error::Data {
                    file: path.clone(),
                    line: count,
                    reason: format!("is no episode: {error}"),
                };
                found = Some(serde_json::from_slice(&bytes).map_err(fault)?);
            }
            bytes.clear();
        }
        match found {
            Some(episode) => Ok((episode, count)),
            None => none(format!("step {step} has {count} episodes: --episode may be 1 to {count}")),
        }
    }
}

/// The steps whose episodes are kept, rising.
fn steps(run: &Path) -> Result<Vec<u64>> {
    let folder = run.join(TRACES);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut steps = Vec::new();
    for entry in fs::read_dir(&folder).map_err(read(&folder))? {
        let name = entry.map_err(read(&folder))?.file_name();
        let step =
            name.to_str().and_then(|name| name.strip_prefix("step-")?.strip_suffix(".jsonl")?.parse::<u64>().ok());
        steps.extend(step);
    }
    steps.sort_unstable();
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::Rewards;
    use crate::reward::tests::{SEARCH, dose, play};

    fn write(run: &Path, step: u64, answers: &[&str]) {
        let lines: String = answers
            .iter()
            .map(|answer| {
                let trace = play(&[SEARCH, &format!("<answer>{answer}</answer>")]);
                let reward = Rewards::default().score(&[(&dose(), &trace)]).unwrap().remove(0);
                let (question, advantage) = ("1".to_owned(), (reward.total > 1.0).then_some(0.25));
                let episode = Episode { step, question, is_masked: false, advantage, reward, trace };
                serde_json::to_string(&episode).unwrap() + "\n"
            })
            .collect();
        fs::create_dir_all(run.join(TRACES)).unwrap();
        fs::write(file(run, step), lines).unwrap();
    }

    #[test]
    fn an_episode_is_found_by_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path();
        let said = |step, number| Episode::read(run, step, number).unwrap_err().to_string();
        assert!(said(None, 1).contains("has no episodes"));
        write(run, 9, &["500 mg [E1]", "850 mg [E1]"]);
        write(run, 10, &["250 mg [E1]"]);
        let (episode, count) = Episode::read(run, Some(9), 2).unwrap();
        assert_eq!((episode.trace.answer.text.as_str(), episode.step, count), ("850 mg", 9, 2));
        assert_eq!(Episode::read(run, None, 1).unwrap().0.trace.answer.text, "250 mg");
        assert!(said(Some(8), 1).contains("9 to 10"), "{}", said(Some(8), 1));
        assert!(said(Some(9), 3).contains("1 to 2") && said(None, 0).contains("1 to 1"));
        fs::write(file(run, 11), "{}\n").unwrap();
        assert!(said(None, 1).contains("step-00000011.jsonl:1: is no episode"));
    }

    #[test]
    fn the_last_stage_with_episodes_is_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        for (stage, step) in [("01-read", 3), ("02-learn", 4), ("03-end", 0)] {
            let stage = folder.path().join("stages").join(stage);
            fs::create_dir_all(&stage).unwrap();
            fs::write(stage.join(crate::run::CONFIG), "").unwrap();
            if step > 0 {
                write(&stage, step, &["500 mg [E1]"]);
            }
        }
        assert_eq!(Episode::read(folder.path(), None, 1).unwrap().0.step, 4);
    }
}
