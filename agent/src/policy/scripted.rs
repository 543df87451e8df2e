//! The scripted policy: says its lines whatever it observes; for tests and replays.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use nn::Sampling;

use crate::policy::Policy;
use crate::session::{Act, ActLimits, Finish, Observation, Session, Task, Tokens};
use crate::{Cancel, Result};

/// A policy that says one line a turn, then nothing.
#[derive(Clone, Debug, Default)]
pub struct Scripted {
    turns: Vec<Act>,
}

impl Scripted {
    /// A policy that writes these turns.
    pub fn new<'a>(turns: impl IntoIterator<Item = &'a str>) -> Self {
        Self::of_acts(turns.into_iter().map(|text| Act { text: text.to_owned(), ..Act::default() }))
    }

    /// A policy that gives these acts, tokens included.
    pub fn of_acts(turns: impl IntoIterator<Item = Act>) -> Self {
        Self { turns: turns.into_iter().collect() }
    }
}

impl Policy for Scripted {
    fn name(&self) -> String {
        "scripted".to_owned()
    }

    fn sampling(&self) -> Option<Sampling> {
        None
    }

    fn open(&self, _task: &Task<'_>) -> Result<Box<dyn Session>> {
        Ok(Box::new(Lines(self.turns.iter().cloned().collect())))
    }
}

struct Lines(VecDeque<Act>);

impl Session for Lines {
    fn opening(&self) -> Option<&[u32]> {
        None
    }

    fn observe(&mut self, _observation: &Observation<'_>) -> Result<Option<Vec<u32>>> {
        Ok(None)
    }

    fn act(
        &mut self,
        limits: &ActLimits,
        cancel: &Cancel,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Act> {
        cancel.check()?;
        let mut act = self.0.pop_front().unwrap_or_default();
        if let Some(Tokens { ids, pieces, logprobs, .. }) = &mut act.tokens
            && ids.len() > limits.max_tokens
        {
            ids.truncate(limits.max_tokens);
            pieces.truncate(limits.max_tokens);
            logprobs.truncate(limits.max_tokens);
            act.text = String::from_utf8_lossy(&pieces.concat()).into_owned();
            act.finish = Finish::Length;
        }
        let _ = on_text(&act.text);
        Ok(act)
    }
}
