//! [`Reward`]: what an episode was worth, as named terms, each with its reason; [`Rewards`]: who gives it.
//!
//! Deterministic: questions with their answers and traces in, terms out. A term that could be had without
//! being right is small, or counts only behind a gate: grounding only for an answer that is right enough,
//! was searched for and found something (the cascade of arXiv 2605.25988: a reward for support alone
//! teaches short answers, then no search, then no language).
//!
//! A term that nobody could give is unknown, not zero: its value is NaN, and so is the total of its
//! episode, which is then left out of what is learnt from.

mod config;
mod correctness;
mod grounding;
mod normalise;
mod outside;
mod reasoning;
mod safety;
mod semantic;
mod terminology;
mod writing;

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use agent::Trace;
use agent::trace::StopReason;
use retriever::Embed;
use serde::{Deserialize, Deserializer, Serialize};

pub use self::config::{JudgeChoice, RewardConfig, Weights};
use self::grounding::Grounds;
pub use self::normalise::Normalise;
pub use self::outside::{OnFailure, Outside, OutsideKind};
use crate::Result;
use crate::data::question::{Gold, Question};

/// What an episode was worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reward {
    /// All terms, always the same ones in the same order.
    pub terms: Vec<Term>,
    /// Their sum, each times its weight; NaN when one of them is unknown.
    #[serde(deserialize_with = "known")]
    pub total: f64,
    /// Claims of the answer that were found supported, contradicted and neither.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub verdicts: [usize; 3],
}

/// One reason to give or take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Term {
    /// What it looks at.
    pub name: String,
    /// From 0 to 1 for what is wanted, from -1 to 0 for what is not; NaN when nobody could tell.
    #[serde(deserialize_with = "known")]
    pub value: f64,
    /// What it counts.
    pub weight: f64,
    /// Where the value comes from.
    pub reason: String,
}

/// A number, or what JSON has in place of NaN.
fn known<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

fn is_nothing(verdicts: &[usize; 3]) -> bool {
    *verdicts == [0; 3]
}

impl Reward {
    /// The reward that these terms make. A term without weight counts nothing, even when it is unknown.
    pub fn of(terms: Vec<Term>) -> Self {
        let counted = terms.iter().filter(|term| term.weight != 0.0);
        // The sum begins at +0, so that nothing at all is never -0.
        let total = counted.fold(0.0, |sum, term| sum + term.weight * term.value);
        Self { terms, total, verdicts: [0; 3] }
    }

    /// The value of the term of this name; NaN when there is none.
    pub fn value(&self, name: &str) -> f64 {
        self.terms.iter().find(|term| term.name == name).map_or(f64::NAN, |term| term.value)
    }
}

/// Value and reason of a term.
type Given = (f64, String);

/// What a recipe's `[reward]` names, ready to look at episodes.
#[derive(Default)]
pub struct Rewards {
    config: RewardConfig,
    grounds: Grounds,
    /// Opened when the first answer is compared by meaning.
    encoder: OnceLock<Arc<dyn Embed>>,
    outside: Vec<Mutex<outside::Opened>>,
}

impl Rewards {
    /// Opens the judge and the outside terms that `config` names. `run` is the folder of the run, where there is one:
    /// what was said outside is remembered there.
    ///
    /// # Errors
    /// Those of a bad configuration, and of a judge or a model that cannot be opened.
    pub fn open(config: &RewardConfig, run: Option<&Path>) -> Result<Self> {
        config.check()?;
        let outside = config.outside.iter().map(|one| Ok(Mutex::new(outside::Opened::open(one, run)?)));
        let outside = outside.collect::<Result<_>>()?;
        Ok(Self { config: config.clone(), grounds: Grounds::open(&config.judge)?, outside, ..Self::default() })
    }

