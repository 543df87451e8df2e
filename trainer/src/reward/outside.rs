//! [`Outside`]: terms that somebody else gives: a user's own HTTP endpoint, a language model as a judge, a
//! trained reward model.
//!
//! All episodes of a step are asked about at once. What an endpoint said is remembered in the run's folder,
//! so that a resumed run does not ask again and ends in the same bytes. What cannot be had is unknown, and
//! never zero: it masks its episode, or ends the run, as `on_failure` says.

mod http;
mod judge;
mod model;
mod remembered;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use agent::Trace;
use serde::{Deserialize, Serialize};

use self::http::Http;
use self::judge::Judge;
use self::model::Model;
use self::remembered::Remembered;
use crate::data::question::{Gold, Question};
use crate::{Error, Result};

/// One of `[[reward.outside]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outside {
    /// The name of the term.
    pub name: String,
    /// Who gives it.
    pub kind: OutsideKind,
    /// Where: `http` a URL, `openai` URL#MODEL, `model` a folder of `anamnesis-train reward`.
    pub at: String,
    /// What it counts (0.3).
    #[serde(default = "defaults::weight")]
    pub weight: f64,
    /// Whether it counts for answers alone whose grounding counts, by `reward.gate` and its like (true).
    #[serde(default = "defaults::gated")]
    pub gated: bool,
    /// What is done when it cannot be had (`mask`).
    #[serde(default)]
    pub on_failure: OnFailure,
    /// Milliseconds that one attempt may take (30000).
    #[serde(default = "defaults::timeout_ms")]
    pub timeout_ms: u64,
    /// Attempts at one answer (3).
    #[serde(default = "defaults::attempts")]
    pub attempts: u32,
    /// Answers asked about at once (8).
    #[serde(default = "defaults::at_once")]
    pub at_once: usize,
    /// What a language model is to look at; when not given, whether the answer is right, supported and clear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
}

/// Who gives a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutsideKind {
    /// An endpoint that takes `{question, answer, evidence, gold}` and gives `{value, reason}`.
    Http,
    /// A language model behind an OpenAI-compatible endpoint; its key is in `OPENAI_API_KEY`.
    Openai,
    /// A reward model of `anamnesis-train reward`, whose scores are brought to 0 to 1 by the logistic function. It reads
    /// the policy's tokens.
    Model,
}

/// What is done when a term cannot be had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// Nothing is learnt from its episode.
    #[default]
    Mask,
    /// The run ends.
    Halt,
}

mod defaults {
    //! Of fields in a table that has fields without one.

    pub(super) fn weight() -> f64 {
        0.3
    }

    pub(super) fn gated() -> bool {
        true
    }

    pub(super) fn timeout_ms() -> u64 {
        30_000
    }

    pub(super) fn attempts() -> u32 {
        3
    }

    pub(super) fn at_once() -> usize {
        8
    }
}

impl Outside {
    /// Refuses what cannot be asked.
    pub(super) fn check(&self, taken: &[&str]) -> Result<()> {
        let Self { name, weight, timeout_ms, attempts, at_once, .. } = self;
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let fault = if name.is_empty() || !name.chars().all(is_name) {
            "its name is not of small letters, digits and hyphens".to_owned()
        } else if taken.contains(&name.as_str()) {
            "another term has its name".to_owned()
        } else if !(0.0..=1e6).contains(weight) {
            format!("its weight is {weight}, not from 0 to 1000000")
        } else if !(1..=3_600_000).contains(timeout_ms) {
            format!("timeout_ms is {timeout_ms}, not from 1 to 3600000")
        } else if !(1..=20).contains(attempts) {
            format!("attempts is {attempts}, not from 1 to 20")
        } else if !(1..=256).contains(at_once) {
            format!("at_once is {at_once}, not from 1 to 256")
        } else {
            return Ok(());
        };
        Err(Error::Input(format!("reward.outside `{name}`: {fault}")))
    }
}

/// What somebody outside is told about an episode.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Case<'a> {
    question: &'a str,
    answer: &'a str,
    evidence: Vec<Shown<'a>>,
    gold: &'a Gold,
}

