//! [`evaluate()`]: what a policy's answers to questions come to, each measure with a bootstrap interval.
//!
//! Questions are asked once ([`ask`]). A measure looks at one answer, or says that it does not apply to it; a row is
//! its mean over the questions of one label. An episode whose time was over is wrong by every measure.

pub mod benchmark;
pub mod given;
mod interval;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::path::Path;
use std::time::Duration;

use agent::policy::{Local, LocalOptions, Policy};
use agent::protocol::Profile;
use agent::trace::StopReason;
use agent::{Ask, Budget, Trace};
use nn::Device;
use retriever::{Query, Retrieve};
use serde::Serialize;

pub use self::interval::Estimate;
use crate::data::question::{Question, questions};
use crate::recipe::{Recipe, Retriever};
use crate::retrieval::{Empty, Searched};
use crate::reward::{Reward, Rewards};
use crate::rollout::{Cached, Place, Score};
use crate::run::Clock;
use crate::stages::rl::library;
use crate::{Error, Result, at_once};

/// The label of the row over all questions.
pub const ALL: &str = "all";
/// Queries whose hits are remembered, and chunks whose text is.
const REMEMBERED: usize = 100_000;

/// Who is asked, where it may search, on what terms.
#[derive(Clone, Copy)]
pub struct Exam<'a> {
    /// Who.
    pub policy: &'a dyn Policy,
    /// Where.
    pub retriever: &'a dyn Retrieve,
    /// What may be evidence, and which arms look. Text and `k` are not used.
    pub query: &'a Query,
    /// The bounds of an episode.
    pub budget: Budget,
    /// Its grammar.
    pub profile: Profile,
    /// Episodes under way at once.
    pub at_once: usize,
    /// Decides what is random in a policy.
    pub seed: u64,
    /// What answers are worth.
    pub score: &'a Score<'a>,
    /// Time since a moment of the caller's choice.
    pub clock: &'a (dyn Fn() -> Duration + Sync),
}

/// One answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The whole episode.
    pub trace: Trace,
    /// What it was worth.
    pub reward: Reward,
}

/// Asks each question once; answers in the order of the questions.
///
/// # Errors
/// The first that an episode ends with; those of the rewards.
pub fn ask(exam: &Exam<'_>, questions: &[Question]) -> Result<Vec<Asked>> {
    let place = Place { seed: exam.seed, step: u32::MAX };
    let traces = at_once::each(questions.len(), exam.at_once, |number, cancel| {
        let task = Ask {
            query: exam.query.clone(),
            budget: exam.budget,
            profile: exam.profile,
            seed: place.seed(number, 0),
            ..Ask::new(questions[number].question.as_str(), jiff::Timestamp::UNIX_EPOCH)
        };
        Ok(agent::ask::ask(&task, exam.policy, exam.retriever, exam.clock, cancel, &mut |_| {})?)
    })?;
    let episodes: Vec<_> = questions.iter().zip(&traces).collect();
    let rewards = (exam.score)(&episodes)?;
    if rewards.len() != traces.len() {
        return Err(Error::Shape(format!("{} rewards for {} episodes", rewards.len(), traces.len())));
    }
    Ok(traces.into_iter().zip(rewards).map(|(trace, reward)| Asked { trace, reward }).collect())
}

/// What a measure makes of one answer; `None` where it does not apply.
pub type Of<'a> = dyn Fn(&Question, &Trace, &Reward) -> Option<f64> + 'a;

/// A measure of one answer.
pub struct Measure<'a> {
    /// Its name.
    pub name: &'static str,
    /// What it makes of an answer.
    pub of: Box<Of<'a>>,
}

/// The measures of every evaluation: `exact_match`, `accuracy` (mean correctness, which counts answers that are partly
/// right), `grounding`, `citation`, `search_rate`, `answer_rate`, `hit_rate` (the share of the documents that hold the answer
/// that were found, where they are known), `faults`, `reward`, and `written_tokens` where a policy tells its tokens.
pub fn measures() -> Vec<Measure<'static>> {
    let flag = |is_so: bool| Some(f64::from(u8::from(is_so)));
    let measure = |name, of: Box<Of<'static>>| Measure { name, of };
    let known = |value: f64| (!value.is_nan()).then_some(value);
    vec![
        measure("exact_match", Box::new(move |_, _, reward| flag(reward.value("correctness") >= 1.0))),
        measure("accuracy", Box::new(move |_, _, reward| known(reward.value("correctness")))),
        measure("grounding", Box::new(move |_, _, reward| known(reward.value("grounding")))),
        measure("citation", Box::new(move |_, _, reward| known(reward.value("citation")))),
        measure("search_rate", Box::new(move |_, trace, _| flag(!trace.searches.is_empty()))),
        measure("answer_rate", Box::new(move |_, trace, _| flag(trace.answer.is_answered()))),
        measure("hit_rate", Box::new(|question, trace, _| hit_rate(question, trace))),
        measure("faults", Box::new(|_, trace, _| Some(trace.faults.len() as f64))),
        measure("reward", Box::new(move |_, _, reward| known(reward.total))),
        measure("written_tokens", Box::new(|_, trace, _| trace.written_tokens().map(|tokens| tokens as f64))),
    ]
}

