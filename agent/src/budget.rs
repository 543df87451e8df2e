//! [`Budget`]: everything that bounds an episode, as one value.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The bounds of one episode. Stated in the prompt (its `Display`), enforced by the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Budget {
    /// Turns in which the policy may search; one forced final turn comes on top.
    pub turns: u32,
    /// Queries in one turn.
    pub queries_per_turn: usize,
    /// Hits of one query.
    pub hits_per_query: usize,
    /// Tokens of evidence text in the whole episode.
    pub evidence_tokens: usize,
    /// Tokens the policy may write in the whole episode.
    pub generated_tokens: usize,
    /// Wall time of the whole episode, in milliseconds.
    pub wall_ms: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            turns: 4,
            queries_per_turn: 3,
            hits_per_query: 5,
            evidence_tokens: 4_000,
            generated_tokens: 2_048,
            wall_ms: 60_000,
        }
    }
}

impl Budget {
    /// Refuses a budget under which nothing can happen.
    ///
    /// # Errors
    /// [`Error::Input`] naming the field that is zero.
    pub fn check(&self) -> Result<()> {
        let zero = [
            ("queries_per_turn", self.queries_per_turn == 0),
            ("hits_per_query", self.hits_per_query == 0),
            ("evidence_tokens", self.evidence_tokens == 0),
            ("generated_tokens", self.generated_tokens == 0),
            ("wall_ms", self.wall_ms == 0),
        ];
        match zero.iter().find(|(_, zero)| *zero) {
            Some((field, _)) => Err(Error::Input(format!("budget: {field} is 0, it must be at least 1"))),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { turns, queries_per_turn, hits_per_query, evidence_tokens, generated_tokens, wall_ms } = self;
        write!(
            f,
            "{turns} search turns of at most {queries_per_turn} queries, {hits_per_query} passages a query, \
             {evidence_tokens} tokens of evidence, {generated_tokens} tokens of your own, {} seconds",
            wall_ms.div_ceil(1_000)
        )
    }
}
