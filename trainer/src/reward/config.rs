//! [`RewardConfig`]: `[reward]` of a recipe: weights of the terms, and what they depend on.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::normalise::Normalise;
use super::outside::Outside;
use crate::{Error, Result};

/// `[reward]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RewardConfig {
    /// Least correctness for which what an answer says of its evidence counts (0.5).
    pub gate: f64,
    /// Words of an answer that cost nothing (120).
    pub answer_words: usize,
    /// Words below which an answer says too little for its grounding to count (1).
    pub least_words: usize,
    /// Who judges support (`lexical`).
    pub judge: JudgeChoice,
    /// Who compares answers by meaning: `static` for the bundled encoder, or the path of another (`static`).
    pub encoder: String,
    /// What terms are divided by before they are summed (`none`).
    pub normalise: Normalise,
    /// Weights of the terms, none below 0.
    pub weights: Weights,
    /// Terms that somebody else gives.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outside: Vec<Outside>,
}

impl Default for RewardConfig {
    fn default() -> Self {
        Self {
            gate: 0.5,
            answer_words: 120,
            least_words: 1,
            judge: JudgeChoice::Lexical,
            normalise: Normalise::None,
            encoder: retriever::embed::BUNDLED.to_owned(),
            weights: Weights::default(),
            outside: Vec::new(),
        }
    }
}

/// Who says whether evidence supports a claim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JudgeChoice {
    /// By words alone: most of the claim's words, and every number, within two sentences of a passage
    /// that the claim cites. It sees no negation and no paraphrase.
    #[default]
    Lexical,
    /// A scorer in this folder, as `anamnesis-train scorer` makes them.
    Scorer(PathBuf),
}

/// `[reward.weights]`
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Weights {
    /// The answer is right (1.0).
    pub correctness: f64,
    /// Its claims are supported by what they cite (0.3).
    pub grounding: f64,
    /// Its parts cite evidence that exists (0.1).
    pub citation: f64,
    /// It keeps to the protocol (0.1).
    pub format: f64,
    /// Thoughts make use of what was found (0).
    pub depth: f64,
    /// Steps that take up nothing of what came before cost (0).
    pub coherence: f64,
    /// Clinical terms of neither evidence nor question cost (0).
    pub terminology: f64,
    /// Doses, measures and instructions that no evidence carries cost (0.2).
    pub safety: f64,
    /// Searches beyond those needed cost (0.05).
    pub search_cost: f64,
    /// A long answer costs (0.2).
    pub length: f64,
    /// To come near the end of the tokens that may be written costs (0).
    pub overlong: f64,
    /// Repetition costs (0.2).
    pub repetition: f64,
    /// Another script than the question's and the evidence's costs (0.2).
    pub script: f64,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            correctness: 1.0,
            grounding: 0.3,
            citation: 0.1,
            format: 0.1,
            depth: 0.0,
            coherence: 0.0,
            terminology: 0.0,
            safety: 0.2,
            search_cost: 0.05,
            length: 0.2,
            overlong: 0.0,
            repetition: 0.2,
            script: 0.2,
        }
    }
}

impl Weights {
    /// All of them, by name.
    fn named(&self) -> [(&'static str, f64); 13] {
        [
            ("correctness", self.correctness),
            ("grounding", self.grounding),
            ("citation", self.citation),
            ("format", self.format),
            ("depth", self.depth),
            ("coherence", self.coherence),
            ("terminology", self.terminology),
            ("safety", self.safety),
            ("search_cost", self.search_cost),
            ("length", self.length),
            ("overlong", self.overlong),
            ("repetition", self.repetition),
            ("script", self.script),
        ]
    }
}

impl RewardConfig {
    /// The same without terms that others give.
    #[must_use]
    pub fn inside(&self) -> Self {
        if self.outside.is_empty() {
            return self.clone();
        }
        let mut inside = Self { outside: Vec::new(), ..self.clone() };
        if inside.weights.named().iter().all(|(_, weight)| *weight == 0.0) {
            inside.weights = Weights::default();
        }
        inside
    }

    /// Refuses weights below 0 or without end, which would turn a term round or drown the others.
    ///
    /// # Errors
    /// [`Error::Input`] that names the field.
    pub fn check(&self) -> Result<()> {
        let named = self.weights.named();
        if let Some((name, value)) = named.iter().find(|(_, value)| !(0.0..=1e6).contains(value)) {
            return Err(Error::Input(format!("reward.weights.{name} is {value}, not from 0 to 1000000")));
        }
        if !(0.0..=1.0).contains(&self.gate) {
            return Err(Error::Input(format!("reward.gate is {}, not from 0 to 1", self.gate)));
        }
        for (place, one) in self.outside.iter().enumerate() {
            let before = self.outside[..place].iter().map(|one| one.name.as_str());
            one.check(&named.iter().map(|(name, _)| *name).chain(before).collect::<Vec<_>>())?;
        }
        let outside = self.outside.iter().map(|one| one.weight);
        if named.iter().map(|(_, weight)| *weight).chain(outside).all(|weight| weight == 0.0) {
            return Err(Error::Input(
                "every weight of the reward is 0: give one to reward.weights.correctness".to_owned(),
            ));
        }
        Ok(())
    }
}
