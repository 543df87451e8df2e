//! [`Keep`]: how long traces are kept; and what the store is told of one.

use std::str::FromStr;

use agent::{Outcome, Trace};
use corpus::store::NewTrace;
use jiff::{SignedDuration, Timestamp};

/// Days that the service keeps traces, unless told otherwise.
pub(crate) const USUAL: &str = "90";
/// A longer time is no time at all.
const MOST_DAYS: u32 = 36_500;

/// How long traces are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// So many days; 0 keeps none.
    Days(u32),
    /// Until somebody erases them.
    Forever,
}

impl Keep {
    /// Whether traces are kept at all.
    pub(crate) fn keeps(self) -> bool {
        self != Self::Days(0)
    }

    /// When a trace of an episode that began at `created` is to be gone.
    pub(crate) fn expires(self, created: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Days(days) => created.checked_add(SignedDuration::from_hours(24 * i64::from(days))).ok(),
            Self::Forever => None,
        }
    }
}

impl FromStr for Keep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "forever" {
            return Ok(Self::Forever);
        }
        let days = text.parse().ok().filter(|days| *days <= MOST_DAYS);
        days.map(Self::Days)
            .ok_or_else(|| format!("`{text}` is neither a number of days up to {MOST_DAYS} nor `forever`"))
    }
}

/// What the store is told of a trace beside its JSON.
///
/// `told` is what the turn hashes to, where a client may send it back.
pub(crate) fn entry(trace: &Trace, caller: &str, expires: Option<Timestamp>, told: Option<[u8; 32]>) -> NewTrace {
    let outcome = match trace.answer.outcome {
        Outcome::Answered => "answered",
        Outcome::Abstained(_) => "abstained",
    };
    NewTrace {
        id: trace.id.to_string(),
        created: trace.started,
        expires,
        caller: caller.to_owned(),
        outcome: outcome.to_owned(),
        question: trace.question.clone(),
        cited: trace.answer.citations.iter().map(|cited| (cited.document.clone(), cited.status)).collect(),
        told,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_or_for_ever() {
        let at: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for (text, expected) in
            [("90", Some("2026-04-01T00:00:00Z")), ("0", Some("2026-01-01T00:00:00Z")), ("forever", None)]
        {
            let keep: Keep = text.parse().unwrap();
            assert_eq!(keep.expires(at), expected.map(|time| time.parse().unwrap()), "{text}");
            assert_eq!(keep.keeps(), text != "0");
        }
        for text in ["", "-1", "ninety", "36501", "1.5"] {
            assert!(text.parse::<Keep>().unwrap_err().contains("forever"), "{text}");
        }
    }
}