/// A piece of evidence that was retrieved.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Shown<'a> {
    label: String,
    title: &'a str,
    text: &'a str,
    is_cited: bool,
}

impl<'a> Case<'a> {
    fn new(question: &'a Question, trace: &'a Trace) -> Self {
        let cited = |label| trace.answer.sentences.iter().any(|sentence| sentence.cites.contains(&label));
        let passage = |one: &'a retriever::Evidence| Shown {
            label: one.label.to_string(),
            title: &one.title,
            text: &one.text,
            is_cited: cited(one.label),
        };
        Self {
            question: &trace.question,
            answer: &trace.answer.text,
            evidence: trace.ledger.entries().iter().map(passage).collect(),
            gold: &question.gold,
        }
    }
}

/// What was said of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Opinion {
    /// From 0 to 1.
    value: f64,
    #[serde(default)]
    reason: String,
}

impl Opinion {
    /// Characters of a reason that are kept.
    const REASON: usize = 300;

    /// What a reply says, if it says it.
    fn checked(self) -> std::result::Result<Self, String> {
        if !(0.0..=1.0).contains(&self.value) {
            return Err(format!("the value is {}, not from 0 to 1", self.value));
        }
        Ok(Self { reason: self.reason.chars().take(Self::REASON).collect(), ..self })
    }
}

/// Whoever is asked, ready.
#[derive(Debug)]
enum Asked {
    Http(Http),
    Judge(Box<Judge>),
    Model(Box<Model>),
}

/// One term with whoever gives it.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) config: Outside,
    asked: Asked,
    remembered: Remembered,
}

impl Opened {
    /// Makes ready to ask. `run` is the folder of the run, where answers are remembered.
    pub(super) fn open(config: &Outside, run: Option<&Path>) -> Result<Self> {
        let named = |error: Error| Error::Input(format!("reward.outside `{}`: {error}", config.name));
        let asked = match config.kind {
            OutsideKind::Http => Asked::Http(Http::new(config).map_err(named)?),
            OutsideKind::Openai => Asked::Judge(Box::new(Judge::new(config).map_err(named)?)),
            OutsideKind::Model => Asked::Model(Box::new(Model::open(Path::new(&config.at)).map_err(named)?)),
        };
        let remembered = Remembered::open(run.map(|run| run.join(format!("outside-{}.jsonl", config.name))))?;
        Ok(Self { config: config.clone(), asked, remembered })
    }