    /// What each of `episodes` was worth, in their order. None depends on the others.
    ///
    /// # Errors
    /// Those of the judge and of the encoder, and of an outside term that is to end the run when it cannot be had; never
    /// because of what an episode says.
    pub fn score(&self, episodes: &[(&Question, &Trace)]) -> Result<Vec<Reward>> {
        let config = &self.config;
        let correctness = self.correctness(episodes)?;
        let shut: Vec<_> =
            episodes.iter().zip(&correctness).map(|((_, trace), (value, _))| closed(config, trace, *value)).collect();
        let open = episodes.iter().zip(&shut).filter(|(_, shut)| shut.is_none()).map(|((_, trace), _)| *trace);
        let mut grounding = self.grounds.grounding(&open.collect::<Vec<_>>())?.into_iter();
        let mut outside = self.outside(episodes, &shut)?.into_iter();
        let worth = |(((question, trace), correctness), shut): (((_, &Trace), Given), Option<&str>)| {
            let question: &Question = question;
            let (grounding, verdicts) = match shut {
                Some(reason) => ((0.0, reason.to_owned()), [0; 3]),
                None => grounding.next().expect("one for each episode whose gate is open"),
            };
            let weights = &config.weights;
            let depth = match shut {
                Some(reason) => (0.0, reason.to_owned()),
                None => reasoning::depth(trace, question.hops),
            };
            let terms = [
                ("correctness", weights.correctness, correctness),
                ("grounding", weights.grounding, grounding),
                ("citation", weights.citation, grounding::citation(trace)),
                ("format", weights.format, writing::format(trace)),
                ("depth", weights.depth, depth),
                ("coherence", weights.coherence, reasoning::coherence(trace)),
                ("terminology", weights.terminology, terminology::terminology(trace)),
                ("safety", weights.safety, safety::safety(trace)),
                ("search-cost", weights.search_cost, writing::search_cost(trace, question.hops)),
                ("length", weights.length, writing::length(trace, config.answer_words)),
                ("overlong", weights.overlong, writing::overlong(trace)),
                ("repetition", weights.repetition, writing::repetition(trace)),
                ("script", weights.script, writing::script(trace)),
            ];
            let term = |(name, weight, (value, reason)): (&str, f64, Given)| Term {
                name: name.to_owned(),
                value,
                weight,
                reason,
            };
            let own = terms.into_iter().map(term);
            let theirs = outside.next().unwrap_or_default();
            Reward { verdicts, ..Reward::of(own.chain(theirs).collect()) }
        };
        Ok(episodes.iter().copied().zip(correctness).zip(shut).map(worth).collect())
    }

    /// The outside terms of each episode.
    fn outside(&self, episodes: &[(&Question, &Trace)], shut: &[Option<&str>]) -> Result<Vec<Vec<Term>>> {
        let mut terms = vec![Vec::with_capacity(self.outside.len()); episodes.len()];
        for one in &self.outside {
            let mut one = one.lock().unwrap_or_else(PoisonError::into_inner);
            let (name, weight, is_gated) = (one.config.name.clone(), one.config.weight, one.config.gated);
            let unasked: Vec<Option<&str>> = (episodes.iter().zip(shut))
                .map(|((_, trace), shut)| match shut {
                    _ if !trace.answer.is_answered() => Some("no answer was given"),
                    // Nothing is learnt from it.
                    _ if trace.stop == StopReason::Time => Some("its time was over"),
                    shut => shut.filter(|_| is_gated),
                })
                .collect();
            let given = one.score(episodes, &unasked)?;
            for (terms, (value, reason)) in terms.iter_mut().zip(given) {
                terms.push(Term { name: name.clone(), value, weight, reason });
            }
        }
        Ok(terms)
    }

    /// How right each answer is; those that are held against a meaning are looked at together.
    fn correctness(&self, episodes: &[(&Question, &Trace)]) -> Result<Vec<Given>> {
        let mut pairs: Vec<(&str, &[String])> = Vec::new();
        let mut given = Vec::with_capacity(episodes.len());
        for (question, trace) in episodes {
            given.push(match &question.gold {
                Gold::Semantic(answers) if trace.answer.is_answered() => {
                    pairs.push((&trace.answer.text, answers));
                    None
                }
                _ => Some(correctness::correctness(question, trace)),
            });
        }
        let mut compared = if pairs.is_empty() {
            Vec::new().into_iter()
        } else {
            semantic::semantic(self.encoder()?, &pairs)?.into_iter()
        };
        let next = |given: Option<Given>| given.unwrap_or_else(|| compared.next().expect("one for each pair"));
        Ok(given.into_iter().map(next).collect())
    }

    fn encoder(&self) -> Result<&dyn Embed> {
        if let Some(encoder) = self.encoder.get() {
            return Ok(encoder.as_ref());
        }
        let opened = retriever::embed::open(&self.config.encoder).map_err(agent::Error::from)?;
        Ok(self.encoder.get_or_init(|| opened).as_ref())
    }
}

impl std::fmt::Debug for Rewards {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rewards").field("config", &self.config).field("grounds", &self.grounds).finish_non_exhaustive()
    }
}

/// Why what an answer says of its evidence does not count, if it does not.
fn closed(config: &RewardConfig, trace: &Trace, correctness: f64) -> Option<&'static str> {
    let words = || trace.answer.text.split_whitespace().count();
    if !trace.answer.is_answered() {
        Some("no answer was given")
    } else if trace.searches.iter().all(|search| search.evidence.is_empty()) {
        Some("nothing was searched for and found")
    } else if correctness < config.gate {
        Some("the answer is not right")
    } else if words() < config.least_words {
        Some("the answer is too short to say why")
    } else if words() > config.answer_words.saturating_mul(2) {
        Some("the answer is too long")
    } else {
        None
    }
}

#[cfg(test)]
pub(crate) mod tests;