fn hit_rate(question: &Question, trace: &Trace) -> Option<f64> {
    let found: BTreeSet<&str> =
        trace.searches.iter().flat_map(|search| &search.hits).map(|hit| hit.document.key()).collect();
    let wanted = &question.documents;
    let hits = wanted.iter().filter(|key| found.contains(key.as_str())).count();
    (!wanted.is_empty()).then(|| hits as f64 / wanted.len() as f64)
}

/// What answers came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// All questions, then those of each label.
    pub rows: Vec<Row>,
}

/// Some questions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// What they have in common; `all` for all.
    pub label: String,
    /// How many there are.
    pub questions: usize,
    /// The mean of each measure over those that it applies to.
    pub measures: BTreeMap<String, Estimate>,
}

/// The measures of `asked`, over all questions and over those of each label. `seed` decides the resamples of intervals.
pub fn evaluate(
    questions: &[Question],
    asked: &[Asked],
    measures: &[Measure<'_>],
    label: &dyn Fn(&Question) -> Option<String>,
    seed: u64,
) -> Evaluation {
    let labels: Vec<Option<String>> = questions.iter().map(label).collect();
    let known: BTreeSet<&String> = labels.iter().flatten().collect();
    let row = |wanted: Option<&String>| {
        let own = questions.iter().zip(asked).zip(&labels);
        let own: Vec<_> =
            own.filter(|(_, label)| wanted.is_none() || label.as_ref() == wanted).map(|(it, _)| it).collect();
        let value = |measure: &Measure<'_>, (question, Asked { trace, reward }): &(&Question, &Asked)| {
            let value = (measure.of)(question, trace, reward);
            if trace.stop == StopReason::Time { value.map(|_| 0.0) } else { value }
        };
        let estimate = |measure: &Measure<'_>| {
            let values: Vec<f64> = own.iter().filter_map(|one| value(measure, one)).collect();
            Some((measure.name.to_owned(), Estimate::of(&values, seed)?))
        };
        Row {
            label: wanted.map_or_else(|| ALL.to_owned(), Clone::clone),
            questions: own.len(),
            measures: measures.iter().filter_map(estimate).collect(),
        }
    };
    Evaluation { rows: std::iter::once(None).chain(known.into_iter().map(Some)).map(row).collect() }
}

impl Evaluation {
    /// The figures as a journal keeps them: `exact_match` over all questions with `exact_match_low` and
    /// `exact_match_high`, and `exact_match_LABEL` over those of a label.
    pub fn values(&self) -> BTreeMap<String, f64> {
        let mut values = BTreeMap::new();
        for Row { label, measures, .. } in &self.rows {
            for (name, Estimate { value, low, high, .. }) in measures {
                if label == ALL {
                    values.insert(format!("{name}_low"), *low);
                    values.insert(format!("{name}_high"), *high);
                    values.insert(name.clone(), *value);
                } else {
                    let label: String =
                        label.chars().map(|part| if part.is_alphanumeric() { part } else { '_' }).collect();
                    values.insert(format!("{name}_{label}"), *value);
                }
            }
        }
        values
    }
}

/// Documents that a question takes, as a label.
pub fn hops(question: &Question) -> Option<String> {
    Some(if question.hops == 1 { "1 hop".to_owned() } else { format!("{} hops", question.hops) })
}

/// Asks the model in the folder `model` the `data.questions` of a recipe by its likeliest tokens, on the terms of the
/// recipe's episodes; rows by hops.
///
/// # Errors
/// Those of reading questions, index and model, and of the episodes.
pub fn of_recipe(recipe: &Recipe, model: &Path, adapter: Option<&Path>, clock: Clock<'_>) -> Result<Evaluation> {
    let files = &recipe.data.questions;
    let questions = files.iter().map(|path| questions(path)).collect::<Result<Vec<_>>>()?.concat();
    let rollout = &recipe.rollout;
    // Who finds nothing needs no index.
    let library = if rollout.retriever == Retriever::Empty { None } else { Some(library::open(&recipe.data)?) };
    let inner = library.as_ref().map_or(&Empty as &dyn Retrieve, |library| library.retriever());
    let searched = Searched::new(inner, rollout.retriever, &questions)?;
    let retriever = Cached::new(&searched, REMEMBERED);
    let device = NonZero::new(recipe.run.threads).map_or_else(Device::cpu, |threads| Device::Cpu { threads });
    let options = LocalOptions {
        device,
        adapter: adapter.map(Path::to_owned),
        max_batch: rollout.batch(),
        ..LocalOptions::default()
    };
    let policy = Local::open(model, &options)?;
    // Nobody outside is asked for a measure.
    let rewards = Rewards::open(&recipe.reward.inside(), None)?;
    let begun = clock();
    let exam = Exam {
        policy: &policy,
        retriever: &retriever,
        query: &Query::new(""),
        budget: rollout.budget,
        profile: rollout.profile,
        at_once: rollout.batch(),
        seed: recipe.run.seed,
        score: &|episodes| rewards.score(episodes),
        clock: &|| clock().duration_since(begun).unsigned_abs(),
    };
    let asked = ask(&exam, &questions)?;
    Ok(evaluate(&questions, &asked, &measures(), &hops, recipe.run.seed))
}

impl std::fmt::Debug for Exam<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exam")
            .field("policy", &self.policy.name())
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Measure<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Measure").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