    /// The term of each of `episodes`, in their order; `shut` tells of each why it is not asked about, if it is not.
    ///
    /// # Errors
    /// [`Error::Input`] when a term cannot be had and the run is to end then; those of the disk.
    pub(super) fn score(
        &mut self,
        episodes: &[(&Question, &Trace)],
        shut: &[Option<&str>],
    ) -> Result<Vec<(f64, String)>> {
        if let Asked::Model(model) = &self.asked {
            return by_model(model, &self.config, episodes, shut);
        }
        let cases: Vec<Option<(String, Case<'_>)>> = (episodes.iter().zip(shut))
            .map(|((question, trace), shut)| {
                let case = Case::new(question, trace);
                shut.is_none().then(|| self.key(&case).map(|key| (key, case))).transpose()
            })
            .collect::<Result<_>>()?;
        // Each case once, in the order of their keys, however often and wherever it occurs.
        let unknown: BTreeMap<&str, &Case<'_>> = (cases.iter().flatten())
            .filter(|(key, _)| self.remembered.get(key).is_none())
            .map(|(key, case)| (key.as_str(), case))
            .collect();
        let unknown: Vec<_> = unknown.into_iter().collect();
        let said = self.ask(&unknown);
        let mut failures: BTreeMap<&str, String> = BTreeMap::new();
        for ((key, _), said) in unknown.iter().zip(said) {
            match said {
                Ok(opinion) => self.remembered.keep(key, opinion)?,
                Err(failure) => {
                    failures.insert(key, failure);
                }
            }
        }
        self.remembered.sync()?;
        let Outside { name, at, on_failure, .. } = &self.config;
        if let Some(failure) = failures.values().next() {
            let (lost, all) = (failures.len(), unknown.len());
            let what =
                format!("reward.outside `{name}` at {} gave nothing for {lost} of {all} answers: {failure}", shown(at));
            if *on_failure == OnFailure::Halt {
                return Err(Error::Input(format!("{what}: see to it and go on with --resume")));
            }
            tracing::warn!("{what}");
        }
        let given = |(case, shut): (&Option<(String, Case<'_>)>, Option<&str>)| match (case, shut) {
            (Some((key, _)), _) => match (self.remembered.get(key), failures.get(key.as_str())) {
                (Some(opinion), _) => (opinion.value, opinion.reason.clone()),
                (None, failure) => (f64::NAN, format!("could not be had: {}", failure.map_or("", String::as_str))),
            },
            (None, reason) => (0.0, reason.unwrap_or_default().to_owned()),
        };
        Ok(cases.iter().zip(shut.iter().copied()).map(given).collect())
    }

    /// The name under which what was said of a case is remembered: a hash of all that it depends on.
    fn key(&self, case: &Case<'_>) -> Result<String> {
        let Outside { kind, at, instructions, .. } = &self.config;
        let whole =
            serde_json::to_vec(&(kind, at, instructions, case)).map_err(|error| Error::Shape(error.to_string()))?;
        Ok(blake3::hash(&whole).to_hex().to_string())
    }

    /// Asks about all cases, several at once. Once so many in a row failed, the others are not tried: a server that is
    /// down shall cost minutes, not hours.
    fn ask(&self, cases: &[(&str, &Case<'_>)]) -> Vec<std::result::Result<Opinion, String>> {
        let at_once = self.config.at_once;
        let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = || {
            let mut done = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some((_, case)) = cases.get(number) else {
                    return done;
                };
                let said = if failed.load(Ordering::Relaxed) >= at_once.max(2) {
                    Err("was not asked, since those before failed".to_owned())
                } else {
                    match &self.asked {
                        Asked::Http(http) => http.ask(case),
                        Asked::Judge(judge) => judge.ask(case),
                        Asked::Model(_) => Err("a reward model reads no case".to_owned()),
                    }
                };
                match said {
                    Ok(_) => failed.store(0, Ordering::Relaxed),
                    Err(_) => _ = failed.fetch_add(1, Ordering::Relaxed),
                }
                done.push((number, said));
            }
        };
        let mut done = thread::scope(|scope| {
            let threads: Vec<_> = (0..at_once.min(cases.len())).map(|_| scope.spawn(work)).collect();
            let mut done = Vec::with_capacity(cases.len());
            for thread in threads {
                match thread.join() {
                    Ok(part) => done.extend(part),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            done
        });
        done.sort_by_key(|(number, _)| *number);
        done.into_iter().map(|(_, said)| said).collect()
    }
}

/// As [`Opened::score`], by a model in this process: it is not remembered, since it says the same again.
fn by_model(
    model: &Model,
    config: &Outside,
    episodes: &[(&Question, &Trace)],
    shut: &[Option<&str>],
) -> Result<Vec<(f64, String)>> {
    let open = episodes.iter().zip(shut).filter(|(_, shut)| shut.is_none()).map(|((_, trace), _)| *trace);
    let mut scores = model.score(&open.collect::<Vec<_>>())?.into_iter();
    let given: Vec<(f64, String)> = (shut.iter())
        .map(|shut| match shut {
            Some(reason) => (0.0, (*reason).to_owned()),
            None => scores.next().expect("one for each episode that is open"),
        })
        .collect();
    match given.iter().find(|(value, _)| value.is_nan()) {
        Some((_, why)) if config.on_failure == OnFailure::Halt => {
            Err(Error::Input(format!("reward.outside `{}`: {why}", config.name)))
        }
        _ => Ok(given),
    }
}

/// An address without its query, which may hold a key.
fn shown(at: &str) -> &str {
    at.split(['?', '#']).next().unwrap_or_default()
}

/// Time of one attempt.
fn timeout(config: &Outside) -> Duration {
    Duration::from_millis(config.timeout_ms)
}

#[cfg(test)]
mod tests;
