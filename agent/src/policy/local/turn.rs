//! An episode of a local model: one growing sequence of ids, a turn of it a request to the engine.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nn::{Detokenizer, Pieces, Sampled, Sampling, Stream};

use super::Text;
use crate::engine::{Engine, Finish as Ended, Received, Request, Watch};
use crate::protocol::{Profile, Progress, TokenParser};
use crate::session::{Act, ActLimits, Finish, Observation, Session, Task, Tokens};
use crate::{Cancel, Result};

/// How often a waiting turn looks at [`Cancel`].
const GLANCE: Duration = Duration::from_millis(20);

pub(super) struct Episode {
    engine: Engine,
    text: Arc<Text>,
    sampling: Sampling,
    stream: Stream,
    profile: Profile,
    queries: usize,
    opening: Vec<u32>,
    /// All that the model has seen.
    ids: Vec<u32>,
}

impl Episode {
    pub(super) fn new(
        engine: Engine,
        text: Arc<Text>,
        sampling: Sampling,
        stream: Stream,
        task: &Task<'_>,
        opening: Vec<u32>,
    ) -> Self {
        let ids = opening.clone();
        let (profile, queries) = (task.profile, task.budget.queries_per_turn);
        Self { engine, text, sampling, stream, profile, queries, opening, ids }
    }

    /// Tokens that one turn may have.
    fn room(&self, limits: &ActLimits) -> usize {
        limits.max_tokens.min(self.text.context.saturating_sub(self.ids.len()))
    }
}

impl Session for Episode {
    fn opening(&self) -> Option<&[u32]> {
        Some(&self.opening)
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<Option<Vec<u32>>> {
        let ids = self.text.tokenizer.encode_text(observation.text())?;
        self.ids.extend_from_slice(&ids);
        Ok(Some(ids))
    }

    fn act(
        &mut self,
        limits: &ActLimits,
        cancel: &Cancel,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Act> {
        cancel.check()?;
        let deadline = Instant::now().checked_add(limits.time_left);
        let mut turn = Turn::new(&self.text, on_text);
        let max_tokens = self.room(limits);
        if max_tokens == 0 {
            return Ok(turn.finish(Finish::Length, self.engine.version()));
        }
        let mut generation = self.engine.submit(Request {
            ids: self.ids.clone(),
            max_tokens,
            sampling: self.sampling,
            stream: self.stream,
            watch: Box::new(Guard {
                parser: TokenParser::new(self.profile, self.queries),
                pieces: self.text.pieces.clone(),
                ends: self.text.ends.clone(),
            }),
        })?;
        let finish = loop {
            // Whoever leaves here drops the generation, which ends within a step.
            cancel.check()?;
            let left = deadline.map_or(GLANCE, |deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                while let Received::Token(token) = generation.recv(Duration::ZERO)? {
                    let _ = turn.push(token);
                }
                break Finish::Time;
            }
            if !limits.is_heard && !generation.ends_within(left.min(GLANCE)) {
                continue;
            }
            match generation.recv(left.min(GLANCE))? {
                Received::Token(token) if turn.push(token).is_break() => break Finish::Stop,
                Received::Token(_) | Received::Nothing => {}
                Received::End(Ended::Length) => break Finish::Length,
                Received::End(Ended::Stop | Ended::EndOfSequence | Ended::Cancelled) => break Finish::Stop,
            }
        };
        let act = turn.finish(finish, generation.version());
        self.ids.extend(act.tokens.iter().flat_map(|tokens| &tokens.ids));
        Ok(act)
    }
}

/// A turn as it is written.
struct Turn<'a> {
    text: &'a Text,
    on_text: &'a mut dyn FnMut(&str) -> ControlFlow<()>,
    detokenizer: Detokenizer,
    act: Act,
    tokens: Tokens,
}

impl<'a> Turn<'a> {
    fn new(text: &'a Text, on_text: &'a mut dyn FnMut(&str) -> ControlFlow<()>) -> Self {
        let detokenizer = Detokenizer::new(text.pieces.clone());
        Self { text, on_text, detokenizer, act: Act::default(), tokens: Tokens::default() }
    }

    /// Takes in a token; `Break` when the listener has heard enough.
    fn push(&mut self, Sampled { id, logprob }: Sampled) -> ControlFlow<()> {
        self.tokens.ids.push(id);
        self.tokens.logprobs.push(logprob);
        if self.text.ends.contains(&id) {
            self.tokens.pieces.push(Vec::new());
            return ControlFlow::Continue(());
        }
        self.tokens.pieces.push(self.text.pieces.get(id).to_vec());
        say(self.detokenizer.push(id), &mut self.act.text, self.on_text)
    }

    fn finish(mut self, finish: Finish, version: u64) -> Act {
        // Nobody may listen any more; the text is kept all the same.
        let _ = say(self.detokenizer.finish(), &mut self.act.text, self.on_text);
        Act { tokens: Some(Tokens { version, ..self.tokens }), finish, ..self.act }
    }
}

fn say(piece: &str, text: &mut String, on_text: &mut dyn FnMut(&str) -> ControlFlow<()>) -> ControlFlow<()> {
    text.push_str(piece);
    if piece.is_empty() { ControlFlow::Continue(()) } else { on_text(piece) }
}

/// Stops a turn at the token that completes its action, and keeps the model from writing what only the
/// environment writes. Runs on the engine's thread.
struct Guard {
    parser: TokenParser,
    pieces: Pieces,
    ends: Vec<u32>,
}

impl Watch for Guard {
    fn forbids(&mut self, id: u32) -> bool {
        !self.ends.contains(&id) && self.parser.would_forge(self.pieces.get(id))
    }

    fn push(&mut self, token: Sampled) -> ControlFlow<()> {
        let piece = if self.ends.contains(&token.id) { &[] } else { self.pieces.get(token.id) };
        match self.parser.push(token.id, piece) {
            Progress::More => ControlFlow::Continue(()),
            Progress::Done => ControlFlow::Break(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_stops_at_its_action_and_forges_nothing() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("tiny");
        nn::init(nn::Shape::Tiny, 1, &dir, &mut |_, _| {}).unwrap();
        let tokenizer = nn::Tokenizer::open(&dir).unwrap();
        let end = tokenizer.id("<|im_end|>").unwrap();
        let guard = |written: &str| {
            let (parser, pieces) = (TokenParser::new(Profile::SearchR1, 3), tokenizer.pieces());
            let mut guard = Guard { parser, pieces, ends: vec![end] };
            let ids = tokenizer.encode_text(written).unwrap();
            let flows: Vec<_> = ids.iter().map(|id| guard.push(Sampled { id: *id, logprob: 0.0 })).collect();
            (guard, flows)
        };
        let closes: Vec<_> = tokenizer.encode_text(">").unwrap();
        let (mut forging, flows) = guard("<think>x</think> <information");
        assert!(flows.iter().all(ControlFlow::is_continue));
        assert!(forging.forbids(closes[0]) && !forging.forbids(end));
        let (mut harmless, _) = guard("<think>2 <search");
        assert!(!harmless.forbids(closes[0]));
        let (_, flows) = guard("<search>asthma</search>");
        assert_eq!(flows.iter().position(ControlFlow::is_break), Some(flows.len() - 1));
        assert!(harmless.push(Sampled { id: end, logprob: 0.0 }).is_continue(), "the engine ends it there");
    }
}
