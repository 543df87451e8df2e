//! [`Request`] and [`Generation`]: what a caller hands to the engine, and what it holds meanwhile.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nn::{Sampled, Sampling, Stream};

use crate::{Error, Result};

/// A wish for tokens.
pub struct Request {
    /// Everything before the first wanted token. What an earlier request computed is not computed
    /// again.
    pub ids: Vec<u32>,
    /// Tokens to sample at most.
    pub max_tokens: usize,
    /// How they are chosen.
    pub sampling: Sampling,
    /// The random numbers they are chosen by, at the position of each token in the sequence.
    pub stream: Stream,
    /// Who looks at each of them; `Box::new(())` for nobody.
    pub watch: Box<dyn Watch>,
}

/// Looks at each token on a thread of the engine, before the next step. It must be quick: all
/// requests wait for it.
pub trait Watch: Send {
    /// Whether `id` must not be the next token.
    fn forbids(&mut self, id: u32) -> bool;

    /// Takes in the next token, end-of-sequence ids too; `Break` ends the request after it.
    fn push(&mut self, token: Sampled) -> ControlFlow<()>;
}

/// Forbids nothing and never stops.
impl Watch for () {
    fn forbids(&mut self, _: u32) -> bool {
        false
    }

    fn push(&mut self, _: Sampled) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Why a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// Its watch stopped it.
    Stop,
    /// The model wrote an end-of-sequence id, which is the last token.
    EndOfSequence,
    /// The token limit, the model's last position or the end of the memory was reached.
    Length,
    /// The caller cancelled it.
    Cancelled,
}

/// What [`Generation::recv`] gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Received {
    /// The next token.
    Token(Sampled),
    /// All tokens were received before, and this is why there are no more.
    End(Finish),
    /// The time was over first.
    Nothing,
}

/// A request under way. Dropping it cancels the request within one step.
pub struct Generation {
    slot: Arc<Slot>,
    received: usize,
}

/// The engine's end of a [`Generation`]; dropped without an end, it reports that the engine stopped.
#[derive(Debug)]
pub(super) struct Reply(Arc<Slot>);

#[derive(Debug, Default)]
struct Slot {
    state: Mutex<State>,
    changed: Condvar,
    cancelled: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    tokens: Vec<Sampled>,
    version: u64,
    end: Option<Result<Finish, String>>,
    waits: Waits,
}

/// What the caller sleeps for: waking it for less would cost each step a system call.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Waits {
    #[default]
    Nobody,
    Token,
    End,
}

impl Slot {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The two ends of a request.
pub(super) fn pair(capacity: usize, version: u64) -> (Reply, Generation) {
    let state = State { tokens: Vec::with_capacity(capacity), version, ..State::default() };
    let slot = Arc::new(Slot { state: Mutex::new(state), ..Slot::default() });
    (Reply(Arc::clone(&slot)), Generation { slot, received: 0 })
}

impl Generation {
    /// The next token, or why there is none; waits for at most `timeout`.
    ///
    /// # Errors
    /// [`Error::Engine`] when the forward pass, the watch or the engine failed.
    pub fn recv(&mut self, timeout: Duration) -> Result<Received> {
        let deadline = Instant::now().checked_add(timeout);
        let received = self.received;
        let state = self.sleep(Waits::Token, deadline, |state| state.tokens.len() > received);
        if let Some(token) = state.tokens.get(received).copied() {
            drop(state);
            self.received += 1;
            return Ok(Received::Token(token));
        }
        state.end.clone().map_or(Ok(Received::Nothing), |end| end.map(Received::End).map_err(Error::Engine))
    }

    /// Waits for the end, and for at most `timeout`, without being woken for tokens; tells whether it has come.
    pub fn ends_within(&self, timeout: Duration) -> bool {
        self.sleep(Waits::End, Instant::now().checked_add(timeout), |_| false).end.is_some()
    }

    /// Waits for the end: all tokens, those received before too, and why there are no more.
    ///
    /// # Errors
    /// As [`Generation::recv`].
    pub fn wait(self) -> Result<(Vec<Sampled>, Finish)> {
        let mut state = self.sleep(Waits::End, None, |_| false);
        match state.end.clone() {
            Some(Ok(finish)) => Ok((std::mem::take(&mut state.tokens), finish)),
            Some(Err(what)) => Err(Error::Engine(what)),
            None => Err(Error::Engine("ended without saying why".to_owned())),
        }
    }

