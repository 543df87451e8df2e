//! [`Reward`]: what an episode was worth, as named terms, each with its reason.
//!
//! Deterministic and pure: a question with its answer and a trace in, terms out. A term that could be
//! had without being right is small, or counts only behind a gate: grounding only for an answer that is
//! right enough, was searched for and found something (the cascade of arXiv 2605.25988: a reward for
//! support alone teaches short answers, then no search, then no language).

mod correctness;
mod grounding;
mod text;
mod writing;

use agent::Trace;
use serde::{Deserialize, Serialize};

pub use self::grounding::Judge;
use crate::question::Question;
use crate::{Error, Result};

/// What an episode was worth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reward {
    /// All terms, always the same ones in the same order.
    pub terms: Vec<Term>,
    /// Their sum, each times its weight.
    pub total: f64,
}

/// One reason to give or take.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Term {
    /// What it looks at.
    pub name: &'static str,
    /// From 0 to 1 for what is wanted, from -1 to 0 for what is not.
    pub value: f64,
    /// What it counts.
    pub weight: f64,
    /// Where the value comes from.
    pub reason: String,
}

/// Weights of the terms, none below 0, and what they depend on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RewardConfig {
    /// The answer is right (1.0).
    pub correctness: f64,
    /// Its claims are supported by what they cite (0.3).
    pub grounding: f64,
    /// Its parts cite evidence that exists (0.1).
    pub citation: f64,
    /// It keeps to the protocol (0.1).
    pub format: f64,
    /// Searches beyond those needed cost (0.05).
    pub search_cost: f64,
    /// A long answer costs (0.2).
    pub length: f64,
    /// Repetition costs (0.2).
    pub repetition: f64,
    /// Another script than the question's and the evidence's costs (0.2).
    pub script: f64,
    /// Least correctness for which grounding counts (0.5).
    pub gate: f64,
    /// Words of an answer that cost nothing (120).
    pub answer_words: usize,
    /// Who judges support (`lexical`).
    pub judge: Judge,
}

impl Default for RewardConfig {
    fn default() -> Self {
        Self {
            correctness: 1.0,
            grounding: 0.3,
            citation: 0.1,
            format: 0.1,
            search_cost: 0.05,
            length: 0.2,
            repetition: 0.2,
            script: 0.2,
            gate: 0.5,
            answer_words: 120,
            judge: Judge::Lexical,
        }
    }
}

impl RewardConfig {
    /// Refuses weights below 0 or without end, which would turn a term round or drown the others.
    ///
    /// # Errors
    /// [`Error::Input`] that names the field.
    pub fn check(&self) -> Result<()> {
        let fields = [
            ("correctness", self.correctness),
            ("grounding", self.grounding),
            ("citation", self.citation),
            ("format", self.format),
            ("search_cost", self.search_cost),
            ("length", self.length),
            ("repetition", self.repetition),
            ("script", self.script),
            ("gate", self.gate),
        ];
        match fields.into_iter().find(|(_, value)| !(0.0..=1e6).contains(value)) {
            Some((name, value)) => Err(Error::Input(format!("reward.{name} is {value}, not from 0 to 1000000"))),
            None if fields.iter().take(8).all(|(_, weight)| *weight == 0.0) => {
                Err(Error::Input("every weight of the reward is 0: give one to correctness".to_owned()))
            }
            None => Ok(()),
        }
    }
}

/// What `trace` was worth as an answer to `question`.
pub fn reward(config: &RewardConfig, question: &Question, trace: &Trace) -> Reward {
    let correctness = correctness::correctness(question, trace);
    let grounding = match closed(config, trace, correctness.0) {
        Some(reason) => (0.0, reason.to_owned()),
        None => grounding::grounding(config.judge, trace),
    };
    let terms = [
        ("correctness", config.correctness, correctness),
        ("grounding", config.grounding, grounding),
        ("citation", config.citation, grounding::citation(trace)),
        ("format", config.format, writing::format(trace)),
        ("search-cost", config.search_cost, writing::search_cost(trace, question.hops)),
        ("length", config.length, writing::length(trace, config.answer_words)),
        ("repetition", config.repetition, writing::repetition(trace)),
        ("script", config.script, writing::script(trace)),
    ];
    let terms: Vec<_> =
        terms.into_iter().map(|(name, weight, (value, reason))| Term { name, value, weight, reason }).collect();
    // The sum begins at +0, so that nothing at all is never -0.
    let total = terms.iter().fold(0.0, |sum, term| sum + term.weight * term.value);
    Reward { terms, total }
}

/// Why grounding does not count, if it does not.
fn closed(config: &RewardConfig, trace: &Trace, correctness: f64) -> Option<&'static str> {
    if !trace.answer.is_answered() {
        Some("no answer was given")
    } else if trace.searches.iter().all(|search| search.evidence.is_empty()) {
        Some("nothing was searched for and found")
    } else if correctness < config.gate {
        Some("the answer is not right")
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
