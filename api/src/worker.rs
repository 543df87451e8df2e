//! Where async ends: work crosses to blocking threads by a bounded queue and comes back by channel.
//!
//! Idle threads take the oldest work first. Work that finds neither an idle thread nor a place in the
//! queue is refused at once ([`Overloaded`]), so that waiting is bounded and the client can be told.
//!
//! **Clients leave.** Whoever submits holds a [`Pending`] or a [`Stream`]; dropping it takes waiting
//! work out of the queue, so that it never runs and its place is free at once, and sets the [`Cancel`]
//! of work that runs. **Work panics.** A panic ends with its work, which is then [`Lost`]; the thread
//! lives on.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use std::{fmt, io, mem, thread};

use agent::Cancel;
use retriever::STAGE;
use tokio::sync::{mpsc, oneshot};
use tracing::Span;

/// Every thread is busy and the queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overloaded;

/// The work ended without a result: it panicked, or the service stopped before its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lost;

/// The blocking threads and the queue before them. Dropping it lets running work end and starts no more.
#[derive(Debug)]
pub(crate) struct Workers {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    /// How much work may wait while all threads are busy.
    places: usize,
    threads: usize,
    /// Hears how long each piece of work waited.
    observer: OnceLock<Box<dyn Fn(Duration) + Send + Sync>>,
}

/// How much there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    /// Work that no thread has taken yet.
    pub(crate) waiting: usize,
    /// Threads that work.
    pub(crate) busy: usize,
}

struct State {
    waiting: VecDeque<Job>,
    idle: usize,
    next: u64,
    open: bool,
}

struct Job {
    number: u64,
    since: Instant,
    /// The request's, so that what the work logs carries its id.
    span: Span,
    /// Ends when a thread takes the work.
    queued: Span,
    run: Box<dyn FnOnce() + Send>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("places", &self.places).finish_non_exhaustive()
    }
}

impl Workers {
    /// Starts `threads` threads before a queue of `places`.
    ///
    /// # Errors
    /// When the system gives no more threads.
    pub(crate) fn start(threads: usize, places: usize) -> io::Result<Self> {
        let state = State { waiting: VecDeque::new(), idle: threads, next: 0, open: true };
        let (state, wake, observer) = (Mutex::new(state), Condvar::new(), OnceLock::new());
        let workers = Self { shared: Arc::new(Shared { state, wake, places, threads, observer }) };
        for number in 0..threads {
            let shared = Arc::clone(&workers.shared);
            thread::Builder::new().name(format!("worker-{number}")).spawn(move || shared.work())?;
        }
        Ok(workers)
    }

    /// Has `observer` told how long each piece of work waits from now on. The first one stays.
    pub(crate) fn observe(&self, observer: impl Fn(Duration) + Send + Sync + 'static) {
        let _ = self.shared.observer.set(Box::new(observer));
    }

    /// How much there is to do now.
    pub(crate) fn load(&self) -> Load {
        let state = self.shared.lock();
        Load { waiting: state.waiting.len(), busy: self.shared.threads - state.idle }
    }

    /// Has `work` done for one result.
    ///
    /// # Errors
    /// [`Overloaded`]; the work is dropped.
    pub(crate) fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Cancel) -> T + Send + 'static,
    ) -> Result<Pending<T>, Overloaded> {
        let (sender, receiver) = oneshot::channel();
        // whoever no longer waits for the result has dropped its claim already
        let claim = self.claim(move |cancel| drop(sender.send(work(cancel))))?;
        Ok(Pending { receiver, _claim: claim })
    }

    /// Has `work` done that tells what happens as it happens. The channel has no bound, so that a slow
    /// reader never holds a thread: what one piece of work may tell is for its caller to bound.
    ///
    /// # Errors
    /// [`Overloaded`]; the work is dropped.
    pub(crate) fn stream<E: Send + 'static>(
        &self,
        work: impl FnOnce(&Cancel, &mut dyn FnMut(E)) + Send + 'static,
    ) -> Result<Stream<E>, Overloaded> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let claim = self.claim(move |cancel| work(cancel, &mut |event| drop(sender.send(event))))?;
        Ok(Stream { receiver, _claim: claim })
    }

    fn claim(&self, work: impl FnOnce(&Cancel) + Send + 'static) -> Result<Claim, Overloaded> {
        let cancel = Cancel::new();
        let claim_cancel = cancel.clone();
        let run = Box::new(move || work(&cancel));
        let mut state = self.shared.lock();
        // idle threads have yet to take what waits for them, so both count
        if state.waiting.len() >= state.idle + self.shared.places {
            return Err(Overloaded);
        }
        let number = state.next;
        state.next += 1;
        let (span, queued) = (Span::current(), tracing::info_span!(target: STAGE, "queue"));
        state.waiting.push_back(Job { number, since: Instant::now(), span, queued, run });
        drop(state);
        self.shared.wake.notify_one();
        Ok(Claim { number, cancel: claim_cancel, shared: Arc::clone(&self.shared) })
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.open = false;
        let never_run = mem::take(&mut state.waiting);
        drop(state);
        self.shared.wake.notify_all();
        drop(never_run);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // nothing panics while it is held
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some(job) = self.take() {
            let Job { since, span, queued, run, .. } = job;
            drop(queued);
            if let Some(observer) = self.observer.get() {
                observer(since.elapsed());
            }
            let outcome = span.in_scope(|| {
                let _stage = tracing::info_span!(target: STAGE, "work").entered();
                catch_unwind(AssertUnwindSafe(run))
            });
            if outcome.is_err() {
                tracing::error!(parent: &span, "the work panicked");
            }
            self.lock().idle += 1;
        }
    }

    /// The oldest work that waits; none once the service stops.
    fn take(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.waiting.pop_front() {
                state.idle -= 1;
                return Some(job);
            }
            if !state.open {
                return None;
            }
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A place in the queue or on a thread, given back on drop.
struct Claim {
    number: u64,
    cancel: Cancel,
    shared: Arc<Shared>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.cancel.cancel();
        let mut state = self.shared.lock();
        let place = state.waiting.iter().position(|job| job.number == self.number);
        let never_run = place.and_then(|place| state.waiting.remove(place));
        drop(state);
        // outside the lock: dropping the work runs code of its owner
        drop(never_run);
    }
}

/// A result to come.
pub(crate) struct Pending<T> {
    receiver: oneshot::Receiver<T>,
    _claim: Claim,
}

impl<T> Future for Pending<T> {
    type Output = Result<T, Lost>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.receiver).poll(context).map_err(|_| Lost)
    }
}

/// What work tells, as it tells it.
pub(crate) struct Stream<E> {
    receiver: mpsc::UnboundedReceiver<E>,
    _claim: Claim,
}

impl<E> Stream<E> {
    /// The next event; none when the work is over or [`Lost`].
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<E>> {
        self.receiver.poll_recv(context)
    }
}

#[cfg(test)]
mod tests;
