//! [`Session`]: one episode from the policy's side: it observes what the environment wrote, and acts.

use std::ops::ControlFlow;
use std::time::Duration;

use retriever::Evidence;

use crate::protocol::{Profile, SearchQuery};
use crate::{Budget, Cancel, Earlier, Result};

/// What a policy is told when an episode opens.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    /// The question, as the user wrote it.
    pub question: &'a str,
    /// What it goes on from, where it is a follow-up.
    pub earlier: Option<&'a Earlier>,
    /// The bounds of the episode.
    pub budget: &'a Budget,
    /// The grammar to write in.
    pub profile: Profile,
    /// Seed of whatever is random in the policy.
    pub seed: u64,
    /// When the episode begins.
    pub started: jiff::Timestamp,
}

/// One open episode of a policy. Where it has token ids it has all of them: the opening, then what was
/// observed and acted, in order, are the ids that its model saw.
pub trait Session: Send {
    /// The token ids of the prompt, before anything was observed or acted; none where there are no ids.
    fn opening(&self) -> Option<&[u32]>;

    /// Takes in what the environment wrote; gives the token ids it was read as, where there are ids.
    ///
    /// # Errors
    /// When the policy can no longer go on.
    fn observe(&mut self, observation: &Observation<'_>) -> Result<Option<Vec<u32>>>;

    /// Writes one turn. Each piece of text goes to `on_text` as it is written; `Break` means that the
    /// turn's action is complete and that nothing more will be read.
    ///
    /// # Errors
    /// When the policy fails, takes too long or is cancelled; what it wrote badly is no error.
    fn act(
        &mut self,
        limits: &ActLimits,
        cancel: &Cancel,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Act>;
}

/// What the environment wrote. A language model reads [`Observation::text`]; a policy without one may
/// read the evidence itself.
#[derive(Clone, Copy, Debug)]
pub enum Observation<'a> {
    /// What the searches of the last turn found.
    Information {
        /// The whole block as the protocol renders it.
        text: &'a str,
        /// The same, query by query.
        found: &'a [Found<'a>],
    },
    /// The last turn held no valid action.
    Correction(&'a str),
    /// Search is over: the next turn must answer or abstain.
    ForceFinal(&'a str),
    /// A part of the answer is not borne out: the next turn should give it again.
    Repair(&'a str),
}

impl<'a> Observation<'a> {
    /// The text that enters the transcript.
    pub fn text(&self) -> &'a str {
        match self {
            Self::Information { text, .. } | Self::Correction(text) | Self::ForceFinal(text) | Self::Repair(text) => {
                text
            }
        }
    }
}

/// What one query found, best first; evidence that was shown before is here again.
#[derive(Clone, Debug)]
pub struct Found<'a> {
    /// The query.
    pub query: &'a SearchQuery,
    /// Its evidence.
    pub evidence: Vec<&'a Evidence>,
}

/// Bounds of one turn.
#[derive(Clone, Copy, Debug)]
pub struct ActLimits {
    /// Tokens to write at most.
    pub max_tokens: usize,
    /// Time left in the episode.
    pub time_left: Duration,
    /// Whether a search would be heard.
    pub may_search: bool,
    /// Whether somebody listens to the text as it is written; else all of it may come at the end.
    pub is_heard: bool,
}

/// One turn as a policy wrote it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Act {
    /// All of its text.
    pub text: String,
    /// The sampled tokens, where the policy has them.
    pub tokens: Option<Tokens>,
    /// Why it ended.
    pub finish: Finish,
    /// Parts of the question that an answer leaves open, where the policy knows.
    pub unmet: Vec<String>,
}

/// Sampled tokens. Only turns that have them can train.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tokens {
    /// Token ids, in order.
    pub ids: Vec<u32>,
    /// The bytes each id stands for; they may cut characters.
    pub pieces: Vec<Vec<u8>>,
    /// Log-probability of each id when it was sampled.
    pub logprobs: Vec<f32>,
    /// Version of the weights they were sampled from, where these change.
    pub version: u64,
}

/// Why a turn ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Finish {
    /// The policy was done, or a stop sequence was reached, or nobody listened any more.
    #[default]
    Stop,
    /// The token limit, or the end of what the model can see, was reached.
    Length,
    /// The time was over.
    Time,
}
