//! [`Trace`]: the whole episode, as it happened. Serialised on purpose, so versioned.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use nn::Sampling;
use retriever::evidence::Label;
use retriever::{Hit, Ledger, Query};
use serde::{Deserialize, Serialize};

use crate::protocol::{Fault, Profile};
use crate::review::Reviewed;
use crate::{Answer, Budget, Earlier, Error, Result};

/// The version that [`Trace::version`] has now.
///
/// Version 2 added the ids of the opening and of what the environment wrote; version 1 has only those
/// that the policy sampled. Version 3 added how tokens were chosen and from which weights, version 4 what cited passages
/// say of each sentence, version 5 where they say it and the review, version 6 follow-ups to a question alone. All are read.
pub const VERSION: u32 = 6;
/// The first version whose answers were checked.
pub(crate) const CHECKED: u32 = 4;
/// The first version whose checks tell where they look.
pub(crate) const QUOTED: u32 = 5;

/// One episode. What the policy wrote is the loss mask: `segment.author == Author::Policy`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trace {
    /// Version of this layout.
    pub version: u32,
    /// Its name; sorts by time.
    pub id: TraceId,
    /// The question, as the user wrote it.
    pub question: String,
    /// What it goes on from, where it is a follow-up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<Earlier>,
    /// Name of the policy.
    pub policy: String,
    /// How it chose tokens, where it was this program that did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<Sampling>,
    /// The grammar it wrote in.
    pub profile: Profile,
    /// The pinned snapshot.
    pub snapshot: String,
    /// Seed of whatever is random in the policy.
    pub seed: u64,
    /// When it began (RFC 3339).
    pub started: jiff::Timestamp,
    /// What the caller allowed as evidence, in which arms; its text and `k` were not used.
    pub query: Query,
    /// The bounds.
    pub budget: Budget,
    /// How its answer was reviewed; absent where it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reviewed: Option<Reviewed>,
    /// Token ids of the prompt, where the policy has ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening: Option<Vec<u32>>,
    /// What was written, in order.
    pub segments: Vec<Segment>,
    /// What was looked for, in order.
    pub searches: Vec<Search>,
    /// All evidence, under its labels.
    pub ledger: Ledger,
    /// The answer or the abstention.
    pub answer: Answer,
    /// Malformed moves, with the turn of each.
    pub faults: Vec<(u32, Fault)>,
    /// Why it ended.
    pub stop: StopReason,
    /// Where the time went.
    pub timings: Timings,
}

/// Text by one author. The policy's `token_ids` and `logprobs` are what was sampled, never made from the
/// text; the environment's `token_ids` are what the policy read its text as.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// The turn, from 1.
    pub turn: u32,
    /// Who wrote it.
    pub author: Author,
    /// The text; of the policy's, what the parser kept.
    pub text: String,
    /// Token ids, where the policy has them. Those of a policy may end with one that ends sequences,
    /// which is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_ids: Option<Vec<u32>>,
    /// Log-probability of each id that was sampled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Vec<f32>>,
    /// Version of the weights that the ids were sampled from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

/// Who wrote a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Author {
    /// The policy: trained on.
    Policy,
    /// The environment: never trained on.
    Environment,
}

/// One query and what it found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// The turn, from 1.
    pub turn: u32,
    /// The query with its modifiers, as written.
    pub query: String,
    /// Best first, each explained.
    pub hits: Vec<Hit>,
    /// Labels of the hits that are evidence, in the same order.
    pub evidence: Vec<Label>,
}

/// Why an episode ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// The policy answered.
    Answered,
    /// The policy abstained.
    Abstained,
    /// The forced final turn held neither answer nor abstention.
    NoFinal,
    /// The tokens the policy may write were spent.
    Tokens,
    /// The wall time was spent.
    Time,
}

/// Where the time went, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timings {
    /// The whole episode.
    pub total_ms: f64,
    /// In the policy.
    pub policy_ms: f64,
    /// In retrieval.
    pub retrieval_ms: f64,
}