    /// Asks the engine to end this request within one step, with [`Finish::Cancelled`].
    pub fn cancel(&self) {
        self.slot.cancelled.store(true, Ordering::Relaxed);
    }

    /// The version of the weights that its tokens are sampled from, all of the same; settled once there
    /// is a token.
    pub fn version(&self) -> u64 {
        self.slot.state().version
    }

    /// Sleeps until the request ended, `enough` holds or the deadline passed.
    fn sleep(&self, waits: Waits, deadline: Option<Instant>, enough: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let mut state = self.slot.state();
        while state.end.is_none() && !enough(&state) {
            state.waits = waits;
            state = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => break,
                Some(left) => self.slot.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
                None => self.slot.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        state.waits = Waits::Nobody;
        state
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl Reply {
    pub(super) fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Relaxed)
    }

    /// Takes note of the weights that it will be answered by.
    pub(super) fn stamp(&self, version: u64) {
        self.0.state().version = version;
    }

    pub(super) fn push(&self, token: Sampled) {
        let mut state = self.0.state();
        state.tokens.push(token);
        self.wake(&mut state, Waits::Token);
    }

    /// Tells why there are no more tokens; the first reason holds.
    pub(super) fn settle(&self, end: Result<Finish, String>) {
        let mut state = self.0.state();
        if state.end.is_none() {
            state.end = Some(end);
            let waits = state.waits;
            self.wake(&mut state, waits);
        }
    }

    fn wake(&self, state: &mut State, waits: Waits) {
        if state.waits == waits && waits != Waits::Nobody {
            state.waits = Waits::Nobody;
            self.0.changed.notify_all();
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.settle(Err("stopped before the request ended: start it again".to_owned()));
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("ids", &self.ids.len())
            .field("max_tokens", &self.max_tokens)
            .field("sampling", &self.sampling)
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generation").field("received", &self.received).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn token(id: u32) -> Sampled {
        Sampled { id, logprob: -1.0 }
    }

    #[test]
    fn tokens_come_in_order_then_the_end_for_ever() {
        let (reply, mut generation) = pair(0, 0);
        assert_eq!(generation.recv(Duration::ZERO).unwrap(), Received::Nothing);
        let writer = thread::spawn(move || {
            (0..500).for_each(|id| reply.push(token(id)));
            reply.settle(Ok(Finish::Stop));
        });
        for id in 0..500 {
            assert_eq!(generation.recv(LONG).unwrap(), Received::Token(token(id)));
        }
        assert_eq!(generation.recv(LONG).unwrap(), Received::End(Finish::Stop));
        assert_eq!(generation.recv(LONG).unwrap(), Received::End(Finish::Stop));
        assert_eq!(generation.wait().unwrap().0.len(), 500);
        writer.join().unwrap();
    }

    #[test]
    fn whoever_waits_for_the_end_gets_every_token() {
        let (reply, generation) = pair(0, 0);
        let reader = thread::spawn(move || generation.wait());
        (0..100).for_each(|id| reply.push(token(id)));
        reply.settle(Ok(Finish::Length));
        let (tokens, finish) = reader.join().unwrap().unwrap();
        assert_eq!((tokens.len(), finish), (100, Finish::Length));
    }

    #[test]
    fn a_lost_engine_and_a_failure_reach_the_caller() {
        let (reply, mut generation) = pair(0, 0);
        reply.push(token(1));
        drop(reply);
        assert_eq!(generation.recv(LONG).unwrap(), Received::Token(token(1)));
        assert!(generation.recv(LONG).unwrap_err().to_string().contains("stopped before"));

        let (reply, generation) = pair(0, 0);
        reply.settle(Err("no room".to_owned()));
        assert_eq!(generation.wait().unwrap_err().to_string(), "engine: no room");
    }

    #[test]
    fn dropping_cancels() {
        let (reply, generation) = pair(0, 0);
        assert!(!reply.is_cancelled());
        drop(generation);
        assert!(reply.is_cancelled());
    }
}