impl Trace {
    /// How many tokens the policy wrote, where it tells them.
    pub fn written_tokens(&self) -> Option<usize> {
        let own = self.segments.iter().filter(|segment| segment.author == Author::Policy);
        own.map(|segment| segment.token_ids.as_ref().map(Vec::len)).sum()
    }

    /// As one line of JSON.
    ///
    /// # Errors
    /// [`Error::Trace`] when a number in it has no JSON form.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| Error::Trace(error.to_string()))
    }

    /// Reads what [`Trace::to_json`] wrote.
    ///
    /// # Errors
    /// [`Error::Trace`] when it is another version's or not a trace.
    pub fn from_json(json: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let bad = |error: serde_json::Error| Error::Trace(error.to_string());
        let Versioned { version } = serde_json::from_str(json).map_err(bad)?;
        if !(1..=VERSION).contains(&version) {
            return Err(Error::Trace(format!("version {version}, this program reads versions 1 to {VERSION}")));
        }
        serde_json::from_str(json).map_err(bad)
    }

    /// The ids that the policy's model saw, in order, and beside each whether the policy wrote it: the
    /// loss mask. None when any of the episode has no ids.
    pub fn sequence(&self) -> Option<(Vec<u32>, Vec<bool>)> {
        let mut ids = self.opening.clone()?;
        let mut written = vec![false; ids.len()];
        for segment in &self.segments {
            ids.extend(segment.token_ids.as_ref()?);
            written.resize(ids.len(), segment.author == Author::Policy);
        }
        Some((ids, written))
    }
}

/// Name of a trace: 26 digits in Crockford's base 32, 48 bits of time then 80 of hash, so that names
/// sort by time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceId(String);

const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl TraceId {
    /// The id of an episode that began at `started` (milliseconds since 1970), told from others of the
    /// same millisecond by `salt`.
    pub fn new(started: jiff::Timestamp, salt: &[u8]) -> Self {
        let time = u128::from(started.as_millisecond().max(0) as u64 & ((1 << 48) - 1));
        let hash = blake3::hash(salt);
        let random = hash.as_bytes()[..10].iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
        let bits = time << 80 | random;
        let digit = |place: u32| char::from(DIGITS[(bits >> (5 * (25 - place)) & 31) as usize]);
        Self((0..26).map(digit).collect())
    }

    /// The id as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TraceId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let valid = text.len() == 26 && text.bytes().all(|byte| DIGITS.contains(&byte));
        valid
            .then(|| Self(text.to_owned()))
            .ok_or_else(|| Error::Input(format!("`{text}` is no trace id: 26 digits and capitals")))
    }
}

impl TryFrom<String> for TraceId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<TraceId> for String {
    fn from(id: TraceId) -> Self {
        id.0
    }
}

/// Milliseconds with their fraction.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_differ_by_salt() {
        let at = |millisecond| jiff::Timestamp::from_millisecond(millisecond).unwrap();
        let (early, late) = (TraceId::new(at(1_000), b"z"), TraceId::new(at(1_001), b"a"));
        assert!(early < late);
        assert_ne!(TraceId::new(at(1_000), b"y"), early);
        assert_eq!(early.as_str().parse::<TraceId>().unwrap(), early);
        assert!("nope".parse::<TraceId>().is_err());
    }

    #[test]
    fn another_version_is_refused() {
        for version in [0, 7] {
            let error = Trace::from_json(&format!(r#"{{"version":{version}}}"#)).unwrap_err().to_string();
            assert!(error.contains(&format!("version {version}")), "{error}");
        }
        assert!(Trace::from_json("[]").is_err());
    }

    #[test]
    fn the_first_version_is_still_read() {
        let trace = Trace::from_json(include_str!("../tests/fixtures/trace-v1.json")).unwrap();
        assert_eq!((trace.version, trace.stop, trace.opening.as_ref()), (1, StopReason::Answered, None));
        assert_eq!(trace.sequence(), None);
        assert_eq!((trace.sampling, trace.segments[0].version), (None, None));
        assert_eq!(Trace::from_json(&trace.to_json().unwrap()).unwrap(), trace);
    }
}
